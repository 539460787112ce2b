//! Usher has exactly the rights that it uses: the real program does everything that it ever does, and the API server's own
//! audit log is held against the roles of the chart, both ways.

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use usher::cluster::api::SeatState;

use super::{Place, license_conditions, ready, unreadable, with};
use crate::{
    ground::{
        Call, Ground, Listening, license,
        process::{Usher, kubeconfig_beside},
        seat, until, wait_for,
    },
    runtime::{
        Own,
        administrators::{account, token},
        pods,
        program::{Program, drawn, key_named},
        workloads::for_workloads,
    },
};

/// Where a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In a namespace that lets Usher in.
    Documents,
    /// In Usher's own namespace.
    Own,
}

/// One thing that a rule allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    scope: Scope,
    group: String,
    resource: String,
    verb: String,
    names: Vec<String>,
}

impl Right {
    fn allows(&self, call: &Call) -> bool {
        // An apply that made something needed both.
        let verb =
            call.verb == self.verb || (self.verb == "create" && call.verb == "patch" && call.code == 201);
        let place = match self.scope {
            Scope::Cluster => true,
            Scope::Documents => !["", "usher-system"].contains(&call.namespace.as_str()),
            Scope::Own => call.namespace == "usher-system",
        };
        verb && place
            && call.group == self.group
            && call.what() == self.resource
            && (self.names.is_empty() || self.names.contains(&call.name))
    }
}

fn rights(ground: &Ground, scope: Scope, object: &[&str]) -> Vec<Right> {
    let role: Value =
        serde_json::from_str(&ground.kubectl(&[&["get"], object, &["-o", "json"]].concat())).unwrap();
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    let names = texts(rule, "resourceNames");
                    rights.push(Right {
                        scope,
                        group: group.clone(),
                        resource: resource.clone(),
                        verb,
                        names,
                    });
                }
            }
        }
    }
    rights
}

async fn merge(place: &Place, secret: &str, edit: &Value) {
    place.secrets.patch(secret, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
}

/// Everything that Usher ever does in a cluster.
async fn everything(ground: &Ground, place: &Place, farm: &Place, port: u16) {
    place.apply(&license(1)).await;
    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
    }
    let told = place.license_says("cad", "NamespaceNotGranted").await;
    let message = ready(license_conditions(&told)).unwrap().message.clone();
    let command = message.split_once("with: kubectl ").unwrap().1;
    ground.kubectl(&command.split(' ').collect::<Vec<_>>());
    place.seat("ann", SeatState::Bound).await;

    // Edited, edited and made immutable, deleted.
    let good = place.secret("cad-license").await.data;
    let as_before =
        |secret: &k8s_openapi::api::core::v1::Secret| secret.data == good && secret.immutable.is_none();
    merge(place, "cad-license", &json!({"data": {"license.jws": "Zm9yZ2Vk"}})).await;
    wait_for(&place.secrets, "cad-license", "is repaired", as_before).await;
    merge(place, "cad-license", &json!({"data": {"license.jws": "Zm9yZ2Vk"}, "immutable": true})).await;
    wait_for(&place.secrets, "cad-license", "is made anew", as_before).await;
    place.delete_seat("ann").await;
    place.seat("bob", SeatState::Bound).await;

    // A Seat is made for somebody, and goes again.
    let users = json!({"kind": "UserAssignment", "metadata": {"name": "all"},
        "spec": {"licenseRef": {"name": "cad"}, "users": [{"email": "cy@acme.example"}]}});
    place.apply(&users).await;
    place.counts("cad", 1, 1).await;
    ground.kubectl(&["delete", "userassignment", "all", "-n", &place.namespace]);
    place.counts("cad", 1, 0).await;
    place.apply(&users).await;
    place.counts("cad", 1, 1).await;
    place.apply(&with(users, &json!({"spec": {"users": [{"email": "dan@acme.example"}]}}))).await;
    until("the Seat of the former goes", async || {
        let seats = place.seats.list(&Default::default()).await.unwrap();
        let text = serde_json::to_string(&seats.items).unwrap();
        (text.contains("dan@") && !text.contains("cy@")).then_some(())
    })
    .await;

    // A copy of its Secret comes and goes.
    let copied = |into: &[&str]| json!({"spec": {"secret": {"name": "cad-license", "namespaces": into}}});
    place.apply(&with(license(1), &copied(&[&farm.namespace]))).await;
    farm.secret("cad-license").await;
    place.apply(&with(license(1), &copied(&[]))).await;
    farm.no_secret("cad-license").await;

    // The same thing is told twice.
    for _ in 0..2 {
        place.apply(&with(license(1), &json!({"spec": {"suspended": true}}))).await;
        place.license_says("cad", "Suspended").await;
        place.apply(&license(1)).await;
        place.license_says("cad", "Issued").await;
    }

    // Where people sign in.
    let acme = json!({"kind": "IdentityProvider", "metadata": {"name": "acme"}, "spec": {"domains": ["acme.example"],
        "oidc": {"issuer": "https://idp.acme.example", "clientId": "usher", "clientSecretRef": {"name": "acme", "key": "secret"}}}});
    crate::ground::apply(&place.client, "", &acme).await.unwrap();
    until("it says that its client secret is missing", async || {
        let reason = ["get", "idp", "acme", "-o", "jsonpath={.status.conditions[*].reason}"];
        ground.kubectl(&reason).contains("ClientSecretMissing").then_some(())
    })
    .await;

    // What cannot be read: of a newer version, say.
    unreadable::loosen(ground);
    let newer = with(license(1), &json!({"metadata": {"name": "newer"}, "spec": {"suspended": "at night"}}));
    unreadable::stored(place, &newer).await;
    unreadable::says(ground, place, "license", "newer", "spec.suspended").await;
    unreadable::each_says_so(ground, place).await;

    // An administrator ends an activation.
    place.apply(&with(license(3), &json!({"spec": {"activationKeys": [{"name": "lab"}]}}))).await;
    let key = key_named(&place.secrets, "lab").await;
    let ca =
        wait_for(&place.published, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let program = Program::at(&Listening { url: format!("https://localhost:{port}"), ca });
    let request = drawn();
    let own = until("it is activated", async || {
        let told = program.try_activate(&place.namespace, &key, "9f86d081", &request).await.ok()?;
        (told.status == 201).then(|| Own::of(&told))
    })
    .await;
    account(ground, &place.namespace, "boss", Some("usher-licensor"));
    let boss = token(ground, &place.namespace, "boss", &["https://usher.acme.example/a/default"]);
    assert_eq!(program.deactivate(&Own { token: boss, ..own }).await.status, 204);

    workloads(ground, place, &program).await;

    // It leads on.
    until("the lead is renewed", async || {
        let times = "jsonpath={.spec.acquireTime} {.spec.renewTime}";
        let lease = ground.kubectl(&["get", "lease", "usher", "-n", "usher-system", "-o", times]);
        lease.split_once(' ').is_some_and(|(acquired, renewed)| acquired != renewed).then_some(())
    })
    .await;
}

/// Pods of each kind of owner that Usher asks for activate.
async fn workloads(ground: &Ground, place: &Place, program: &Program) {
    let namespace = &*place.namespace;
    let owner = pods::machine(ground, namespace).await;
    account(ground, namespace, "render", None);
    place.apply(&for_workloads(8)).await;
    place.license_says("cad", "Issued").await;
    pods::apply(ground, namespace, &pods::pod("launcher", "render", Some(owner)));
    pods::apply(ground, namespace, &pods::job("night", "render"));
    pods::apply(ground, namespace, &pods::deployment("render", "render", 2));
    let mut all = vec!["launcher".to_owned()];
    all.extend(pods::named(place, "job-name=night", 1).await);
    all.extend(pods::named(place, "app=render", 2).await);
    for pod in all {
        let told = pods::activate(program, namespace, &pods::own_token(ground, namespace, &pod)).await;
        assert_eq!(told.status, 201, "{pod}: {told:?}");
    }
}

#[tokio::test]
async fn every_right_of_usher_is_used_and_every_request_is_covered_by_one() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let program = Usher::start(&kubeconfig_beside(&ledger, &ground), &ledger, &["--listen", &listen]);
    let (place, farm) = (Place::new(&ground).await, Place::new(&ground).await);
    ground.grant(&farm.namespace);
    everything(&ground, &place, &farm, port).await;
    drop(program);

    let rights: BTreeSet<Right> = [
        rights(&ground, Scope::Cluster, &["clusterrole", "usher"]),
        rights(&ground, Scope::Documents, &["clusterrole", "usher-documents"]),
        rights(&ground, Scope::Own, &["role", "usher", "-n", "usher-system"]),
    ]
    .concat()
    .into_iter()
    .collect();
    // A watch is in the log once it has ended, which it does with the program.
    let is_watched = |call: &Call| call.verb == "watch" && call.resource == "licenses";
    until("the watches have ended", async || ground.calls().iter().any(is_watched).then_some(())).await;
    let calls = ground.calls();
    // Where the API server tells what there is in the course of a watch (KEP-3157), as this one does, documents are listed only after a loss.
    let is_for_others = |right: &Right| {
        right.scope == Scope::Documents
            && (right.resource.as_str(), right.verb.as_str()) == ("secrets", "list")
    };
    let is_used = |right: &Right| is_for_others(right) || calls.iter().any(|call| right.allows(call));
    let unused: Vec<_> = rights.iter().filter(|right| !is_used(right)).collect();
    assert!(
        unused.is_empty(),
        "no request used these: take them out of the chart, or show here what for: {unused:#?}"
    );
    let beyond: BTreeSet<String> = calls
        .iter()
        .filter(|call| !call.resource.is_empty() && !rights.iter().any(|right| right.allows(call)))
        .map(|call| format!("{} {} in {:?}", call.verb, call.what(), call.namespace))
        .collect();
    assert!(beyond.is_empty(), "no role of ours allows these: {beyond:#?}");
}
