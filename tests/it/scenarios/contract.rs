//! What a contract says beside its number of seats: editions, groups, overage, advice, one license a user, seats that cool, floating.

use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use usher::cluster::api::{Condition, Edition, License, SeatState, Type};

use super::{Place, claims, license_conditions, ready, seat_conditions, stalled, with};
use crate::ground::{Ground, Operator, apply, license, operator::Turned, seat, shared, wait_for};

fn edition(spec: &Value) -> Value {
    json!({"kind": "Edition", "metadata": {"name": "standard"}, "spec": spec})
}

/// The License `cad` that follows the Edition `standard`.
fn following(seats: u32) -> Value {
    with(
        license(seats),
        &json!({"spec": {"editionRef": {"name": "standard"}, "authorityRef": null, "features": null}}),
    )
}

fn condition(conditions: &[Condition], type_: Type) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[tokio::test]
async fn a_license_follows_its_edition_and_says_what_the_two_come_to() {
    let place = Place::new(shared()).await;
    place.apply(&following(1)).await;
    let said = place.license_says("cad", "EditionNotFound").await;
    assert!(stalled(license_conditions(&said)));
    assert_eq!(
        ready(license_conditions(&said)).unwrap().message,
        "there is no Edition standard in this namespace: create it, or correct spec.editionRef.name"
    );
    let standard = json!({"authorityRef": {"name": "default"}, "devicesPerSeat": 2, "lease": {"ttl": "2h"},
        "features": [{"name": "render"}, {"name": "exports"}]});
    place.apply(&edition(&standard)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    let features = |secret: &Secret| claims(secret).features.into_iter().map(|f| f.name).collect::<Vec<_>>();
    let secret = place.secret("ann-seat").await;
    assert_eq!(features(&secret), ["render", "exports"]);
    let said = claims(&secret);
    assert_eq!((said.limits.devices_per_seat, said.license.edition.as_deref()), (Some(2), Some("standard")));
    // The License says so last of all.
    let said = place.license_says("cad", "Issued").await;
    let effective = serde_json::to_value(said.status.unwrap().effective).unwrap();
    assert_eq!(effective["lease"], json!({"ttl": "2h", "offlineGrace": "72h"}));
    assert_eq!(effective["authorityRef"], json!({"name": "default"}));

    // The License goes first, and takes out what it does not want; the Edition changes under it.
    place
        .apply(&with(following(1), &json!({"spec": {"features": [{"name": "exports", "enabled": false}]}})))
        .await;
    let only_render = |secret: &Secret| features(secret) == ["render"];
    wait_for(&place.secrets, "ann-seat", "has render only", only_render).await;
    place
        .apply(&edition(&with(
            standard.clone(),
            &json!({"features": [{"name": "simulate"}, {"name": "exports"}]}),
        )))
        .await;
    let only_simulate = |secret: &Secret| features(secret) == ["simulate"];
    let secret = wait_for(&place.secrets, "ann-seat", "has simulate only", only_simulate).await;

    // An Edition that goes takes nothing away.
    let editions: kube::Api<Edition> = kube::Api::namespaced(place.client.clone(), &place.namespace);
    editions.delete("standard", &DeleteParams::default()).await.unwrap();
    place.license_says("cad", "EditionNotFound").await;
    place.seat("ann", SeatState::Bound).await;
    assert_eq!(super::version(&place.secret("ann-seat").await), super::version(&secret), "not a byte");
    place.apply(&edition(&standard)).await;
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn a_license_that_was_named_cannot_become_floating_by_another_edition() {
    let place = Place::new(shared()).await;
    let of = |name: &str, provisioning: &str| {
        json!({"kind": "Edition", "metadata": {"name": name}, "spec": {
            "authorityRef": {"name": "default"}, "provisioning": provisioning}})
    };
    place.apply(&of("standard", "Named")).await;
    place.apply(&of("pool", "Floating")).await;
    place.apply(&following(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&with(following(1), &json!({"spec": {"editionRef": {"name": "pool"}}}))).await;
    let said = place.license_says("cad", "ProvisioningChanged").await;
    assert!(stalled(license_conditions(&said)));
    assert_eq!(
        ready(license_conditions(&said)).unwrap().message,
        "the License is Named and cannot become Floating: set its spec.provisioning, or its Edition's, back, or make another License"
    );
    place.secret("ann-seat").await;
    place.apply(&following(1)).await;
    place.license_says("cad", "Issued").await;
    place.seat("ann", SeatState::Bound).await;
}

#[tokio::test]
async fn a_floating_license_has_no_seats_and_a_document_of_its_own() {
    let place = Place::new(shared()).await;
    place.apply(&with(license(3), &json!({"spec": {"provisioning": "Floating"}}))).await;
    let said = place.license_says("cad", "Issued").await;
    assert_eq!(
        ready(license_conditions(&said)).unwrap().message,
        "floating, 0 of 3 places are taken by activations"
    );
    assert_eq!(claims(&place.secret("cad-license").await).limits.seats, Some(3));
    place.apply(&seat("ann")).await;
    let said = place.seat_says("ann", "LicenseFloating").await;
    assert!(said.contains("delete this Seat, or make a Named License for its holder"), "{said}");
    place
        .apply(&json!({"kind": "UserAssignment", "metadata": {"name": "all"}, "spec": {
            "licenseRef": {"name": "cad"}, "users": [{"email": "bob@acme.example"}]}}))
        .await;
    let says = |found: &usher::cluster::api::UserAssignment| {
        let conditions = found.status.clone().map(|status| status.conditions).unwrap_or_default();
        ready(&conditions)
            .is_some_and(|ready| ready.reason == "LicenseFloating" && ready.message == "License cad of spec.licenseRef is Floating, and its places are taken by devices and workloads: 1 users are given nothing; make another UserAssignment, for a License that is Named")
    };
    wait_for(&place.assignments, "all", "says that it gives nothing", says).await;
    assert_eq!(place.seats.list(&Default::default()).await.unwrap().items.len(), 1, "no Seat is made");
}

#[tokio::test]
async fn a_license_for_people_has_no_seat_for_a_machine() {
    let place = Place::new(shared()).await;
    place.apply(&with(license(2), &json!({"spec": {"client": "Users"}}))).await;
    let lab = json!({"kind": "Seat", "metadata": {"name": "lab"}, "spec": {
        "licenseRef": {"name": "cad"}, "holder": {"device": {"id": "9f86"}}}});
    place.apply(&lab).await;
    assert_eq!(
        place.seat_says("lab", "HolderNotAllowed").await,
        "License cad is for Users only: delete this Seat"
    );
    place.apply(&with(license(2), &json!({"spec": {"client": "Devices"}}))).await;
    place.seat("lab", SeatState::Bound).await;
}

#[tokio::test]
async fn overage_gives_more_and_says_so_and_advice_gives_to_all_and_counts() {
    let place = Place::new(shared()).await;
    place.apply(&with(license(2), &json!({"spec": {"overage": {"percent": 50}}}))).await;
    for name in ["ann", "bob", "cy", "dan"] {
        place.apply(&seat(name)).await;
        until_it_stands(&place, name).await;
    }
    let over = |license: &License| condition(license_conditions(license), Type::OverLimit).is_some();
    place.counts("cad", 3, 1).await;
    let said = wait_for(&place.licenses, "cad", "says that it is over its limit", over).await;
    assert_eq!(
        condition(license_conditions(&said), Type::OverLimit).unwrap().message,
        "1 more than the 2 seats are taken, for overage allows 50 percent: raise spec.seats, or free some"
    );
    assert_eq!(
        place.seat_says("cy", "OverLimit").await,
        "holds a seat of License cad beyond the 2 that it has"
    );
    place.apply(&with(license(2), &json!({"spec": {"enforcement": "Advise"}}))).await;
    place.counts("cad", 4, 0).await;
    place.seat_says("dan", "OverLimit").await;
    // Enforced again: whoever was bound last goes.
    place.apply(&license(2)).await;
    place.counts("cad", 2, 2).await;
    place.seat("ann", SeatState::Bound).await;
    place.seat("bob", SeatState::Bound).await;
    let fine = |license: &License| !over(license);
    wait_for(&place.licenses, "cad", "is within its limit", fine).await;
}

async fn until_it_stands(place: &Place, name: &str) {
    let stands = |seat: &usher::cluster::api::Seat| !seat_conditions(seat).is_empty();
    wait_for(&place.seats, name, "stands somewhere", stands).await;
}

#[tokio::test]
async fn groups_have_their_own_seats_and_features_and_reserves_stay_empty() {
    let place = Place::new(shared()).await;
    let groups = json!([{"name": "interns", "seats": 1, "reserved": 1, "features": ["render"]}]);
    let contract = |seats: u32| {
        with(
            license(seats),
            &json!({"spec": {"groups": groups, "features": [{"name": "render"}, {"name": "xr", "seats": 1}]}}),
        )
    };
    place.apply(&contract(2)).await;
    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
        until_it_stands(&place, name).await;
    }
    assert_eq!(
        place.seat_says("bob", "Reserved").await,
        "what is free of the 2 seats of License cad is reserved for groups: raise spec.seats, or lower their reserved"
    );
    place
        .apply(&json!({"kind": "UserAssignment", "metadata": {"name": "interns"}, "spec": {"licenseRef": {"name": "cad"},
            "group": "interns", "users": [{"email": "ivy@acme.example"}, {"email": "ian@acme.example"}]}}))
        .await;
    place.counts("cad", 2, 2).await;
    place.apply(&contract(4)).await;
    place.seat("bob", SeatState::Bound).await;
    place.counts("cad", 3, 1).await;
    let seats = place.seats.list(&Default::default()).await.unwrap().items;
    let mut intern_features = Vec::new();
    for seat in seats.iter().filter(|seat| seat.metadata.name.as_ref().unwrap().starts_with("u-")) {
        let name = seat.metadata.name.as_ref().unwrap();
        if seat.status.as_ref().unwrap().state == Some(SeatState::Bound) {
            intern_features.extend(claims(&place.secret(&format!("{name}-seat")).await).features);
        } else {
            assert_eq!(
                place.seat_says(name, "GroupFull").await,
                "group interns of License cad has no free seat, of 1: raise its seats, or free one of them"
            );
        }
    }
    assert_eq!(intern_features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["render"]);
    let of = async |name: &str| claims(&place.secret(name).await).features.len();
    assert_eq!((of("ann-seat").await, of("bob-seat").await), (2, 1), "xr goes to whoever was bound first");
}

#[tokio::test]
async fn one_user_holds_as_many_licenses_of_a_product_as_allowed() {
    let place = Place::new(shared()).await;
    let one = |name: &str, product: &str| {
        with(license(2), &json!({"metadata": {"name": name}, "spec": {"product": product, "maxPerUser": 1}}))
    };
    let under = |name: &str, license: &str| {
        let holder = json!({"user": {"email": "ann@acme.example"}});
        with(seat(name), &json!({"spec": {"licenseRef": {"name": license}, "holder": holder}}))
    };
    place.apply(&one("cad", "cad")).await;
    place.apply(&one("cad-too", "cad")).await;
    place.apply(&one("pcb", "pcb")).await;
    place.apply(&under("first", "cad")).await;
    place.seat("first", SeatState::Bound).await;
    place.apply(&under("second", "cad-too")).await;
    assert_eq!(
        place.seat_says("second", "MaxPerUser").await,
        "its holder has 1 seats of cad under other Licenses of this namespace, and License cad-too allows 1 in all: free one of them, or raise its spec.maxPerUser"
    );
    place.apply(&under("other", "pcb")).await;
    place.seat("other", SeatState::Bound).await;
    // A suspended License counts too; a freed seat does not.
    place.apply(&with(one("cad", "cad"), &json!({"spec": {"suspended": true}}))).await;
    place.seat("first", SeatState::Suspended).await;
    place.seat_says("second", "MaxPerUser").await;
    place.delete_seat("first").await;
    place.seat("second", SeatState::Bound).await;
}

#[tokio::test]
async fn a_freed_seat_cools_before_somebody_else_has_it() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let clock = Turned::new();
    let client = kube::Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), clock.clone()).await;
    let place = Place::new(&ground).await;
    place.apply(&with(license(1), &json!({"spec": {"reassignAfter": "2h"}}))).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    place.delete_seat("ann").await;
    place.seat("bob", SeatState::Cooling).await;
    let said = place.seat_says("bob", "Cooling").await;
    assert!(said.starts_with("the next seat of License cad was freed, and is given from 2"), "{said}");
    let cools = |license: &License| {
        license.status.as_ref().is_some_and(|status| (status.seats.bound, status.seats.cooling) == (0, 1))
    };
    wait_for(&place.licenses, "cad", "counts what cools", cools).await;
    // Who comes back has the seat at once; and then it cools anew.
    apply(&place.client, &place.namespace, &seat("ann")).await.unwrap();
    place.seat("ann", SeatState::Bound).await;
    place.waits_at("bob", 1).await;
    place.delete_seat("ann").await;
    place.seat("bob", SeatState::Cooling).await;
    clock.forward(jiff::SignedDuration::from_mins(121));
    place.seat("bob", SeatState::Bound).await;
    operator.stop().await;
}
