//! What an IdentityProvider declares, in the types of those who go by it. Pure.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use zeroize::Zeroizing;

use super::CLIENT_SECRET;
use crate::{
    cluster::api::{AllowedNamespaces, EntryRef, IdentityProvider, OidcSpec, ReauthenticateText, SamlSpec},
    domain::{
        belonging::Claim,
        license::Uid,
        namespaces::Namespaces,
        principal::Mailboxes,
        reason::{Because, Reason},
        text::{InvalidText, Label, ProviderIssuer, Scope},
    },
    identity::{
        Claims, RelyingParty,
        fetch::{self, Loopback},
        oidc::{self, Algorithm},
        saml::{self, Reader, ServiceProvider, Source},
    },
    service::providers::Provider,
};

/// A day: a leaver is out by tomorrow, and nobody signs in more than once a working day.
const REAUTHENTICATE_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// What the large providers sign by.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];
/// Where the large providers put address and name.
const SCOPES: [&str; 2] = ["email", "profile"];

fn invalid(message: String) -> Because {
    Because::new(Reason::InvalidSpec, message)
}

fn name(provider: &IdentityProvider) -> Result<Label, InvalidText> {
    provider.name_any().parse()
}

/// How the provider that it declares is known. The API server sees to it that there is exactly one way.
fn issuer(provider: &IdentityProvider) -> Option<ProviderIssuer> {
    match (&provider.spec.oidc, &provider.spec.saml) {
        (Some(oidc), None) => Some(oidc.issuer.clone().into()),
        (None, Some(saml)) => Some(saml.entity_id.clone()),
        _ => None,
    }
}

/// What it claims for itself. The API server sees to it that each has a name that is one.
pub(super) fn claim(provider: &IdentityProvider) -> Option<Claim> {
    let since = provider.metadata.creation_timestamp.as_ref();
    Some(Claim {
        uid: Uid(provider.uid()?),
        name: name(provider).ok()?,
        since: since.map_or(Timestamp::UNIX_EPOCH, |since| since.0),
        issuer: issuer(provider)?,
        domains: provider.spec.domains.clone(),
    })
}

/// The client secret that is in `entry`, or how to bring it.
pub(super) fn client_secret(
    entry: Option<&[u8]>,
    reference: &EntryRef,
    namespace: &str,
) -> Result<Zeroizing<String>, Because> {
    let text = entry.and_then(|bytes| std::str::from_utf8(bytes).ok());
    // A file that was put in with its last line's end.
    let text = text.map(|text| text.trim_end_matches(['\r', '\n'])).filter(|text| !text.is_empty());
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| {
        let EntryRef { name, key } = reference;
        let message = format!(
            "in {namespace} there is no Secret {name} of type {CLIENT_SECRET} with the client secret in {key}: make it with: kubectl create secret generic {name} -n {namespace} --type={CLIENT_SECRET} --from-literal={key}=SECRET"
        );
        Because::new(Reason::ClientSecretMissing, message)
    })
}

/// The provider that it declares, by OpenID Connect.
pub(super) fn by_oidc(
    declared: &IdentityProvider,
    spec: &OidcSpec,
    secret: Zeroizing<String>,
) -> Result<Provider, Because> {
    let name = own_name(declared)?;
    let relying_party =
        oidc::RelyingParty::new(settings(&name, declared, spec, secret), loopback(spec.allow_loopback))
            .map_err(|error| unusable("oidc", &error))?;
    Ok(provider(name, declared, RelyingParty::Oidc(Box::new(relying_party))))
}

/// The provider that it declares, by SAML.
pub(super) fn by_saml(
    declared: &IdentityProvider,
    spec: &SamlSpec,
    reader: Reader,
) -> Result<Provider, Because> {
    let name = own_name(declared)?;
    let source = match (&spec.metadata_url, &spec.sign_on_url) {
        (Some(url), _) => Source::metadata(url.as_str(), spec.ca.as_deref(), loopback(spec.allow_loopback)),
        (None, Some(url)) => Source::pinned(url.as_str(), spec.certificates.clone().unwrap_or_default()),
        (None, None) => return Err(neither()),
    };
    let settings = saml::Settings {
        provider: name.clone(),
        entity_id: spec.entity_id.clone(),
        audience: spec.audience.clone(),
        format: spec.name_id_format,
        claims: claims(declared),
        mailboxes: mailboxes(declared),
    };
    let source = source.map_err(|error| unusable("saml", &error))?;
    let service_provider = ServiceProvider::new(settings, source, reader);
    Ok(provider(name, declared, RelyingParty::Saml(Box::new(service_provider))))
}

/// It declares neither one nor the other. The API server does not let that in.
pub(super) fn neither() -> Because {
    invalid("spec must have oidc or saml, one of the two".to_owned())
}

fn own_name(declared: &IdentityProvider) -> Result<Label, Because> {
    name(declared).map_err(|error| invalid(format!("its name cannot be used: {error}")))
}

fn unusable(which: &str, error: &fetch::Error) -> Because {
    invalid(format!("spec.{which} cannot be used: {error}; correct it"))
}

fn loopback(allowed: bool) -> Loopback {
    if allowed { Loopback::Allowed } else { Loopback::Forbidden }
}

fn provider(name: Label, declared: &IdentityProvider, relying_party: RelyingParty) -> Provider {
    let spec = &declared.spec;
    let allowed = spec.allowed_namespaces.as_ref();
    let seconds = spec.reauthenticate_after.as_ref().and_then(ReauthenticateText::seconds);
    Provider {
        name,
        relying_party,
        domains: spec.domains.clone(),
        allowed_namespaces: allowed.map_or(Namespaces::None, AllowedNamespaces::namespaces),
        device_codes: spec.device_codes.unwrap_or_default(),
        email_authority: spec.email_authority,
        reauthenticate_after: seconds.map_or(REAUTHENTICATE_AFTER, SignedDuration::from_secs),
    }
}

fn claims(declared: &IdentityProvider) -> Claims {
    let claims = declared.spec.claims.clone().unwrap_or_default();
    Claims { subject: claims.subject, email: claims.email, groups: claims.groups, name: claims.name }
}

fn mailboxes(declared: &IdentityProvider) -> Mailboxes {
    Mailboxes { domains: declared.spec.domains.clone(), authority: declared.spec.email_authority }
}

fn settings(
    name: &Label,
    declared: &IdentityProvider,
    spec: &OidcSpec,
    secret: Zeroizing<String>,
) -> oidc::Settings {
    let OidcSpec { issuer, client_id, scopes, algorithms, ca, .. } = spec;
    oidc::Settings {
        provider: name.clone(),
        issuer: issuer.clone().into(),
        client: client_id.clone(),
        secret,
        scopes: match scopes {
            Some(scopes) => scopes.clone(),
            None => SCOPES.iter().filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        },
        algorithms: algorithms.clone().unwrap_or_else(|| ALGORITHMS.to_vec()),
        ca: ca.clone(),
        claims: claims(declared),
        mailboxes: mailboxes(declared),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{namespaces::Namespaces, terms::DeviceCodes};

    fn declared(spec: &Value) -> IdentityProvider {
        let mut whole = json!({
            "oidc": {"issuer": "https://idp.acme.example/", "clientId": "usher", "clientSecretRef": {"name": "acme", "key": "secret"}},
            "domains": ["ACME.example"],
        });
        for (name, value) in spec.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "IdentityProvider", "spec": whole,
            "metadata": {"name": "acme", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        }))
        .unwrap()
    }

    fn read(declared: &IdentityProvider) -> Result<Provider, Because> {
        by_oidc(declared, declared.spec.oidc.as_ref().unwrap(), "s".to_owned().into())
    }

    fn settings_of(declared: &IdentityProvider) -> oidc::Settings {
        let spec = declared.spec.oidc.as_ref().unwrap();
        settings(&"acme".parse().unwrap(), declared, spec, "s".to_owned().into())
    }

    #[test]
    fn who_says_nothing_more_lets_nobody_in_anywhere_and_back_in_after_a_day() {
        let read = read(&declared(&json!({}))).unwrap();
        assert_eq!(read.allowed_namespaces, Namespaces::None);
        assert_eq!(
            (read.reauthenticate_after, read.email_authority),
            (SignedDuration::from_hours(24), false)
        );
        assert_eq!(read.device_codes, DeviceCodes::Forbidden);
        assert_eq!(read.domains, ["acme.example".parse().unwrap()]);
        assert_eq!(read.relying_party.issuer().as_str(), "https://idp.acme.example/");
        let settings = settings_of(&declared(&json!({})));
        assert_eq!(settings.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
        assert_eq!(settings.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(), ["email", "profile"]);
        assert_eq!(settings.mailboxes, Mailboxes { domains: read.domains, authority: false });
    }

    #[test]
    fn what_is_declared_is_what_counts() {
        let said = json!({"allowedNamespaces": {"from": "All"}, "reauthenticateAfter": "8h", "emailAuthority": true, "deviceCodes": "Allowed",
            "claims": {"subject": "oid", "groups": "realm_access.roles"}});
        let read = read(&declared(&said)).unwrap();
        assert_eq!((&read.allowed_namespaces, read.device_codes), (&Namespaces::All, DeviceCodes::Allowed));
        assert_eq!((read.reauthenticate_after, read.email_authority), (SignedDuration::from_hours(8), true));
        let settings = settings_of(&declared(&said));
        assert!(settings.mailboxes.authority);
        assert_eq!(settings.claims.subject.unwrap().as_str(), "oid");
        assert_eq!(settings.claims.groups.unwrap().as_str(), "realm_access.roles");
        assert_eq!((settings.claims.email, settings.claims.name), (None, None));
    }

    #[test]
    fn a_claim_is_issuer_and_domains_since_the_object_is_there() {
        let claim = claim(&declared(&json!({}))).unwrap();
        assert_eq!((claim.uid, claim.name.as_str()), (Uid("u".into()), "acme"));
        assert_eq!(claim.since, "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!((claim.issuer.as_str(), claim.domains.len()), ("https://idp.acme.example/", 1));
    }

    #[test]
    fn what_is_no_certificate_is_told_and_trusts_nobody() {
        let pem = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n";
        let mut declared = declared(&json!({}));
        declared.spec.oidc.as_mut().unwrap().ca = Some(pem.into());
        let because = read(&declared).err().unwrap();
        assert_eq!(because.reason, Reason::InvalidSpec);
        assert_eq!(
            because.message,
            "spec.oidc cannot be used: the certificates in ca cannot be read; correct it"
        );
    }

    #[test]
    fn a_client_secret_is_text_without_the_end_of_its_line_and_whoever_lacks_it_is_told_the_command() {
        let reference = EntryRef { name: "acme".parse().unwrap(), key: "secret".parse().unwrap() };
        let of = |entry: Option<&[u8]>| client_secret(entry, &reference, "usher-system");
        assert_eq!(**of(Some(b"s3cret\n")).as_ref().unwrap(), "s3cret");
        for entry in [None, Some(b"".as_slice()), Some(b"\n"), Some(b"\xff")] {
            let because = of(entry).unwrap_err();
            assert_eq!(because.reason, Reason::ClientSecretMissing);
            assert!(
                because.message.ends_with("make it with: kubectl create secret generic acme -n usher-system --type=usher.dev/client-secret --from-literal=secret=SECRET"),
                "{}", because.message
            );
        }
    }
}
