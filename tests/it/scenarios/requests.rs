//! Exactly the requests that are needed, by the API server's own audit log.

use futures::{StreamExt as _, stream};
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use std::{path::Path, sync::Arc};
use usher::cluster::api::SeatState;

use super::{Place, authority::authority_says, claims, license_conditions, ready, seat_conditions, with};
use crate::ground::{Ground, Machine, Operator, apply, license, seat, until, wait_for};

/// How many Licenses, each with a Seat, stand beside a restart.
const MANY: usize = 500;
/// How often what does not matter is touched.
const TOUCHES: u64 = 10;

async fn start(ground: &Ground, ledger: &Path) -> Operator {
    Operator::start(Client::try_from(ground.usher_config().await).unwrap(), ledger, Arc::new(Machine)).await
}

/// Touches what does not matter to Usher, and waits until it has looked: what it had to write before is written.
async fn touch(place: &Place, operator: &Operator) {
    let before = operator.looks("License");
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"example.com/mark": before.to_string()}}}));
    place.licenses.patch("cad", &PatchParams::default(), &patch).await.unwrap();
    until("Usher looked", async || (operator.looks("License") > before).then_some(())).await;
}

/// Sealing the audit is by the minute, whatever is looked at.
fn is_of_the_audit(request: &str) -> bool {
    request.contains(" usher-system/usher-audit")
}

/// The writes since `count`, without the names of events.
fn since(ground: &Ground, count: usize) -> Vec<String> {
    let mut writes = ground.writes().split_off(count);
    writes.retain(|write| !is_of_the_audit(write));
    for write in writes.iter_mut().filter(|write| write.contains(" events ")) {
        let words: Vec<&str> = write.split(' ').collect();
        *write = format!("{} {} {}", words[0], words[1], words[3]);
    }
    writes.sort();
    writes
}

#[tokio::test]
async fn what_is_new_costs_one_write_of_each_kind_and_what_is_not_costs_none() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = start(&ground, &ledger).await;
    let place = Place::new(&ground).await;
    let ns = &place.namespace;
    authority_says(&place, "default", "Published").await;
    // Its event comes after its status, within one look.
    until("that look has ended", async || (operator.looks("Authority") > 0).then_some(())).await;

    let count = ground.writes().len();
    place.apply(&license(2)).await;
    place.license_says("cad", "Issued").await;
    touch(&place, &operator).await;
    assert_eq!(
        since(&ground, count),
        [
            "create events 201".to_owned(),
            format!("create secrets {ns}/cad-license 201"),
            format!("patch licenses/status {ns}/cad 200"),
        ],
        "a new License"
    );

    let count = ground.writes().len();
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.counts("cad", 1, 0).await;
    touch(&place, &operator).await;
    assert_eq!(
        since(&ground, count),
        [
            "create events 201".to_owned(),
            format!("create secrets {ns}/ann-seat 201"),
            format!("patch licenses/status {ns}/cad 200"),
            format!("patch seats/status {ns}/ann 200"),
        ],
        "a Seat that is bound, and its License that counts it"
    );

    let (requests, looks) = (ground.requests().len(), operator.looks("License"));
    for _ in 0..TOUCHES {
        touch(&place, &operator).await;
    }
    // A look that was still to come when we began to count may be among them.
    let looks = operator.looks("License") - looks;
    assert!((TOUCHES..=TOUCHES + 2).contains(&looks), "{looks} looks for {TOUCHES} touches");
    let mut asked = ground.requests().split_off(requests);
    asked.retain(|request| !is_of_the_audit(request));
    assert!(asked.is_empty(), "a look that finds nothing to do asks nothing: {asked:?}");

    a_name_that_passes_while_usher_is_away(&ground, &ledger, &place, operator).await;
    a_restart_beside_many(&ground, &ledger, &place).await;
}

/// Deleted and made again under its old name between two looks, an object gets what its predecessor had.
async fn a_name_that_passes_while_usher_is_away(
    ground: &Ground,
    ledger: &Path,
    place: &Place,
    operator: Operator,
) {
    let root = |authority: &usher::cluster::api::AuthorityStatus| authority.root.clone();
    let (_, before) = authority_says(place, "default", "Published").await;
    operator.stop().await;
    place.delete_license("cad").await;
    place.delete_seat("ann").await;
    place.authorities.delete("default", &DeleteParams::default()).await.unwrap();
    let uid = place.apply(&license(2)).await["metadata"]["uid"].clone();
    place.apply(&seat("ann")).await;
    place
        .apply_authority(&json!({
            "kind": "Authority", "metadata": {"name": "default"},
            "spec": {"issuer": "https://usher.acme.example/a/default", "allowedNamespaces": {"from": "All"}},
        }))
        .await;

    let operator = start(ground, ledger).await;
    let (_, after) = authority_says(place, "default", "Published").await;
    assert_eq!(root(&after), root(&before), "the same keys");
    place.license_says("cad", "Issued").await;
    place.seat("ann", SeatState::Bound).await;
    for name in ["cad-license", "ann-seat"] {
        let of_this = |secret: &_| claims(secret).license.uid == uid.as_str().unwrap();
        wait_for(&place.secrets, name, "is of the License that there is", of_this).await;
    }
    let reasons = ground.kubectl(&["get", "events", "-A", "-o", "jsonpath={.items[*].reason}"]);
    assert!(reasons.contains("Issued") && !reasons.contains("Taken"), "{reasons}");
    operator.stop().await;
}

async fn a_restart_beside_many(ground: &Ground, ledger: &Path, place: &Place) {
    let operator = start(ground, ledger).await;
    let (client, namespace) = (&place.client, &place.namespace);
    stream::iter(0..MANY)
        .for_each_concurrent(16, async |n| {
            let name = format!("many-{n}");
            let license = with(license(1), &json!({"metadata": {"name": name}}));
            apply(client, namespace, &license).await.unwrap();
            let seat = with(seat(&name), &json!({"spec": {"licenseRef": {"name": name}}}));
            apply(client, namespace, &seat).await.unwrap();
        })
        .await;
    for n in 0..MANY {
        let name = format!("many-{n}");
        place.seat(&name, SeatState::Bound).await;
        place.counts(&name, 1, 0).await;
    }
    touch(place, &operator).await;
    let licenses = place.licenses.list(&Default::default()).await.unwrap();
    assert!(licenses.iter().all(|license| ready(license_conditions(license)).unwrap().reason == "Issued"));
    let seats = place.seats.list(&Default::default()).await.unwrap();
    assert!(seats.iter().all(|seat| ready(seat_conditions(seat)).unwrap().reason == "Bound"));
    assert_eq!(licenses.items.len() + seats.items.len(), 2 * MANY + 2);
    operator.stop().await;

    let count = ground.writes().len();
    let operator = start(ground, ledger).await;
    until("every License was looked at", async || (operator.looks("License") > MANY as u64).then_some(()))
        .await;
    // A License of its own goes through the queue behind all others, often enough to be the last.
    for round in 1..=3 {
        let marker = with(license(round), &json!({"metadata": {"name": "marker"}}));
        place.apply(&marker).await;
        place.license_says("marker", "Issued").await;
    }
    let writes: Vec<String> = ground
        .writes()
        .split_off(count)
        .into_iter()
        .filter(|write| !write.contains("marker") && !is_of_the_audit(write))
        .collect();
    let events = writes.iter().filter(|write| write.contains(" events ")).count();
    assert!(writes.len() == events && events <= 1, "nothing but the marker's event: {writes:?}");
    operator.stop().await;
}
