//! A large License, and those who stand behind it.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kube::Client;
use serde_json::json;
use usher::cluster::{Settings, api::SeatState, rights::Rights};

use super::{Place, with};
use crate::ground::{Ground, Machine, Operator, apply, license, seat};

/// So many Seats are several looks.
const MANY: u32 = 1_500;

#[tokio::test]
async fn a_small_license_does_not_wait_until_a_large_one_is_done_and_a_stop_does_not_either() {
    let ground = Ground::own();
    let (large, small) = (Place::new(&ground).await, Place::new(&ground).await);
    stream::iter(0..MANY)
        .for_each_concurrent(16, async |n| {
            apply(&large.client, &large.namespace, &seat(&format!("s{n}"))).await.unwrap();
        })
        .await;
    large.apply(&license(MANY)).await;
    let directory = tempfile::tempdir().unwrap();
    let start = async || {
        let client = Client::try_from(ground.usher_config().await).unwrap();
        // Whoever is looked at is looked at alone.
        let one = Settings { workers: 1, ..Settings::default() };
        let ledger = directory.path().join("ledger.db");
        Operator::start_as(client, Rights::new(true), &ledger, Arc::new(Machine), one).await
    };
    let done = async || {
        let status = large.licenses.get("cad").await.unwrap().status;
        status.is_some_and(|status| status.seats.bound == i64::from(MANY))
    };
    let operator = start().await;
    small.apply(&with(license(1), &json!({"metadata": {"name": "pcb"}}))).await;
    small.apply(&with(seat("ann"), &json!({"spec": {"licenseRef": {"name": "pcb"}}}))).await;
    small.seat("ann", SeatState::Bound).await;
    assert!(!done().await, "the large one was done before: it was not large enough for this test");
    operator.stop().await;
    assert!(!done().await, "the stop came in the middle");

    let operator = start().await;
    large.counts("cad", i64::from(MANY), 0).await;
    operator.stop().await;
}
