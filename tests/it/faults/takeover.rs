//! What an older Usher left behind is taken over as it is. The fixture and how it was made: `tests/fixtures/first-slice/`.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::Value;
use usher::{
    cluster::api::{Seat, SeatState},
    ledger::{Ledger as _, sqlite::Sqlite},
    service::edge::Edge as _,
};

use crate::{
    faults::{
        place::Disk,
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, operator::Turned, until, wait_for},
};

/// When the fixture was made, and its documents were not yet due.
const THEN: &str = "2026-11-25T22:40:00Z";

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first-slice").join(name)
}

/// Where an API server keeps an object in etcd.
fn key(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let folder = match text("/kind") {
        "Authority" => "usher.dev/authorities",
        "License" => "usher.dev/licenses",
        "Seat" => "usher.dev/seats",
        "Secret" => "secrets",
        "ConfigMap" => "configmaps",
        other => panic!("{other} in the fixture?"),
    };
    let parts = ["/registry", folder, text("/metadata/namespace"), text("/metadata/name")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn what_the_first_slice_left_behind_is_taken_over_without_one_document_signed_again() {
    let (ground, disk) = (Ground::own(), Disk::new());
    ground.kubectl(&["create", "namespace", "design"]);
    let objects: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(fixture("objects.json")).unwrap()).unwrap();
    for object in &objects {
        ground.store(&key(object), object);
    }
    std::fs::copy(fixture("ledger.db"), disk.ledger()).unwrap();
    let client = ground.admin().await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "design");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "usher-system");
    let seats: Api<Seat> = Api::namespaced(client.clone(), "design");
    let all = async || {
        let secrets = secrets.list(&ListParams::default()).await.unwrap().items;
        let data = secrets.into_iter().map(|secret| (secret.metadata.name.unwrap(), secret.data.unwrap()));
        data.collect::<BTreeMap<_, _>>()
    };
    until("the API server sees the fixture", async || (all().await.len() == 4).then_some(())).await;
    let (before, keys) = (all().await, maps.get("usher-authority-default").await.unwrap().data);

    let clock = Turned::new();
    clock.forward(THEN.parse::<Timestamp>().unwrap().duration_since(Machine.now()));
    let (wired, _) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    let operator = Operator::start(wired, &disk.ledger(), clock).await;
    until("Usher has looked at all of it", async || {
        (operator.looks("License") >= 2 && operator.looks("Authority") >= 1).then_some(())
    })
    .await;
    // Somebody new waits: so the License was looked at with its Authority at hand.
    ground.try_kubectl(
        &["apply", "-f", "-"],
        r#"{"apiVersion": "usher.dev/v1alpha1", "kind": "Seat", "metadata": {"name": "dan", "namespace": "design"},
            "spec": {"licenseRef": {"name": "cad"}, "holder": {"user": {"email": "dan@acme.example"}}}}"#,
    );
    let is =
        |state| move |seat: &Seat| seat.status.as_ref().is_some_and(|status| status.state == Some(state));
    wait_for(&seats, "dan", "waits", is(SeatState::Waiting)).await;
    assert_eq!(all().await, before, "every Secret is as it was");
    assert_eq!(maps.get("usher-authority-default").await.unwrap().data, keys, "and the published keys");
    assert!(operator.metrics.text().contains("usher_documents_signed_total 0\n"), "nothing was signed");

    // And it goes on from there.
    seats.delete("bob", &DeleteParams::default()).await.unwrap();
    wait_for(&seats, "dan", "sits", is(SeatState::Bound)).await;
    operator.stop().await;
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let mark = ledger.head().await.unwrap().mark;
    assert_eq!(mark.incarnation, 1, "it was neither lost nor restored");
    assert!(mark.commits > 5, "it had five commits behind it: {mark:?}");
    assert!(ground.forbidden().is_empty(), "{:?}", ground.forbidden());
}
