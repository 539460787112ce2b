//! Pods activate by their service accounts: on a real API server, which makes and reviews their tokens, and by real controllers, which make and replace them.

use ::http::Method;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{
    administrators::{ISSUER, account, token},
    agent::{Agent, agent},
    clones::clone_seen,
    pods,
    program::{Call, Own, Program, Told, drawn},
};
use crate::{
    ground::{license, served, shared, until, wait_for},
    scenarios::{Place, with},
};

/// The License `cad` of so many seats for the service account `render`.
pub fn for_workloads(seats: u32) -> Value {
    with(license(seats), &json!({"spec": {"workloads": [{"serviceAccount": "render"}]}}))
}

/// A namespace with such a License, and its service account.
struct Farm {
    place: Place,
    program: Program,
}

/// A pod, its activation, and the slot that it has.
#[derive(Debug, Clone)]
struct Run {
    pod: String,
    own: Own,
    slot: String,
}

impl Farm {
    async fn new(seats: u32) -> Self {
        let place = Place::new(shared()).await;
        account(shared(), &place.namespace, "render", None);
        place.apply(&for_workloads(seats)).await;
        place.license_says("cad", "Issued").await;
        Self { place, program: Program::at(served()) }
    }

    fn apply(&self, object: &Value) {
        pods::apply(shared(), &self.place.namespace, object);
    }

    async fn activate(&self, pod: &str) -> Told {
        let token = pods::own_token(shared(), &self.place.namespace, pod);
        pods::activate(&self.program, &self.place.namespace, &token).await
    }

    /// The pod activates, which must go.
    async fn active(&self, pod: &str) -> Run {
        let told = self.activate(pod).await;
        let slot = told.claims().device.map(|device| device.id).unwrap_or_default();
        let workload = Some(pods::own_token(shared(), &self.place.namespace, pod));
        Run { pod: pod.to_owned(), own: Own { workload, ..Own::of(&told) }, slot }
    }

    async fn refused(&self, pod: &str) -> String {
        self.activate(pod).await.code()
    }

    async fn delete(&self, pod: &str) {
        let api = pods::api(&self.place);
        api.delete(pod, &DeleteParams::default()).await.unwrap();
        until(&format!("{pod} is gone"), async || api.get_opt(pod).await.unwrap().is_none().then_some(()))
            .await;
    }
}

#[tokio::test]
async fn pods_of_a_deployment_take_a_place_each_and_their_replacements_take_the_same_at_the_full_limit() {
    let farm = Farm::new(2).await;
    farm.apply(&pods::deployment("render", "render", 3));
    let names = pods::named(&farm.place, "app=render", 3).await;
    let (first, second) = (farm.active(&names[0]).await, farm.active(&names[1]).await);
    assert_ne!(first.slot, second.slot);
    assert_eq!(farm.refused(&names[2]).await, "seats-exhausted");
    assert_eq!(farm.active(&names[0]).await.slot, first.slot, "a container that is started again");

    // It is gone, and another comes.
    farm.delete(&names[1]).await;
    let now = pods::named(&farm.place, "app=render", 3).await;
    let replacement = now.iter().find(|name| !names.contains(name)).unwrap();
    assert_eq!(farm.active(replacement).await.slot, second.slot);
    assert_eq!(farm.refused(&names[2]).await, "seats-exhausted");
    assert_eq!(farm.program.refresh(&second.own).await.code(), "unauthorized", "its token ended with it");

    // It is evicted, and lies there for hours.
    pods::says(&farm.place, replacement, &json!({"phase": "Failed", "reason": "Evicted"})).await;
    assert_eq!(farm.active(&names[2]).await.slot, second.slot);
}

#[tokio::test]
async fn a_rollout_that_takes_nobody_away_before_the_next_is_ready_goes_on_at_the_full_limit() {
    let farm = Farm::new(2).await;
    let deployment = pods::deployment("render", "render", 2);
    farm.apply(&deployment);
    let mut running = Vec::new();
    for pod in pods::named(&farm.place, "app=render", 2).await {
        pods::is_ready(&farm.place, &pod).await;
        running.push(farm.active(&pod).await);
    }
    let template = json!({"spec": {"template": {"metadata": {"annotations": {"release": "2"}}}}});
    farm.apply(&with(deployment, &template));
    let mut known: Vec<String> = running.iter().map(|run| run.pod.clone()).collect();
    let mut slots = Vec::new();
    for round in 0..2 {
        let surge = until("one more comes", async || {
            let pods = pods::api(&farm.place).list(&Default::default()).await.unwrap().items;
            let names = pods.into_iter().filter_map(|pod| pod.metadata.name);
            names.into_iter().find(|name| !known.contains(name))
        })
        .await;
        known.push(surge.clone());
        let next = farm.active(&surge).await;
        if round == 0 {
            // Both run for a while, and are one place.
            let former = running.iter().find(|run| run.slot == next.slot);
            let former = former.expect("it is the slot of one that leaves");
            assert_eq!(farm.program.check(&former.own).await.status, 200);
        }
        pods::is_ready(&farm.place, &surge).await;
        slots.push(next.slot);
    }
    slots.dedup();
    assert_eq!(slots.len(), 2, "each slot is rolled once");
}

#[tokio::test]
async fn whoever_has_the_state_of_a_pod_that_is_there_is_a_copy_of_it() {
    let farm = Farm::new(2).await;
    farm.apply(&pods::deployment("render", "render", 2));
    let names = pods::named(&farm.place, "app=render", 2).await;
    let first = farm.active(&names[0]).await;
    let of_other = Some(pods::own_token(shared(), &farm.place.namespace, &names[1]));
    let copy = Own { workload: of_other, ..first.own.clone() };
    let told = farm.program.refresh(&copy).await;
    assert_eq!((told.status, told.code().as_str()), (409, "pod-active"));
    wait_for(&farm.place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;
    assert_eq!(farm.program.check(&copy).await.code(), "pod-active");
    assert_eq!(farm.program.deactivate(&copy).await.code(), "pod-active");
    let told = farm.program.refresh(&first.own).await;
    assert_eq!(told.status, 200, "{told:?}");
    let first = Own { nonce: told.nonce.unwrap(), ..first.own };

    // The token of the activation alone is nobody's.
    let alone = Own { workload: None, ..first.clone() };
    for told in [farm.program.refresh(&alone).await, farm.program.deactivate(&alone).await] {
        assert_eq!((told.status, told.code().as_str()), (401, "workload-token-missing"));
    }
    assert_eq!(farm.program.deactivate(&first).await.status, 204);
}

#[tokio::test]
async fn each_token_that_is_none_for_this_is_refused_with_what_to_do() {
    let farm = Farm::new(3).await;
    let (ground, namespace) = (shared(), &*farm.place.namespace);
    let elsewhere = Place::new(ground).await.namespace;
    account(ground, namespace, "build", None);
    account(ground, &elsewhere, "render", None);
    for (namespace, name, account) in
        [(namespace, "one", "render"), (namespace, "builder", "build"), (&*elsewhere, "one", "render")]
    {
        pods::apply(ground, namespace, &pods::pod(name, account, None));
    }
    let own = pods::own_token(ground, namespace, "one");
    let forged = format!("{}.c2ln", own.rsplit_once('.').unwrap().0);
    let other = "https://other.acme.example";
    for (token, status, code) in [
        (pods::token(ground, namespace, "render", "one", &[]), 401, "audience-wrong"),
        (pods::token(ground, namespace, "render", "one", &[other]), 401, "audience-wrong"),
        (pods::token(ground, namespace, "render", "one", &[ISSUER, other]), 401, "audience-wrong"),
        (pods::token(ground, namespace, "build", "builder", &[ISSUER]), 403, "workload-not-named"),
        (pods::token(ground, &elsewhere, "render", "one", &[ISSUER]), 403, "workload-elsewhere"),
        (token(ground, namespace, "render", &[ISSUER]), 403, "token-unbound"),
        (forged, 401, "unauthorized"),
    ] {
        let told = pods::activate(&farm.program, namespace, &token).await;
        assert_eq!((told.status, told.code().as_str()), (status, code), "{told:?}");
        assert!(told.json()["next"].as_str().is_some_and(|next| !next.is_empty()));
    }
    // The same to whoever asks for a License that is not there.
    let body = json!({"license": format!("{namespace}/nothing")});
    let call = Call { token: Some(&own), body: Some(body), ..Call::default() };
    assert_eq!(farm.program.send(Method::POST, "/v1/activations", &call).await.code(), "workload-not-named");
    let gone = pods::own_token(ground, namespace, "one");
    let active = pods::activate(&farm.program, namespace, &own).await;
    assert_eq!(active.status, 201, "{active:?}");
    farm.delete("one").await;
    assert_eq!(pods::activate(&farm.program, namespace, &gone).await.code(), "unauthorized");
}

#[tokio::test]
async fn a_virtual_machine_is_itself_in_the_pod_to_which_it_moves() {
    let farm = Farm::new(1).await;
    let machine = pods::machine(shared(), &farm.place.namespace).await;
    for name in ["launcher-a", "launcher-b"] {
        farm.apply(&pods::pod(name, "render", Some(machine.clone())));
    }
    let source = farm.active("launcher-a").await;
    let target = Some(pods::own_token(shared(), &farm.place.namespace, "launcher-b"));
    let moved = Own { workload: target, ..source.own.clone() };
    let told = farm.program.refresh(&moved).await;
    assert_eq!(told.status, 200, "{told:?}");
    farm.delete("launcher-a").await;
    assert_eq!(farm.active("launcher-b").await.slot, source.slot);
}

#[tokio::test]
async fn whoever_invents_a_virtual_machine_is_a_pod_by_itself() {
    let farm = Farm::new(1).await;
    // (Of a version that nobody serves: else what owns nothing would be collected, and with it the pod.)
    let machine = json!({"apiVersion": "kubevirt.io/v0", "kind": "VirtualMachineInstance", "name": "cad", "uid": "5f0c1d52-a8e9-4c1f-8d0b-7a3e6c2b9f10",
        "controller": true});
    for name in ["one", "other"] {
        farm.apply(&pods::pod(name, "render", Some(machine.clone())));
    }
    let one = farm.active("one").await;
    assert_eq!(farm.refused("other").await, "seats-exhausted");
    let of_other = Some(pods::own_token(shared(), &farm.place.namespace, "other"));
    let copy = Own { workload: of_other, ..one.own.clone() };
    assert_eq!(farm.program.refresh(&copy).await.code(), "unauthorized");
    assert_eq!(farm.program.refresh(&one.own).await.status, 200);
}

#[tokio::test]
async fn a_request_whose_reply_was_lost_is_repeated_by_its_pod() {
    let farm = Farm::new(1).await;
    farm.apply(&pods::pod("one", "render", None));
    let (namespace, key) = (&*farm.place.namespace, drawn());
    let token = pods::own_token(shared(), namespace, "one");
    let body = json!({"license": format!("{namespace}/cad")});
    let call = Call { token: Some(&token), key: Some(&key), body: Some(body), ..Call::default() };
    let first = farm.program.send(Method::POST, "/v1/activations", &call).await;
    assert_eq!(first.status, 201, "{first:?}");
    // The kubelet has another token for it meanwhile.
    let token = pods::own_token(shared(), namespace, "one");
    let again =
        farm.program.send(Method::POST, "/v1/activations", &Call { token: Some(&token), ..call }).await;
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_program_runs_in_a_pod_under_usher_agent_which_reads_the_token_anew_for_each_call() {
    let farm = Farm::new(1).await;
    let (ground, namespace) = (shared(), &*farm.place.namespace);
    farm.apply(&pods::deployment("render", "render", 2));
    let names = pods::named(&farm.place, "app=render", 2).await;
    let folder = tempfile::tempdir().unwrap();
    let (ca, token, state) =
        (folder.path().join("ca.crt"), folder.path().join("token"), folder.path().join("state"));
    std::fs::write(&ca, &served().ca).unwrap();
    let mounts = |pod: &str| std::fs::write(&token, pods::own_token(ground, namespace, pod)).unwrap();
    let command = |more: &[&str]| {
        let mut command = agent(namespace, &ca);
        command.arg("--token-file").arg(&token).arg("--state").arg(&state).args(more);
        command
    };

    mounts(&names[0]);
    let script = r#"set -e; cd "$USHER_DOCUMENTS"; test -s license.jws; grep -q '"state":"good"' status.json; test -z "$USHER_TOKEN_FILE"; exit 7"#;
    let ran = command(&["--", "sh", "-c", script]).env("USHER_TOKEN_FILE", &token).output().unwrap();
    assert_eq!(ran.status.code(), Some(7), "{}", String::from_utf8_lossy(&ran.stderr));

    // It has given the place back. What it is given from now on it verifies. A state that another pod has got hold of is a copy, and a token that was replaced is read.
    let root = farm.place.authorities.get("default").await.unwrap().status.unwrap().root.unwrap();
    let trust = ["--trust", &root, "--issuer", ISSUER, "--product", "cad"];
    let mut before = Agent::start(command(&[&trust[..], &["--keep"]].concat()), &state);
    before.stands("good").await;
    before.signal("-TERM");
    assert_eq!(before.ends().await, Some(0));
    let mut running = Agent::start(command(&[&trust[..], &["--", "sleep", "600"]].concat()), &state);
    running.stands("good").await;
    assert_eq!(farm.refused(&names[1]).await, "seats-exhausted");
    mounts(&names[1]);
    running.signal("-HUP");
    assert_eq!(running.stands("refused").await["code"], "pod-active");
    mounts(&names[0]);
    running.signal("-HUP");
    running.stands("good").await;
    running.signal("-TERM");
    assert_eq!(running.ends().await, Some(128 + 15), "as its program ended");
    farm.active(&names[1]).await;
}
