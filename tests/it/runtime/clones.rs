//! A state that was copied: one of the two goes on, and it is said that there are two.

use std::sync::Arc;

use http::Method;
use kube::{Api, Client, api::ListParams};
use serde_json::json;
use usher::cluster::api::{License, Type};

use super::{
    Own, Scene,
    administrators::{ISSUER, account, token},
    for_devices,
    program::{Call, drawn},
};
use crate::{
    ground::{Ground, Machine, Operator, shared, until, wait_for},
    scenarios::{Place, license_conditions, with},
};

pub(super) fn clone_seen(license: &License) -> Option<String> {
    let conditions = license_conditions(license).iter();
    conditions.filter(|c| c.type_ == Type::CloneSeen && c.status == "True").map(|c| c.message.clone()).next()
}

#[tokio::test]
async fn of_two_copies_the_first_to_refresh_lives_and_the_other_is_told_what_to_do() {
    let scene = Scene::new(&for_devices(2)).await;
    let mut own = scene.active("9f86d081").await;
    let copy = own.clone();
    let refreshed = scene.program.refresh(&own).await;
    own.nonce = refreshed.nonce.unwrap();

    let refused = scene.program.refresh(&copy).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "nonce-used"));
    assert!(refused.text("next").contains("activate"), "{refused:?}");
    let seen =
        wait_for(&scene.place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;
    assert!(clone_seen(&seen).unwrap().contains(&own.id));
    // However often the copy tries, that is one fork.
    for _ in 0..5 {
        assert_eq!(scene.program.refresh(&copy).await.code(), "nonce-used");
    }
    let events: Api<k8s_openapi::api::events::v1::Event> =
        Api::namespaced(scene.place.client.clone(), &scene.place.namespace);
    let told = until("an event says so", async || {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        let told: Vec<_> = all.into_iter().filter(|e| e.reason.as_deref() == Some("CloneSeen")).collect();
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!((told.len(), told[0].type_.as_deref()), (1, Some("Warning")));

    // The other one lives, and once the copy has gone nothing is said any more.
    let refreshed = scene.program.refresh(&own).await;
    assert_eq!(refreshed.status, 200);
    assert_eq!(scene.program.deactivate(&own).await.status, 204);
    wait_for(&scene.place.licenses, "cad", "says nothing any more", |license| clone_seen(license).is_none())
        .await;
}

#[tokio::test]
async fn copies_are_counted_once_by_the_policy() {
    let (ground, directory) = (Ground::own(), tempfile::tempdir().unwrap());
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), Arc::new(Machine)).await;
    let quarantine = with(for_devices(1), &json!({"spec": {"clones": {"policy": "Quarantine"}}}));
    let scene = Scene::of(Place::new(&ground).await, &operator.listen().await, &quarantine).await;
    let own = scene.active("9f86d081").await;
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    for _ in 0..3 {
        assert_eq!(scene.program.refresh(&own).await.code(), "nonce-used");
    }
    // The leader has heard of it twice: by itself, and from the audit.
    wait_for(&scene.place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;
    let counted = operator.metrics.text();
    for line in [r#"{policy="Quarantine"} 1"#, r#"{policy="Refuse"} 0"#, r#"{policy="Replace"} 0"#] {
        assert!(counted.contains(&format!("usher_forks_total{line}\n")), "{counted}");
    }
    operator.stop().await;
}

#[tokio::test]
async fn under_quarantine_neither_copy_is_renewed() {
    let quarantine = json!({"spec": {"clones": {"policy": "Quarantine"}}});
    let scene = Scene::new(&with(for_devices(1), &quarantine)).await;
    let mut own = scene.active("9f86d081").await;
    let copy = own.clone();
    own.nonce = scene.program.refresh(&own).await.nonce.unwrap();
    assert_eq!(scene.program.refresh(&copy).await.code(), "nonce-used");
    let refused = scene.program.refresh(&own).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "activation-quarantined"));
    let state = scene.program.present(&own, "state", None).await;
    assert_eq!(state.text("state"), "quarantined");
    own.nonce = state.nonce.unwrap();
    wait_for(&scene.place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;

    // Neither copy can say by itself that all is well; an administrator can.
    let (ground, namespace) = (shared(), &*scene.place.namespace);
    account(ground, namespace, "boss", Some("usher-licensor"));
    account(ground, namespace, "reader", Some("usher-viewer"));
    let path = format!("/v1/activations/{}/resolve", own.id);
    let resolve = async |token: &str| {
        scene.program.send(Method::POST, &path, &Call { token: Some(token), ..Call::default() }).await
    };
    let reader = token(ground, namespace, "reader", &[ISSUER]);
    for (token, code) in [(&own.token, "unauthorized"), (&reader, "forbidden")] {
        assert_eq!(resolve(token).await.code(), code);
    }
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-quarantined");
    let boss = token(ground, namespace, "boss", &[ISSUER]);
    assert_eq!(resolve(&boss).await.status, 204);
    assert_eq!(resolve(&boss).await.status, 204, "and once more");
    wait_for(&scene.place.licenses, "cad", "says nothing any more", |license| clone_seen(license).is_none())
        .await;
    assert_eq!(scene.program.refresh(&copy).await.code(), "nonce-used");
    let refreshed = scene.program.refresh(&own).await;
    assert_eq!(refreshed.status, 200, "the copy does not stop it again: {refreshed:?}");
}

#[tokio::test]
async fn under_replace_a_copy_is_given_an_activation_of_its_own_if_there_is_a_place() {
    let replace = json!({"spec": {"clones": {"policy": "Replace"}}});
    let scene = Scene::new(&with(for_devices(2), &replace)).await;
    let mut own = scene.active("9f86d081").await;
    let (copy, another) = (own.clone(), own.clone());
    own.nonce = scene.program.refresh(&own).await.nonce.unwrap();

    let key = drawn();
    let told = scene.program.present(&copy, "refresh", Some(&key)).await;
    let mut replaced = Own::of(&told);
    assert_ne!((&replaced.id, &replaced.token), (&own.id, &own.token));
    let said = told.claims();
    assert_eq!(said.activation.as_ref(), Some(&replaced.id));
    assert_eq!(said.device.unwrap().id, "9f86d081");
    // The same request again is the same answer, and takes no third place.
    assert_eq!(scene.program.present(&copy, "refresh", Some(&key)).await, told);
    replaced.nonce = scene.program.refresh(&replaced).await.nonce.unwrap();
    own.nonce = scene.program.refresh(&own).await.nonce.unwrap();
    wait_for(&scene.place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;

    // Both places are taken.
    let refused = scene.program.refresh(&another).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "nonce-used"));
    assert!(refused.text("detail").contains("2 of 2 seats are taken"), "{refused:?}");
    assert_eq!(scene.activate("other").await.code(), "seats-exhausted");
    // The device that was copied recovers its own activation, and not the copy's.
    let recovered = scene.active("9f86d081").await;
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-superseded");
    assert_eq!(scene.program.refresh(&replaced).await.status, 200);
    assert_eq!(scene.program.deactivate(&replaced).await.status, 204);
    assert_eq!(scene.program.refresh(&recovered).await.status, 200);
    assert_eq!(scene.activate("other").await.status, 201);
}

#[tokio::test]
async fn who_has_lost_the_state_activates_again_and_the_old_one_is_over() {
    let recoveries = json!({"spec": {"clones": {"recoveries": {"limit": 2, "per": "720h"}}}});
    let scene = Scene::new(&with(for_devices(1), &recoveries)).await;
    let old = scene.active("9f86d081").await;
    let new = Own::of(&scene.activate("9f86d081").await);
    assert_ne!(old.id, new.id);
    assert_eq!(scene.program.refresh(&old).await.code(), "activation-superseded");
    assert_eq!(scene.program.refresh(&new).await.status, 200, "it took no second place");
    scene.active("9f86d081").await;
    let refused = scene.activate("9f86d081").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "recoveries-exhausted"));
}
