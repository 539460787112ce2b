//! Sessions: opened up to a limit, kept by heartbeats, ended by whatever they stand upon.

use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use usher::cluster::api::{License, SessionCounts};

use super::{
    Own, Scene, for_devices,
    program::{Call, Program, Told, drawn, key_named},
};
use crate::{
    ground::{until, wait_for},
    scenarios::{Place, turned::World, with},
};

/// The License `cad` for so many devices, with these limits of sessions.
fn limited(seats: u32, sessions: &Value) -> Value {
    with(for_devices(seats), &json!({"spec": {"sessions": sessions}}))
}

impl Program {
    async fn open(&self, own: &Own, key: &str) -> Told {
        let body = json!({"activation": own.id});
        let call = Call { token: Some(&own.token), key: Some(key), body: Some(body), ..Call::default() };
        self.send("POST".parse().unwrap(), "/v1/sessions", &call).await
    }

    /// Opens a session, which must go.
    async fn opened(&self, own: &Own) -> String {
        let told = self.open(own, &drawn()).await;
        assert_eq!(told.status, 201, "{told:?}");
        told.text("id")
    }

    async fn of_session(&self, token: &str, method: &str, path: &str) -> Told {
        let call = Call { token: Some(token), ..Call::default() };
        self.send(method.parse().unwrap(), &format!("/v1/sessions/{path}"), &call).await
    }

    async fn keep(&self, own: &Own, session: &str) -> Told {
        self.of_session(&own.token, "POST", &format!("{session}/heartbeat")).await
    }

    async fn close(&self, own: &Own, session: &str) -> Told {
        self.of_session(&own.token, "DELETE", session).await
    }
}

fn refused(told: &Told) -> (u16, String) {
    (told.status, told.code())
}

fn counted(license: &License) -> Option<SessionCounts> {
    license.status.as_ref()?.sessions
}

#[tokio::test]
async fn a_session_is_opened_kept_and_closed_and_beyond_the_limit_it_is_said_where_the_others_are() {
    let scene = Scene::new(&limited(2, &json!({"perUser": 1, "total": 2, "ttl": "2m"}))).await;
    let (program, own, other) = (&scene.program, scene.active("a").await, scene.active("b").await);
    let told = program.open(&own, &drawn()).await;
    assert_eq!((told.status, told.json()["ttl"].as_i64()), (201, Some(120)), "{told:?}");
    assert_eq!(told.text("license"), format!("{}/cad", scene.place.namespace));
    let instant = |member: &str| told.text(member).parse::<jiff::Timestamp>().unwrap();
    assert_eq!(instant("until").duration_since(instant("since")), SignedDuration::from_mins(2));
    assert!(instant("activation_until") > instant("until"), "{told:?}");
    let session = told.text("id");

    let second = program.open(&own, &drawn()).await;
    assert_eq!(refused(&second), (409, "sessions-exhausted".into()));
    let said = second.json();
    assert_eq!((&said["slascone"], &said["open"], &said["most"]), (&json!(12_006), &json!(1), &json!(1)));
    assert_eq!((&said["limit"], &said["sessions"][0]["device"]), (&json!("user"), &json!("Lab 3")));

    let kept = program.keep(&own, &session).await;
    assert_eq!((kept.status, kept.text("id")), (200, session.clone()));
    program.opened(&other).await;
    assert_eq!(program.close(&own, &session).await.status, 204);
    assert_eq!(program.close(&own, &session).await.status, 204, "and once more");
    assert_eq!(refused(&program.keep(&own, &session).await), (410, "session-ended".into()));
    program.opened(&own).await;

    // The License says so, at its next look.
    scene.place.apply(&limited(3, &json!({"perUser": 1, "total": 2, "ttl": "2m"}))).await;
    let two = Some(SessionCounts { open: 2, over: 0 });
    wait_for(&scene.place.licenses, "cad", "counts two", |license| counted(license) == two).await;
}

#[tokio::test]
async fn of_sixty_four_callers_who_race_for_the_last_session_exactly_one_has_it() {
    let scene = Scene::new(&limited(2, &json!({"total": 2}))).await;
    let (own, other) = (scene.active("a").await, scene.active("b").await);
    scene.program.opened(&other).await;
    for _ in 0..3 {
        let keys: Vec<String> = (0..64).map(|_| drawn()).collect();
        let told = join_all(keys.iter().map(|key| scene.program.open(&own, key))).await;
        let (won, lost): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.status == 201);
        assert_eq!(won.len(), 1, "{told:?}");
        assert!(lost.iter().all(|told| told.code() == "sessions-exhausted"), "{lost:?}");
        assert_eq!(scene.program.close(&own, &won[0].text("id")).await.status, 204);
    }
}

#[tokio::test]
async fn a_session_whose_reply_was_lost_is_told_again_and_takes_no_second_place() {
    let scene = Scene::new(&limited(1, &json!({"perUser": 1}))).await;
    let (program, own, key) = (&scene.program, scene.active("a").await, drawn());
    let first = program.open(&own, &key).await;
    assert_eq!((first.status, &program.open(&own, &key).await), (201, &first), "byte for byte");
    assert_eq!(program.close(&own, &first.text("id")).await.status, 204);
    assert_eq!(refused(&program.open(&own, &key).await), (410, "session-ended".into()));
    program.opened(&own).await;
}

#[tokio::test]
async fn a_session_is_its_activations_and_nobody_elses() {
    let scene = Scene::new(&for_devices(2)).await;
    let (program, own, other) = (&scene.program, scene.active("a").await, scene.active("b").await);
    let session = program.opened(&own).await;
    let nobodys = format!("{}-{}", "0".repeat(32), "0".repeat(32));
    for (token, id) in [
        (&other.token, &session),
        (&scene.key, &session),
        (&own.token, &nobodys),
        (&own.token, &"0".repeat(32)),
    ] {
        for (method, path) in [("POST", format!("{id}/heartbeat")), ("DELETE", id.clone())] {
            let told = program.of_session(token, method, &path).await;
            assert_eq!(refused(&told), (401, "unauthorized".into()), "{method} {path}");
        }
    }
    let strange = Own { token: other.token.clone(), ..own.clone() };
    assert_eq!(refused(&program.open(&strange, &drawn()).await), (401, "unauthorized".into()));
    let call = Call {
        token: Some(&own.token),
        body: Some(json!({"activation": own.id, "ttl": 9})),
        ..Call::default()
    };
    let told = program.send("POST".parse().unwrap(), "/v1/sessions", &call).await;
    assert_eq!(refused(&told), (400, "request-invalid".into()));
    assert_eq!(program.keep(&own, &session).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_activation_and_when_its_license_is_suspended() {
    let scene = Scene::new(&limited(2, &json!({"total": 1}))).await;
    let (program, own, other) = (&scene.program, scene.active("a").await, scene.active("b").await);
    let session = program.opened(&own).await;
    // Whoever has lost the state activates again: the former one's session is over.
    let again = scene.active("a").await;
    assert_eq!(refused(&program.keep(&own, &session).await), (409, "activation-superseded".into()));
    let session = program.opened(&other).await;
    assert_eq!(program.deactivate(&other).await.status, 204);
    assert_eq!(refused(&program.keep(&other, &session).await), (410, "activation-ended".into()));
    assert_eq!(refused(&program.open(&other, &drawn()).await), (410, "activation-ended".into()));
    let session = program.opened(&again).await;

    let license = limited(2, &json!({"total": 1}));
    scene.place.apply(&with(license.clone(), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    assert_eq!(refused(&program.keep(&again, &session).await), (403, "license-suspended".into()));
    assert_eq!(refused(&program.open(&again, &drawn()).await), (403, "license-suspended".into()));
    scene.place.apply(&license).await;
    scene.place.license_says("cad", "Issued").await;
    assert_eq!(refused(&program.keep(&again, &session).await), (410, "session-ended".into()));
    program.opened(&again).await;
}

#[tokio::test]
async fn where_limits_only_advise_a_session_beyond_them_is_granted_and_marked() {
    let advise = json!({"spec": {"enforcement": "Advise"}});
    let scene = Scene::new(&with(limited(1, &json!({"perUser": 1})), &advise)).await;
    let own = scene.active("a").await;
    for over in [false, true] {
        let told = scene.program.open(&own, &drawn()).await;
        assert_eq!((told.status, told.json()["over"].as_bool()), (201, Some(over)), "{told:?}");
    }
    scene.place.apply(&with(limited(2, &json!({"perUser": 1})), &advise)).await;
    let marked = Some(SessionCounts { open: 2, over: 1 });
    wait_for(&scene.place.licenses, "cad", "counts both", |license| counted(license) == marked).await;
}

#[tokio::test]
async fn a_session_of_which_nothing_is_heard_gives_its_place_back_and_the_license_says_so() {
    let world = World::new().await;
    let program = Program::at(&world.operator.listen().await);
    let place = Place::new(&world.ground).await;
    place.apply(&limited(2, &json!({"total": 1, "ttl": "30s"}))).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let active = async |device| Own::of(&program.activate(&place.namespace, &key, device, None).await);
    let (own, other) = (active("a").await, active("b").await);
    let session = program.opened(&own).await;
    assert_eq!(refused(&program.open(&other, &drawn()).await), (409, "sessions-exhausted".into()));
    world.clock.forward(SignedDuration::from_secs(20));
    assert_eq!(program.keep(&own, &session).await.status, 200);
    world.clock.forward(SignedDuration::from_secs(20));
    assert_eq!(program.keep(&own, &session).await.status, 200, "each heartbeat is good for another while");
    world.clock.forward(SignedDuration::from_secs(61));
    let one = Some(SessionCounts { open: 1, over: 0 });
    assert_eq!(refused(&program.keep(&own, &session).await), (410, "session-ended".into()));
    program.opened(&other).await;
    wait_for(&place.licenses, "cad", "counts it", |license| counted(license) == one).await;
    // Nobody tells of the end of this one.
    world.clock.forward(SignedDuration::from_secs(121));
    until("the License says that none is open", async || {
        counted(&place.licenses.get("cad").await.unwrap()).is_none().then_some(())
    })
    .await;
    let text = world.operator.metrics.text();
    for line in ["usher_sessions_total{outcome=\"opened\"} 2", "usher_sessions_total{outcome=\"refused\"} 1"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}
