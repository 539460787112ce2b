//! Secrets that people edit, delete, or made first.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use usher::cluster::api::SeatState;

use super::{Place, license_conditions, ready, seat_conditions, stalled, substance, version, with};
use crate::ground::{license, seat, shared, wait_for};

/// What people do to a Secret, as a merge patch.
fn vandalisms() -> Vec<(&'static str, Value)> {
    let managed_by = "app.kubernetes.io/managed-by";
    vec![
        ("another document", json!({"data": {"license.jws": "Zm9yZ2Vk"}})),
        ("an entry taken out", json!({"data": {"keys.jws": null}})),
        ("an entry added", json!({"data": {"note.txt": "aGVsbG8="}})),
        ("no data at all", json!({"data": null})),
        ("no labels at all", json!({"metadata": {"labels": null}})),
        ("one label taken off", json!({"metadata": {"labels": {"usher.dev/license": null}}})),
        ("another subject", json!({"metadata": {"labels": {"usher.dev/subject": "nobody"}}})),
        ("another manager", json!({"metadata": {"labels": {managed_by: "somebody"}}})),
        ("no owner", json!({"metadata": {"ownerReferences": null}})),
        (
            "everything at once",
            json!({"data": {"license.jws": "AA==", "license.json": null, "x": "AA=="},
                                       "metadata": {"labels": {"usher.dev/license": "other"}}}),
        ),
        ("made immutable, with other data", json!({"immutable": true, "data": {"license.jws": "AA=="}})),
    ]
}

#[tokio::test]
async fn a_secret_that_is_edited_or_deleted_comes_back_to_the_byte() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    for name in ["cad-license", "ann-seat"] {
        let before = substance(&place.secret(name).await);
        let same = |secret: &Secret| substance(secret) == before;
        for (what, patch) in vandalisms() {
            let edited =
                place.secrets.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            assert_ne!(substance(&edited), before, "{what}");
            wait_for(&place.secrets, name, &format!("is as before after: {what}"), same).await;
        }
        place.secrets.delete(name, &DeleteParams::default()).await.unwrap();
        wait_for(&place.secrets, name, "is as before after it was deleted", same).await;
    }
    // Nothing was signed again, so nothing new is said.
    assert!(ready(license_conditions(&place.license_says("cad", "Issued").await)).is_some());
}

#[tokio::test]
async fn a_label_that_means_something_elsewhere_does_not_keep_a_secret_from_being_repaired() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    let before = place.secret("cad-license").await;
    let repaired = |secret: &Secret| {
        let labels = secret.metadata.labels.as_ref().unwrap();
        secret.data == before.data && !labels.contains_key("usher.dev/license-namespace")
    };
    // One that says nothing to Usher, and the one that would make this a copy of somebody else's.
    for label in ["usher.dev/authority", "usher.dev/license-namespace"] {
        let label = json!({"metadata": {"labels": {label: "nobody"}}});
        place.secrets.patch("cad-license", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
        let forged = json!({"data": {"license.jws": "Zm9yZ2Vk"}});
        place.secrets.patch("cad-license", &PatchParams::default(), &Patch::Merge(forged)).await.unwrap();
        wait_for(&place.secrets, "cad-license", "is as before", repaired).await;
    }
}

#[tokio::test]
async fn labels_and_annotations_of_others_on_a_secret_are_left_to_them() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.secret("cad-license").await;
    let theirs = json!({"metadata": {"labels": {"team": "design"}, "annotations": {"note": "ours too"}}});
    let patched =
        place.secrets.patch("cad-license", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    place.apply(&with(license(2), &json!({}))).await;
    let rewritten = |secret: &Secret| version(secret) != version(&patched);
    let rewritten = wait_for(&place.secrets, "cad-license", "says two seats", rewritten).await;
    assert_eq!(rewritten.metadata.labels.unwrap()["team"], "design");
    assert_eq!(rewritten.metadata.annotations.unwrap()["note"], "ours too");
}

/// Secrets that are not Usher's, however much they look like it.
fn foreign(name: &str) -> Vec<(&'static str, Value)> {
    let secret = |patch: Value| {
        with(
            json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "theirs"}}),
            &patch,
        )
    };
    let labels = json!({"app.kubernetes.io/managed-by": "usher", "usher.dev/license": "cad"});
    vec![
        ("an ordinary one", secret(json!({}))),
        ("one of our type", secret(json!({"type": "usher.dev/license"}))),
        ("one with our labels", secret(json!({"metadata": {"labels": labels}}))),
    ]
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_never_touched() {
    for kind in 0..foreign("").len() {
        let place = Place::new(shared()).await;
        let mut theirs = Vec::new();
        for name in ["cad-license", "ann-seat"] {
            let (what, object) = foreign(name).swap_remove(kind);
            place.apply(&object).await;
            theirs.push((what, place.secret(name).await));
        }
        place.apply(&license(2)).await;
        place.apply(&seat("ann")).await;
        place.apply(&seat("bob")).await;

        let said = place.license_says("cad", "SecretNameTaken").await;
        assert!(stalled(license_conditions(&said)));
        let message = &ready(license_conditions(&said)).unwrap().message;
        assert!(message.starts_with("Secret cad-license is not ours"), "{message}");
        assert!(
            message.ends_with("set spec.secret.name to another name, or delete that Secret"),
            "{message}"
        );
        let status = said.status.unwrap();
        assert!(
            status.secret.is_none() && status.serial.is_none(),
            "no document is where nobody can read it"
        );
        let message = place.seat_says("ann", "SecretNameTaken").await;
        assert!(
            message.ends_with("delete that Secret, or delete this Seat and make one of another name"),
            "{message}"
        );
        // One bad name does not stop the rest.
        place.seat("bob", SeatState::Bound).await;
        place.secret("bob-seat").await;

        place.apply(&with(license(2), &json!({"spec": {"secret": {"name": "cad-document"}}}))).await;
        let fine = place.license_says("cad", "Issued").await;
        assert!(!stalled(license_conditions(&fine)));
        place.secret("cad-document").await;
        for (what, before) in &theirs {
            let name = before.metadata.name.as_deref().unwrap();
            assert_eq!(&place.secret(name).await, before, "{what}");
        }
        place.delete_seat("ann").await;
        place.delete_license("cad").await;
        place.no_secret("cad-document").await;
        place.no_secret("bob-seat").await;
        for (what, before) in &theirs {
            let name = before.metadata.name.as_deref().unwrap();
            assert_eq!(&place.secret(name).await, before, "{what}, after everything went");
        }
    }
}

#[tokio::test]
async fn of_two_licenses_that_want_one_secret_the_first_keeps_it() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    let before = place.secret("cad-license").await;
    let second = with(
        license(1),
        &json!({"metadata": {"name": "second"}, "spec": {"secret": {"name": "cad-license"}}}),
    );
    place.apply(&second).await;
    let said = place.license_says("second", "SecretNameTaken").await;
    assert!(stalled(license_conditions(&said)));
    place.license_says("cad", "Issued").await;
    assert_eq!(place.secret("cad-license").await, before);

    place.apply(&with(second, &json!({"spec": {"secret": {"name": "second-license"}}}))).await;
    place.license_says("second", "Issued").await;
    place.secret("second-license").await;
    assert_eq!(place.secret("cad-license").await, before);
}

#[tokio::test]
async fn a_license_and_a_seat_that_want_one_secret_do_not_share_it() {
    let place = Place::new(shared()).await;
    place.apply(&with(license(1), &json!({"spec": {"secret": {"name": "ann-seat"}}}))).await;
    place.license_says("cad", "Issued").await;
    let before = place.secret("ann-seat").await;
    place.apply(&seat("ann")).await;
    place.seat_says("ann", "SecretNameTaken").await;
    assert!(stalled(seat_conditions(&place.seats.get("ann").await.unwrap())));
    assert_eq!(place.secret("ann-seat").await, before);
}
