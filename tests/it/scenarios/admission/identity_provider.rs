use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};

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
        (spec(json!({"oidc": null})), "spec.oidc: Required value", json!({})),
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

#[tokio::test]
async fn the_issuer_of_an_identity_provider_cannot_be_changed() {
    let there = crate::scenarios::with(base(), &json!({"metadata": {"name": "edited"}}));
    let refusal = "issuer cannot be changed, people are known by it: make another IdentityProvider instead";
    let changed = oidc(json!({"issuer": "https://idp.acme.example/checked/"}));
    let everything = spec(
        json!({"domains": ["other.acme.example"], "emailAuthority": true, "oidc": {"clientId": "other"}}),
    );
    check_edits(&there, cases(&there, [(changed, refusal, everything)])).await;
}
