//! Several that would lead, with one ledger and one cluster.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use serde_json::json;
use usher::{cluster::Settings, ledger::sqlite::Sqlite, service::edge::Edge};

use crate::{
    faults::{
        place::{CHURNED, Disk, Place, authority_is_ready},
        wire::{self, Act, Control},
    },
    ground::{self, Ground, Machine, Operator, until},
};

/// A replica on the same ledger, which is ready to lead.
async fn replica(ground: &Ground, ledger: &Sqlite, name: &str) -> (Operator, Arc<Control>) {
    replica_with(ground, ledger, name, Arc::new(Machine)).await
}

async fn replica_with(
    ground: &Ground,
    ledger: &Sqlite,
    name: &str,
    edge: Arc<dyn Edge>,
) -> (Operator, Arc<Control>) {
    let (client, control) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    let settings = Settings { identity: Some(name.into()), ..Settings::default() };
    (Operator::follow(client, ledger.another(), edge, settings).await, control)
}

/// Two replicas and a place; the first one leads.
struct Two<'a> {
    first: Operator,
    /// Of the first one's requests.
    control: Arc<Control>,
    second: Operator,
    of_second: Arc<Control>,
    place: Place<'a>,
}

async fn two<'a>(ground: &'a Ground, ledger: &Sqlite) -> Two<'a> {
    let (first, control) = replica(ground, ledger, "first").await;
    first.leads().await;
    let (second, of_second) = replica(ground, ledger, "second").await;
    Two { first, control, second, of_second, place: Place::new(ground).await }
}

/// A machine whose clock is behind, and runs at another speed.
struct Skewed {
    behind: SignedDuration,
    percent: u32,
}

impl Edge for Skewed {
    fn now(&self) -> Timestamp {
        Machine.now() - self.behind
    }
    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Machine.wait_until(until.saturating_add(self.behind).unwrap())
    }
    fn elapsed(&self) -> Duration {
        Machine.elapsed() * self.percent / 100
    }
    fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Machine.wait(pause * 100 / self.percent)
    }
    fn entropy(&self) -> [u8; 32] {
        Machine.entropy()
    }
}

async fn holder(ground: &Ground) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(ground.admin().await, "usher-system");
    leases.get_opt("usher").await.unwrap()?.spec?.holder_identity
}

#[tokio::test]
async fn one_leads_the_others_are_ready_and_follow_at_once_when_it_stops() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let Two { first, second, of_second, place, .. } = two(&ground, &ledger).await;
    authority_is_ready(&place.client).await;
    place.churn().await;
    place.ends_as(CHURNED).await;
    assert!(!second.is_leader() && second.looks("License") == 0);
    assert_eq!(of_second.writes().0, 0, "who follows writes nothing");
    assert_eq!(holder(&ground).await.as_deref(), Some("first"));

    first.stop().await;
    second.leads().await;
    assert_eq!(holder(&ground).await.as_deref(), Some("second"));
    place.is_silent(&second).await;
    place.delete_seat("cy").await;
    place.are_bound(&["dan", "eve"]).await;
    place.never_over(3);

    // Somebody deletes the Lease: whoever leads puts it back, and leads on.
    let (third, _) = replica(&ground, &ledger, "third").await;
    let leases: Api<Lease> = Api::namespaced(place.client.clone(), "usher-system");
    leases.delete("usher", &DeleteParams::default()).await.unwrap();
    until("the Lease is back", async || holder(&ground).await).await;
    assert_eq!(holder(&ground).await.as_deref(), Some("second"));
    assert!(second.is_leader() && !third.is_leader());
    second.stop().await;
    third.leads().await;
    third.stop().await;
}

#[tokio::test]
async fn a_deposed_leader_that_wakes_up_with_a_write_in_hand_changes_nothing() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let Two { first, control, second, place, .. } = two(&ground, &ledger).await;
    authority_is_ready(&place.client).await;
    place.license(1).await;
    place
        .ends_as(&[
            "License cad: 0 of 1 bound, 0 waits, in cad-license, True Issued",
            "Secret cad-license of License cad: license",
        ])
        .await;

    // She is bound, and about to be shown so, when the first is cut off from its Lease.
    let mut in_hand = false;
    control.plan(move |call| match call.what.as_str() {
        "patch seats/status" if !in_hand => {
            in_hand = true;
            Act::Late
        }
        what if in_hand && what.ends_with("leases") => Act::Refuse(500),
        _ => Act::Pass,
    });
    place.seat(&["ann"]).await;
    control.holds().await;
    second.leads().await;
    assert!(!first.is_leader(), "the first stopped before the second began");
    place.are_bound(&["ann"]).await;

    // The world goes on: she loses her seat, and another one gets it.
    place.license(0).await;
    place.are_bound(&[]).await;
    let mut bob = ground::seat("bob");
    bob["spec"]["priority"] = json!(9);
    place.apply(&bob).await;
    place.license(1).await;
    let end = [
        "License cad: 1 of 1 bound, 1 waits, in cad-license, True Issued",
        "Seat ann: Waiting 1, True NoFreeSeat",
        "Seat bob: Bound, in bob-seat, True Bound",
        "Secret bob-seat of Seat bob: bob@acme.example",
        "Secret cad-license of License cad: license",
    ];
    place.ends_as(&end).await;
    control.release();
    assert_eq!(control.arrived().await, 409, "it names a version that is no longer there");
    place.look(&second).await;
    place.ends_as(&end).await;
    place.never_over(1);
    place.is_silent(&second).await;
    second.stop().await;
    control.plan(|_| Act::Pass);
    first.leads().await;
    place.is_silent(&first).await;
    first.stop().await;
}

#[tokio::test]
async fn a_document_that_a_deposed_leader_puts_down_late_does_not_stay() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let Two { first, control, second, place, .. } = two(&ground, &ledger).await;
    authority_is_ready(&place.client).await;
    place.license(1).await;
    until("the License has its document", async || {
        place.secrets().get_opt("cad-license").await.unwrap().map(|_| ())
    })
    .await;
    let mut in_hand = false;
    control.plan(move |call| match call.what.as_str() {
        "create secrets" if !in_hand => {
            in_hand = true;
            Act::Late
        }
        what if in_hand && what.ends_with("leases") => Act::Refuse(500),
        _ => Act::Pass,
    });
    place.seat(&["ann"]).await;
    control.holds().await;
    second.leads().await;
    place.are_bound(&["ann"]).await;
    place.license(0).await;
    let end = [
        "License cad: 0 of 0 bound, 1 waits, in cad-license, True Issued",
        "Seat ann: Waiting 1, True NoFreeSeat",
        "Secret cad-license of License cad: license",
    ];
    place.ends_as(&end).await;
    control.release();
    assert_eq!(control.arrived().await, 201, "no version can be named of what is not there");
    place.look(&second).await;
    place.ends_as(&end).await;
    place.never_over(1);
    place.is_silent(&second).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_leader_that_reaches_nobody_stops_before_the_next_one_begins() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let Two { first, control, second, place, .. } = two(&ground, &ledger).await;
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    place.are_bound(&["ann", "bob"]).await;
    control.plan(|_| Act::Refuse(503));
    control.cut();
    until("the first stops", async || {
        assert!(!(first.is_leader() && second.is_leader()), "two lead");
        (!first.is_leader()).then_some(())
    })
    .await;
    second.leads().await;
    control.plan(|_| Act::Pass);
    place.delete_seat("ann").await;
    place
        .ends_as(&[
            "License cad: 2 of 2 bound, 0 waits, in cad-license, True Issued",
            "Seat bob: Bound, in bob-seat, True Bound",
            "Seat cy: Bound, in cy-seat, True Bound",
            "Secret bob-seat of Seat bob: bob@acme.example",
            "Secret cad-license of License cad: license",
            "Secret cy-seat of Seat cy: cy@acme.example",
        ])
        .await;
    place.never_over(2);
    place.is_silent(&second).await;
    assert!(!first.is_leader());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn two_whose_clocks_disagree_by_an_hour_and_run_at_other_speeds_never_lead_at_once() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    // By the clock of the second, what the first writes into the Lease has ended long ago.
    let slow = Skewed { behind: SignedDuration::from_hours(1), percent: 90 };
    let (first, control) = replica_with(&ground, &ledger, "first", Arc::new(slow)).await;
    first.leads().await;
    let fast = Skewed { behind: SignedDuration::from_secs(1), percent: 110 };
    let (second, of_second) = replica_with(&ground, &ledger, "second", Arc::new(fast)).await;
    let place = Place::new(&ground).await;
    place.license(1).await;
    place.seat(&["ann", "bob"]).await;
    place.are_bound(&["ann"]).await;
    let renewals = || control.passed("patch leases");
    let before = renewals();
    until("the lead was renewed for longer than anybody waits", async || {
        assert!(first.is_leader() && !second.is_leader(), "the first leads on");
        (renewals() >= before + 6).then_some(())
    })
    .await;
    assert_eq!(of_second.writes().0, 0, "who follows writes nothing");

    control.plan(|call| if call.what.ends_with("leases") { Act::Refuse(500) } else { Act::Pass });
    until("the first stops", async || {
        assert!(!(first.is_leader() && second.is_leader()), "two lead");
        (!first.is_leader()).then_some(())
    })
    .await;
    second.leads().await;
    assert!(!first.is_leader());
    place.delete_seat("ann").await;
    place
        .ends_as(&[
            "License cad: 1 of 1 bound, 0 waits, in cad-license, True Issued",
            "Seat bob: Bound, in bob-seat, True Bound",
            "Secret bob-seat of Seat bob: bob@acme.example",
            "Secret cad-license of License cad: license",
        ])
        .await;
    place.never_over(1);
    place.is_silent(&second).await;
    first.stop().await;
    second.stop().await;
}
