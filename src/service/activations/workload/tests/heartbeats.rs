//! What a pod is told when it says that it is there.

use crate::{
    domain::{
        license::{License, tests::license},
        refusal::Code,
        terms::ClonePolicy,
        workload::Kind,
    },
    ledger::{Bind, Change, Ledger as _, Trail as _, activations::Activations as _},
    service::{
        activations::{HeartbeatAnswer, Proof},
        edge::Edge as _,
    },
};

use super::{
    DEPLOYMENT,
    scene::{ISSUER, Own, Scene, code, token},
};

/// The License `cad` for pods of `render`, and of `web` which sees its users.
fn with_users() -> License {
    let named = |name: &str| name.parse().unwrap();
    License {
        workloads: vec![named("render"), named("web")],
        workloads_that_see_users: vec![named("web")],
        ..license(4)
    }
}

impl Scene {
    async fn heartbeat(&self, own: &Own, pod: &crate::domain::license::Uid) -> HeartbeatAnswer {
        let shows = token(pod, ISSUER);
        let proof = Proof { token: &own.token, workload: Some(&shows), ..Proof::default() };
        self.runtime.heartbeat(&own.id, None, &proof).await.unwrap()
    }

    async fn heard_at(&self, own: &Own) -> i64 {
        self.ledger.activation(&own.id).await.unwrap().unwrap().seen.heard_at.as_second()
    }
}

#[tokio::test]
async fn of_heartbeats_one_in_a_quarter_of_an_hour_is_recorded_and_the_nonce_stays_as_it_is() {
    let scene = Scene::new(1).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let own = scene.active(&pod).await;
    let (began, head) = (scene.heard_at(&own).await, scene.ledger.last_link().await.unwrap());
    assert_eq!(began, scene.hand.now().as_second());
    for (turn, heard) in [(0, 0), (899, 0), (1, 900), (60, 900), (1_000, 1_960)] {
        scene.hand.turn(turn);
        let told = scene.heartbeat(&own, &pod).await;
        assert_eq!((told.activation.state.as_str(), &told.activation.document), ("active", &None));
        assert_eq!(scene.heard_at(&own).await - began, heard, "{turn}");
    }
    assert_eq!(scene.ledger.last_link().await.unwrap(), head, "the audit is not told");
    scene.refreshed(&own, &pod).await;
    assert_eq!(scene.heard_at(&own).await - began, 1_960, "the same second");
}

#[tokio::test]
async fn users_are_told_to_whom_the_license_lets_see_them_and_to_nobody_else() {
    let scene = Scene::of(with_users()).await;
    let mut bound = Change::new(with_users().key, with_users().uid, Some(1), scene.hand.now(), [7; 32]);
    bound.bind =
        vec![Bind { seat: crate::domain::license::Uid("s".into()), holder: "email:ann@acme.example".into() }];
    scene.ledger.commit(&bound).await.unwrap();
    let render = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let web = scene.cluster.come_as("web", Kind::Other, "Deployment.apps/web", "b");
    let (own, other) = (scene.active(&web).await, scene.active(&render).await);
    let told = serde_json::to_value(scene.heartbeat(&own, &web).await).unwrap();
    assert_eq!(told["users"], serde_json::json!([{"email": "ann@acme.example"}]));
    assert_eq!(told["parameters"]["features"], serde_json::json!([{"name": "render"}]));
    let told = serde_json::to_value(scene.heartbeat(&other, &render).await).unwrap();
    assert_eq!((told.get("users"), told["parameters"]["seats"].as_u64()), (None, Some(4)));
    // What is kept of the answer names nobody.
    let kept = scene.ledger.activation(&own.id).await.unwrap().unwrap().seen.activation.answer;
    assert!(!kept.contains("ann@") && !kept.contains("parameters"), "{kept}");
    // It counts from the next heartbeat on that the License does not name it any more.
    scene.declare(License { workloads_that_see_users: Vec::new(), ..with_users() }, Some(2)).await;
    assert_eq!(scene.heartbeat(&own, &web).await.told.users, None);
}

#[tokio::test]
async fn whoever_has_no_use_of_the_license_is_told_why_and_not_what_it_says() {
    let mut quarantine = license(2);
    quarantine.terms.clones.policy = ClonePolicy::Quarantine;
    quarantine.workloads = vec!["render".parse().unwrap()];
    let scene = Scene::of(quarantine.clone()).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let (own, shows) = (scene.active(&pod).await, token(&pod, ISSUER));
    let asked = async || {
        let proof = Proof { token: &own.token, workload: Some(&shows), ..Proof::default() };
        scene.runtime.heartbeat(&own.id, None, &proof).await
    };
    let alone = Proof { token: &own.token, workload: None, ..Proof::default() };
    let missing = scene.runtime.heartbeat(&own.id, None, &alone).await;
    assert_eq!(code(missing), Code::WorkloadTokenMissing);
    for id in ["", "x", &"0".repeat(32)] {
        assert_eq!(code(scene.runtime.heartbeat(id, None, &alone).await), Code::Unauthorized, "{id}");
    }
    scene.declare(License { suspended: true, ..quarantine.clone() }, Some(1)).await;
    assert_eq!(code(asked().await), Code::LicenseSuspended);
    scene.declare(quarantine, Some(2)).await;
    asked().await.unwrap();
    scene.hand.turn(30 * 86_400);
    assert_eq!(code(asked().await), Code::ActivationLapsed);
    scene.deactivate(&own, &pod).await.unwrap();
    assert_eq!(code(asked().await), Code::ActivationEnded);
}
