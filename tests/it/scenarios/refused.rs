//! What cannot be written or removed: it is said, and stops nothing else.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use usher::cluster::api::{SeatState, Type};
use usher_license::State;

use super::{Place, claims, license_conditions, seat_conditions, stalled, with};
use crate::ground::{Ground, Machine, Operator, license, seat, shared, until, wait_for};

#[tokio::test]
async fn a_quota_on_secrets_stops_neither_other_documents_nor_statuses() {
    // What a quota refuses looks like a right that is missing: not where others look for these.
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    place.apply(&license(20)).await;
    place.apply(&seat("zoe")).await;
    place.seat("zoe", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    let quotas: Api<ResourceQuota> = Api::namespaced(place.client.clone(), &place.namespace);
    let quota = serde_json::from_value(
        json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "2"}}}),
    );
    quotas.create(&PostParams::default(), &quota.unwrap()).await.unwrap();
    let counts = |quota: &ResourceQuota| {
        quota.status.as_ref().and_then(|s| s.used.as_ref()).is_some_and(|used| !used.is_empty())
    };
    wait_for(&quotas, "few", "counts", counts).await;

    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
    }
    for name in ["ann", "bob"] {
        let message = place.seat_says(name, "SecretRefused").await;
        assert!(message.contains("exceeded quota: few"), "{message}");
        let said = place.seat(name, SeatState::Bound).await;
        assert!(stalled(seat_conditions(&said)) && said.status.unwrap().secret.is_none());
    }
    place.counts("cad", 3, 0).await;
    place.apply(&with(license(20), &json!({"spec": {"suspended": true}}))).await;
    let is_suspended = |secret: &Secret| claims(secret).state == State::Suspended;
    wait_for(&place.secrets, "zoe-seat", "is suspended", is_suspended).await;
    wait_for(&place.secrets, "cad-license", "is suspended", is_suspended).await;
    place.license_says("cad", "Suspended").await;

    quotas.delete("few", &DeleteParams::default()).await.unwrap();
    place.apply(&license(20)).await;
    place.secret("ann-seat").await;
    assert_eq!(place.seat_says("ann", "Bound").await, "holds a seat of License cad");
    operator.stop().await;
}

/// Takes the finalizers of a Secret out, or puts one in.
async fn finalizers(place: &Place, name: &str, finalizers: &[&str]) {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    place.secrets.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_secret_made_immutable_with_a_finalizer_stops_nothing_else_and_is_mended_when_it_is_gone() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.secret("ann-seat").await;
    let patch = json!({"metadata": {"finalizers": ["example.org/mine"]}, "immutable": true, "data": {"license.jws": "AA=="}});
    place.secrets.patch("ann-seat", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let message = place.seat_says("ann", "SecretRefused").await;
    assert!(message.ends_with("it is being deleted, and its finalizers hold it"), "{message}");
    place.apply(&seat("bob")).await;
    place.seat("bob", SeatState::Bound).await;
    place.secret("bob-seat").await;
    place.counts("cad", 2, 0).await;

    finalizers(&place, "ann-seat", &[]).await;
    assert_eq!(place.seat_says("ann", "Bound").await, "holds a seat of License cad");
    let mended = |secret: &Secret| secret.immutable.is_none() && secret.data.as_ref().unwrap().len() == 3;
    wait_for(&place.secrets, "ann-seat", "is mended", mended).await;
}

#[tokio::test]
async fn no_new_holder_is_shown_while_a_finalizer_holds_the_secret_of_a_former_one() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    for name in ["ann", "cy"] {
        place.apply(&seat(name)).await;
        place.seat(name, SeatState::Bound).await;
        place.secret(&format!("{name}-seat")).await;
    }
    finalizers(&place, "ann-seat", &["example.org/mine"]).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    place.delete_seat("ann").await;
    let said = place.license_says("cad", "SecretRefused").await;
    let message = &super::ready(license_conditions(&said)).unwrap().message;
    assert!(message.starts_with("Secret ann-seat of a former holder cannot be removed"), "{message}");

    // What others hold goes on, and again and again nobody new is shown.
    place.apply(&with(license(2), &json!({"spec": {"customer": "other"}}))).await;
    let says = |secret: &Secret| claims(secret).license.customer == "other";
    wait_for(&place.secrets, "cy-seat", "names the other customer", says).await;
    place.license_says("cad", "SecretRefused").await;
    let bob = place.seats.get("bob").await.unwrap();
    let holds = seat_conditions(&bob).iter().any(|c| c.type_ == Type::Bound && c.status == "True");
    assert!(!holds && place.secrets.get_opt("bob-seat").await.unwrap().is_none());

    finalizers(&place, "ann-seat", &[]).await;
    place.no_secret("ann-seat").await;
    place.seat("bob", SeatState::Bound).await;
    place.secret("bob-seat").await;
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn a_license_that_is_gone_is_not_forgotten_before_its_secrets_are() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.secret("ann-seat").await;
    finalizers(&place, "ann-seat", &["example.org/mine"]).await;
    place.delete_license("cad").await;
    place.seat_says("ann", "LicenseNotFound").await;
    // A namesake finds that the place is taken, and does not share it.
    place.apply(&license(1)).await;
    place.license_says("cad", "SecretRefused").await;
    finalizers(&place, "ann-seat", &[]).await;
    place.license_says("cad", "Issued").await;
    until("the new License's document is in its Secret", async || {
        let secret = place.secrets.get_opt("ann-seat").await.unwrap()?;
        let uid = place.licenses.get("cad").await.unwrap().metadata.uid.unwrap();
        (claims(&secret).license.uid == uid).then_some(())
    })
    .await;
}
