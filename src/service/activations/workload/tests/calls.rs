//! What a pod shows with each later call, and what it is told by whom it is not.

use crate::{
    domain::{
        license::{License, Uid, tests::license},
        refusal::Code,
        terms::ClonePolicy,
        workload::Kind,
    },
    service::activations::{Asked, Proof, Wish},
};

use super::{
    DEPLOYMENT,
    scene::{ISSUER, Own, Scene, code, token},
};

/// Two pods of a Deployment, and what one of them has.
async fn two() -> (Scene, (Uid, Own), Uid) {
    let scene = Scene::new(2).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let other = scene.cluster.come(Kind::Other, DEPLOYMENT, "b");
    let own = scene.active(&pod).await;
    (scene, (pod, own), other)
}

#[tokio::test]
async fn the_token_of_the_activation_alone_is_not_enough_for_any_call() {
    let (scene, (pod, own), _) = two().await;
    let missing = Code::WorkloadTokenMissing;
    let alone = Proof { token: &own.token, workload: None, ..Proof::default() };
    let asked =
        Asked { token: &own.token, workload: None, idempotency_key: None, body: b"", ..Asked::default() };
    assert_eq!(code(scene.refresh(&own, None).await), missing);
    assert_eq!(code(scene.runtime.check(&own.id, &own.nonce, &alone).await), missing);
    assert_eq!(code(scene.runtime.open_session(&own.id, &asked).await), missing);
    assert_eq!(code(scene.runtime.deactivate(&own.id, &alone).await), missing);
    let shows = token(&pod, ISSUER);
    let both = Proof { token: &own.token, workload: Some(&shows), ..Proof::default() };
    scene.runtime.check(&own.id, &own.nonce, &both).await.unwrap();
    let asked = Asked { workload: Some(&shows), ..asked };
    let session = scene.runtime.open_session(&own.id, &asked).await.unwrap();
    let session: serde_json::Value = serde_json::from_str(&session).unwrap();
    let session = session["id"].as_str().unwrap();
    for refused in [
        scene.runtime.keep_session(session, &alone).await.map(drop),
        scene.runtime.close_session(session, &alone).await,
    ] {
        assert_eq!(code(refused), missing);
    }
    scene.runtime.keep_session(session, &both).await.unwrap();
    scene.runtime.close_session(session, &both).await.unwrap();
    scene.refreshed(&own, &pod).await;
    scene.deactivate(&own, &pod).await.unwrap();
}

#[tokio::test]
async fn the_token_of_the_pod_alone_is_not_enough_either() {
    let (scene, (pod, own), _) = two().await;
    let shows = token(&pod, ISSUER);
    for stolen in [shows.as_str(), "usher_act_x"] {
        let asked = Asked {
            token: stolen,
            workload: Some(&shows),
            idempotency_key: None,
            body: b"",
            ..Asked::default()
        };
        let told = scene
            .runtime
            .present(&own.id, &own.nonce, crate::domain::chain::Operation::Refresh, &asked)
            .await;
        assert_eq!(code(told), Code::Unauthorized);
    }
}

#[tokio::test]
async fn whoever_speaks_for_a_slot_whose_pod_is_there_is_a_copy_and_that_is_said_once() {
    let (scene, (pod, own), other) = two().await;
    let shows = token(&other, ISSUER);
    for _ in 0..2 {
        assert_eq!(code(scene.refresh(&own, Some(&shows)).await), Code::PodActive);
    }
    assert_eq!(scene.forks().await, 1);
    assert_eq!(code(scene.deactivate(&own, &other).await), Code::PodActive, "nor does it end it");
    let own = scene.refreshed(&own, &pod).await;
    // It goes on once that pod is gone, and is the only one then.
    scene.cluster.go(&pod);
    scene.refreshed(&own, &other).await;
}

#[tokio::test]
async fn a_nonce_that_is_none_accuses_nobody() {
    let (scene, (_, own), other) = two().await;
    let forged = Own { nonce: "forged".into(), ..own };
    assert_eq!(code(scene.refresh(&forged, Some(&token(&other, ISSUER))).await), Code::NonceUnknown);
    assert_eq!(scene.forks().await, 0);
}

#[tokio::test]
async fn under_quarantine_a_copy_stops_both_until_somebody_looks() {
    let mut terms = license(2).terms;
    terms.clones.policy = ClonePolicy::Quarantine;
    let scene = Scene::of(License { workloads: vec!["render".parse().unwrap()], terms, ..license(2) }).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let other = scene.cluster.come(Kind::Other, DEPLOYMENT, "b");
    let own = scene.active(&pod).await;
    assert_eq!(code(scene.refresh(&own, Some(&token(&other, ISSUER))).await), Code::PodActive);
    assert_eq!(code(scene.refresh(&own, Some(&token(&pod, ISSUER))).await), Code::ActivationQuarantined);
}

#[tokio::test]
async fn where_copies_are_given_an_activation_of_their_own_a_pod_is_given_none_that_needs_no_pod() {
    let mut terms = license(3).terms;
    terms.clones.policy = ClonePolicy::Replace;
    let scene = Scene::of(License { workloads: vec!["render".parse().unwrap()], terms, ..license(3) }).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let other = scene.cluster.come(Kind::Other, DEPLOYMENT, "b");
    let former = scene.active(&pod).await;
    let own = scene.refreshed(&former, &pod).await;
    // Its own former state, and its state in another pod.
    assert_eq!(code(scene.refresh(&former, Some(&token(&pod, ISSUER))).await), Code::NonceUsed);
    assert_eq!(code(scene.refresh(&own, Some(&token(&other, ISSUER))).await), Code::PodActive);
    assert_eq!((scene.places().await, scene.forks().await), (1, 1));
    scene.refreshed(&own, &pod).await;
}

#[tokio::test]
async fn a_token_of_another_workload_or_for_somebody_else_or_of_a_pod_that_is_gone_says_nothing_here() {
    let (scene, (pod, own), _) = two().await;
    let stranger = scene.cluster.come(Kind::Other, "Deployment.apps/other", "x");
    let unnamed = scene.cluster.come_as("build", Kind::Other, DEPLOYMENT, "y");
    let gone = scene.cluster.come(Kind::Other, DEPLOYMENT, "z");
    scene.cluster.go(&gone);
    for (shows, refused) in [
        (token(&stranger, ISSUER), Code::Unauthorized),
        (token(&unnamed, ISSUER), Code::WorkloadNotNamed),
        (token(&gone, ISSUER), Code::Unauthorized),
        (token(&pod, "https://kubernetes.default.svc"), Code::AudienceWrong),
        ("secret".into(), Code::Unauthorized),
        (own.token.clone(), Code::Unauthorized),
    ] {
        assert_eq!(code(scene.refresh(&own, Some(&shows)).await), refused, "{shows}");
    }
    assert_eq!(scene.forks().await, 0, "none of them has the state of a pod of the same owner");
    scene.refreshed(&own, &pod).await;
}

#[tokio::test]
async fn a_service_account_that_is_named_no_more_gets_nothing_new_and_may_give_back() {
    let (scene, (pod, own), other) = two().await;
    scene.declare(license(2), Some(1)).await;
    assert_eq!(code(scene.refresh(&own, Some(&token(&pod, ISSUER))).await), Code::WorkloadNotNamed);
    assert_eq!(code(scene.try_activate(&other, None).await), Code::WorkloadNotNamed);
    scene.deactivate(&own, &pod).await.unwrap();
    assert_eq!(scene.places().await, 0);
}

#[tokio::test]
async fn while_the_api_server_is_away_a_pod_is_told_so_and_nothing_is_decided() {
    let (scene, (pod, own), other) = two().await;
    scene.cluster.is_away(true);
    assert_eq!(code(scene.refresh(&own, Some(&token(&pod, ISSUER))).await), Code::ClusterUnreachable);
    assert_eq!(code(scene.try_activate(&other, None).await), Code::ClusterUnreachable);
    scene.cluster.is_away(false);
    scene.refreshed(&own, &pod).await;
    scene.cluster.refuses(true);
    assert_eq!(code(scene.try_activate(&other, None).await), Code::PodsNotGranted);
    scene.cluster.refuses(false);
    scene.active(&other).await;
}

#[tokio::test]
async fn pods_are_asked_for_only_where_something_depends_on_them() {
    let (scene, (pod, own), other) = two().await;
    let own = scene.refreshed(&own, &pod).await;
    scene.active(&pod).await;
    assert_eq!(scene.cluster.listed(), 0, "nobody else holds anything");
    scene.active(&other).await;
    assert_eq!(scene.cluster.listed(), 1);
    drop(own);
}

#[tokio::test]
async fn a_device_cannot_be_a_slot_whatever_it_calls_itself() {
    let (scene, (_, own), _) = two().await;
    let taken = scene.taken().await;
    let named = format!("device:{}", own.slot);
    let question = crate::ledger::activations::Question {
        license: &Uid("license-1".into()),
        holder: &named,
        device: None,
        now: crate::service::edge::Edge::now(&*scene.hand),
        transfers_after: jiff::Timestamp::MIN,
        recoveries_after: jiff::Timestamp::MIN,
        at_most: 1,
        ended_at_most: 3,
    };
    let its = crate::ledger::activations::Activations::taken(&scene.ledger, &question).await.unwrap();
    assert_eq!((taken.places, its.former), (1, None));
}

#[tokio::test]
async fn what_a_pod_calls_itself_is_for_people_and_its_fingerprint_is_not_its_own_to_choose() {
    let scene = Scene::new(2).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let device = serde_json::from_str(r#"{"id": "chosen", "name": "Lab 3"}"#).unwrap();
    let shows = token(&pod, ISSUER);
    let asked = Asked { token: &shows, workload: None, idempotency_key: None, body: b"", ..Asked::default() };
    let wish = Wish { license: "design/cad".into(), device: Some(device), lost: None };
    let reply = scene.runtime.activate(&asked, &wish).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let document = answer["document"].as_str().unwrap();
    let document = usher_license::License::parse(document.as_bytes()).unwrap();
    let said = document.unverified_claims().device.clone().unwrap();
    assert_ne!(said.id, "chosen");
    assert_eq!(said.id, scene.active(&pod).await.slot);
}
