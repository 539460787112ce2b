//! Roots that are kept outside, and keys that are missing, changed or shared.

use std::{path::Path, process::Command};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use usher::cluster::api::{Condition, KeyState, Type};

use super::{
    Place,
    authority::{authority, authority_says, under, usher_secrets},
    entry, ready, stalled, version,
};
use crate::ground::{shared, wait_for};

fn usher(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_usher")).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Makes a root key in `folder`; returns its thumbprint.
fn keygen(folder: &Path, name: &str) -> String {
    let said = usher(&["keygen", "--out", folder.join(name).to_str().unwrap()]);
    said.split_whitespace().skip_while(|word| *word != "thumbprint").nth(1).unwrap().to_owned()
}

/// What the holder of the root makes of `request.json`.
fn sign(folder: &Path, root: &str, request: &str) -> String {
    std::fs::write(folder.join("request.json"), request).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    usher(&["sign-keys", &path("request.json"), "--root", &path(root)])
}

/// Brings a key set to the cluster, as its administrator would.
async fn bring(place: &Place, authority: &str, keys_jws: &str) {
    let maps: Api<ConfigMap> = place.published.clone();
    let name = format!("usher-key-set-{authority}");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"keys.jws": keys_jws}});
    maps.patch(&name, &PatchParams::apply("a-user").force(), &Patch::Apply(map)).await.unwrap();
}

/// Waits until there is something to sign, with this number.
async fn request(place: &Place, authority: &str, serial: u64) -> String {
    let asks = |map: &ConfigMap| {
        let request = map.data.as_ref().and_then(|data| data.get("request.json"));
        request.is_some_and(|request| request.contains(&format!(r#""serial": {serial},"#)))
    };
    let name = format!("usher-authority-{authority}");
    let map = wait_for(&place.published, &name, &format!("asks for {serial}"), asks).await;
    map.data.unwrap()["request.json"].clone()
}

/// Waits until the root is said to have signed, or not and why.
async fn root_says(place: &Place, authority: &str, reason: &str) -> Condition {
    let find = |authority: &usher::cluster::api::Authority| {
        let conditions =
            authority.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().find(|c| c.type_ == Type::KeySetSigned && c.reason == reason).cloned()
    };
    let found = wait_for(&place.authorities, authority, reason, |authority| find(authority).is_some()).await;
    find(&found).unwrap()
}

async fn annotate(place: &Place, authority: &str, annotation: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
    place.authorities.patch(authority, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_root_outside_is_shown_what_to_sign_and_waited_for() {
    let place = Place::new(shared()).await;
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = (keygen(folder.path(), "root"), keygen(folder.path(), "stranger"));
    let spec = json!({"root": root, "rotation": {"every": "Never", "overlap": "0s"}});
    place.apply_authority(&authority("vendor", &spec)).await;
    place.apply(&under("vendor")).await;
    let (_, status) = authority_says(&place, "vendor", "RootNeeded").await;
    assert!(stalled(&status.conditions) && status.root == Some(root.clone()));
    let message = &ready(&status.conditions).unwrap().message;
    assert!(
        message.contains("has to sign key set 1: take request.json of ConfigMap usher-authority-vendor"),
        "{message}"
    );
    place.license_says("cad", "AuthorityNotReady").await;
    assert!(usher_secrets(&place).get_opt("usher-root-vendor").await.unwrap().is_none(), "no root is made");

    let asked = request(&place, "vendor", 1).await;
    for wrong in [sign(folder.path(), "stranger", &asked), "nonsense".to_owned()] {
        bring(&place, "vendor", &wrong).await;
        let said = root_says(&place, "vendor", "KeySetRefused").await;
        assert!(said.message.contains("ConfigMap usher-key-set-vendor is not taken"), "{}", said.message);
    }
    let first_set = sign(folder.path(), "root", &asked);
    bring(&place, "vendor", &first_set).await;
    let (_, first) = authority_says(&place, "vendor", "Published").await;
    place.license_says("cad", "Issued").await;
    let secret = place.secret("cad-license").await;
    assert_eq!(entry(&secret, "keys.jws"), first_set.trim_end());

    // A successor waits for the root; meanwhile nothing stands still.
    annotate(&place, "vendor", "usher.dev/rotate-key", "please").await;
    let asked = request(&place, "vendor", 2).await;
    root_says(&place, "vendor", "RootNeeded").await;
    let (_, waiting) = authority_says(&place, "vendor", "Published").await;
    assert_eq!((waiting.signing_key, stalled(&waiting.conditions)), (first.signing_key.clone(), false));
    let second_set = sign(folder.path(), "root", &asked);
    bring(&place, "vendor", &second_set).await;
    let rotated = |authority: &usher::cluster::api::Authority| {
        authority.status.as_ref().is_some_and(|status| status.signing_key != first.signing_key)
    };
    wait_for(&place.authorities, "vendor", "signs with the successor", rotated).await;
    assert_eq!(version(&place.secret("cad-license").await), version(&secret), "nothing was rewritten");

    // An older set is no answer to a new question.
    annotate(&place, "vendor", "usher.dev/rotate-key", "again").await;
    request(&place, "vendor", 3).await;
    bring(&place, "vendor", &first_set).await;
    let said = root_says(&place, "vendor", "KeySetRefused").await;
    assert!(said.message.contains("it has the number 1, and number 3 is to be signed"), "{}", said.message);
    let map = place.published.get("usher-authority-vendor").await.unwrap().data.unwrap();
    assert_eq!(map["keys.jws"], second_set.trim_end());
}

#[tokio::test]
async fn a_successor_that_goes_missing_is_asked_for_while_the_former_key_signs_on() {
    let place = Place::new(shared()).await;
    place.apply_authority(&authority("heirs", &json!({"rotation": {"every": "Never"}}))).await;
    place.apply(&under("heirs")).await;
    place.license_says("cad", "Issued").await;
    annotate(&place, "heirs", "usher.dev/rotate-key", "please").await;
    let announced = |authority: &usher::cluster::api::Authority| {
        let keys = authority.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default();
        keys.iter().any(|key| key.state == Some(KeyState::Announced) && key.signs_from.is_some())
    };
    wait_for(&place.authorities, "heirs", "announces a key", announced).await;
    let (_, good) = authority_says(&place, "heirs", "Published").await;

    let (secrets, name) = (usher_secrets(&place), "usher-signing-heirs.2");
    let backup = secrets.get(name).await.unwrap();
    assert_eq!(backup.immutable, Some(true));
    secrets.delete(name, &DeleteParams::default()).await.unwrap();
    let (_, status) = authority_says(&place, "heirs", "KeyMissing").await;
    assert!(stalled(&status.conditions));
    assert_eq!((&status.signing_key, &status.keys), (&good.signing_key, &good.keys));
    place.license_says("cad", "Issued").await;
    assert!(secrets.get_opt(name).await.unwrap().is_none(), "no other key is made");
    let metadata =
        ObjectMeta { name: Some(name.into()), labels: backup.metadata.labels, ..ObjectMeta::default() };
    let restored = Secret { metadata, data: backup.data, type_: backup.type_, ..Secret::default() };
    secrets.create(&PostParams::default(), &restored).await.unwrap();
    authority_says(&place, "heirs", "Published").await;
}

#[tokio::test]
async fn of_two_authorities_with_one_key_the_second_is_stalled_and_the_first_untouched() {
    let place = Place::new(shared()).await;
    for role in ["root", "signing"] {
        let (first, second) = (format!("owner-of-{role}"), format!("copy-of-{role}"));
        place.apply_authority(&authority(&first, &json!({}))).await;
        let (untouched, _) = authority_says(&place, &first, "Published").await;
        let published = place.published.get(&format!("usher-authority-{first}")).await.unwrap();
        let secrets = usher_secrets(&place);
        let original = secrets.get(&format!("usher-{role}-{first}")).await.unwrap();
        let copied = format!("usher-{role}-{second}");
        let metadata = ObjectMeta { name: Some(copied.clone()), ..ObjectMeta::default() };
        let copy = Secret { metadata, data: original.data, type_: original.type_, ..Secret::default() };
        secrets.create(&PostParams::default(), &copy).await.unwrap();

        place.apply_authority(&authority(&second, &json!({}))).await;
        let (_, status) = authority_says(&place, &second, "KeyTaken").await;
        assert!(stalled(&status.conditions) && status.keys.is_empty());
        assert!(place.published.get_opt(&format!("usher-authority-{second}")).await.unwrap().is_none());
        assert_eq!(place.authorities.get(&first).await.unwrap(), untouched);
        assert_eq!(place.published.get(&format!("usher-authority-{first}")).await.unwrap(), published);
        secrets.delete(&copied, &DeleteParams::default()).await.unwrap();
        // Whose label nobody set, that is seen with the next look.
        annotate(&place, &second, "example.com/mark", role).await;
        authority_says(&place, &second, "Published").await;
    }
}

#[tokio::test]
async fn a_key_that_never_was_cannot_be_revoked() {
    let place = Place::new(shared()).await;
    place.apply_authority(&authority("careful", &json!({}))).await;
    let (_, before) = authority_says(&place, "careful", "Published").await;
    annotate(&place, "careful", "usher.dev/revoke-keys", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").await;
    let (_, status) = authority_says(&place, "careful", "KeyUnknown").await;
    assert_eq!((status.keys, status.key_set), (before.keys, before.key_set));
    annotate(&place, "careful", "usher.dev/revoke-keys", "").await;
    authority_says(&place, "careful", "Published").await;
}
