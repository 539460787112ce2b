//! A reply that is lost is not a clone: the same request with the same key is given the same answer.

use ::http::Method;
use serde_json::{Value, json};

use super::{
    Own, Scene, for_devices,
    program::{Call, Told, drawn},
};
use crate::{
    ground::Served,
    scenarios::{Place, with},
};

/// A License of one seat, there.
async fn one_seat(served: &Served) -> Scene {
    Scene::of(Place::new(served.ground).await, served.listening, &for_devices(1)).await
}

#[tokio::test]
async fn on_postgresql_a_lost_reply_is_no_clone_either() {
    let served = Served::on_postgres();
    futures::join!(
        begins_again(&served),
        goes_again(&served),
        forks_without_its_key(&served),
        advances_once(&served),
        comes_to_the_same(&served),
    );
}

#[tokio::test]
async fn an_activation_whose_reply_was_lost_is_given_again_with_its_token_and_its_nonce() {
    begins_again(&Served::shared()).await;
}

async fn begins_again(served: &Served) {
    let scene = one_seat(served).await;
    let (program, namespace, key) = (&scene.program, &scene.place.namespace, drawn());
    let first = program.activate(namespace, &scene.key, "9f86d081", Some(&key)).await;
    let again = program.activate(namespace, &scene.key, "9f86d081", Some(&key)).await;
    assert_eq!((again.status, &again), (201, &first), "byte for byte");

    let other = program.activate(namespace, &scene.key, "another", Some(&key)).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency-key-used"));
    // Once it has gone on, its beginning is no longer given.
    let own = Own::of(&first);
    assert_eq!(program.refresh(&own).await.status, 200);
    let late = program.activate(namespace, &scene.key, "9f86d081", Some(&key)).await;
    assert_eq!((late.status, late.code().as_str()), (409, "nonce-used"));
}

#[tokio::test]
async fn a_call_whose_reply_was_lost_is_answered_again_and_advances_once() {
    goes_again(&Served::shared()).await;
}

async fn goes_again(served: &Served) {
    let scene = one_seat(served).await;
    let mut own = scene.active("9f86d081").await;
    for operation in ["refresh", "state", "refresh"] {
        let key = drawn();
        let first = scene.program.present(&own, operation, Some(&key)).await;
        let again = scene.program.present(&own, operation, Some(&key)).await;
        assert_eq!((first.status, &again), (200, &first), "{operation}, byte for byte");
        own.nonce = first.nonce.unwrap();
    }
    assert_eq!(scene.program.check(&own).await.status, 200);
}

#[tokio::test]
async fn without_its_key_a_repeated_call_is_another_one_and_so_a_fork() {
    forks_without_its_key(&Served::shared()).await;
}

async fn forks_without_its_key(served: &Served) {
    let scene = one_seat(served).await;
    for (first, second) in [(None, None), (Some(drawn()), None), (Some(drawn()), Some(drawn()))] {
        let own = scene.active("9f86d081").await;
        let went = scene.program.present(&own, "refresh", first.as_deref()).await;
        assert_eq!(went.status, 200);
        let refused = scene.program.present(&own, "refresh", second.as_deref()).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "nonce-used"), "{first:?} {second:?}");
        assert_eq!(scene.program.deactivate(&own).await.status, 204);
    }
}

#[tokio::test]
async fn of_two_calls_with_one_nonce_at_once_exactly_one_advances() {
    advances_once(&Served::shared()).await;
}

async fn advances_once(served: &Served) {
    let scene = one_seat(served).await;
    let mut own = scene.active("9f86d081").await;
    for _ in 0..20 {
        let calls = (0..8).map(|_| scene.program.refresh(&own));
        let told = futures::future::join_all(calls).await;
        let went: Vec<_> = told.iter().filter(|told| told.status == 200).collect();
        let refused = told.iter().filter(|told| told.status == 409 && told.code() == "nonce-used").count();
        assert_eq!((went.len(), refused), (1, 7), "{told:?}");
        own.nonce = went[0].nonce.clone().unwrap();
    }
}

#[tokio::test]
async fn each_other_call_comes_to_the_same_when_its_reply_was_lost_with_its_key_or_without() {
    comes_to_the_same(&Served::shared()).await;
}

async fn comes_to_the_same(served: &Served) {
    let two = json!({"spec": {"sessions": {"perUser": 2, "ttl": "2m"}}});
    let license = with(for_devices(1), &two);
    let scene = Scene::of(Place::new(served.ground).await, served.listening, &license).await;
    let own = scene.active("9f86d081").await;
    let asks = async |method: Method, path: &str, key: Option<&str>, body: Option<&Value>| -> Told {
        let call = Call { nonce: Some(&own.nonce), key, body: body.cloned(), ..own.call() };
        scene.program.send(method, path, &call).await
    };
    let body = json!({"activation": own.id});

    // By its key a session is the same one; without, it is another, and the limit counts it.
    let key = drawn();
    let opened = asks(Method::POST, "/v1/sessions", Some(&key), Some(&body)).await;
    let again = asks(Method::POST, "/v1/sessions", Some(&key), Some(&body)).await;
    assert_eq!((opened.status, again.text("id")), (201, opened.text("id")), "{again:?}");
    let session = format!("/v1/sessions/{}", opened.text("id"));
    let other = asks(Method::POST, "/v1/sessions", None, Some(&body)).await;
    assert_ne!(other.text("id"), opened.text("id"));
    assert_eq!(asks(Method::POST, "/v1/sessions", None, Some(&body)).await.code(), "sessions-exhausted");

    let (keep, activation) = (format!("{session}/heartbeat"), format!("/v1/activations/{}", own.id));
    for (method, path, body, status) in [
        (Method::POST, keep.as_str(), None, 200),
        (Method::POST, "/v1/heartbeat", Some(&body), 200),
        (Method::GET, &activation, None, 200),
        (Method::DELETE, &session, None, 204),
        (Method::DELETE, &activation, None, 204),
    ] {
        for key in [None, Some(drawn()), Some(drawn())] {
            let told = asks(method.clone(), path, key.as_deref(), body).await;
            assert_eq!(told.status, status, "{method} {path}: {told:?}");
        }
    }
    scene.active("another").await;
}
