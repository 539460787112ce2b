//! Rights on Secrets, namespace by namespace: given, taken, and never overstepped.

use std::path::Path;

use usher::{
    cluster::api::SeatState,
    domain::license::Key,
    ledger::{Ledger as _, sqlite::Sqlite},
};

use super::{Place, license_conditions, ready, stalled, substance};
use crate::ground::{Ground, Operator, license, seat, until};

/// Waits until the License says that Usher may not, and returns the command that it tells.
async fn command(place: &Place, name: &str) -> String {
    let license = place.license_says(name, "NamespaceNotGranted").await;
    assert!(stalled(license_conditions(&license)));
    let message = ready(license_conditions(&license)).unwrap().message.clone();
    message.split_once("with: kubectl ").unwrap().1.to_owned()
}

fn run(ground: &Ground, command: &str) {
    ground.kubectl(&command.split(' ').collect::<Vec<_>>());
}

/// What the ledger still knows, once nobody has it open.
async fn known(ledger: &Path) -> Vec<Key> {
    let ledger = until("the ledger is free", async || Sqlite::open(ledger).await.ok()).await;
    ledger.licenses().await.unwrap()
}

#[tokio::test]
async fn a_namespace_is_served_from_the_told_command_on_and_held_as_it_stands_while_that_is_revoked() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = Operator::start_narrow(&ground, &ledger).await;
    let place = Place::new(&ground).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;

    // Not granted: nothing is signed, and nobody is bound.
    let told = command(&place, "cad").await;
    assert!(place.seat_says("ann", "LicenseStalled").await.contains(&told));
    assert_eq!(place.secrets.list(&Default::default()).await.unwrap().items.len(), 0);
    // Another namespace is not held up by this one.
    let other = Place::new(&ground).await;
    other.apply(&license(1)).await;
    run(&ground, &command(&other, "cad").await);
    other.license_says("cad", "Issued").await;

    run(&ground, &told);
    place.license_says("cad", "Issued").await;
    place.seat("ann", SeatState::Bound).await;
    let before = [place.secret("cad-license").await, place.secret("ann-seat").await].map(|s| substance(&s));

    // Revoked: whoever holds keeps, also when the limit falls; nobody new is bound, even on a place that came free.
    ground.revoke(&place.namespace);
    assert_eq!(command(&place, "cad").await, told);
    place.apply(&license(0)).await;
    place.apply(&seat("bob")).await;
    place.seat_says("bob", "LicenseStalled").await;
    place.license_says("cad", "NamespaceNotGranted").await;
    place.seat("ann", SeatState::Bound).await;
    let after = [place.secret("cad-license").await, place.secret("ann-seat").await].map(|s| substance(&s));
    assert_eq!(before, after, "not a byte");
    place.apply(&license(1)).await;
    place.delete_seat("ann").await;
    place.no_secret("ann-seat").await;
    place.counts("cad", 0, 1).await;
    place.license_says("cad", "NamespaceNotGranted").await;

    run(&ground, &told);
    place.license_says("cad", "Issued").await;
    place.seat("bob", SeatState::Bound).await;
    place.secret("bob-seat").await;

    // What is deleted meanwhile is forgotten once Usher may see to it.
    ground.revoke(&place.namespace);
    command(&place, "cad").await;
    place.delete_seat("bob").await;
    place.delete_license("cad").await;
    run(&ground, &told);
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    operator.stop().await;
}

#[tokio::test]
async fn a_namespace_that_goes_leaves_nothing_behind_whether_usher_may_look_or_not() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = Operator::start_narrow(&ground, &ledger).await;
    let (granted, refused) = (Place::new(&ground).await, Place::new(&ground).await);
    for place in [&granted, &refused] {
        place.apply(&license(1)).await;
        place.apply(&seat("ann")).await;
        run(&ground, &command(place, "cad").await);
        place.seat("ann", SeatState::Bound).await;
    }
    ground.revoke(&refused.namespace);
    command(&refused, "cad").await;
    ground.kubectl(&["delete", "namespace", &granted.namespace, &refused.namespace]);
    // Two looks after that, whatever was there is forgotten; a third namespace tells when they have been made.
    let third = Place::new(&ground).await;
    third.apply(&license(1)).await;
    run(&ground, &command(&third, "cad").await);
    third.license_says("cad", "Issued").await;
    operator.stop().await;
    assert_eq!(known(&ledger).await, [Key::new(&third.namespace, "cad")]);

    // So it is with what goes while Usher is stopped.
    ground.kubectl(&["delete", "namespace", &third.namespace]);
    let operator = Operator::start_narrow(&ground, &ledger).await;
    until("Usher has looked", async || (operator.looks("License") >= 2).then_some(())).await;
    operator.stop().await;
    assert_eq!(known(&ledger).await, []);
}
