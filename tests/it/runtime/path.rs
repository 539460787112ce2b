//! The whole path: activate, state, refresh, check, deactivate.

use usher_license::{Trust, verify};

use super::{Own, Scene, for_devices};
use crate::{
    ground::{Machine, until},
    scenarios::Place,
};
use usher::service::edge::Edge as _;

#[tokio::test]
async fn an_installation_is_activated_asks_on_with_the_chain_and_gives_its_place_back() {
    let scene = Scene::new(&for_devices(1)).await;
    let (program, namespace) = (&scene.program, &scene.place.namespace);
    let told = scene.activate("9f86d081").await;
    let mut own = Own::of(&told);
    let claims = told.claims();
    assert_eq!((claims.sub.as_str(), claims.aud.as_str()), (&*format!("activation/{}", own.id), "cad"));
    assert_eq!(claims.license.namespace, *namespace);
    assert_eq!(claims.device.map(|device| device.id), Some("9f86d081".into()));
    assert_eq!(claims.activation, Some(own.id.clone()));
    assert_eq!(claims.features.len(), 1);

    // The place is taken, and the License says so.
    let is_taken = |license: &usher::cluster::api::License| {
        license.status.as_ref().is_some_and(|status| status.seats.activated == 1)
    };
    let refused = scene.activate("0000aaaa").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "seats-exhausted"));
    crate::ground::wait_for(&scene.place.licenses, "cad", "counts it", is_taken).await;

    // Each nonce is good once, and each success gives the next.
    let state = program.present(&own, "state", None).await;
    assert_eq!((state.status, state.text("state").as_str()), (200, "active"));
    own.nonce = state.nonce.unwrap();
    let checked = program.check(&own).await;
    assert_eq!((checked.status, checked.nonce.as_ref()), (200, Some(&own.nonce)), "a check uses nothing");
    let refreshed = program.refresh(&own).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_ne!(refreshed.claims().jti, claims.jti, "it is another document");
    verified(&scene.place, &refreshed.text("document")).await;

    // The place is free again, without a nonce; what was active is not any more.
    assert_eq!(program.deactivate(&own).await.status, 204);
    assert_eq!(program.deactivate(&own).await.status, 204, "and once more");
    own.nonce = refreshed.nonce.unwrap();
    let ended = program.refresh(&own).await;
    assert_eq!((ended.status, ended.code().as_str()), (410, "activation-ended"));
    scene.active("0000aaaa").await;
}

/// As any program verifies it: by the keys that are published where the issuer says.
pub async fn verified(place: &Place, document: &str) {
    let map =
        crate::ground::wait_for(&place.published, "usher-authority-default", "is there", |_| true).await;
    let jwks = map.data.unwrap()["jwks.json"].clone();
    let trust = Trust::jwks(jwks.as_bytes(), "https://usher.acme.example/a/default", "cad").unwrap();
    let now = u64::try_from(Machine.now().as_second()).unwrap();
    verify(document.as_bytes(), &trust, now).unwrap();
}

#[tokio::test]
async fn a_license_that_rests_gives_no_documents_and_takes_nothing_away() {
    let scene = Scene::new(&for_devices(1)).await;
    let mut own = scene.active("9f86d081").await;
    let suspended = crate::scenarios::with(for_devices(1), &serde_json::json!({"spec": {"suspended": true}}));
    scene.place.apply(&suspended).await;
    scene.place.license_says("cad", "Suspended").await;
    let refused = scene.program.refresh(&own).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "license-suspended"));
    let state = scene.program.present(&own, "state", None).await;
    own.nonce = state.nonce.expect("what is refused leaves the nonce");
    scene.place.apply(&for_devices(1)).await;
    scene.place.license_says("cad", "Issued").await;
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    until("the License goes", async || {
        scene.place.licenses.delete("cad", &Default::default()).await.ok();
        (scene.program.check(&own).await.status == 401).then_some(())
    })
    .await;
}
