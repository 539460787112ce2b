//! Who holds a seat and who waits, as users see it.

use std::cmp::Reverse;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;
use usher::cluster::api::{Seat, SeatState};

use super::{Place, claims, seat_conditions, stalled, with};
use crate::ground::{license, outside::Watcher, seat, shared, until};

#[tokio::test]
async fn two_seats_bind_two_of_three_and_a_freed_one_goes_to_the_third() {
    let place = Place::new(shared()).await;
    let watcher = Watcher::start(&place.client, &place.namespace).await;
    place.apply(&license(2)).await;
    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
        place.seat(name, SeatState::Bound).await;
    }
    place.apply(&seat("cy")).await;
    place.waits_at("cy", 1).await;
    assert!(place.secrets.get_opt("cy-seat").await.unwrap().is_none());

    place.delete_seat("ann").await;
    place.seat("cy", SeatState::Bound).await;
    place.secret("cy-seat").await;
    assert!(place.secrets.get_opt("ann-seat").await.unwrap().is_none());
    place.counts("cad", 2, 0).await;
    let sight = watcher.sight();
    assert!(sight.most_bound <= 2 && sight.most_secrets <= 2 && sight.events > 0, "{sight:?}");
}

/// Waits until objects made from now on are younger than `seat`: their age is told in whole seconds.
async fn a_second_later(place: &Place, seat: &Seat) {
    until("a second has passed", async || {
        let tick = json!({"kind": "Secret", "metadata": {"name": "tick"}, "stringData": {}});
        let tick = place.apply(&tick).await;
        let made: Timestamp = tick["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
        place.secrets.delete("tick", &Default::default()).await.unwrap();
        (made > seat.creation_timestamp().unwrap().0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_waiting_stand_in_order_of_priority_then_age_then_name() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("first")).await;
    place.seat("first", SeatState::Bound).await;

    place.apply(&seat("zed")).await;
    let zed = place.waits_at("zed", 1).await;
    a_second_later(&place, &zed).await;
    for name in ["dora", "cora"] {
        place.apply(&seat(name)).await;
    }
    place.apply(&with(seat("boss"), &json!({"spec": {"priority": 5}}))).await;
    place.apply(&with(seat("late"), &json!({"spec": {"priority": -5}}))).await;
    place.counts("cad", 1, 5).await;

    let mut expected = Vec::new();
    for name in ["zed", "cora", "dora", "boss", "late"] {
        let seat = place.seats.get(name).await.unwrap();
        expected.push((Reverse(seat.spec.priority), seat.creation_timestamp().unwrap().0, name));
    }
    expected.sort();
    let names: Vec<&str> = expected.into_iter().map(|(.., name)| name).collect();
    assert_eq!((names[0], names[1], names[4]), ("boss", "zed", "late"));
    for (position, name) in (1..).zip(&names) {
        place.waits_at(name, position).await;
    }

    place.apply(&with(seat("late"), &json!({"spec": {"priority": 9}}))).await;
    place.waits_at("late", 1).await;
    place.waits_at("boss", 2).await;
    place.seat("first", SeatState::Bound).await;
}

#[tokio::test]
async fn a_lowered_limit_takes_from_the_lowest_priority_then_the_latest_and_says_so() {
    let place = Place::new(shared()).await;
    let watcher = Watcher::start(&place.client, &place.namespace).await;
    place.apply(&license(3)).await;
    for (name, priority) in [("cy", -1), ("ann", 0), ("bob", 0)] {
        place.apply(&with(seat(name), &json!({"spec": {"priority": priority}}))).await;
        place.seat(name, SeatState::Bound).await;
    }

    place.apply(&license(2)).await;
    let cy = place.waits_at("cy", 1).await;
    place.no_secret("cy-seat").await;
    let status = cy.status.as_ref().unwrap();
    assert!(status.secret.is_none() && status.expires_at.is_none(), "{status:?}");
    assert!(!stalled(seat_conditions(&cy)), "who waits is Ready");
    let said = place.seat_says("cy", "NoFreeSeat").await;
    assert_eq!(
        said,
        "License cad has no free seat, of 2: raise its spec.seats, or delete a Seat that is bound"
    );

    place.apply(&license(1)).await;
    place.waits_at("bob", 1).await;
    place.waits_at("cy", 2).await;
    place.no_secret("bob-seat").await;
    place.seat("ann", SeatState::Bound).await;

    place.apply(&license(0)).await;
    place.counts("cad", 0, 3).await;
    place.no_secret("ann-seat").await;
    assert_eq!(claims(&place.secret("cad-license").await).limits.seats, Some(0));

    place.apply(&license(2)).await;
    place.seat("ann", SeatState::Bound).await;
    place.seat("bob", SeatState::Bound).await;
    place.waits_at("cy", 1).await;
    let sight = watcher.sight();
    assert!(sight.most_bound <= 3 && sight.most_secrets <= 3, "{sight:?}");
}

#[tokio::test]
async fn one_holder_with_several_seats_takes_one() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    let again = with(seat("again"), &json!({"spec": {"holder": {"user": {"email": "ANN@Acme.example"}}}}));
    place.apply(&again).await;
    let duplicate = place.seat("again", SeatState::Duplicate).await;
    assert!(!stalled(seat_conditions(&duplicate)));
    let said = place.seat_says("again", "Duplicate").await;
    assert_eq!(said, "Seat ann stands for the same holder: one seat is enough, delete this one");
    assert!(place.secrets.get_opt("again-seat").await.unwrap().is_none());
    place.counts("cad", 1, 0).await;

    // More urgent or not: who holds keeps.
    place.apply(&with(again, &json!({"spec": {"priority": 100}}))).await;
    place.apply(&seat("bob")).await;
    place.seat("bob", SeatState::Bound).await;
    place.seat("again", SeatState::Duplicate).await;

    place.delete_seat("ann").await;
    place.seat("again", SeatState::Bound).await;
    let holder = claims(&place.secret("again-seat").await).holder;
    assert_eq!(serde_json::to_value(holder).unwrap(), json!({"user": {"email": "ann@acme.example"}}));
    place.counts("cad", 2, 0).await;
}

#[tokio::test]
async fn a_device_under_another_name_is_the_same_holder() {
    let place = Place::new(shared()).await;
    place.apply(&license(2)).await;
    let device = |seat: &str, name: &str| {
        json!({"kind": "Seat", "metadata": {"name": seat}, "spec": {
            "licenseRef": {"name": "cad"}, "holder": {"device": {"id": "9f86d081884c7d65", "name": name}}}})
    };
    place.apply(&device("lab", "Lab 3")).await;
    place.seat("lab", SeatState::Bound).await;
    place.apply(&device("moved", "Lab 4")).await;
    place.seat("moved", SeatState::Duplicate).await;
}
