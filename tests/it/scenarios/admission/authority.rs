use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};

fn base() -> Value {
    json!({"kind": "Authority", "metadata": {"name": "checked"}, "spec": {"issuer": "https://usher.acme.example/a/checked"}})
}

fn spec(spec: Value) -> Value {
    only("spec", spec)
}

#[tokio::test]
async fn an_authority_with_a_mistake_is_told_what_to_write() {
    let name = |name: &str| json!({"metadata": {"name": name}});
    let issuer = |issuer: &str| spec(json!({"issuer": issuer}));
    let allowed = |allowed: Value| spec(json!({"allowedNamespaces": allowed}));
    let labels = json!({"matchLabels": {"usher.dev/licensed": "true"}});
    let products =
        |count: usize| spec(json!({"products": (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>()}));
    let needs = "allowedNamespaces needs a selector exactly when from is Selector";
    check(cases(&base(), [
        (name("acme.inc"), "the name of an Authority must be at most 40 characters without dots", name("acme-inc")),
        (name(&long(41)), "the name of an Authority must be at most 40 characters without dots", name(&long(40))),
        (issuer("http://usher.acme.example"), "issuer must be an https URL without query, fragment or trailing slash, such as https://usher.acme.example/a/default", issuer("https://usher.acme.example")),
        (issuer("https://usher.acme.example/"), "issuer must be an https URL", issuer("https://usher.acme.example:8443/a")),
        (spec(json!({"issuer": null})), "spec.issuer: Required value", json!({})),
        (allowed(json!({"from": "Selector"})), needs, allowed(json!({"from": "Selector", "selector": labels}))),
        (allowed(json!({"from": "All", "selector": labels})), needs, allowed(json!({"from": "All"}))),
        (allowed(json!({"from": "Some"})), r#"supported values: "All", "Selector", "None""#, allowed(json!({"from": "None"}))),
        (allowed(json!({"from": "Selector", "selector": {"matchLabels": {}}})), "matchLabels in body should have at least 1 properties", allowed(json!({"from": "Selector", "selector": labels}))),
        (products(257), "spec.products: Too many: 257: must have at most 256 items", products(256)),
        (products(0), "spec.products in body should have at least 1 items", products(1)),
        (spec(json!({"products": ["cad", "cad"]})), r#"spec.products[1]: Duplicate value: "cad""#, spec(json!({"products": ["cad", "cam"]}))),
        (spec(json!({"products": ["CAD"]})), "product must be lower-case letters, digits, dots and dashes", spec(json!({"products": ["cad"]}))),
    ]))
    .await;
}

#[tokio::test]
async fn the_issuer_of_an_authority_cannot_be_changed() {
    let there = crate::scenarios::with(base(), &json!({"metadata": {"name": "edited"}}));
    let everything = spec(json!({"allowedNamespaces": {"from": "All"}, "products": ["cad"]}));
    let refusal = "issuer cannot be changed, documents carry it: make another Authority instead";
    let changed = spec(json!({"issuer": "https://usher.acme.example/a/other"}));
    check_edits(&there, cases(&there, [(changed, refusal, everything)])).await;
}
