//! By which key a device may activate.

use jiff::SignedDuration;
use serde_json::json;
use usher::service::edge::Edge as _;

use super::{
    Scene, for_devices,
    program::{Call, key_named},
};
use crate::{
    ground::{Machine, until},
    scenarios::with,
};

#[tokio::test]
async fn a_key_that_is_wrong_expired_or_used_up_activates_nothing() {
    let past = (Machine.now() - SignedDuration::from_hours(1)).to_string();
    let keys = json!({"spec": {"activationKeys": [
        {"name": "lab"}, {"name": "old", "expires": past}, {"name": "few", "uses": 1},
    ]}});
    let scene = Scene::new(&with(for_devices(9), &keys)).await;
    let namespace = &scene.place.namespace;
    let by = async |key: &str, device: &str| scene.program.activate(namespace, key, device, None).await;
    let old = key_named(&scene.place.secrets, "old").await;
    let few = key_named(&scene.place.secrets, "few").await;
    let nobodys = format!("usher_key_{}", "A".repeat(43));
    for (key, status, code) in [
        ("", 401, "unauthorized"),
        ("secret", 401, "unauthorized"),
        (nobodys.as_str(), 401, "unauthorized"),
        (old.as_str(), 403, "key-expired"),
    ] {
        let refused = by(key, "a").await;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{key}");
    }
    assert_eq!(by(&few, "a").await.status, 201);
    assert_eq!(by(&few, "a").await.status, 201, "who has lost the state is the same device");
    let refused = by(&few, "b").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "key-used-up"));
    assert_eq!(by(&scene.key, "a").await.code(), "device-active", "it is active by another key");

    // A key whose name is taken out is nobody's.
    scene.place.apply(&with(for_devices(9), &json!({"spec": {"activationKeys": [{"name": "few"}]}}))).await;
    until("the key has ended", async || (by(&scene.key, "c").await.status == 401).then_some(())).await;
    assert_eq!(by(&few, "d").await.status, 201);
}

#[tokio::test]
async fn a_key_is_good_for_its_own_license_and_an_activation_for_itself() {
    let (scene, other) = (Scene::new(&for_devices(2)).await, Scene::new(&for_devices(2)).await);
    let refused = scene.program.activate(&other.place.namespace, &scene.key, "a", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"));
    let (own, its) = (scene.active("a").await, other.active("a").await);
    for (id, token) in [(&own.id, &its.token), (&own.id, &scene.key), (&"0".repeat(32), &own.token)] {
        let path = format!("/v1/activations/{id}");
        let call = Call { token: Some(token), nonce: Some(&own.nonce), ..Call::default() };
        for (method, path) in [("POST", format!("{path}/refresh")), ("GET", path.clone()), ("DELETE", path)] {
            let refused = scene.program.send(method.parse().unwrap(), &path, &call).await;
            assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "{method}");
        }
    }
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    let strange = super::Own { nonce: its.nonce, ..own };
    assert_eq!(scene.program.refresh(&strange).await.code(), "nonce-unknown");
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_what_it_should_be() {
    let scene = Scene::new(&for_devices(1)).await;
    let post = async |token: Option<&str>, body: serde_json::Value| {
        let call = Call { token, body: Some(body), ..Call::default() };
        scene.program.send("POST".parse().unwrap(), "/v1/activations", &call).await
    };
    let license = format!("{}/cad", scene.place.namespace);
    assert_eq!(post(None, json!({})).await.code(), "unauthorized");
    for body in [
        json!({}),
        json!([]),
        json!({"license": license, "device": {"id": "a b"}}),
        json!({"license": license, "device": {"id": "a"}, "seat": 1}),
        json!({"license": license, "device": {"id": "a", "serial": "x"}}),
    ] {
        let refused = post(Some(&scene.key), body.clone()).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "request-invalid"), "{body}");
    }
    let large = json!({"license": "x".repeat(80_000)});
    assert_eq!(post(Some(&scene.key), large).await.status, 413);
    for (method, path, status) in [
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/activations", 405),
        ("GET", "/v1/activations/a/refresh", 405),
    ] {
        let told = scene.program.send(method.parse().unwrap(), path, &Call::default()).await;
        assert_eq!(told.status, status, "{method} {path}");
        assert!(!told.text("next").is_empty());
    }
}
