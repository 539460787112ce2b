//! What Usher says to providers: its request, and what it is. Pure.

use std::{fmt::Write as _, io::Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use jiff::{Timestamp, tz::TimeZone};
use openidconnect::url::form_urlencoded::Serializer;

use super::{NameIdFormat, NoKey, OwnKey, own_key::ALGORITHM, tree};
use crate::identity::Url;

const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// Usher, as providers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its entity id: where its description is, unless a provider knows it by another one.
    pub entity_id: String,
    /// Where answers are brought.
    pub consumer: Url,
}

/// `text`, fit for an attribute or an element.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            char => out.push(char),
        }
    }
    out
}

/// An instant as `xs:dateTime`, in whole seconds.
fn instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The request `id` (SAML Core, section 3.4.1).
fn request(home: &Home, sign_on: &str, id: &str, format: Option<NameIdFormat>, now: Timestamp) -> String {
    let (consumer, entity_id) = (escaped(home.consumer.as_str()), escaped(&home.entity_id));
    let format = format.map(|format| format!(r#" Format="{}""#, format.uri())).unwrap_or_default();
    format!(
        r#"<p:AuthnRequest xmlns:p="{}" xmlns:a="{}" ID="{}" Version="2.0" IssueInstant="{}" Destination="{}" AssertionConsumerServiceURL="{consumer}" ProtocolBinding="{POST}"><a:Issuer>{entity_id}</a:Issuer><p:NameIDPolicy{format} AllowCreate="true"/></p:AuthnRequest>"#,
        tree::PROTOCOL,
        tree::ASSERTION,
        escaped(id),
        instant(now),
        escaped(sign_on),
    )
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsaid {
    #[error("the request cannot be written")]
    Written(#[from] std::io::Error),
    #[error("the request cannot be signed")]
    Signed(#[from] NoKey),
}

/// Where to send a browser with the request `id`, signed by `key` (SAML Bindings, section 3.4).
pub(super) fn redirect(
    (home, key): (&Home, &OwnKey),
    sign_on: &Url,
    (id, relay_state): (&str, &str),
    format: Option<NameIdFormat>,
    now: Timestamp,
) -> Result<Url, Unsaid> {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(request(home, sign_on.as_str(), id, format, now).as_bytes())?;
    let encoded = BASE64_STANDARD.encode(deflated.finish()?);
    // What is signed are these three as the URL has them, encoded, in this order (section 3.4.4.1).
    let pairs = [("SAMLRequest", encoded.as_str()), ("RelayState", relay_state), ("SigAlg", ALGORITHM)];
    let signed = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut url = sign_on.clone();
    url.query_pairs_mut().extend_pairs(pairs).append_pair("Signature", &key.sign(&signed)?);
    Ok(url)
}

/// What Usher is, for whoever sets a provider up (SAML Metadata, section 2.4.4). Its key signs its requests; nothing is to be encrypted for it.
///
/// # Errors
/// When there is no memory for it.
pub fn description(home: &Home, key: &OwnKey) -> Result<String, NoKey> {
    let (consumer, entity_id) = (escaped(home.consumer.as_str()), escaped(&home.entity_id));
    let certificate = key.certificate()?;
    let mut formats = String::new();
    for format in [NameIdFormat::Persistent, NameIdFormat::EmailAddress, NameIdFormat::Unspecified] {
        // Writing to a String does not fail.
        let _ = write!(formats, "<NameIDFormat>{}</NameIDFormat>", format.uri());
    }
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<EntityDescriptor xmlns="{}" entityID="{entity_id}"><SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="{}"><KeyDescriptor use="signing"><s:KeyInfo xmlns:s="{}"><s:X509Data><s:X509Certificate>{certificate}</s:X509Certificate></s:X509Data></s:KeyInfo></KeyDescriptor>{formats}<AssertionConsumerService Binding="{POST}" Location="{consumer}" index="0" isDefault="true"/></SPSSODescriptor></EntityDescriptor>
"#,
        tree::METADATA,
        tree::PROTOCOL,
        tree::SIGNATURE,
    ))
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, sync::LazyLock};

    use flate2::read::DeflateDecoder;
    use openssl::{hash::MessageDigest, sign::Verifier, x509::X509};

    use super::*;

    static KEY: LazyLock<OwnKey> = LazyLock::new(|| OwnKey::fresh(Timestamp::UNIX_EPOCH).unwrap());

    fn home() -> Home {
        Home {
            entity_id: "https://usher.acme.example/signin/saml/metadata".into(),
            consumer: "https://usher.acme.example/signin/saml".parse().unwrap(),
        }
    }

    /// Goes to a provider that has a query of its own.
    fn gone() -> (Url, Url) {
        let sign_on: Url = "https://idp.acme.example/sso?a=b&c='".parse().unwrap();
        let format = Some(NameIdFormat::Persistent);
        let url = redirect((&home(), &KEY), &sign_on, ("_1", "relay+/"), format, Timestamp::UNIX_EPOCH);
        (sign_on, url.unwrap())
    }

    /// Whether the query is signed by the key of the certificate in Usher's own description, as providers find out.
    fn is_signed(query: &str) -> bool {
        let said = description(&home(), &KEY).unwrap();
        let tree = roxmltree::Document::parse(&said).unwrap();
        let certificate = tree.descendants().find(|node| node.tag_name().name() == "X509Certificate");
        let der = BASE64_STANDARD.decode(certificate.unwrap().text().unwrap()).unwrap();
        let key = X509::from_der(&der).unwrap().public_key().unwrap();
        let own = &query[query.find("SAMLRequest=").unwrap()..];
        let (signed, signature) = own.split_once("&Signature=").unwrap();
        let pair = format!("s={signature}");
        let signature = openidconnect::url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1;
        let Ok(signature) = BASE64_STANDARD.decode(&*signature) else { return false };
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        matches!(verifier.verify_oneshot(&signature, signed.as_bytes()), Ok(true))
    }

    #[test]
    fn a_request_says_who_asks_and_where_the_answer_goes() {
        let (sign_on, url) = gone();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let [_, _, (request, deflated), (relay, state), (by, algorithm), (signature, _)] = &pairs[..] else {
            panic!("{url}")
        };
        assert_eq!(
            (request.as_str(), relay.as_str(), state.as_str()),
            ("SAMLRequest", "RelayState", "relay+/")
        );
        assert_eq!((by.as_str(), algorithm.as_str(), signature.as_str()), ("SigAlg", ALGORITHM, "Signature"));
        let deflated = BASE64_STANDARD.decode(deflated).unwrap();
        let mut xml = String::new();
        DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
        let tree = tree::parsed(&xml).unwrap();
        let root = tree.root_element();
        for (name, value) in [
            ("ID", "_1"),
            ("Version", "2.0"),
            ("IssueInstant", "1970-01-01T00:00:00Z"),
            ("Destination", sign_on.as_str()),
            ("AssertionConsumerServiceURL", "https://usher.acme.example/signin/saml"),
            ("ProtocolBinding", POST),
        ] {
            assert_eq!(root.attribute(name), Some(value), "{xml}");
        }
        let issuer =
            tree::one(root, tree::ASSERTION, "Issuer", crate::identity::saml::Refusal::Issuer).unwrap();
        assert_eq!(tree::text(issuer), Some(&*home().entity_id));
    }

    #[test]
    fn a_request_and_its_relay_state_are_signed_by_the_key_that_usher_describes() {
        let query = gone().1.query().unwrap().to_owned();
        assert!(query.starts_with("a=b&c=%27&SAMLRequest="), "{query}");
        assert!(is_signed(&query), "{query}");
        for (from, to) in [
            ("relay%2B%2F", "other"),
            ("relay%2B%2F", "relay%2b%2f"),
            ("rsa-sha256", "rsa-sha512"),
            ("SAMLRequest=", "SAMLRequest=A"),
            ("Signature=", "Signature=AAAA"),
        ] {
            let changed = query.replacen(from, to, 1);
            assert!(changed != query && !is_signed(&changed), "{from} {to}");
        }
    }

    #[test]
    fn what_usher_says_of_itself_is_xml_with_its_addresses_and_the_key_that_signs() {
        let said = description(&home(), &KEY).unwrap();
        let tree = roxmltree::Document::parse(&said).unwrap();
        assert_eq!(tree.root_element().attribute("entityID"), Some(&*home().entity_id));
        let named = |name| tree.descendants().find(|node| node.tag_name().name() == name).unwrap();
        assert_eq!(named("AssertionConsumerService").attribute("Location"), Some(home().consumer.as_str()));
        assert_eq!(named("SPSSODescriptor").attribute("AuthnRequestsSigned"), Some("true"));
        // Nothing is to be encrypted for it.
        assert_eq!(named("KeyDescriptor").attribute("use"), Some("signing"));
        assert_eq!(said.matches("<KeyDescriptor").count(), 1);
        let (certificate, private) = KEY.to_pem().unwrap();
        let lines: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(named("X509Certificate").text(), Some(&*lines));
        let line = private.lines().nth(1).unwrap();
        assert!(!said.contains(line), "the private key stays where it is");
    }
}
