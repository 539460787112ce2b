//! Suspended, paused, deleted, not there yet: what does not hang on the clock.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use usher::cluster::api::SeatState;
use usher_license::State;

use super::{Place, claims, license_conditions, seat_conditions, stalled, substance, version, with};
use crate::ground::{license, seat, shared, wait_for};

#[tokio::test]
async fn a_suspended_license_grants_nothing_keeps_its_holders_and_moves_no_queue() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;

    let suspended = with(license(1), &json!({"spec": {"suspended": true}}));
    place.apply(&suspended).await;
    let said = place.license_says("cad", "Suspended").await;
    assert!(!stalled(license_conditions(&said)), "it is as it was asked to be");
    place.seat("ann", SeatState::Suspended).await;
    for name in ["cad-license", "ann-seat"] {
        let is_suspended = |secret: &_| claims(secret).state == State::Suspended;
        let secret = wait_for(&place.secrets, name, "says suspended", is_suspended).await;
        assert!(claims(&secret).features.is_empty());
    }
    let said = place.seat_says("bob", "Suspended").await;
    assert_eq!(said, "License cad is suspended: its queue stands still");

    place.delete_seat("ann").await;
    place.no_secret("ann-seat").await;
    place.counts("cad", 0, 1).await;
    place.seat("bob", SeatState::Waiting).await;
    assert!(place.secrets.get_opt("bob-seat").await.unwrap().is_none());

    place.apply(&license(1)).await;
    place.seat("bob", SeatState::Bound).await;
    assert_eq!(claims(&place.secret("bob-seat").await).state, State::Active);
    place.license_says("cad", "Issued").await;
    let own = claims(&place.secret("cad-license").await);
    assert_eq!((own.state, own.features.len()), (State::Active, 1));
}

#[tokio::test]
async fn a_seat_waits_for_its_license_to_come_and_to_come_again() {
    let place = Place::new(shared()).await;
    place.apply(&seat("ann")).await;
    let said = place.seat_says("ann", "LicenseNotFound").await;
    assert_eq!(
        said,
        "spec.licenseRef names License cad, and there is none in this namespace: create it, or delete this Seat"
    );
    assert!(stalled(seat_conditions(&place.seats.get("ann").await.unwrap())));

    place.apply(&license(1)).await;
    let bound = place.seat("ann", SeatState::Bound).await;
    assert!(!stalled(seat_conditions(&bound)));
    let first = claims(&place.secret("ann-seat").await);

    place.delete_license("cad").await;
    place.seat_says("ann", "LicenseNotFound").await;
    place.no_secret("ann-seat").await;
    place.no_secret("cad-license").await;
    let seat = place.seats.get("ann").await.unwrap();
    let status = seat.status.as_ref().unwrap();
    assert!(stalled(seat_conditions(&seat)) && status.secret.is_none() && status.expires_at.is_none());
    assert_eq!(status.state, Some(SeatState::Waiting));

    place.apply(&license(1)).await;
    place.seat("ann", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    let second = claims(&place.secret("ann-seat").await);
    assert_ne!((first.jti, first.license.uid), (second.jti, second.license.uid));
}

#[tokio::test]
async fn a_license_that_is_made_again_at_once_is_never_short_of_a_secret_name() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    for _ in 0..3 {
        place.delete_license("cad").await;
        let uid = place.apply(&license(1)).await["metadata"]["uid"].clone();
        let of_this = |secret: &_| claims(secret).license.uid == uid.as_str().unwrap();
        for name in ["cad-license", "ann-seat"] {
            wait_for(&place.secrets, name, "is of the License that there is", of_this).await;
        }
        place.license_says("cad", "Issued").await;
        place.seat("ann", SeatState::Bound).await;
        place.delete_seat("ann").await;
        place.apply(&seat("ann")).await;
        place.seat("ann", SeatState::Bound).await;
    }
    let events = shared().kubectl(&["get", "events", "-n", &place.namespace, "-o", "name"]);
    let reasons =
        shared().kubectl(&["get", "events", "-n", &place.namespace, "-o", "jsonpath={.items[*].reason}"]);
    assert!(!events.is_empty() && !reasons.contains("SecretNameTaken"), "{reasons}");
}

#[tokio::test]
async fn a_paused_license_is_left_as_it_is() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    let before = place.counts("cad", 1, 1).await;
    let secret = place.secret("cad-license").await;

    let paused =
        |seats| with(license(seats), &json!({"metadata": {"annotations": {"usher.dev/paused": "true"}}}));
    place.apply(&paused(2)).await;
    // Another one beside it shows that Usher has had its turn.
    place.apply(&with(license(1), &json!({"metadata": {"name": "beside"}}))).await;
    place.license_says("beside", "Issued").await;
    assert_eq!(place.licenses.get("cad").await.unwrap().status, before.status);
    assert_eq!(version(&place.secret("cad-license").await), version(&secret));
    place.seat("bob", SeatState::Waiting).await;

    place.apply(&license(2)).await;
    place.seat("bob", SeatState::Bound).await;
    place.counts("cad", 2, 0).await;
}

#[tokio::test]
async fn an_annotation_that_says_false_pauses_nothing() {
    let place = Place::new(shared()).await;
    place
        .apply(&with(license(1), &json!({"metadata": {"annotations": {"usher.dev/paused": "false"}}})))
        .await;
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn what_a_document_does_not_say_gives_no_new_document() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    let before = (place.secret("cad-license").await, place.secret("ann-seat").await);

    place.apply(&with(seat("ann"), &json!({"spec": {"priority": 7}}))).await;
    place.apply(&with(license(2), &json!({"spec": {"secret": {"name": "moved"}}}))).await;
    let moved = place.secret("moved").await;
    place.no_secret("cad-license").await;
    assert_eq!(substance(&moved)["data"], substance(&before.0)["data"], "the same bytes under another name");
    assert_eq!(version(&place.secret("ann-seat").await), version(&before.1));

    place
        .apply(&with(license(2), &json!({"spec": {"secret": {"name": "moved"}, "customer": "Other Inc."}})))
        .await;
    for (name, before) in [("moved", &moved), ("ann-seat", &before.1)] {
        let renamed = |secret: &_| claims(secret).license.customer == "Other Inc.";
        let renamed = wait_for(&place.secrets, name, "names the new customer", renamed).await;
        assert_ne!(claims(&renamed).jti, claims(before).jti);
    }
}

#[tokio::test]
async fn a_paused_seat_says_that_it_lost_its_seat_and_nothing_else() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    let paused = with(seat("ann"), &json!({"metadata": {"annotations": {"usher.dev/paused": "true"}}}));
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&paused).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    let first = json!({"spec": {"priority": 9}});
    place.apply(&with(seat("bob"), &first)).await;
    place.apply(&license(0)).await;
    place.seat("ann", SeatState::Waiting).await;
    place.no_secret("ann-seat").await;
    place.apply(&license(1)).await;
    place.seat("bob", SeatState::Bound).await;
    place.apply(&license(2)).await;
    place.counts("cad", 2, 0).await;
    let ann = place.seats.get("ann").await.unwrap();
    assert_eq!(ann.status.unwrap().state, Some(SeatState::Waiting), "it is paused");
}

#[tokio::test]
async fn a_suspension_reaches_documents_though_their_authority_does_not_sign_here_any_more() {
    let place = Place::new(shared()).await;
    let authority = |from: &str| {
        json!({
            "kind": "Authority", "metadata": {"name": "fickle"},
            "spec": {"issuer": "https://usher.acme.example/a/fickle", "allowedNamespaces": {"from": from}},
        })
    };
    let under = |suspended: bool| {
        let spec = json!({"authorityRef": {"name": "fickle"}, "suspended": suspended});
        with(license(2), &json!({"spec": spec}))
    };
    place.apply_authority(&authority("All")).await;
    place.apply(&under(false)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.license_says("cad", "Issued").await;
    place.apply_authority(&authority("None")).await;
    place.license_says("cad", "AuthorityNotAllowed").await;
    place.apply(&under(true)).await;
    for name in ["cad-license", "ann-seat"] {
        let ended = |secret: &Secret| {
            let claims = claims(secret);
            claims.state == State::Suspended && claims.features.is_empty()
        };
        wait_for(&place.secrets, name, "is suspended", ended).await;
    }
    let message = place.seat_says("ann", "Suspended").await;
    assert!(message.ends_with("its document grants nothing until it is resumed"), "{message}");
    // To resume is to grant.
    place.apply(&under(false)).await;
    place.seat("ann", SeatState::Bound).await;
    assert_eq!(claims(&place.secret("ann-seat").await).state, State::Suspended);
    place.apply_authority(&authority("All")).await;
    place.license_says("cad", "Issued").await;
    let granted = |secret: &Secret| claims(secret).state == State::Active;
    wait_for(&place.secrets, "ann-seat", "is active again", granted).await;
}
