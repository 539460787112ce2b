//! How many may be active.

use futures::{StreamExt as _, future::join_all, stream};
use serde_json::json;

use super::{Own, Scene, for_devices};
use crate::{ground::wait_for, scenarios::with};
use usher::cluster::api::SeatState;

#[tokio::test]
async fn of_sixty_four_devices_that_race_for_the_last_place_exactly_one_has_it() {
    let scene = Scene::new(&for_devices(2)).await;
    scene.active("first").await;
    for round in 0..3 {
        let devices: Vec<String> = (0..64).map(|n| format!("{round}-{n}")).collect();
        let told = join_all(devices.iter().map(|device| scene.activate(device))).await;
        let (won, lost): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.status == 201);
        assert_eq!(won.len(), 1, "{told:?}");
        assert!(lost.iter().all(|told| told.code() == "seats-exhausted"), "{lost:?}");
        assert_eq!(scene.program.deactivate(&Own::of(won[0])).await.status, 204);
    }
}

#[tokio::test]
async fn a_floating_license_has_as_many_activations_as_seats_and_no_seats() {
    let floating = json!({"spec": {"provisioning": "Floating"}});
    let scene = Scene::new(&with(for_devices(2), &floating)).await;
    let own = scene.active("a").await;
    scene.active("b").await;
    assert_eq!(scene.activate("c").await.code(), "seats-exhausted");
    // People see that it is full.
    crate::ground::until("its columns say so", async || {
        let said = crate::ground::shared().kubectl(&["get", "lic", "cad", "-n", &scene.place.namespace]);
        let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let (names, values) = (lines.next()?, lines.next()?);
        let of =
            |name| names.iter().position(|column| *column == name).and_then(|at| values.get(at).copied());
        (of("SEATS") == Some("2") && of("ACTIVATED") == Some("2")).then_some(())
    })
    .await;
    assert_eq!(scene.program.deactivate(&own).await.status, 204);
    scene.active("c").await;
}

#[tokio::test]
async fn a_seat_and_the_activation_of_its_device_are_one_place() {
    let listed = json!({"spec": {"admission": "Listed"}});
    let scene = Scene::new(&with(for_devices(1), &listed)).await;
    assert_eq!(scene.activate("9f86d081").await.code(), "device-not-listed");
    let lab = json!({"kind": "Seat", "metadata": {"name": "lab"},
        "spec": {"licenseRef": {"name": "cad"}, "holder": {"device": {"id": "9f86d081"}}}});
    scene.place.apply(&lab).await;
    scene.place.seat("lab", SeatState::Bound).await;
    let own = scene.active("9f86d081").await;
    scene.place.counts("cad", 1, 0).await;
    scene.place.delete_seat("lab").await;
    scene.place.counts("cad", 0, 0).await;
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended", "the place went with the Seat");
}

#[tokio::test]
async fn a_seat_for_a_device_that_is_active_has_the_place_and_nobody_else_is_given_it() {
    let scene = Scene::new(&for_devices(1)).await;
    scene.active("9f86d081").await;
    scene.place.apply(&crate::ground::seat("ann")).await;
    scene.place.seat("ann", SeatState::Waiting).await;
    let lab = json!({"kind": "Seat", "metadata": {"name": "lab"},
        "spec": {"licenseRef": {"name": "cad"}, "holder": {"device": {"id": "9f86d081"}}}});
    scene.place.apply(&lab).await;
    scene.place.seat("lab", SeatState::Bound).await;
    scene.place.waits_at("ann", 1).await;
    scene.place.delete_seat("lab").await;
    scene.place.seat("ann", SeatState::Bound).await;
}

#[tokio::test]
async fn lowered_seats_end_the_activations_that_began_last() {
    let scene = Scene::new(&for_devices(3)).await;
    let owns: Vec<Own> =
        stream::iter(["a", "b", "c"]).then(async |device| scene.active(device).await).collect().await;
    scene.place.apply(&for_devices(1)).await;
    let one = |license: &usher::cluster::api::License| {
        license.status.as_ref().is_some_and(|status| (status.seats.limit, status.seats.activated) == (1, 1))
    };
    wait_for(&scene.place.licenses, "cad", "counts one", one).await;
    assert_eq!(scene.program.refresh(&owns[0]).await.status, 200);
    for own in &owns[1..] {
        assert_eq!(scene.program.refresh(own).await.code(), "activation-ended");
    }
    assert_eq!(scene.activate("d").await.code(), "seats-exhausted");
}

#[tokio::test]
async fn places_go_from_device_to_device_so_often_and_no_more() {
    let transfers = json!({"spec": {"deviceTransfers": {"limit": 2, "per": "720h"}}});
    let scene = Scene::new(&with(for_devices(1), &transfers)).await;
    for device in ["a", "b"] {
        let own = scene.active(device).await;
        assert_eq!(scene.program.deactivate(&own).await.status, 204);
    }
    let refused = scene.activate("c").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "transfers-exhausted"));
    assert!(refused.text("detail").contains("again at"), "{refused:?}");
}

#[tokio::test]
async fn who_activates_copies_and_deactivates_in_a_loop_is_stopped_by_transfers_and_copies_have_nothing() {
    const LIMIT: usize = 3;
    let transfers = json!({"spec": {"deviceTransfers": {"limit": LIMIT, "per": "720h"}}});
    let scene = Scene::new(&with(for_devices(1), &transfers)).await;
    let mut copies = Vec::new();
    let refused = loop {
        let told = scene.activate(&format!("machine-{}", copies.len())).await;
        if told.status != 201 {
            break told;
        }
        let own = Own::of(&told);
        assert_eq!(scene.program.deactivate(&own).await.status, 204);
        copies.push(own);
        assert!(copies.len() <= LIMIT, "nobody stops it");
    };
    assert_eq!((refused.status, refused.code().as_str()), (409, "transfers-exhausted"));
    assert_eq!(copies.len(), LIMIT);
    // What was copied is good to its document's end, and is never renewed.
    for copy in &copies {
        let ended = scene.program.refresh(copy).await;
        assert_eq!((ended.status, ended.code().as_str()), (410, "activation-ended"));
    }
    // Nor is the place another's by the last device's own name.
    let again = scene.activate("machine-0").await;
    assert_eq!((again.status, again.code().as_str()), (409, "transfers-exhausted"));
}

#[tokio::test]
async fn a_reserve_that_is_not_filled_is_kept_from_devices_too() {
    let reserved = json!({"spec": {"groups": [{"name": "interns", "reserved": 1}]}});
    let scene = Scene::new(&with(for_devices(2), &reserved)).await;
    scene.active("a").await;
    assert_eq!(scene.activate("b").await.code(), "seats-exhausted");
    scene.place.apply(&with(for_devices(2), &json!({"spec": {"groups": null}}))).await;
    crate::ground::until("the place is free", async || {
        (scene.activate("b").await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_license_for_people_or_one_that_has_ended_lets_no_device_in() {
    let people = json!({"spec": {"client": "Users"}});
    let scene = Scene::new(&with(for_devices(1), &people)).await;
    let refused = scene.activate("a").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "device-not-allowed"));
    let ended = json!({"spec": {"client": null, "validity": {"until": "2026-01-01T00:00:00Z"}}});
    scene.place.apply(&with(for_devices(1), &ended)).await;
    scene.place.license_says("cad", "Expired").await;
    let refused = scene.activate("a").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "license-expired"));
}
