//! An activation that began with a proof of possession.

use super::{
    DEPLOYMENT,
    scene::{ISSUER, Own, Scene, code, token},
};
use crate::{
    domain::{chain::Operation, license::Uid, refusal::Code, workload::Kind},
    service::{
        activations::{Asked, Failure, Reply, Wish},
        edge::Edge as _,
        possession::{Possession, tests::proven},
    },
};

/// The pod activates by this request, with a proof by the key of this seed.
async fn begun(scene: &Scene, pod: &Uid, seed: Option<u8>, jti: &str) -> Result<Reply, Failure> {
    let (token, now) = (token(pod, ISSUER), scene.hand.now().as_second());
    let proof = seed.map(|seed| proven(seed, ("POST", "/v1/activations"), Some(&token), (now, jti)));
    let key = Some("0123456789012345678901");
    let asked = Asked {
        token: &token,
        idempotency_key: key,
        body: b"{}",
        possession: proof.as_ref(),
        ..Asked::default()
    };
    let wish = Wish { license: "design/cad".into(), device: None, lost: None };
    scene.runtime.activate(&asked, &wish).await
}

async fn refreshed(
    scene: &Scene,
    own: &Own,
    pod: &Uid,
    possession: Option<&Possession>,
) -> Result<Reply, Failure> {
    let shows = token(pod, ISSUER);
    let asked = Asked { token: &own.token, workload: Some(&shows), possession, ..Asked::default() };
    scene.runtime.present(&own.id, &own.nonce, Operation::Refresh, &asked).await
}

#[tokio::test]
async fn whoever_has_all_but_the_key_has_nothing_and_no_nonce_is_used_by_asking() {
    let scene = Scene::new(1).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let reply = begun(&scene, &pod, Some(1), "1").await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let own = Own {
        id: answer["id"].as_str().unwrap().to_owned(),
        token: reply.begun.unwrap().token.to_string(),
        nonce: reply.nonce,
        slot: String::new(),
    };
    assert_eq!(code(begun(&scene, &pod, None, "").await), Code::IdempotencyKeyUsed);
    assert_eq!(code(begun(&scene, &pod, Some(2), "2").await), Code::IdempotencyKeyUsed);
    let again = begun(&scene, &pod, Some(1), "3").await.unwrap();
    assert_eq!((again.nonce, again.begun.unwrap().token.to_string()), (own.nonce.clone(), own.token.clone()));

    let path = format!("/v1/activations/{}/refresh", own.id);
    let now = scene.hand.now().as_second();
    let proof = |seed, jti| proven(seed, ("POST", &path), Some(&own.token), (now, jti));
    assert_eq!(code(refreshed(&scene, &own, &pod, None).await), Code::ProofMissing);
    assert_eq!(code(refreshed(&scene, &own, &pod, Some(&proof(2, "4"))).await), Code::ProofInvalid);
    let good = proof(1, "5");
    refreshed(&scene, &own, &pod, Some(&good)).await.unwrap();
    assert_eq!(scene.forks().await, 0, "nobody else was heard");
    let again = Possession::new(good.proof().to_owned(), "POST".into(), path.clone());
    assert_eq!(code(refreshed(&scene, &own, &pod, Some(&again)).await), Code::ProofInvalid);
    // Whoever has the key as well is a copy.
    assert_eq!(code(refreshed(&scene, &own, &pod, Some(&proof(1, "6"))).await), Code::NonceUsed);
    assert_eq!(scene.forks().await, 1);
}
