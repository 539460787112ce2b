//! Watches that break, and a past that is no longer known.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    faults::{
        place::{CHURNED, Disk, Place},
        wire::{self, Act, Call},
    },
    ground::{Ground, Machine, Operator},
};

#[tokio::test]
async fn watches_that_are_gone_or_cut_are_begun_again_and_nothing_is_missed() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let plan = move |call: &Call| {
        let count = seen.entry(call.what.clone()).or_default();
        *count += 1;
        if call.watches() && *count == 2 { Act::Gone } else { Act::Pass }
    };
    let (client, control) = wire::client(&config, plan);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    place.license(2).await;
    place.seat(&["ann"]).await;
    place.are_bound(&["ann"]).await;
    // The streams break; the first attempt to go on is told that the past is gone, so all is listed anew.
    control.cut();
    place.churn().await;
    control.cut();
    place.ends_as(CHURNED).await;
    place.never_over(3);
    place.is_silent(&operator).await;
    let kinds = [
        "authorities",
        "configmaps",
        "editions",
        "identityproviders",
        "licenses",
        "namespaces",
        "seats",
        "secrets",
        "userassignments",
    ]
    .map(|kind| format!("watch {kind}"));
    assert_eq!(control.hit(), kinds);
    operator.stop().await;
}
