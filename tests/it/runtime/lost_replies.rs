//! A reply that is lost is not a clone: the same request with the same key is given the same answer.

use super::{Own, Scene, for_devices, program::drawn};

#[tokio::test]
async fn an_activation_whose_reply_was_lost_is_given_again_with_its_token_and_its_nonce() {
    let scene = Scene::new(&for_devices(1)).await;
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
    let scene = Scene::new(&for_devices(1)).await;
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
    let scene = Scene::new(&for_devices(1)).await;
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
    let scene = Scene::new(&for_devices(1)).await;
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
