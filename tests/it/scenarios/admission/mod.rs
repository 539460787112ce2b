//! Every rule of every field: what is refused, the sentence that says what to write instead, and a twin that is accepted.

mod assignment;
mod authority;
mod help;
mod identity_provider;
mod license;
mod seat;

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use super::with;
use crate::ground::{apply, shared};

/// An object that is refused, the sentence that says why, and its twin that is accepted.
struct Case {
    bad: Value,
    refusal: &'static str,
    good: Value,
}

/// Cases that differ from `base` by merge patches.
fn cases<const N: usize>(base: &Value, rows: [(Value, &'static str, Value); N]) -> Vec<Case> {
    let of = |(bad, refusal, good)| Case {
        bad: with(base.clone(), &bad),
        refusal,
        good: with(base.clone(), &good),
    };
    rows.into_iter().map(of).collect()
}

fn api(client: &Client, namespace: &str, object: &Value) -> Api<DynamicObject> {
    let kind = object["kind"].as_str().unwrap();
    let plural =
        if kind == "Authority" { "authorities".to_owned() } else { format!("{}s", kind.to_lowercase()) };
    let gvk = GroupVersionKind::gvk("usher.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
    match kind {
        "Authority" | "IdentityProvider" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

/// What the API server says to a new object, without keeping it.
async fn created(client: &Client, namespace: &str, object: &Value) -> Result<(), String> {
    let object = with(object.clone(), &json!({"apiVersion": "usher.dev/v1alpha1"}));
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let api = api(client, namespace, &object);
    api.create(&params, &serde_json::from_value(object).unwrap()).await.map(drop).map_err(said)
}

/// What it says to an edit, without keeping it.
async fn edited(client: &Client, namespace: &str, object: &Value) -> Result<(), String> {
    let object = with(object.clone(), &json!({"apiVersion": "usher.dev/v1alpha1"}));
    let name = object["metadata"]["name"].as_str().unwrap();
    let params = PatchParams::apply("a-user").force().dry_run();
    api(client, namespace, &object).patch(name, &params, &Patch::Apply(&object)).await.map(drop).map_err(said)
}

fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("{other}"),
    }
}

/// What is wrong with an answer, if anything.
fn judged(refusal: &str, bad: &Value, answers: (Result<(), String>, Result<(), String>)) -> Option<String> {
    match answers {
        (Err(said), Ok(())) if said.contains(refusal) => None,
        (Err(said), Ok(())) => Some(format!("{bad}\n  wanted: {refusal}\n  said:   {said}")),
        (Ok(()), _) => Some(format!("{bad}\n  wanted: {refusal}\n  it was accepted")),
        (_, Err(said)) => Some(format!("the good twin of {bad}\n  was refused: {said}")),
    }
}

async fn check(cases: Vec<Case>) {
    let (client, namespace) = shared().namespace().await;
    let mut wrong = Vec::new();
    for Case { bad, refusal, good } in cases {
        let answers = (created(&client, &namespace, &bad).await, created(&client, &namespace, &good).await);
        wrong.extend(judged(refusal, &bad, answers));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The same for edits of `there`.
async fn check_edits(there: &Value, cases: Vec<Case>) {
    let (client, namespace) = shared().namespace().await;
    let is_clusters = there["kind"] == "Authority" || there["kind"] == "IdentityProvider";
    let place = if is_clusters { "" } else { namespace.as_str() };
    apply(&client, place, there).await.unwrap();
    let mut wrong = Vec::new();
    for Case { bad, refusal, good } in cases {
        let answers = (edited(&client, &namespace, &bad).await, edited(&client, &namespace, &good).await);
        wrong.extend(judged(refusal, &bad, answers));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// An object with this one member.
fn only(name: &str, value: Value) -> Value {
    Value::Object([(name.to_owned(), value)].into_iter().collect())
}

/// A name of `length` letters.
fn long(length: usize) -> String {
    "a".repeat(length)
}
