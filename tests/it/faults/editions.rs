//! Editions that are switched, changed and deleted under a License, while Usher looks and while it does not.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};
use usher::cluster::api::Edition;

use crate::{
    faults::{
        place::{Disk, Place},
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, until},
};

const SETTLED: &[&str] = &[
    "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued",
    "Seat ann: Bound, in ann-seat, True Bound",
    "Seat bob: Bound, in bob-seat, True Bound",
    "Seat cy: Waiting 1, True NoFreeSeat",
    "Secret ann-seat of Seat ann: ann@acme.example",
    "Secret bob-seat of Seat bob: bob@acme.example",
    "Secret cad-license of License cad: license",
];

fn edition(name: &str, feature: &str) -> Value {
    json!({"kind": "Edition", "metadata": {"name": name}, "spec": {
        "authorityRef": {"name": "default"}, "features": [{"name": feature}, {"name": "xr", "seats": 1}]}})
}

fn license(edition: &str) -> Value {
    json!({"kind": "License", "metadata": {"name": "cad"}, "spec": {
        "product": "cad", "customer": "acme", "seats": 2, "editionRef": {"name": edition}}})
}

async fn delete_edition(place: &Place<'_>, name: &str) {
    let editions: Api<Edition> = Api::namespaced(place.client.clone(), &place.namespace);
    editions.delete(name, &DeleteParams::default()).await.unwrap();
}

async fn secrets(place: &Place<'_>) -> Vec<Secret> {
    place.secrets().list(&Default::default()).await.unwrap().items
}

fn features(secret: &Secret) -> Vec<String> {
    let jws = &secret.data.as_ref().unwrap()["license.jws"].0;
    let claims = usher_license::License::parse(jws).unwrap().unverified_claims().clone();
    claims.features.into_iter().map(|feature| feature.name).collect()
}

/// Waits until each document has `feature`, and what License and Edition come to, too; then one Seat has `xr`, of which there
/// is one.
async fn follows(place: &Place<'_>, feature: &str) {
    let xr = until(&format!("all has {feature}"), async || {
        let license = place.licenses().get("cad").await.unwrap();
        let effective = license.status?.effective?.features;
        let of_documents: Vec<Vec<String>> = secrets(place).await.iter().map(features).collect();
        let all_have = of_documents.iter().all(|has| has.iter().any(|has| has == feature));
        let says = effective.iter().any(|has| has.name.as_str() == feature);
        // The License's own document names all that there is.
        let xr = of_documents.iter().filter(|has| has.iter().any(|has| has == "xr")).count();
        (all_have && says && of_documents.len() == 3).then_some(xr)
    })
    .await;
    assert_eq!(xr, 2, "of the License and of one Seat");
}

#[tokio::test]
async fn editions_switched_and_deleted_under_a_license_take_nothing_away_and_come_to_the_same_end() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let config = ground.usher_config().await;
    let start = async || {
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await
    };
    let operator = start().await;
    let place = Place::new(&ground).await;
    place.apply(&edition("standard", "render")).await;
    place.apply(&edition("pro", "simulate")).await;
    place.apply(&license("standard")).await;
    for name in ["ann", "bob", "cy"] {
        place.seat(&[name]).await;
    }
    place.ends_as(SETTLED).await;
    follows(&place, "render").await;

    // Deleted: it is said, and not a byte changes. Whatever else is done meanwhile waits.
    let before = secrets(&place).await;
    delete_edition(&place, "standard").await;
    let missing: Vec<String> = SETTLED
        .iter()
        .map(|line| {
            line.replace("in cad-license, True Issued", "in cad-license, False EditionNotFound Stalled=True")
        })
        .collect();
    let with_stalled_seat = |line: &String| {
        line.replace(
            "Seat cy: Waiting 1, True NoFreeSeat",
            "Seat cy: Waiting 1, False LicenseStalled Stalled=True",
        )
    };
    let missing: Vec<String> = missing.iter().map(with_stalled_seat).collect();
    place.ends_as(&missing.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(secrets(&place).await, before, "not one write to a Secret");
    place.is_silent(&operator).await;

    // Switched, deleted and made again, as fast as anybody can, while Usher looks.
    for round in 0..10 {
        let (to, from) = if round % 2 == 0 { ("pro", "standard") } else { ("standard", "pro") };
        place.apply(&edition(to, &format!("render-{round}"))).await;
        place.apply(&license(to)).await;
        place.apply(&edition(from, "other")).await;
        delete_edition(&place, from).await;
        delete_edition(&place, to).await;
        place.apply(&edition(to, "render")).await;
    }
    follows(&place, "render").await;
    place.ends_as(SETTLED).await;
    place.never_over(2);
    place.is_silent(&operator).await;

    // And while it does not.
    operator.stop().await;
    delete_edition(&place, "standard").await;
    place.apply(&edition("pro", "simulate")).await;
    place.apply(&license("pro")).await;
    let operator = start().await;
    follows(&place, "simulate").await;
    place.ends_as(SETTLED).await;
    place.never_over(2);
    place.is_silent(&operator).await;
    operator.stop().await;
}
