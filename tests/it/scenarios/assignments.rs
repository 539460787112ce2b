//! UserAssignments: the users that they name have Seats, for as long as they name them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use usher::cluster::api::{Seat, SeatState, UserAssignment};

use super::{Place, claims, ready, stalled, with};
use crate::ground::{license, outside::Watcher, seat, shared, until, wait_for};

/// An assignment of these people to `cad`.
fn assignment(name: &str, people: &[&str]) -> Value {
    let users: Vec<Value> =
        people.iter().map(|name| json!({"email": format!("{name}@acme.example")})).collect();
    json!({"kind": "UserAssignment", "metadata": {"name": name}, "spec": {"licenseRef": {"name": "cad"}, "users": users}})
}

/// Waits until the assignment counts so many assigned, bound and waiting.
async fn counts(place: &Place, name: &str, assigned: i64, bound: i64, waiting: i64) -> UserAssignment {
    let counts = |found: &UserAssignment| {
        let users = found.status.as_ref().map(|status| status.users);
        users.is_some_and(|u| (u.assigned, u.bound, u.waiting) == (assigned, bound, waiting))
    };
    let what = format!("counts {assigned}, {bound} and {waiting}");
    wait_for(&place.assignments, name, &what, counts).await
}

/// Waits until the assignment says why, and returns its sentence.
async fn says(place: &Place, name: &str, reason: &str) -> (UserAssignment, String) {
    let conditions = |found: &UserAssignment| found.status.clone().map(|s| s.conditions).unwrap_or_default();
    let is = |found: &UserAssignment| ready(&conditions(found)).is_some_and(|ready| ready.reason == reason);
    let found = wait_for(&place.assignments, name, &format!("says {reason}"), is).await;
    let message = ready(&conditions(&found)).unwrap().message.clone();
    (found, message)
}

async fn seats(place: &Place) -> Vec<Seat> {
    place.seats.list(&ListParams::default()).await.unwrap().items
}

/// The Seat of this person that Usher made, once it is in this state.
async fn made(place: &Place, person: &str, state: SeatState) -> Seat {
    let address = format!("{person}@acme.example");
    let is = |seat: &Seat| {
        let user = seat.spec.holder.user.as_ref().and_then(|user| user.email.as_ref());
        user.is_some_and(|email| email.as_str() == address)
            && seat.name_any().starts_with("u-")
            && seat.status.as_ref().is_some_and(|status| status.state == Some(state))
    };
    until(&format!("{person} has a Seat that is {state:?}"), async || seats(place).await.into_iter().find(is))
        .await
}

async fn bound(place: &Place, people: &[&str]) -> Vec<Seat> {
    let mut seats = Vec::new();
    for person in people {
        seats.push(made(place, person, SeatState::Bound).await);
    }
    seats
}

#[tokio::test]
async fn two_of_three_assigned_users_hold_a_seat_and_the_third_follows_when_one_leaves() {
    let place = Place::new(shared()).await;
    let watcher = Watcher::start(&place.client, &place.namespace).await;
    place.apply(&license(2)).await;
    place.apply(&assignment("designers", &["ann", "bob", "cy"])).await;
    let status = counts(&place, "designers", 3, 2, 1).await.status.unwrap();
    let seats = seats(&place).await;
    assert_eq!(seats.len(), 3);
    let waits =
        seats.iter().find(|seat| seat.status.as_ref().unwrap().state == Some(SeatState::Waiting)).unwrap();
    assert_eq!(status.waiting.len(), 1);
    assert_eq!((&status.waiting[0].seat, status.waiting[0].position), (&waits.name_any(), 1));
    for seat in &seats {
        assert!(seat.name_any().starts_with("u-") && seat.name_any().len() == 22, "a hash names nobody");
        assert_eq!(seat.labels()["app.kubernetes.io/managed-by"], "usher");
        assert_eq!(seat.owner_references()[0].name, "designers");
    }
    assert_eq!(
        made(&place, "cy", SeatState::Waiting).await.name_any(),
        waits.name_any(),
        "who is listed last waits"
    );
    let first = made(&place, "ann", SeatState::Bound).await;
    let stay = ["bob", "cy"];
    place.apply(&assignment("designers", &stay)).await;
    counts(&place, "designers", 2, 2, 0).await;
    bound(&place, &stay).await;
    place.no_secret(&format!("{}-seat", first.name_any())).await;
    until("the Seat of who left is gone", async || {
        place.seats.get_opt(&first.name_any()).await.unwrap().is_none().then_some(())
    })
    .await;
    let sight = watcher.sight();
    assert!(sight.most_bound <= 2 && sight.most_secrets <= 2 && sight.events > 0, "{sight:?}");
}

#[tokio::test]
async fn whoever_is_named_twice_and_by_hand_has_one_seat() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&assignment("first", &["ann", "Ann", "bob"])).await;
    place.apply(&assignment("second", &["ANN", "bob"])).await;
    counts(&place, "first", 2, 2, 0).await;
    counts(&place, "second", 2, 2, 0).await;
    let of_ann = made(&place, "ann", SeatState::Duplicate).await;
    let of_bob = made(&place, "bob", SeatState::Bound).await;
    assert_eq!(of_bob.owner_references().len(), 2);
    assert_eq!(seats(&place).await.len(), 3);
    place.counts("cad", 2, 0).await;

    // The one by hand goes: she keeps her place, by the Seat that stands for the assignments.
    place.delete_seat("ann").await;
    made(&place, "ann", SeatState::Bound).await;
    place.no_secret("ann-seat").await;
    place.secret(&format!("{}-seat", of_ann.name_any())).await;
    place.counts("cad", 2, 0).await;

    // A Seat exists while a reason for it does.
    place.assignments.delete("first", &DeleteParams::default()).await.unwrap();
    let one = |seat: &Seat| seat.owner_references().len() == 1;
    wait_for(&place.seats, &of_bob.name_any(), "has one owner", one).await;
    made(&place, "bob", SeatState::Bound).await;
    place.assignments.delete("second", &DeleteParams::default()).await.unwrap();
    until("nobody is left", async || seats(&place).await.is_empty().then_some(())).await;
    place.counts("cad", 0, 0).await;
}

#[tokio::test]
async fn a_made_seat_that_somebody_edits_or_deletes_is_mended_and_its_holder_keeps_the_place() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&with(assignment("designers", &["ann"]), &json!({"spec": {"priority": 7}}))).await;
    let seat = made(&place, "ann", SeatState::Bound).await;
    assert_eq!(seat.spec.priority, 7);
    place.apply(&assignment("others", &["bob"])).await;
    made(&place, "bob", SeatState::Waiting).await;

    let edit = Patch::Merge(json!({"spec": {"priority": -9}, "metadata": {"ownerReferences": null}}));
    place.seats.patch(&seat.name_any(), &PatchParams::default(), &edit).await.unwrap();
    let mended = |seat: &Seat| seat.spec.priority == 7 && seat.owner_references().len() == 1;
    wait_for(&place.seats, &seat.name_any(), "is mended", mended).await;

    place.delete_seat(&seat.name_any()).await;
    let again = |found: &Seat| found.uid() != seat.uid();
    wait_for(&place.seats, &seat.name_any(), "is made again", again).await;
    made(&place, "ann", SeatState::Bound).await;
    place.counts("cad", 1, 1).await;
}

#[tokio::test]
async fn a_suspended_assignment_keeps_its_seats_and_grants_nothing() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&assignment("designers", &["ann"])).await;
    let seat = made(&place, "ann", SeatState::Bound).await;
    place.apply(&assignment("others", &["bob", "cy"])).await;
    counts(&place, "others", 2, 0, 2).await;

    place.apply(&with(assignment("designers", &["ann"]), &json!({"spec": {"suspended": true}}))).await;
    made(&place, "ann", SeatState::Suspended).await;
    says(&place, "designers", "Suspended").await;
    let secret = format!("{}-seat", seat.name_any());
    let rests = |secret: &Secret| claims(secret).state == usher_license::State::Suspended;
    wait_for(&place.secrets, &secret, "says suspended", rests).await;
    counts(&place, "others", 2, 0, 2).await;

    // Who waits and rests is not in the queue: the next one has the seat.
    place.apply(&with(assignment("others", &["bob", "cy"]), &json!({"spec": {"suspended": true}}))).await;
    made(&place, "bob", SeatState::Suspended).await;
    place.apply(&assignment("third", &["cy"])).await;
    made(&place, "cy", SeatState::Waiting).await;
    place.assignments.delete("designers", &DeleteParams::default()).await.unwrap();
    made(&place, "cy", SeatState::Bound).await;
    counts(&place, "others", 2, 1, 0).await;
}

#[tokio::test]
async fn a_reference_that_cannot_be_resolved_stalls_and_takes_nothing_away() {
    let place = Place::new(shared()).await;
    place.apply(&assignment("early", &["ann"])).await;
    let (found, message) = says(&place, "early", "LicenseNotFound").await;
    assert!(stalled(&found.status.unwrap().conditions));
    assert_eq!(
        message,
        "spec.licenseRef names License cad, and there is none in this namespace: create it, or delete this UserAssignment"
    );

    let grouped = with(license(2), &json!({"spec": {"groups": [{"name": "interns", "seats": 1}]}}));
    place.apply(&grouped).await;
    let in_group = |group: &str| with(assignment("early", &["ann"]), &json!({"spec": {"group": group}}));
    place.apply(&in_group("interns")).await;
    made(&place, "ann", SeatState::Bound).await;
    place.apply(&in_group("inters")).await;
    let (_, message) = says(&place, "early", "GroupNotFound").await;
    assert_eq!(message, "License cad has no group inters: add it to its spec.groups, or correct spec.group");
    made(&place, "ann", SeatState::Bound).await;
    place.apply(&in_group("interns")).await;
    says(&place, "early", "Assigned").await;

    place.delete_license("cad").await;
    says(&place, "early", "LicenseNotFound").await;
    until("no Seat is left of a License that is gone", async || seats(&place).await.is_empty().then_some(()))
        .await;
    place.apply(&grouped).await;
    made(&place, "ann", SeatState::Bound).await;
}

#[tokio::test]
async fn a_thousand_users_of_one_assignment_have_a_seat_each() {
    let place = Place::new(shared()).await;
    place.apply(&license(900)).await;
    let people: Vec<String> = (0..1_000).map(|n| format!("user{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    place.apply(&assignment("all", &people)).await;
    let status = counts(&place, "all", 1_000, 900, 100).await.status.unwrap();
    assert_eq!(status.waiting.len(), 50, "the first fifty who wait are told");
    let positions: BTreeSet<i64> = status.waiting.iter().map(|waiting| waiting.position).collect();
    assert_eq!(positions, (1..=50).collect());
    place.counts("cad", 900, 100).await;
    let secrets: Api<Secret> = Api::namespaced(place.client.clone(), &place.namespace);
    assert_eq!(secrets.list(&ListParams::default()).await.unwrap().items.len(), 901);
}
