//! The keys by which devices may activate: each is made once, and rotated by taking it out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Place, license_conditions, ready, substance, version, with};
use crate::ground::{license, shared, wait_for};

const NAME: &str = "cad-activation-keys";

/// The License `cad` with activation keys of these names.
fn with_keys(names: &[&str]) -> Value {
    let keys: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    with(license(1), &json!({"spec": {"activationKeys": keys}}))
}

fn keys(secret: &Secret) -> BTreeMap<String, String> {
    let texts = secret.data.iter().flatten();
    texts.map(|(name, key)| (name.clone(), String::from_utf8(key.0.clone()).unwrap())).collect()
}

fn names(secret: &Secret) -> Vec<String> {
    keys(secret).into_keys().collect()
}

#[tokio::test]
async fn a_license_has_the_activation_keys_that_it_names_each_made_once() {
    let place = Place::new(shared()).await;
    place.apply(&with_keys(&["lab", "office"])).await;
    let secret = place.secret(NAME).await;
    let first = keys(&secret);
    assert_eq!(names(&secret), ["lab", "office"]);
    assert!(first.values().all(|key| key.starts_with("usher_key_") && key.len() == 61), "{first:?}");
    assert_ne!(first["lab"], first["office"]);

    // Another look changes nothing.
    let before = version(&place.license_says("cad", "Issued").await);
    place.apply(&with(with_keys(&["lab", "office"]), &json!({"spec": {"seats": 2}}))).await;
    wait_for(&place.licenses, "cad", "was looked at", |license| version(license) != before).await;
    place.license_says("cad", "Issued").await;
    assert_eq!(substance(&place.secret(NAME).await), substance(&secret));

    place.apply(&with_keys(&["office", "shop"])).await;
    let after = wait_for(&place.secrets, NAME, "has the new name", |s| names(s) == ["office", "shop"]).await;
    assert_eq!(keys(&after)["office"], first["office"]);

    place.apply(&with_keys(&[])).await;
    place.no_secret(NAME).await;
}

#[tokio::test]
async fn what_is_taken_out_or_changed_is_made_anew_and_the_rest_stays() {
    let place = Place::new(shared()).await;
    place.apply(&with_keys(&["lab", "office"])).await;
    let mut before = keys(&place.secret(NAME).await);
    for (what, data) in
        [("taken out", json!({"lab": null})), ("changed", json!({"lab": "b3du", "own": "b3du"}))]
    {
        let patch = Patch::Merge(json!({"data": data}));
        place.secrets.patch(NAME, &PatchParams::default(), &patch).await.unwrap();
        let is_new = |secret: &Secret| {
            let lab = keys(secret).get("lab").cloned().unwrap_or_default();
            names(secret) == ["lab", "office"] && lab.len() == 61 && lab != before["lab"]
        };
        let after =
            wait_for(&place.secrets, NAME, &format!("has a new key after one was {what}"), is_new).await;
        assert_eq!(keys(&after)["office"], before["office"], "{what}");
        before = keys(&after);
    }
    place.secrets.delete(NAME, &DeleteParams::default()).await.unwrap();
    let all_new =
        |secret: &Secret| names(secret) == ["lab", "office"] && keys(secret)["office"] != before["office"];
    wait_for(&place.secrets, NAME, "has new keys only", all_new).await;
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_not_filled_with_keys() {
    let place = Place::new(shared()).await;
    let own = json!({"kind": "Secret", "metadata": {"name": NAME}, "data": {"lab": "b3du"}});
    place.apply(&own).await;
    let before = substance(&place.secret(NAME).await);
    place.apply(&with_keys(&["lab"])).await;
    let told = place.license_says("cad", "SecretNameTaken").await;
    let said = &ready(license_conditions(&told)).unwrap().message;
    assert!(said.contains(NAME), "{said}");
    assert_eq!(substance(&place.secret(NAME).await), before);
    assert!(
        !place.secret("cad-license").await.data.unwrap().is_empty(),
        "the document is there all the same"
    );
}
