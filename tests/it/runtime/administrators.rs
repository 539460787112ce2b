//! Administrators: whoever Kubernetes knows, and lets.

use ::http::Method;
use serde_json::json;

use super::{
    Own, Scene, for_devices,
    program::{Call, Program, Told, drawn},
};
use crate::{
    ground::{Ground, Machine, Operator, shared, until},
    scenarios::Place,
};
use usher::ledger::{Trail as _, sqlite::Sqlite};

pub const ISSUER: &str = "https://usher.acme.example/a/default";

/// A service account, with a role in its namespace if one is named.
pub fn account(ground: &Ground, namespace: &str, name: &str, role: Option<&str>) {
    ground.kubectl(&["create", "serviceaccount", name, "-n", namespace]);
    if let Some(role) = role {
        let (role, account) =
            (format!("--clusterrole={role}"), format!("--serviceaccount={namespace}:{name}"));
        ground.kubectl(&["create", "rolebinding", name, "-n", namespace, &role, &account]);
    }
}

/// A token of the service account for these audiences; for the API server itself if there are none.
pub fn token(ground: &Ground, namespace: &str, name: &str, audiences: &[&str]) -> String {
    let audiences: Vec<String> = audiences.iter().map(|audience| format!("--audience={audience}")).collect();
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    ground.kubectl(&[&["create", "token", name, "-n", namespace], &*audiences].concat()).trim().to_owned()
}

async fn ask(scene: &Scene, method: Method, path: &str, token: &str) -> Told {
    scene.program.send(method, path, &Call { token: Some(token), ..Call::default() }).await
}

async fn open(scene: &Scene, own: &Own) -> String {
    let (key, body) = (drawn(), json!({"activation": own.id}));
    let call = Call { token: Some(&own.token), key: Some(&key), body: Some(body), ..Call::default() };
    let told = scene.program.send(Method::POST, "/v1/sessions", &call).await;
    assert_eq!(told.status, 201, "{told:?}");
    told.text("id")
}

#[tokio::test]
async fn a_licensor_sees_any_activation_ends_its_session_and_ends_it_without_its_token_or_a_nonce() {
    let scene = Scene::new(&for_devices(1)).await;
    let (ground, namespace) = (shared(), &*scene.place.namespace);
    account(ground, namespace, "boss", Some("usher-licensor"));
    let (own, token) = (scene.active("9f86d081").await, token(ground, namespace, "boss", &[ISSUER]));
    let path = format!("/v1/activations/{}", own.id);
    let seen = ask(&scene, Method::GET, &path, &token).await;
    assert_eq!((seen.status, seen.text("state").as_str()), (200, "active"), "{seen:?}");
    assert_eq!(seen.json()["device"], json!({"id": "9f86d081", "name": "Lab 3"}));
    assert_eq!(seen.nonce, None, "what an administrator sees is nobody's nonce");
    assert!(!seen.text.contains("usher_act_"));

    let session = format!("/v1/sessions/{}", open(&scene, &own).await);
    assert_eq!(ask(&scene, Method::DELETE, &session, &token).await.status, 204);
    let ended = ask(&scene, Method::POST, &format!("{session}/heartbeat"), &own.token).await;
    assert_eq!((ended.status, ended.code().as_str()), (410, "session-ended"));

    assert_eq!(ask(&scene, Method::DELETE, &path, &token).await.status, 204);
    assert_eq!(ask(&scene, Method::DELETE, &path, &token).await.status, 204, "and once more");
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended");
    assert_eq!(ask(&scene, Method::GET, &path, &token).await.text("state"), "ended");
    scene.active("0000aaaa").await;
}

#[tokio::test]
async fn whoever_has_no_such_role_in_the_namespace_of_the_license_is_told_nothing() {
    let scene = Scene::new(&for_devices(1)).await;
    let (ground, namespace) = (shared(), &*scene.place.namespace);
    let elsewhere = Place::new(ground).await.namespace;
    account(ground, namespace, "reader", Some("usher-viewer"));
    account(ground, &elsewhere, "boss", Some("usher-licensor"));
    let own = scene.active("9f86d081").await;
    let mut said = Vec::new();
    for (namespace, name) in [(namespace, "reader"), (&*elsewhere, "boss")] {
        let token = token(ground, namespace, name, &[ISSUER]);
        for id in [own.id.as_str(), "00000000000000000000000000000000"] {
            let told = ask(&scene, Method::DELETE, &format!("/v1/activations/{id}"), &token).await;
            assert_eq!((told.status, told.code().as_str()), (403, "forbidden"), "{told:?}");
            said.push(told.text);
        }
    }
    assert!(said.iter().all(|text| *text == said[0]), "whether there is such an activation shows: {said:?}");
    assert_eq!(scene.program.refresh(&own).await.status, 200);
}

#[tokio::test]
async fn a_token_for_the_api_server_or_for_others_or_for_others_too_is_refused() {
    let scene = Scene::new(&for_devices(1)).await;
    let (ground, namespace) = (shared(), &*scene.place.namespace);
    account(ground, namespace, "boss", Some("usher-licensor"));
    let own = scene.active("9f86d081").await;
    let path = format!("/v1/activations/{}", own.id);
    for audiences in [&[][..], &["https://other.acme.example"], &[ISSUER, "https://other.acme.example"]] {
        let token = token(ground, namespace, "boss", audiences);
        for method in [Method::GET, Method::DELETE] {
            let told = ask(&scene, method, &path, &token).await;
            assert_eq!((told.status, told.code().as_str()), (401, "audience-wrong"), "{audiences:?}");
        }
    }
    // One that says so itself, and nobody has signed.
    let good = token(ground, namespace, "boss", &[ISSUER]);
    let forged = format!("{}.c2ln", good.rsplit_once('.').unwrap().0);
    assert_eq!(ask(&scene, Method::DELETE, &path, &forged).await.code(), "unauthorized");
    assert_eq!(ask(&scene, Method::DELETE, &path, &good).await.status, 204);
}

#[tokio::test]
async fn a_token_of_kubernetes_is_no_nonce_and_another_activations_token_is_nobodys() {
    let scene = Scene::new(&for_devices(2)).await;
    account(shared(), &scene.place.namespace, "boss", Some("usher-licensor"));
    let boss = token(shared(), &scene.place.namespace, "boss", &[ISSUER]);
    let (mut own, other) = (scene.active("9f86d081").await, scene.active("0000aaaa").await);
    for token in [boss, other.token, scene.key.clone()] {
        let stolen = Own { token: token.clone(), ..own.clone() };
        assert_eq!(scene.program.refresh(&stolen).await.code(), "unauthorized");
        assert_eq!(scene.program.present(&stolen, "state", None).await.code(), "unauthorized");
    }
    let told = scene.program.refresh(&own).await;
    own.nonce = told.nonce.expect("the nonce is not used up");
    assert_eq!(scene.program.refresh(&own).await.status, 200);
}

#[tokio::test]
async fn who_ended_an_activation_or_a_session_is_in_the_audit_as_a_reference_only() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = Operator::start(ground.admin().await, &ledger, std::sync::Arc::new(Machine)).await;
    let scene = Scene::of(Place::new(&ground).await, &operator.listen().await, &for_devices(1)).await;
    let namespace = &*scene.place.namespace;
    account(&ground, namespace, "boss", Some("usher-licensor"));
    let (own, token) = (scene.active("9f86d081").await, token(&ground, namespace, "boss", &[ISSUER]));
    let session = format!("/v1/sessions/{}", open(&scene, &own).await);
    assert_eq!(ask(&scene, Method::DELETE, &session, &token).await.status, 204);
    let path = format!("/v1/activations/{}", own.id);
    assert_eq!(ask(&scene, Method::DELETE, &path, &token).await.status, 204);
    operator.stop().await;

    let ledger = until("the ledger is free", async || Sqlite::open(&ledger).await.ok()).await;
    let links = ledger.audit(0, 1_000).await.unwrap();
    let entries: Vec<serde_json::Value> = links
        .iter()
        .flat_map(|link| serde_json::from_str::<Vec<serde_json::Value>>(&link.entries).unwrap())
        .filter(|entry| entry.get("by").is_some())
        .collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["closeSession", "deactivate"], "{entries:?}");
    assert_eq!(entries[0]["by"], entries[1]["by"], "one person, one reference");
    assert!(links.iter().all(|link| !link.entries.contains("boss")), "nobody is named");
    let name = format!("kubernetes:system:serviceaccount:{namespace}:boss");
    assert_eq!(ledger.person(entries[0]["by"].as_str().unwrap()).await.unwrap(), Some(name));
}

#[tokio::test]
async fn without_the_api_server_administrators_are_told_so_and_programs_go_on() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = Operator::start(ground.admin().await, &ledger, std::sync::Arc::new(Machine)).await;
    let listening = operator.listen().await;
    let mut scene = Scene::of(Place::new(&ground).await, &listening, &for_devices(1)).await;
    account(&ground, &scene.place.namespace, "boss", Some("usher-licensor"));
    let (own, token) =
        (scene.active("9f86d081").await, token(&ground, &scene.place.namespace, "boss", &[ISSUER]));
    let session = format!("/v1/sessions/{}", open(&scene, &own).await);
    drop(ground);
    // That took a while, and connections that idle are closed.
    scene.program = Program::at(&listening);
    let path = format!("/v1/activations/{}", own.id);
    let resolve = format!("{path}/resolve");
    for (method, path) in
        [(Method::GET, &path), (Method::DELETE, &path), (Method::POST, &resolve), (Method::DELETE, &session)]
    {
        let told = ask(&scene, method, path, &token).await;
        assert_eq!((told.status, told.code().as_str()), (503, "cluster-unreachable"), "{told:?}");
    }

    // Whoever has a token or a key of Usher's own goes on: an activation, its sessions, and the next one.
    let state = scene.program.present(&own, "state", None).await;
    let own = Own { nonce: state.nonce.unwrap(), ..own };
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    assert_eq!(ask(&scene, Method::POST, &format!("{session}/heartbeat"), &own.token).await.status, 200);
    assert_eq!(ask(&scene, Method::DELETE, &session, &own.token).await.status, 204);
    open(&scene, &own).await;
    assert_eq!(scene.program.deactivate(&own).await.status, 204);
    scene.active("0000aaaa").await;
}
