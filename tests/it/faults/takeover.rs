//! What an older Usher left behind is taken over as it is: its objects, under its own resource definitions, which are upgraded while
//! Usher is down; its ledger; its documents and their copies; its activations. Each fixture says how it was made.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt as _,
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
        place::{Disk, Place},
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, operator::Turned, until, wait_for},
    runtime::program::{Own, Program},
};

/// A fixture, and when it was made: its documents were not yet due.
struct Left {
    folder: &'static str,
    then: &'static str,
    /// In which namespaces it has documents.
    namespaces: &'static [&'static str],
    /// How many Licenses there are.
    licenses: u64,
}

const FIRST: Left =
    Left { folder: "first-slice", then: "2026-11-25T22:40:00Z", namespaces: &["design"], licenses: 2 };
const DECLARED: Left = Left {
    folder: "all-declared",
    then: "2026-11-27T11:32:53Z",
    namespaces: &["design", "render-farm"],
    licenses: 2,
};

impl Left {
    fn path(&self, name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(self.folder).join(name)
    }

    fn json(&self, name: &str) -> Vec<Value> {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// Puts everything back, and upgrades the resources. Usher is down.
    async fn put_back(&self, ground: &Ground, disk: &Disk) {
        let (first, objects): (Vec<_>, Vec<_>) =
            self.json("objects.json").into_iter().partition(|object| object["kind"] == "Namespace");
        for namespace in &first {
            ground.store(&key(namespace), namespace);
        }
        for namespace in self.namespaces {
            until("there is the namespace", async || {
                ground.try_kubectl(&["create", "namespace", namespace], "").1.contains("exists").then_some(())
            })
            .await;
        }
        for object in &objects {
            ground.store(&key(object), object);
        }
        std::fs::copy(self.path("ledger.db"), disk.ledger()).unwrap();
        let seats = objects.iter().filter(|object| object["kind"] == "Seat").count();
        until("the API server sees the fixture", async || {
            let seen = ground.kubectl(&["get", "seats", "-n", "design", "-o", "name"]);
            (seen.lines().count() == seats).then_some(())
        })
        .await;
        ground.upgrades();
    }
}

/// Where an API server keeps an object in etcd.
fn key(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let folder = match text("/kind") {
        "Authority" => "usher.dev/authorities",
        "Edition" => "usher.dev/editions",
        "License" => "usher.dev/licenses",
        "Seat" => "usher.dev/seats",
        "UserAssignment" => "usher.dev/userassignments",
        "Secret" => "secrets",
        "ConfigMap" => "configmaps",
        "Namespace" => "namespaces",
        other => panic!("{other} in the fixture?"),
    };
    let parts = ["/registry", folder, text("/metadata/namespace"), text("/metadata/name")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// Everybody who may notice a change: each document and copy to the byte, the published keys, and who holds what.
#[derive(Debug, PartialEq)]
struct Shown {
    secrets: BTreeMap<String, Value>,
    keys: Option<BTreeMap<String, String>>,
    seats: BTreeMap<String, (Option<SeatState>, Option<String>)>,
}

async fn shown(place: &Place<'_>, namespaces: &[&str]) -> Shown {
    let mut secrets = BTreeMap::new();
    for namespace in namespaces {
        let api: Api<Secret> = Api::namespaced(place.client.clone(), namespace);
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let data = |secret: &Secret| serde_json::to_value(&secret.data).unwrap();
        secrets.extend(all.iter().map(|secret| (format!("{namespace}/{}", secret.name_any()), data(secret))));
    }
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), "usher-system");
    let seats = place.seats().list(&ListParams::default()).await.unwrap().items;
    let stands = |seat: &Seat| {
        let status = seat.status.clone().unwrap_or_default();
        (seat.name_any(), (status.state, status.secret.map(|secret| secret.name)))
    };
    Shown {
        secrets,
        keys: maps.get("usher-authority-default").await.unwrap().data,
        seats: seats.iter().map(stands).collect(),
    }
}

/// Takes over what was left, and asks the oracles. Somebody new, `dan`, waits then.
async fn is_taken_over(left: &Left, place: &Place<'_>, disk: &Disk, limit: usize) -> Operator {
    let before = shown(place, left.namespaces).await;
    let clock = Turned::new();
    clock.forward(left.then.parse::<Timestamp>().unwrap().duration_since(Machine.now()));
    let (wired, _) = wire::client(&place.ground.usher_config().await, |_| Act::Pass);
    let operator = Operator::start(wired, &disk.ledger(), clock).await;
    until("Usher has looked at all of it", async || {
        (operator.looks("License") >= left.licenses && operator.looks("Authority") >= 1).then_some(())
    })
    .await;
    // Somebody new waits: so the License was looked at with its Authority at hand.
    place.seat(&["eve"]).await;
    let waits =
        |seat: &Seat| seat.status.as_ref().is_some_and(|status| status.state == Some(SeatState::Waiting));
    wait_for(&place.seats(), "eve", "waits", waits).await;
    let mut after = shown(place, left.namespaces).await;
    after.seats.remove("eve");
    assert_eq!(after, before, "every document, every copy, every key and every holder is as it was");
    assert!(operator.metrics.text().contains("usher_documents_signed_total 0\n"), "nothing was signed");
    place.never_over(limit);
    place.is_silent(&operator).await;
    operator
}

/// It was neither lost nor restored.
async fn is_the_same_ledger(disk: &Disk, commits: i64) {
    let mark = Sqlite::open(&disk.ledger()).await.unwrap().head().await.unwrap().mark;
    assert_eq!(mark.incarnation, 1, "it was neither lost nor restored");
    assert!(mark.commits > commits, "it had {commits} commits behind it: {mark:?}");
}

#[tokio::test]
async fn what_the_first_slice_left_behind_is_taken_over_without_one_document_signed_again() {
    let (ground, disk) = (Ground::of_old(FIRST.path("crds.yaml")), Disk::new());
    FIRST.put_back(&ground, &disk).await;
    let place = Place::there(&ground, ground.admin().await, "design".into()).await;
    let operator = is_taken_over(&FIRST, &place, &disk, 2).await;

    // And it goes on from there.
    place.delete_seat("bob").await;
    place.are_bound(&["cy", "eve"]).await;
    place.never_over(2);
    operator.stop().await;
    is_the_same_ledger(&disk, 5).await;
}

#[tokio::test]
async fn editions_assignments_copies_and_activations_are_taken_over_too() {
    let (ground, disk) = (Ground::of_old(DECLARED.path("crds.yaml")), Disk::new());
    DECLARED.put_back(&ground, &disk).await;
    let place = Place::there(&ground, ground.admin().await, "design".into()).await;
    let operator = is_taken_over(&DECLARED, &place, &disk, 5).await;

    // Programs go on with the nonce that they have.
    let program = Program::at(&operator.listen().await);
    for kept in DECLARED.json("activations.json") {
        let text = |name: &str| kept[name].as_str().unwrap().to_owned();
        let own = Own { id: text("id"), token: text("token"), nonce: text("nonce"), workload: None };
        let told = program.refresh(&own).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert!(told.nonce.is_some_and(|next| next != own.nonce));
        let again = program.refresh(&own).await;
        assert_eq!((again.status, again.code().as_str()), (409, "nonce-used"), "it remembers the chain");
    }
    // What cools is known, too: whoever had it is given it, and nobody else.
    place.seat(&["ann"]).await;
    wait_for(&place.seats(), "ann", "sits again", |seat| {
        seat.status.as_ref().is_some_and(|status| status.state == Some(SeatState::Bound))
    })
    .await;
    place.never_over(5);
    let seats: Api<Seat> = place.seats();
    seats.delete("ann", &DeleteParams::default()).await.unwrap();
    operator.stop().await;
    is_the_same_ledger(&disk, 10).await;
}
