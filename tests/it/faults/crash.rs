//! The operator ends in the middle, wherever that is.

use std::{pin::pin, sync::Arc};

use kube::ResourceExt as _;
use serde_json::json;

use crate::{
    faults::{
        place::{Disk, Place, authority_is_ready},
        wire::{self, Act, Call},
    },
    ground::{self, Ground, Machine, Operator, until},
};

/// What the short script below comes to.
const SHORT: &[&str] = &[
    "License cad: 1 of 1 bound, 1 waits, in cad-license, True Issued",
    "Seat bob: Bound, in bob-seat, True Bound",
    "Seat cy: Waiting 1, True NoFreeSeat",
    "Secret bob-seat of Seat bob: bob@acme.example",
    "Secret cad-license of License cad: license",
];

/// Bind, free, hand on, lower, and begin again under the same name.
async fn short(place: &Place<'_>) {
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    place.are_bound(&["ann", "bob"]).await;
    place.never_over(2);
    place.delete_seat("ann").await;
    place.are_bound(&["bob", "cy"]).await;
    place.delete_license().await;
    place.license(1).await;
}

/// Ends the operator at the `nth` write.
fn freeze_at(nth: usize, sent: bool) -> impl FnMut(&Call) -> Act + Send + 'static {
    let mut writes = 0;
    move |call| {
        writes += usize::from(call.writes());
        if call.writes() && writes == nth { Act::Freeze { sent } } else { Act::Pass }
    }
}

/// Runs `script` to its end in a place of its own, again and again, each time with a crash at another write; without a crash
/// it makes at least so many.
async fn at_any_write(ground: &Ground, at_least: usize, script: impl AsyncFn(&Place<'_>)) {
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let start = async || {
        let (client, control) = wire::client(&config, |_| Act::Pass);
        (Operator::start(client, &disk.ledger(), Arc::new(Machine)).await, control)
    };
    let (mut operator, mut control) = start().await;
    for sent in [true, false] {
        for nth in 1.. {
            control.plan(freeze_at(nth, sent));
            let place = Place::new(ground).await;
            let mut script = pin!(script(&place));
            let crashed = tokio::select! {
                () = &mut script => false,
                () = control.froze() => true,
            };
            if crashed {
                operator.crash().await;
                (operator, control) = start().await;
                script.await;
            }
            place.never_over(2);
            if !crashed || nth % 8 == 0 {
                place.is_silent(&operator).await;
            }
            // Whoever starts next has less to read.
            control.plan(|_| Act::Pass);
            place.clear().await;
            place.ends_as(&[]).await;
            if !crashed {
                assert!(nth > at_least, "the script makes more than {nth} writes");
                break;
            }
        }
    }
    operator.stop().await;
}

#[tokio::test]
async fn a_crash_before_or_after_any_single_write_changes_nothing_in_the_end() {
    let script = async |place: &Place<'_>| {
        short(place).await;
        place.ends_as(SHORT).await;
    };
    at_any_write(&Ground::own(), 20, script).await;
}

#[tokio::test]
async fn neither_does_one_while_copies_come_and_go() {
    let ground = Ground::own();
    let (farm, lab) = (Place::new(&ground).await, Place::new(&ground).await);
    let script = async |place: &Place<'_>| {
        let name = place.namespace.as_str();
        let copied = |into: &[&Place<'_>]| {
            let mut license = ground::license(1);
            let into: Vec<&str> = into.iter().map(|place| place.namespace.as_str()).collect();
            license["spec"]["secret"] = json!({"name": name, "namespaces": into});
            license
        };
        // Come, move, and come again under another License of the same name.
        place.apply(&copied(&[&farm])).await;
        farm.secret_of(name, true).await;
        place.apply(&copied(&[&lab])).await;
        lab.secret_of(name, true).await;
        place.delete_license().await;
        until("the License is gone", async || {
            place.licenses().get_opt("cad").await.unwrap().is_none().then_some(())
        })
        .await;
        place.apply(&copied(&[&farm])).await;
        let license = format!("License cad: 0 of 1 bound, 0 waits, in {name}, True Issued");
        place.ends_as(&[&license, &format!("Secret {name} of License cad: license")]).await;
        lab.secret_of(name, false).await;
        let copy = farm.secret_of(name, true).await.unwrap();
        assert_eq!(copy.data, place.secret_of(name, true).await.unwrap().data);
        place.licenses().get("cad").await.unwrap().finalizers().first().expect("it has its finalizer");
    };
    at_any_write(&ground, 10, script).await;
    for place in [&farm, &lab] {
        assert!(place.secrets().list(&Default::default()).await.unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn without_a_fault_churn_ends_as_every_other_test_expects() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let (client, control) = wire::client(&config, |_| Act::Pass);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    authority_is_ready(&place.client).await;
    place.churn().await;
    place.ends_as(super::place::CHURNED).await;
    place.never_over(3);
    place.is_silent(&operator).await;
    let (writes, _) = control.writes();
    assert!(writes < 150, "{writes} writes");
}
