//! Pods, as controllers make them: no kubelet runs any, so a test says how they are, and their tokens are made for them.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    administrators::ISSUER,
    program::{Call, Program, Told, drawn},
};
use crate::{
    ground::{Ground, until},
    scenarios::Place,
};

/// Where no scheduler finds a node: what a pod does is for the test to say.
fn pod_template(account: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "render"}},
        "spec": {
            "serviceAccountName": account, "nodeSelector": {"usher.dev/test": "nowhere"}, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "render", "image": "render.acme.example/render:1"}],
        },
    })
}

/// A Deployment whose pods are replaced one by one, each before it goes.
pub fn deployment(name: &str, account: &str, replicas: u32) -> Value {
    let mut template = pod_template(account);
    template["metadata"]["labels"] = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        },
    })
}

/// A Job of one pod.
pub fn job(name: &str, account: &str) -> Value {
    let mut template = pod_template(account);
    template["metadata"] = json!({});
    template["spec"]["restartPolicy"] = json!("Never");
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}})
}

/// A pod by itself, or of whatever controls it.
pub fn pod(name: &str, account: &str, owner: Option<Value>) -> Value {
    let mut pod = pod_template(account);
    (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
    pod["metadata"] = json!({"name": name, "ownerReferences": owner.into_iter().collect::<Vec<_>>()});
    pod
}

/// A virtual machine that is there, as the owner of the pods in which it runs. No controller of ours knows what it is.
pub async fn machine(ground: &Ground, namespace: &str) -> Value {
    let machines = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "virtualmachineinstances.kubevirt.io"},
        "spec": {"group": "kubevirt.io", "scope": "Namespaced", "names": {"plural": "virtualmachineinstances", "kind": "VirtualMachineInstance"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    let machine = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": {"name": "cad"}});
    apply(ground, namespace, &machines);
    until("there may be virtual machines", async || {
        ground.try_kubectl(&["apply", "-n", namespace, "-f", "-"], &machine.to_string()).0.then_some(())
    })
    .await;
    let all = "virtualmachineinstances.kubevirt.io";
    let uid = ground.kubectl(&["get", all, "cad", "-n", namespace, "-o", "jsonpath={.metadata.uid}"]);
    json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "cad", "uid": uid, "controller": true})
}

/// Applies what is not ours.
pub fn apply(ground: &Ground, namespace: &str, object: &Value) {
    let (ok, said) = ground.try_kubectl(&["apply", "-n", namespace, "-f", "-"], &object.to_string());
    assert!(ok, "{said}");
}

pub fn api(place: &Place) -> Api<Pod> {
    Api::namespaced(place.client.clone(), &place.namespace)
}

/// The names of the pods with this label that have not ended, oldest first, once there are so many.
pub async fn named(place: &Place, label: &str, many: usize) -> Vec<String> {
    until(&format!("there are {many} pods of {label}"), async || {
        let pods = api(place).list(&ListParams::default().labels(label)).await.unwrap().items;
        let lives = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.metadata.deletion_timestamp.is_none() && phase != Some("Failed")
        };
        let mut pods: Vec<Pod> = pods.into_iter().filter(lives).collect();
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|at| at.0));
        (pods.len() == many).then(|| pods.into_iter().filter_map(|pod| pod.metadata.name).collect())
    })
    .await
}

/// What a kubelet would say of the pod.
pub async fn says(place: &Place, pod: &str, status: &Value) {
    let patch = Patch::Merge(json!({"status": status}));
    api(place).patch_status(pod, &PatchParams::default(), &patch).await.unwrap();
}

/// It runs and is ready.
pub async fn is_ready(place: &Place, pod: &str) {
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    says(place, pod, &json!({"phase": "Running", "conditions": [ready]})).await;
}

/// A token of the service account that is bound to this pod, as the kubelet asks for it.
pub fn token(ground: &Ground, namespace: &str, account: &str, pod: &str, audiences: &[&str]) -> String {
    let bound = ["--bound-object-kind=Pod", &format!("--bound-object-name={pod}")].map(str::to_owned);
    let audiences = audiences.iter().map(|audience| format!("--audience={audience}"));
    let more: Vec<String> = audiences.chain(bound).collect();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    ground.kubectl(&[&["create", "token", account, "-n", namespace], &*more].concat()).trim().to_owned()
}

/// The token with which the pod activates.
pub fn own_token(ground: &Ground, namespace: &str, pod: &str) -> String {
    token(ground, namespace, "render", pod, &[ISSUER])
}

/// Whoever shows this token activates under `cad` of this namespace, and says nothing of itself.
pub async fn activate(program: &Program, namespace: &str, token: &str) -> Told {
    let (key, body) = (drawn(), json!({"license": format!("{namespace}/cad")}));
    let call = Call { token: Some(token), key: Some(&key), body: Some(body), ..Call::default() };
    program.send(::http::Method::POST, "/v1/activations", &call).await
}
