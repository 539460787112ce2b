//! An activation that is silent gives its place back when its last document has ended, and not before.

use std::sync::Arc;

use ::http::Method;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::json;

use super::{
    Own, Scene, for_devices,
    path::verified,
    program::{Call, drawn},
};
use crate::{
    ground::{Ground, Operator, operator::Turned},
    scenarios::{Place, with},
};
use usher::{cluster::api::SeatState, service::edge::Edge as _};

/// A day, and three more offline.
const LIFE: SignedDuration = SignedDuration::from_hours(96);

/// An operator whose clock is turned, and a License under it.
struct Turning {
    clock: Arc<Turned>,
    _operator: Operator,
    scene: Scene,
    _ground: Ground,
    _directory: tempfile::TempDir,
}

impl Turning {
    async fn new(license: &serde_json::Value) -> Self {
        let ground = Ground::own();
        let (clock, directory) = (Turned::new(), tempfile::tempdir().unwrap());
        let client = Client::try_from(ground.usher_config().await).unwrap();
        let operator = Operator::start(client, &directory.path().join("ledger.db"), clock.clone()).await;
        let scene = Scene::of(Place::new(&ground).await, &operator.listen().await, license).await;
        Self { clock, _operator: operator, scene, _ground: ground, _directory: directory }
    }
}

#[tokio::test]
async fn a_place_is_held_until_the_last_document_has_ended_and_then_given_to_others() {
    let Turning { clock, scene, .. } = &Turning::new(&for_devices(1)).await;
    let (program, place) = (&scene.program, &scene.place);
    let activate = async |device: &str| scene.activate(device).await;

    let mut silent = Own::of(&activate("silent").await);
    clock.forward(LIFE - SignedDuration::from_mins(5));
    assert_eq!(activate("other").await.code(), "seats-exhausted", "it may still be running");
    clock.forward(SignedDuration::from_mins(10));
    let other = Own::of(&activate("other").await);
    assert_eq!(program.refresh(&silent).await.code(), "seats-exhausted", "somebody else has the place");
    assert_eq!(program.deactivate(&other).await.status, 204);
    let back = program.refresh(&silent).await;
    assert_eq!(back.status, 200, "it comes back when there is a place: {back:?}");
    silent.nonce = back.nonce.unwrap();

    // Somebody who waits for a Seat is given the place by the clock alone.
    place.apply(&crate::ground::seat("ann")).await;
    place.seat("ann", SeatState::Waiting).await;
    clock.forward(LIFE + SignedDuration::from_mins(5));
    place.seat("ann", SeatState::Bound).await;
    assert_eq!(program.refresh(&silent).await.code(), "seats-exhausted");
}

#[tokio::test]
async fn an_hour_back_nothing_is_given_twice_and_what_was_given_is_good_to_its_end() {
    let sessions = json!({"spec": {"sessions": {"total": 1, "ttl": "5m"}}});
    let turning = Turning::new(&with(for_devices(1), &sessions)).await;
    let Turning { clock, scene, .. } = &turning;
    let (program, hour) = (&scene.program, SignedDuration::from_hours(1));
    let began = scene.activate("a").await;
    let (mut own, first) = (Own::of(&began), began.claims());
    let open = async |own: &Own| {
        let (key, body) = (drawn(), Some(json!({"activation": own.id})));
        let call = Call { token: Some(&own.token), key: Some(&key), body, ..Call::default() };
        program.send(Method::POST, "/v1/sessions", &call).await
    };
    let session = open(&own).await;
    assert_eq!(session.status, 201);

    clock.back(hour);
    let refreshed = program.refresh(&own).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    let second = refreshed.claims();
    own.nonce = refreshed.nonce.clone().unwrap();
    assert!(second.iat < first.iat && second.exp < first.exp && second.nbf <= second.iat);
    verified(&scene.place, &refreshed.text("document")).await;
    assert!(second.lease.until < first.lease.until);
    let keep = format!("/v1/sessions/{}/heartbeat", session.text("id"));
    let kept = program.send(Method::POST, &keep, &Call { token: Some(&own.token), ..Call::default() }).await;
    assert_eq!((kept.status, kept.text("until")), (200, session.text("until")), "it never moves back");
    assert_eq!(open(&own).await.code(), "sessions-exhausted");
    assert_eq!(scene.activate("b").await.code(), "seats-exhausted");

    // The second document has ended, the first has not.
    clock.forward(LIFE + hour - SignedDuration::from_mins(30));
    assert!(Timestamp::from_second(second.exp.try_into().unwrap()).unwrap() < clock.now());
    assert_eq!(scene.activate("b").await.code(), "seats-exhausted", "a document of the place is good");
    clock.forward(SignedDuration::from_mins(35));
    scene.active("b").await;
}
