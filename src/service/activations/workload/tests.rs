//! Recorded histories of pods, through the runtime and on a real ledger: who takes a place, and who goes on in one.

mod bound;
mod calls;
mod heartbeats;
mod refusals;
mod scene;

use crate::domain::{
    license::{License, Uid, tests::license},
    refusal::Code,
    terms::{Admission, Client, Terms},
    workload::Kind,
};
use scene::{Own, Scene, code};

const DEPLOYMENT: &str = "Deployment.apps/render";

/// A Deployment of three pods, at the limit of three.
async fn three() -> (Scene, Vec<(Uid, Own)>) {
    let mut terms = license(3).terms;
    // Nothing that pods do is a transfer or a recovery: of those none is left.
    (terms.device_transfers, terms.clones.recoveries) = (Some((0, 3_600)), (0, 3_600));
    let of_pods = License { workloads: vec!["render".parse().unwrap()], terms, ..license(3) };
    let scene = Scene::of(License {
        terms: Terms { device_transfers: None, ..of_pods.terms.clone() },
        ..of_pods.clone()
    })
    .await;
    let mut pods = Vec::new();
    for name in ["a", "b", "c"] {
        let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, name);
        pods.push((pod.clone(), scene.active(&pod).await));
    }
    scene.declare(of_pods, Some(1)).await;
    let slots: std::collections::BTreeSet<&str> = pods.iter().map(|(_, own)| own.slot.as_str()).collect();
    assert_eq!((slots.len(), scene.places().await), (3, 3));
    (scene, pods)
}

fn comes(scene: &Scene, pod: &str) -> Uid {
    scene.cluster.come(Kind::Other, DEPLOYMENT, pod)
}

#[tokio::test]
async fn a_pod_more_than_there_are_seats_is_refused_and_says_so() {
    let (scene, _) = three().await;
    let fourth = comes(&scene, "d");
    assert_eq!(code(scene.try_activate(&fourth, None).await), Code::SeatsExhausted);
    // Another Deployment of the same service account has slots of its own, and so has another service account's.
    let other = scene.cluster.come(Kind::Other, "Deployment.apps/other", "a");
    assert_eq!(code(scene.try_activate(&other, None).await), Code::SeatsExhausted);
    assert_eq!(scene.places().await, 3);
}

#[tokio::test]
async fn a_container_that_is_started_again_without_its_state_is_the_same_installation() {
    let (scene, pods) = three().await;
    let (pod, own) = &pods[1];
    for _ in 0..5 {
        assert_eq!(scene.active(pod).await.slot, own.slot);
    }
    assert_eq!(scene.places().await, 3);
    assert_eq!(
        code(scene.refresh(own, Some(&scene::token(pod, scene::ISSUER))).await),
        Code::ActivationSuperseded
    );
}

#[tokio::test]
async fn a_deployment_that_is_rolled_with_max_unavailable_0_goes_on_at_the_full_limit() {
    let (scene, pods) = three().await;
    for ((old, own), new) in pods.iter().zip(["d@2", "e@2", "f@2"]) {
        let new = comes(&scene, new);
        let comes = scene.active(&new).await;
        assert_eq!((&comes.slot, scene.places().await), (&own.slot, 3), "the place is the former's");
        assert_ne!(comes.id, own.id);
        // The former serves on until the new one is ready; then it gives back, and is gone.
        scene.refreshed(own, old).await;
        scene.cluster.terminate(old);
        scene.deactivate(own, old).await.unwrap();
        scene.cluster.go(old);
        assert_eq!(scene.places().await, 3, "the new one holds it");
        scene.refreshed(&comes, &new).await;
    }
    let taken = scene.taken().await;
    assert_eq!((taken.transfers.len(), taken.recovered.len()), (0, 0), "nothing is burnt");
    assert_eq!(scene.forks().await, 0);
}

#[tokio::test]
async fn scaled_down_and_up_it_takes_the_same_places() {
    let (scene, pods) = three().await;
    scene.cluster.go(&pods[1].0);
    scene.cluster.go(&pods[2].0);
    let back = [comes(&scene, "d"), comes(&scene, "e"), comes(&scene, "f")];
    assert_eq!(scene.active(&back[0]).await.slot, pods[1].1.slot);
    assert_eq!(scene.active(&back[1]).await.slot, pods[2].1.slot);
    assert_eq!(code(scene.try_activate(&back[2], None).await), Code::SeatsExhausted);
    assert_eq!(scene.places().await, 3);
}

#[tokio::test]
async fn a_node_is_drained_and_who_comes_shares_the_place_of_whoever_terminates() {
    let (scene, pods) = three().await;
    let early = comes(&scene, "d");
    assert_eq!(code(scene.try_activate(&early, None).await), Code::SeatsExhausted, "nobody leaves yet");
    scene.cluster.terminate(&pods[1].0);
    assert_eq!(scene.active(&early).await.slot, pods[1].1.slot);
    let another = comes(&scene, "e");
    assert_eq!(
        code(scene.try_activate(&another, None).await),
        Code::SeatsExhausted,
        "shared by two and no more"
    );
    scene.cluster.go(&pods[1].0);
    assert_eq!(
        code(scene.try_activate(&another, None).await),
        Code::SeatsExhausted,
        "the slot has its pod again"
    );
    assert_eq!(scene.places().await, 3);
}

#[tokio::test]
async fn whoever_comes_after_two_that_shared_a_slot_ends_both() {
    let (scene, pods) = three().await;
    let second = comes(&scene, "d@2");
    let shared = scene.active(&second).await;
    scene.cluster.go(&pods[0].0);
    scene.cluster.go(&second);
    let third = comes(&scene, "e@2");
    assert_eq!(scene.active(&third).await.slot, shared.slot);
    assert_eq!(scene.places().await, 3);
    for (pod, own) in [(&third, &pods[0].1), (&third, &shared)] {
        let shows = scene::token(pod, scene::ISSUER);
        assert_eq!(code(scene.refresh(own, Some(&shows)).await), Code::ActivationSuperseded);
    }
}

#[tokio::test]
async fn a_pod_of_a_stateful_set_that_is_made_anew_goes_on_with_its_state_or_without_it() {
    let scene = Scene::new(2).await;
    let comes = |name: &str| scene.cluster.come(Kind::StatefulSet, "StatefulSet.apps/web", name);
    let (zero, one) = (comes("web-0"), comes("web-1"));
    let (with_state, without) = (scene.active(&zero).await, scene.active(&one).await);
    for pod in [&zero, &one] {
        scene.cluster.terminate(pod);
        scene.cluster.go(pod);
    }
    let (zero, one) = (comes("web-0"), comes("web-1"));
    let with_state = scene.refreshed(&with_state, &zero).await;
    assert_eq!(scene.active(&one).await.slot, without.slot);
    assert_eq!(scene.places().await, 2);
    // It is this pod's from now on: another that is there speaks for it no more than for any other's.
    let shows = scene::token(&one, scene::ISSUER);
    assert_eq!(code(scene.refresh(&with_state, Some(&shows)).await), Code::PodActive);
    let third = comes("web-2");
    assert_eq!(code(scene.try_activate(&third, None).await), Code::SeatsExhausted);
}

#[tokio::test]
async fn a_job_that_tries_again_takes_over_from_the_pod_that_failed() {
    let scene = Scene::new(1).await;
    let comes = |name: &str| scene.cluster.come(Kind::Other, "Job.batch/night", name);
    let first = comes("night-1");
    let own = scene.active(&first).await;
    // One that has ended is not among those that are there.
    scene.cluster.go(&first);
    assert_eq!(scene.active(&comes("night-2")).await.slot, own.slot);
    assert_eq!(scene.places().await, 1);
}

#[tokio::test]
async fn a_virtual_machine_goes_on_in_another_pod_and_while_it_moves() {
    let scene = Scene::new(1).await;
    let comes = |machine: &str, pod: &str| scene.cluster.come(Kind::VirtualMachine, machine, pod);
    let source = comes("VirtualMachine/1", "launcher-a");
    let own = scene.active(&source).await;
    let target = comes("VirtualMachine/1", "launcher-b");
    let own = scene.refreshed(&own, &target).await;
    scene.cluster.go(&source);
    let own = scene.refreshed(&own, &target).await;
    assert_eq!(scene.active(&target).await.slot, own.slot, "without its state it is the same machine");
    let other = comes("VirtualMachine/2", "launcher-c");
    assert_eq!(code(scene.try_activate(&other, None).await), Code::SeatsExhausted);
    assert_eq!((scene.places().await, scene.forks().await), (1, 0));
}

#[tokio::test]
async fn a_pod_that_was_away_too_long_comes_back_if_there_is_a_place() {
    let scene = Scene::new(1).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let own = scene.active(&pod).await;
    scene.hand.turn(30 * 24 * 3_600);
    assert_eq!(scene.places().await, 0);
    let other = scene.cluster.come(Kind::Pod, "Pod/other", "other");
    let others = scene.active(&other).await;
    let shows = scene::token(&pod, scene::ISSUER);
    assert_eq!(code(scene.refresh(&own, Some(&shows)).await), Code::SeatsExhausted);
    assert_eq!(code(scene.try_activate(&pod, None).await), Code::SeatsExhausted);
    scene.deactivate(&others, &other).await.unwrap();
    let own = scene.refreshed(&own, &pod).await;
    // A place that another pod of its slot holds is its own, too.
    scene.hand.turn(30 * 24 * 3_600);
    let next = scene.cluster.come(Kind::Other, DEPLOYMENT, "b@2");
    assert_eq!(scene.active(&next).await.slot, own.slot);
    scene.refreshed(&own, &pod).await;
    assert_eq!(scene.places().await, 1);
}

#[tokio::test]
async fn a_request_that_is_repeated_is_answered_with_the_same_activation() {
    let scene = Scene::new(1).await;
    let pod = scene.cluster.come(Kind::Other, DEPLOYMENT, "a");
    let key = Some("0123456789012345678901");
    let first = scene.try_activate(&pod, key).await.unwrap();
    let again = scene.try_activate(&pod, key).await.unwrap();
    assert_eq!((&first.id, &first.nonce, &first.token), (&again.id, &again.nonce, &again.token));
    // The key is another one in the mouth of another pod.
    scene.cluster.go(&pod);
    let next = scene.cluster.come(Kind::Other, DEPLOYMENT, "b");
    assert_ne!(scene.try_activate(&next, key).await.unwrap().id, first.id);
}

#[tokio::test]
async fn of_many_pods_that_come_at_once_as_many_are_let_in_as_there_are_places() {
    let scene = Scene::new(4).await;
    let pods: Vec<Uid> = (0..12).map(|n| comes(&scene, &format!("p{n}"))).collect();
    let begun = futures::future::join_all(pods.iter().map(|pod| scene.try_activate(pod, None))).await;
    let (granted, refused): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
    let slots: std::collections::BTreeSet<String> =
        granted.into_iter().map(|own| own.unwrap().slot).collect();
    assert_eq!((slots.len(), refused.len(), scene.places().await), (4, 8, 4));
    assert!(refused.into_iter().all(|refused| code(refused) == Code::SeatsExhausted));
}

#[tokio::test]
async fn a_license_for_people_is_none_for_pods() {
    let mut terms = license(1).terms;
    terms.client = Some(Client::Users);
    let scene = Scene::of(License { workloads: vec!["render".parse().unwrap()], terms, ..license(1) }).await;
    assert_eq!(code(scene.try_activate(&comes(&scene, "a"), None).await), Code::DeviceNotAllowed);
}

#[tokio::test]
async fn where_only_listed_devices_activate_a_service_account_is_listed_by_its_name() {
    let listed = License { admission: Admission::Listed, ..license(1) };
    let scene = Scene::of(License { workloads: vec!["render".parse().unwrap()], ..listed }).await;
    scene.active(&comes(&scene, "a")).await;
    let unnamed = scene.cluster.come_as("build", Kind::Other, DEPLOYMENT, "b");
    assert_eq!(code(scene.try_activate(&unnamed, None).await), Code::WorkloadNotNamed);
}

#[tokio::test]
async fn a_pod_whose_slot_has_another_one_alive_activates_nothing() {
    let scene = Scene::new(2).await;
    let comes = || scene.cluster.come(Kind::StatefulSet, "StatefulSet.apps/web", "web-0");
    let (first, copy) = (comes(), comes());
    scene.active(&first).await;
    assert_eq!(code(scene.try_activate(&copy, None).await), Code::PodActive);
    scene.cluster.go(&first);
    scene.active(&copy).await;
    assert_eq!(scene.places().await, 1);
}
