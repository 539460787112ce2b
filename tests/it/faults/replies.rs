//! Replies that do not come, and replies that say no.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    faults::{
        place::{CHURNED, Disk, Place},
        wire::{self, Act, Call},
    },
    ground::{Ground, Machine, Operator},
};

/// Does `act` to the first `times` writes of each kind.
fn first(
    times: usize,
    mut act: impl FnMut(usize) -> Act + Send + 'static,
) -> impl FnMut(&Call) -> Act + Send + 'static {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    move |call| {
        let count = seen.entry(call.what.clone()).or_default();
        *count += 1;
        if call.writes() && *count <= times { act(*count) } else { Act::Pass }
    }
}

/// Every kind of write that Usher makes.
const KINDS: [&str; 8] = [
    "create configmaps",
    "create events",
    "create secrets",
    "delete secrets",
    "patch authorities/status",
    "patch licenses/status",
    "patch seats/status",
    "patch secrets",
];

/// Churns with this plan on the wire; the oracles, and how many writes were tried.
async fn churns(plan: impl FnMut(&Call) -> Act + Send + 'static) {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let (client, control) = wire::client(&config, plan);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    place.churn().await;
    place.ends_as(CHURNED).await;
    place.never_over(3);
    place.is_silent(&operator).await;
    let mut hit = control.hit();
    // Made only when an event repeats soon enough, or a reply was lost.
    hit.retain(|what| !["patch configmaps", "patch events"].contains(&what.as_str()));
    assert_eq!(hit, KINDS, "every kind of write met the fault");
    let (writes, faulty) = control.writes();
    // Churn without faults takes fewer than 150.
    assert!(writes < faulty + 150, "{writes} writes, {faulty} met a fault");
    operator.stop().await;
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_not_made_twice_in_effect() {
    churns(first(2, |_| Act::Lost)).await;
}

#[tokio::test]
async fn a_storm_of_conflicts_passes() {
    churns(first(2, |_| Act::Refuse(409))).await;
}

#[tokio::test]
async fn an_api_server_that_is_busy_or_broken_is_asked_again_and_not_too_often() {
    // The client itself tries again after the first three; the operator after the last.
    churns(first(4, |count| Act::Refuse([429, 503, 504, 500][count - 1]))).await;
}
