use serde_json::{Value, json};

use super::{cases, check, check_edits, long, only};

fn base() -> Value {
    json!({"kind": "Authority", "metadata": {"name": "checked"}, "spec": {"issuer": "https://usher.acme.example/a/checked"}})
}

const ROOT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

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
    let rotation =
        |every: &str, overlap: &str| spec(json!({"rotation": {"every": every, "overlap": overlap}}));
    let needs = "allowedNamespaces needs a selector exactly when from is Selector";
    check(cases(&base(), [
        (name("acme.inc"), "the name of an Authority must be at most 40 characters without dots", name("acme-inc")),
        (name(&long(41)), "the name of an Authority must be at most 40 characters without dots", name(&long(40))),
        (issuer("http://usher.acme.example"), "issuer must be an https URL without :443, query, fragment, trailing slash or a part that is only dots, such as https://usher.acme.example/a/default", issuer("https://usher.acme.example")),
        (issuer("https://usher.acme.example/"), "issuer must be an https URL", issuer("https://usher.acme.example:8443/a")),
        (issuer("https://usher.acme.example:443/a"), "issuer must be an https URL without :443", issuer("https://usher.acme.example:4433/a")),
        (issuer("https://usher.acme.example/a/../b"), "a part that is only dots", issuer("https://usher.acme.example/a/..b")),
        (spec(json!({"issuer": null})), "spec.issuer: Required value", json!({})),
        (allowed(json!({"from": "Selector"})), needs, allowed(json!({"from": "Selector", "selector": labels}))),
        (allowed(json!({"from": "All", "selector": labels})), needs, allowed(json!({"from": "All"}))),
        (allowed(json!({"from": "Some"})), r#"supported values: "All", "Selector", "None""#, allowed(json!({"from": "None"}))),
        (allowed(json!({"from": "Selector", "selector": {"matchLabels": {}}})), "matchLabels in body should have at least 1 properties", allowed(json!({"from": "Selector", "selector": labels}))),
        (products(257), "spec.products: Too many: 257: must have at most 256 items", products(256)),
        (products(0), "spec.products in body should have at least 1 items", products(1)),
        (spec(json!({"products": ["cad", "cad"]})), r#"spec.products[1]: Duplicate value: "cad""#, spec(json!({"products": ["cad", "cam"]}))),
        (rotation("23h", "1h"), "every must be from 24h to 87600h, or Never for when somebody asks", rotation("24h", "1h")),
        (rotation("90d", "1h"), "every must be a Go duration in h, m and s, such as 2160h, or Never for when somebody asks", rotation("Never", "1h")),
        (rotation("8760h", "8761h"), "overlap must be from 0s to 8760h", rotation("8760h", "8760h")),
        (rotation("24h", "soon"), "overlap must be a Go duration in h, m and s, such as 168h", rotation("24h", "0s")),
        (rotation("24h", "25h"), "overlap must not be longer than every", rotation("24h", "24h")),
        (spec(json!({"rotation": {"overlap": "1h"}})), "spec.rotation.every: Required value", spec(json!({"rotation": {"every": "24h"}}))),
        (spec(json!({"root": "abc"})), "thumbprint must be the 43 characters that usher keygen prints", spec(json!({"root": ROOT}))),
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

#[tokio::test]
async fn the_root_of_an_authority_cannot_be_changed_but_it_can_be_taken_out_of_the_cluster() {
    let there =
        crate::scenarios::with(base(), &json!({"metadata": {"name": "rooted"}, "spec": {"root": ROOT}}));
    let refusal = "root cannot be changed, programs have pinned it: make another Authority instead";
    let other = spec(json!({"root": "-DDReOZl1ipXAfp9wYsm13sDBMK5og--QWdBjzuf6o4"}));
    check_edits(&there, cases(&there, [(other, refusal, spec(json!({"root": null})))])).await;
}
