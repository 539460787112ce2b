//! One write that the API server will not have: everything else goes on, and nobody new is shown beside who lost.

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use usher::cluster::api::SeatState;

use crate::{
    faults::{
        place::{Disk, Place},
        wire::{self, Act, Call},
    },
    ground::{Ground, Machine, Operator, until, wait_for},
};

/// Refuses every status of the Seat `name`.
fn of_seat(name: &'static str, code: u16) -> impl FnMut(&Call) -> Act + Send {
    move |call| {
        if call.what == "patch seats/status" && call.name == name { Act::Refuse(code) } else { Act::Pass }
    }
}

async fn is_bound(place: &Place<'_>, name: &str) {
    let bound = |seat: &usher::cluster::api::Seat| {
        seat.status.as_ref().is_some_and(|status| status.state == Some(SeatState::Bound))
    };
    wait_for(&place.seats(), name, "is bound", bound).await;
}

async fn counts(place: &Place<'_>, generation: i64, bound: i64) {
    until(&format!("generation {generation} counts {bound}"), async || {
        let status = place.licenses().get("cad").await.unwrap().status?;
        ((status.observed_generation, status.seats.bound) == (generation, bound)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_seat_whose_status_cannot_be_written_stops_no_other() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let (client, wire) = wire::client(&config, of_seat("big", 413));
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    place.license(4).await;
    place.seat(&["big", "cy"]).await;
    is_bound(&place, "cy").await;
    counts(&place, 1, 2).await;
    // Nor does one that fails for another reason.
    wire.plan(of_seat("big", 500));
    place.seat(&["dan"]).await;
    is_bound(&place, "dan").await;
    counts(&place, 1, 3).await;
    wire.plan(|_| Act::Pass);
    is_bound(&place, "big").await;
    operator.stop().await;
}

#[tokio::test]
async fn while_who_lost_cannot_be_told_nobody_new_is_shown() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let (client, wire) = wire::client(&config, |_| Act::Pass);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    for code in [422, 500] {
        let place = Place::new(&ground).await;
        place.license(1).await;
        place.seat(&["ann"]).await;
        is_bound(&place, "ann").await;
        place.seat(&["bob"]).await;
        let first = json!({"spec": {"priority": 9}});
        place.seats().patch("bob", &PatchParams::default(), &Patch::Merge(first)).await.unwrap();
        wire.plan(of_seat("ann", code));
        place.license(0).await;
        counts(&place, 2, 0).await;
        place.license(1).await;
        // The ledger has bound bob, the License says so; and this is told after Seats and Secrets are.
        counts(&place, 3, 1).await;
        place.never_over(1);
        let bob = place.seats().get("bob").await.unwrap();
        assert_ne!(bob.status.and_then(|status| status.state), Some(SeatState::Bound));
        assert!(place.secrets().get_opt("bob-seat").await.unwrap().is_none());
        wire.plan(|_| Act::Pass);
        place.are_bound(&["bob"]).await;
        place.never_over(1);
    }
    operator.stop().await;
}
