//! Heartbeats: an installation is told what its License says now, and who its users are if it may see that.

use ::http::Method;
use serde_json::{Value, json};

use super::{
    Own, Scene, for_devices,
    program::{Call, Program, Told, key_named},
};
use crate::{
    ground::{seat, until, wait_for},
    scenarios::with,
};

impl Program {
    async fn heartbeat(&self, own: &Own, more: &Value) -> Told {
        let body = with(json!({"activation": own.id}), more);
        let call = Call { body: Some(body), ..own.call() };
        self.send(Method::POST, "/v1/heartbeat", &call).await
    }
}

/// For devices that have the key `lab`, and for servers that have the key `server` and see who its users are.
fn with_users(simulates: bool) -> Value {
    let features = if simulates {
        json!([{"name": "render"}, {"name": "simulate", "pool": 5}])
    } else {
        json!([{"name": "render"}])
    };
    let keys = json!([{"name": "lab"}, {"name": "server", "seesUsers": true}]);
    let spec = json!({"activationKeys": keys, "features": features, "sessions": {"perUser": 1}});
    with(for_devices(4), &json!({"spec": spec}))
}

#[tokio::test]
async fn a_heartbeat_tells_what_the_license_says_now_and_uses_no_nonce() {
    let scene = Scene::new(&with_users(false)).await;
    let (program, told) = (&scene.program, scene.activate("a").await);
    let own = Own::of(&told);
    let parameters = told.json()["parameters"].clone();
    assert_eq!(parameters["features"], json!([{"name": "render"}]));
    assert_eq!((&parameters["customer"], &parameters["seats"]), (&json!("acme"), &json!(4)));
    assert_eq!((&parameters["sessions_per_user"], &parameters["session_ttl"]), (&json!(1), &json!(300)));
    let beat = program.heartbeat(&own, &json!({})).await;
    assert_eq!((beat.status, &beat.json()["parameters"]), (200, &parameters), "{beat:?}");
    assert_eq!((&beat.json()["lease"], beat.json().get("document")), (&told.json()["lease"], None));

    scene.place.apply(&with_users(true)).await;
    until("the heartbeat tells of the new feature, before any refresh", async || {
        let features = program.heartbeat(&own, &json!({})).await.json()["parameters"]["features"].clone();
        (features == json!([{"name": "render"}, {"name": "simulate", "pool": 5}])).then_some(())
    })
    .await;
    assert_eq!(program.refresh(&own).await.status, 200);
    assert_eq!(program.deactivate(&own).await.status, 204);
    assert_eq!(program.heartbeat(&own, &json!({})).await.code(), "activation-ended");
}

#[tokio::test]
async fn whoever_activates_by_a_key_that_sees_users_is_told_who_holds_the_seats_and_nobody_else_is() {
    let scene = Scene::new(&with_users(false)).await;
    let (program, namespace) = (&scene.program, &scene.place.namespace);
    scene.place.apply(&seat("ann")).await;
    wait_for(&scene.place.seats, "ann", "is bound", |seat| {
        seat.status.as_ref().is_some_and(|status| format!("{:?}", status.state).contains("Bound"))
    })
    .await;
    let key = key_named(&scene.place.secrets, "server").await;
    let told = program.activate(namespace, &key, "server", None).await;
    let (server, users) = (Own::of(&told), json!([{"email": "ann@acme.example"}]));
    assert_eq!(told.json()["users"], users);
    assert_eq!(program.heartbeat(&server, &json!({})).await.json()["users"], users);
    let after = program.heartbeat(&server, &json!({"users_after": 1_000_000})).await;
    assert_eq!(after.json()["users"], json!([]));

    let told = scene.activate("desktop").await;
    assert_eq!(told.json().get("users"), None, "{told:?}");
    let beat = program.heartbeat(&Own::of(&told), &json!({"users_after": 0})).await;
    assert_eq!((beat.status, beat.json().get("users")), (200, None));
    // Whoever is not the activation is told nothing.
    let other = Own { token: server.token.clone(), ..Own::of(&told) };
    assert_eq!(program.heartbeat(&other, &json!({})).await.code(), "unauthorized");
}
