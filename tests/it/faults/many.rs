//! Thousands of Licenses at once. `USHER_MANY=5000` makes it as many.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use usher::{cluster::api::License, service::edge::Edge as _};

use crate::{
    faults::{
        place::{Disk, Place, authority_is_ready},
        wire::{self, Act},
    },
    ground::{self, Ground, Machine, Operator, until},
};

/// So many, unless the environment says otherwise.
const MANY: usize = 5_000;
/// One in so many has a seat, and two who want it.
const CONTESTED: usize = 10;
/// How many people are at it at once.
const HANDS: usize = 16;

fn many() -> usize {
    std::env::var("USHER_MANY").map_or(MANY, |many| many.parse().expect("USHER_MANY is a number"))
}

fn license(name: &str) -> Value {
    let mut license = ground::license(1);
    license["metadata"]["name"] = json!(name);
    license
}

fn seat(license: &str, holder: &str) -> Value {
    json!({"kind": "Seat", "metadata": {"name": format!("{license}-{holder}")}, "spec": {
        "licenseRef": {"name": license}, "holder": {"user": {"email": format!("{holder}@acme.example")}}}})
}

/// Waits until nothing is `left`, however long that takes, while it goes on.
async fn goes_on(what: &str, mut left: impl AsyncFnMut() -> usize) {
    let mut last = usize::MAX;
    while last > 0 {
        last = until(&format!("{what}: {last} are left"), async || {
            let now = left().await;
            (now != last).then_some(now)
        })
        .await;
    }
}

/// Follows the Licenses until all are settled.
async fn all_are_issued(place: &Place<'_>, many: usize) {
    let settled = Mutex::new(BTreeMap::new());
    let config = watcher::Config::default();
    let events = watcher(place.licenses(), config).default_backoff().applied_objects();
    let follow = events.try_for_each(async |license| {
        settled.lock().unwrap().insert(license.name_any(), is_settled(&license));
        Ok(())
    });
    let left = async || many - settled.lock().unwrap().values().filter(|settled| **settled).count();
    tokio::select! {
        ended = follow => panic!("the watch ended: {ended:?}"),
        () = goes_on("Licenses are issued", left) => {}
    }
}

fn is_contested(name: &str) -> bool {
    name.strip_prefix('l').and_then(|number| number.parse::<usize>().ok()).is_some_and(|n| n % CONTESTED == 0)
}

fn is_settled(license: &License) -> bool {
    let Some(status) = &license.status else { return false };
    let wanted = if is_contested(&license.name_any()) { (1, 1) } else { (0, 0) };
    let issued = status.conditions.iter().any(|c| c.reason == "Issued" && c.status == "True");
    issued && (status.seats.bound, status.seats.waiting) == wanted
}

/// The end: each License has its document, and each contested one a holder with one.
async fn ends_well(place: &Place<'_>, many: usize) {
    let all = ListParams::default();
    let licenses = place.licenses().list(&all).await.unwrap().items;
    assert_eq!(licenses.len(), many);
    assert!(licenses.iter().all(is_settled));
    let secrets = place.secrets().list(&all).await.unwrap().items;
    let of = |kind: &str| {
        let owned = |secret: &&Secret| secret.owner_references().iter().any(|owner| owner.kind == kind);
        secrets.iter().filter(owned).collect::<Vec<_>>()
    };
    let contested = many.div_ceil(CONTESTED);
    assert_eq!((of("License").len(), of("Seat").len(), secrets.len()), (many, contested, many + contested));
    let owners: BTreeMap<String, String> =
        licenses.iter().map(|license| (license.name_any(), license.uid().unwrap())).collect();
    for secret in &secrets {
        let jws = &secret.data.as_ref().unwrap()["license.jws"].0;
        let said = usher_license::License::parse(jws).unwrap().unverified_claims().license.clone();
        assert_eq!(owners[&said.name], said.uid, "{}", secret.name_any());
    }
}

fn looks(operator: &Operator) -> usize {
    usize::try_from(operator.looks("License")).unwrap()
}

#[tokio::test]
async fn thousands_of_licenses_at_once_come_to_the_same_end_and_then_there_is_silence() {
    let (ground, disk, many) = (Ground::own(), Disk::new(), many());
    let config = ground.usher_config().await;
    let start = async || {
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await
    };
    let operator = start().await;
    let place = Place::new(&ground).await;
    authority_is_ready(&place.client).await;
    let begun = Machine.now();
    let apply = async |object: Value| {
        ground::apply(&place.client, &place.namespace, &object).await.unwrap();
    };
    let people = stream::iter(0..many).for_each_concurrent(HANDS, async |number| {
        let name = format!("l{number}");
        if is_contested(&name) {
            apply(seat(&name, "ann")).await;
            apply(seat(&name, "bob")).await;
        }
        apply(license(&name)).await;
    });
    tokio::join!(people, all_are_issued(&place, many));
    println!("{many} Licenses: issued after {:.1} s", Machine.now().duration_since(begun).as_secs_f64());
    ends_well(&place, many).await;
    place.never_over(many.div_ceil(CONTESTED));

    // Silence: who begins looks at all of them, and writes nothing.
    operator.stop().await;
    let before = ground.writes().len();
    let operator = start().await;
    goes_on("Licenses are looked at", async || many.saturating_sub(looks(&operator))).await;
    operator.stop().await;
    let mut after = ground.writes().split_off(before);
    after.retain(|write| !write.contains(" usher-system/"));
    assert_eq!(after, [""; 0]);
}
