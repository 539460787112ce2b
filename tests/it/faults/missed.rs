//! What happens while nobody looks, or in the middle of a look.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use serde_json::json;
use usher::{
    cluster::api::Authority,
    ledger::{Ledger as _, sqlite::Sqlite},
};

use crate::{
    faults::{
        place::{CHURNED, Disk, Place, authority_is_ready},
        wire::{self, Act},
    },
    ground::{self, Ground, Machine, Operator, until},
};

#[tokio::test]
async fn what_was_deleted_and_made_again_between_two_looks_is_something_else() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let start = async || {
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await
    };
    let operator = start().await;
    let place = Place::new(&ground).await;
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    place.are_bound(&["ann", "bob"]).await;

    // A Seat that holds a seat, and again the License: nobody looks.
    operator.stop().await;
    place.delete_seat("ann").await;
    let mut ann = ground::seat("ann");
    ann["spec"]["priority"] = json!(-1);
    place.apply(&ann).await;
    place.delete_seat("bob").await;
    place.seat(&["bob"]).await;
    place.delete_license().await;
    place.license(2).await;
    let operator = start().await;
    let wanted = [
        "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued",
        "Seat ann: Waiting 1, True NoFreeSeat",
        "Seat bob: Bound, in bob-seat, True Bound",
        "Seat cy: Bound, in cy-seat, True Bound",
        "Secret bob-seat of Seat bob: bob@acme.example",
        "Secret cad-license of License cad: license",
        "Secret cy-seat of Seat cy: cy@acme.example",
    ];
    place.ends_as(&wanted).await;
    place.never_over(2);
    place.is_silent(&operator).await;

    // A Seat that is bound, twice over, with nobody waiting: the same name, the same place.
    operator.stop().await;
    place.delete_seat("ann").await;
    for _ in 0..2 {
        place.delete_seat("cy").await;
        place.seat(&["cy"]).await;
    }
    let operator = start().await;
    let wanted =
        wanted.iter().filter(|line| !line.contains(" ann:")).map(|line| line.replace("1 waits", "0 waits"));
    place.ends_as(&wanted.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>()).await;
    place.never_over(2);
    place.is_silent(&operator).await;

    // The Authority: it keeps its keys, and documents stay as they are.
    operator.stop().await;
    let before = place.state().await;
    let authorities: Api<Authority> = Api::all(place.client.clone());
    let root = authorities.get("default").await.unwrap().status.unwrap().root;
    authorities.delete("default", &DeleteParams::default()).await.unwrap();
    ground.namespace().await;
    let operator = start().await;
    authority_is_ready(&place.client).await;
    assert_eq!(authorities.get("default").await.unwrap().status.unwrap().root, root);
    place.ends_as(&before.iter().map(String::as_str).collect::<Vec<_>>()).await;
    place.is_silent(&operator).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_license_that_goes_while_its_status_is_written_stays_gone() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let mut armed = true;
    let hold = move |call: &wire::Call| {
        let hold = armed && call.what == "patch licenses/status";
        armed &= !hold;
        if hold { Act::Hold } else { Act::Pass }
    };
    let (client, control) = wire::client(&config, |_| Act::Pass);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    authority_is_ready(&place.client).await;
    control.plan(hold);
    place.license(2).await;
    control.holds().await;
    place.delete_license().await;
    // Events of one kind come in order: once another License is served, the deletion has been seen.
    let mut other = ground::license(1);
    other["metadata"]["name"] = json!("other");
    place.apply(&other).await;
    let wanted = [
        "License other: 0 of 1 bound, 0 waits, in other-license, True Issued",
        "Secret other-license of License other: license",
    ];
    until("the other License is served", async || {
        place.state().await.contains(&wanted[0].to_owned()).then_some(())
    })
    .await;
    control.release();
    place.ends_as(&wanted).await;
    place
        .apply(&json!({"kind": "Seat", "metadata": {"name": "ann"}, "spec": {
        "licenseRef": {"name": "cad"}, "holder": {"user": {"email": "ann@acme.example"}}}}))
        .await;
    let orphan = "Seat ann: Waiting, False LicenseNotFound Stalled=True";
    place.ends_as(&[wanted[0], orphan, wanted[1]]).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_license_or_a_namespace_deleted_in_the_middle_leaves_nothing() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let (client, control) = wire::client(&config, |_| Act::Pass);
    let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    authority_is_ready(&place.client).await;

    // The License goes when its Secret has just been written, before the look goes on.
    let mut armed = true;
    control.plan(move |call| {
        let hold = armed && call.what == "create secrets";
        armed &= !hold;
        if hold { Act::Hold } else { Act::Pass }
    });
    place.seat(&["ann", "bob"]).await;
    place.license(1).await;
    control.holds().await;
    place.delete_license().await;
    control.release();
    place
        .ends_as(&[
            "Seat ann: Waiting, False LicenseNotFound Stalled=True",
            "Seat bob: Waiting, False LicenseNotFound Stalled=True",
        ])
        .await;
    place.never_over(1);

    // And the whole namespace, while people are at it.
    place.license(1).await;
    place.are_bound(&["ann"]).await;
    place.license(2).await;
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await.unwrap();
    until("the namespace is gone", async || {
        namespaces.get_opt(&place.namespace).await.unwrap().is_none().then_some(())
    })
    .await;

    // Usher goes on elsewhere, and has nothing left of it.
    let elsewhere = Place::new(&ground).await;
    elsewhere.churn().await;
    elsewhere.ends_as(CHURNED).await;
    elsewhere.is_silent(&operator).await;
    operator.stop().await;
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let known = ledger.licenses().await.unwrap();
    assert!(known.iter().all(|key| key.namespace == elsewhere.namespace), "{known:?}");
}
