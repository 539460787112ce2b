//! `usher-client`, as somebody else's program uses it: sessions, how it stands, and replies that are lost.

use serde_json::json;
use usher_client::{Credential, Device, Error, Installation, Options, Problem, Request, Server};

use super::{
    Scene, for_devices,
    gateway::{Does, Gateway},
};
use crate::scenarios::with;

/// A program on `device` whose state is in `folder`, by this gateway, and active.
async fn active(scene: &Scene, gateway: &Gateway, folder: &std::path::Path, device: &str) -> Installation {
    let server = Server::new(&gateway.url, Options::default()).unwrap();
    let mut own =
        Installation::open(&folder.join(device), server, Credential::Key(scene.key.clone())).unwrap();
    let device = Device { id: device.into(), name: Some("Lab 3".into()), ..Device::default() };
    own.activate(&Request { license: format!("{}/cad", scene.place.namespace), device }).await.unwrap();
    own
}

fn refused<T: std::fmt::Debug>(answered: Result<T, Error>) -> Problem {
    match answered {
        Err(Error::Refused(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_opens_keeps_and_closes_sessions_and_is_told_where_the_others_are() {
    let one = json!({"spec": {"sessions": {"perUser": 1, "ttl": "2m"}}});
    let scene = Scene::new(&with(for_devices(2), &one)).await;
    let (gateway, folder) = (Gateway::that(Does::Pass).await, tempfile::tempdir().unwrap());
    let mut own = active(&scene, &gateway, folder.path(), "a").await;
    let session = own.open_session().await.unwrap();
    assert_eq!((session.ttl, session.over), (120, false));
    assert_eq!(session.activation, own.activation().unwrap().id);
    assert_eq!(own.keep_session(&session.id).await.unwrap().id, session.id);

    let problem = refused(own.open_session().await);
    let exhausted = problem.exhausted.unwrap();
    assert_eq!((problem.code.as_str(), exhausted.slascone), ("sessions-exhausted", 12_006));
    assert_eq!((exhausted.limit.as_str(), exhausted.open, exhausted.most), ("user", 1, 1));
    assert_eq!(exhausted.sessions[0].device.as_deref(), Some("Lab 3"));

    own.close_session(&session.id).await.unwrap();
    own.close_session(&session.id).await.unwrap();
    assert_eq!(refused(own.keep_session(&session.id).await).code, "session-ended");
    own.open_session().await.unwrap();
}

#[tokio::test]
async fn a_session_whose_reply_was_lost_is_the_one_that_is_told_next_unless_it_has_ended() {
    let one = json!({"spec": {"sessions": {"perUser": 1}}});
    let scene = Scene::new(&with(for_devices(1), &one)).await;
    let (gateway, folder) = (Gateway::that(Does::Pass).await, tempfile::tempdir().unwrap());
    let mut own = active(&scene, &gateway, folder.path(), "a").await;
    gateway.does(Does::LoseReplies);
    for _ in 0..2 {
        assert!(matches!(own.open_session().await, Err(Error::Unreachable { .. })));
    }
    gateway.does(Does::Pass);
    let session = own.open_session().await.unwrap();
    own.close_session(&session.id).await.unwrap();

    gateway.does(Does::LoseReplies);
    assert!(own.open_session().await.is_err());
    gateway.does(Does::Pass);
    scene.place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    assert_eq!(refused(own.open_session().await).code, "license-suspended");
    scene.place.apply(&with(for_devices(1), &one)).await;
    scene.place.license_says("cad", "Issued").await;
    let next = own.open_session().await.unwrap();
    assert_ne!(next.id, session.id, "that one ended when the License was suspended");
    assert_eq!(own.keep_session(&next.id).await.unwrap().id, next.id);
}

#[tokio::test]
async fn a_program_asks_how_it_stands_and_a_lost_reply_is_no_copy() {
    let scene = Scene::new(&for_devices(1)).await;
    let (gateway, folder) = (Gateway::that(Does::Pass).await, tempfile::tempdir().unwrap());
    let mut own = active(&scene, &gateway, folder.path(), "a").await;
    let nonce = |own: &Installation| own.activation().unwrap().nonce.clone();
    let (document, first) = (own.activation().unwrap().document.clone(), nonce(&own));
    let stands = own.check().await.unwrap();
    assert_eq!(
        (stands.state.as_str(), stands.product.as_str(), nonce(&own)),
        ("active", "cad", first.clone())
    );
    assert_eq!(own.state().await.unwrap().id, stands.id);
    assert_ne!(nonce(&own), first);
    assert_eq!(own.activation().unwrap().document, document, "it is as it was");

    // Whatever comes after a reply that was lost, the nonce serves one request.
    for lost in ["state", "refresh"] {
        gateway.does(Does::LoseReplies);
        let answered =
            if lost == "state" { own.state().await.map(drop) } else { own.refresh().await.map(drop) };
        assert!(matches!(answered, Err(Error::Unreachable { .. })), "{lost}");
        gateway.does(Does::Pass);
        if lost == "state" {
            own.refresh().await.map(drop).unwrap();
        } else {
            own.state().await.map(drop).unwrap();
        }
    }
    let license = scene.place.licenses.get("cad").await.unwrap();
    assert_eq!(super::clones::clone_seen(&license), None);

    gateway.does(Does::LoseReplies);
    assert!(own.refresh().await.is_err());
    gateway.does(Does::Pass);
    own.deactivate().await.unwrap();
    scene.active("another").await;
}
