//! The contract, and whoever is told something that is not in it.

use std::sync::LazyLock;

use ::http::Method;
use serde_json::Value;

use super::program::{Call, Program, Told};
use crate::ground::served;

/// The document that is committed.
pub static CONTRACT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap());

/// What the contract says of this call, if there is one.
pub fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = CONTRACT["paths"].as_object().unwrap();
    let (_, item) = paths.iter().find(|(template, _)| is_one_of(template, path))?;
    item.get(method.as_str().to_ascii_lowercase())
}

fn is_one_of(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(part, own)| (part.starts_with('{') && !own.is_empty()) || *part == own)
}

/// Every answer that any test is given must be one that the contract promises: its status, and of a refusal its code.
pub fn promises(method: &Method, path: &str, told: &Told) {
    let Some(operation) = operation(method, path) else { return };
    let answer = &operation["responses"][told.status.to_string()];
    assert!(answer.is_object(), "{method} {path}: the contract does not know {told:?}");
    if let Some(problem) = answer.pointer("/content/application~1problem+json") {
        let codes = problem["schema"]["properties"]["code"]["enum"].as_array().unwrap();
        assert!(codes.contains(&told.code().into()), "{method} {path}: the contract does not know {told:?}");
    }
}

#[tokio::test]
async fn the_contract_that_is_committed_is_served_to_everybody() {
    let told = Program::at(served()).send(Method::GET, "/v1/openapi.json", &Call::default()).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.json(), *CONTRACT);
}

#[test]
#[should_panic(expected = "the contract does not know")]
fn a_code_that_is_not_in_the_contract_is_found() {
    let text = r#"{"code": "seats-exhausted"}"#.to_owned();
    promises(
        &Method::DELETE,
        "/v1/activations/a",
        &Told { status: 401, nonce: None, proof_nonce: None, text },
    );
}
