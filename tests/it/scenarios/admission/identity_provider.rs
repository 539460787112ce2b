use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};
use crate::scenarios::with;

fn base() -> Value {
    json!({"kind": "IdentityProvider", "metadata": {"name": "checked"}, "spec": {
        "oidc": {"issuer": "https://idp.acme.example/checked", "clientId": "usher", "clientSecretRef": {"name": "checked", "key": "secret"}},
        "domains": ["checked.acme.example"],
    }})
}

fn spec(spec: Value) -> Value {
    only("spec", spec)
}

fn oidc(oidc: Value) -> Value {
    spec(only("oidc", oidc))
}

#[tokio::test]
async fn an_identity_provider_with_a_mistake_is_told_what_to_write() {
    let name = |name: &str| json!({"metadata": {"name": name}});
    let issuer = |issuer: &str| oidc(json!({"issuer": issuer}));
    let domains = |count: usize| {
        spec(json!({"domains": (0..count).map(|n| format!("d{n}.acme.example")).collect::<Vec<_>>()}))
    };
    let scopes =
        |count: usize| oidc(json!({"scopes": (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>()}));
    let algorithms = |algorithms: Value| oidc(json!({"algorithms": algorithms}));
    let ca = |ca: &str| oidc(json!({"ca": ca}));
    let again = |after: &str| spec(json!({"reauthenticateAfter": after}));
    let claim = |path: &str| spec(json!({"claims": {"groups": path}}));
    let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    let labelled =
        json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}});
    check(cases(&base(), [
        (name("acme.inc"), "the name of an IdentityProvider must be at most 63 characters without dots: UserAssignments name its groups by it", name("acme-inc")),
        (name(&long(64)), "the name of an IdentityProvider must be at most 63 characters", name(&long(63))),
        (issuer("http://idp.acme.example"), "issuer must be an https URL without :443, query, fragment or a part that is only dots, exactly as the identity provider says it, such as https://idp.acme.example/realms/acme", issuer("https://idp.acme.example")),
        (issuer("https://idp.acme.example//"), "issuer must be an https URL", issuer("https://idp.acme.example/")),
        (issuer("https://idp.acme.example/?a=b"), "issuer must be an https URL without :443, query", issuer("https://idp.acme.example/v2.0/")),
        (spec(json!({"oidc": null})), "spec must have oidc or saml, one of the two: it is how Usher and the provider know each other", json!({})),
        (oidc(json!({"clientId": "us her"})), "client id must be printable ASCII without spaces, such as usher", oidc(json!({"clientId": "0oa1-b"}))),
        (oidc(json!({"clientSecretRef": null})), "spec.oidc.clientSecretRef: Required value", json!({})),
        (oidc(json!({"clientSecretRef": {"key": "a/b"}})), "key must be letters, digits, dots, dashes and underscores, such as client-secret", oidc(json!({"clientSecretRef": {"key": "client_secret.txt"}}))),
        (scopes(17), "spec.oidc.scopes: Too many: 17: must have at most 16 items", scopes(16)),
        (oidc(json!({"scopes": ["a b"]})), "scope must be printable ASCII without spaces, quotes and backslashes, such as email", oidc(json!({"scopes": []}))),
        (algorithms(json!(["HS256"])), r#"supported values: "RS256", "PS256", "ES256", "ES384", "EdDSA""#, algorithms(json!(["EdDSA"]))),
        (algorithms(json!(["none"])), r#"Unsupported value: "none""#, algorithms(json!(["PS256"]))),
        (algorithms(json!([])), "spec.oidc.algorithms in body should have at least 1 items", algorithms(json!(["ES384"]))),
        (ca("MA=="), "ca must be certificates in PEM, and nothing else", ca(pem)),
        (ca(&format!("{pem}-----BEGIN PRIVATE KEY-----")), "ca must be certificates in PEM, and nothing else", ca(&pem.repeat(2))),
        (domains(65), "spec.domains: Too many: 65: must have at most 64 items", domains(64)),
        (domains(0), "spec.domains in body should have at least 1 items", domains(1)),
        (spec(json!({"domains": ["*.acme.example"]})), "domain must be a whole domain in ASCII, such as acme.example", spec(json!({"domains": ["Acme.example"]}))),
        (spec(json!({"allowedNamespaces": {"from": "Selector"}})), "allowedNamespaces needs a selector exactly when from is Selector", spec(labelled)),
        (claim("realm access"), "claim must be a claim's name, or the names on the way to it joined by dots, such as realm_access.roles", claim("realm_access.roles")),
        (claim(&long(257)), "spec.claims.groups: Too long: may not be more than 256 bytes", claim(&long(256))),
        (again("14m"), "reauthenticateAfter must be from 15m to 2160h", again("15m")),
        (again("2161h"), "reauthenticateAfter must be from 15m to 2160h", again("2160h")),
        (again("a day"), "reauthenticateAfter must be a Go duration in h, m and s, such as 24h", again("24h")),
    ]))
    .await;
}

fn by_saml(saml: &Value) -> Value {
    with(base(), &spec(json!({"oidc": null, "saml": saml})))
}

#[tokio::test]
async fn a_provider_of_saml_with_a_mistake_is_told_what_to_write() {
    let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    let (entity, metadata) = ("https://idp.acme.example/checked", "https://idp.acme.example/descriptor");
    let base = by_saml(&json!({"entityId": entity, "metadataUrl": metadata}));
    let saml = |saml: Value| spec(only("saml", saml));
    let (written, other) =
        (json!({"metadataUrl": null, "signOnUrl": metadata, "certificates": [pem]}), "urn:acme.example:idp");
    let from_one = "saml must have metadataUrl alone, or signOnUrl and certificates: from either it is known where people sign in and whose keys sign";
    let secret = json!({"name": "checked", "key": "secret"});
    let both = spec(json!({"oidc": {"issuer": entity, "clientId": "usher", "clientSecretRef": secret}}));
    let many: Vec<String> = (0..9).map(|number| format!("{number}")).collect();
    check(cases(&base, [
        (both, "spec must have oidc or saml, one of the two", json!({})),
        (saml(json!({"entityId": "idp"})), "issuer must be an https URL or another URI without spaces, exactly as the identity provider says it", saml(json!({"entityId": other}))),
        (saml(json!({"entityId": null})), "spec.saml.entityId: Required value", saml(json!({"audience": other}))),
        (saml(json!({"metadataUrl": "http://idp.acme.example"})), "URL must be an https URL, such as https://idp.acme.example", saml(json!({"metadataUrl": "https://idp.acme.example/?a=b"}))),
        (saml(json!({"metadataUrl": null})), from_one, saml(written.clone())),
        (saml(json!({"signOnUrl": metadata})), from_one, json!({})),
        (saml(json!({"metadataUrl": null, "signOnUrl": metadata})), from_one, saml(written.clone())),
        (saml(json!({"metadataUrl": null, "signOnUrl": metadata, "certificates": many})), "spec.saml.certificates: Too many: 9: must have at most 8 items", saml(written)),
        (saml(json!({"nameIDFormat": "Transient"})), r#"Unsupported value: "Transient""#, saml(json!({"nameIDFormat": "EmailAddress"}))),
        (saml(json!({"ca": "MA=="})), "ca must be certificates in PEM, and nothing else", saml(json!({"ca": pem}))),
    ]))
    .await;
}

#[tokio::test]
async fn how_a_provider_is_known_cannot_be_changed() {
    let entity = "https://idp.acme.example/edited-by-saml";
    let there = by_saml(&json!({"entityId": entity, "metadataUrl": "https://idp.acme.example/descriptor"}));
    let there = with(there, &json!({"metadata": {"name": "edited-by-saml"}}));
    let other = spec(json!({"saml": {"entityId": "urn:acme.example:idp"}}));
    let by_oidc = spec(json!({"saml": null, "oidc": base()["spec"]["oidc"]}));
    let moved = || spec(json!({"saml": {"metadataUrl": "https://idp.acme.example/elsewhere"}}));
    check_edits(&there, cases(&there, [
        (other, "entityId cannot be changed, people are known by it: make another IdentityProvider instead", moved()),
        (by_oidc, "oidc cannot be changed to saml or back, people are known by it: make another IdentityProvider instead", moved()),
    ]))
    .await;
}

#[tokio::test]
async fn the_issuer_of_an_identity_provider_cannot_be_changed() {
    let there = with(base(), &json!({"metadata": {"name": "edited"}}));
    let refusal = "issuer cannot be changed, people are known by it: make another IdentityProvider instead";
    let changed = oidc(json!({"issuer": "https://idp.acme.example/checked/"}));
    let everything = spec(
        json!({"domains": ["other.acme.example"], "emailAuthority": true, "oidc": {"clientId": "other"}}),
    );
    check_edits(&there, cases(&there, [(changed, refusal, everything)])).await;
}
