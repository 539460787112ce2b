//! A namespace in which things happen, and the three oracles.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use usher::{
    cluster::api::{Authority, License, Seat, SeatState},
    service::edge::Edge as _,
};
use usher_license::{Trust, verify};

use crate::ground::{self, Ground, Machine, Operator, outside::Watcher, until, wait_for};

/// What the churn comes to, whatever happens meanwhile.
pub const CHURNED: &[&str] = &[
    "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued",
    "Seat cy: Bound, in cy-seat, True Bound",
    "Seat dan: Waiting 1, True NoFreeSeat",
    "Seat eve: Bound, in eve-seat, True Bound",
    "Secret cad-license of License cad: license",
    "Secret cy-seat of Seat cy: cy@acme.example",
    "Secret eve-seat of Seat eve: eve@acme.example",
];

/// Where things happen.
pub struct Place<'a> {
    pub ground: &'a Ground,
    pub client: Client,
    pub namespace: String,
    watcher: Watcher,
}

impl<'a> Place<'a> {
    /// A namespace of its own, watched from the beginning.
    pub async fn new(ground: &'a Ground) -> Self {
        let (client, namespace) = ground.namespace().await;
        Self::there(ground, client, namespace).await
    }

    /// One that is there, watched from now on.
    pub async fn there(ground: &'a Ground, client: Client, namespace: String) -> Self {
        let watcher = Watcher::start(&client, &namespace).await;
        Self { ground, client, namespace, watcher }
    }

    pub fn licenses(&self) -> Api<License> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn seats(&self) -> Api<Seat> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    // ---- what people do ----

    pub async fn apply(&self, object: &Value) {
        ground::apply(&self.client, &self.namespace, object).await.unwrap();
    }

    /// The License `cad` with so many seats.
    pub async fn license(&self, seats: u32) {
        self.apply(&ground::license(seats)).await;
    }

    /// Seats under `cad` for the people of these names.
    pub async fn seat(&self, names: &[&str]) {
        for name in names {
            self.apply(&ground::seat(name)).await;
        }
    }

    pub async fn delete_license(&self) {
        self.licenses().delete("cad", &DeleteParams::default()).await.unwrap();
    }

    pub async fn delete_seat(&self, name: &str) {
        self.seats().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Deletes all Licenses and Seats, so that whoever starts next has less to read.
    pub async fn clear(&self) {
        let (delete, all) = (DeleteParams::default(), kube::api::ListParams::default());
        self.licenses().delete_collection(&delete, &all).await.unwrap();
        self.seats().delete_collection(&delete, &all).await.unwrap();
    }

    /// Everything that people do to Licenses and Seats. However much of it Usher sees at once, it ends as [`CHURNED`].
    pub async fn churn(&self) {
        self.license(2).await;
        self.seat(&["ann", "bob", "cy", "dan", "eve"]).await;
        self.are_bound(&["ann", "bob"]).await;
        self.never_over(2);
        self.delete_seat("ann").await;
        self.license(1).await;
        self.license(3).await;
        self.are_bound(&["bob", "cy", "dan"]).await;
        let mut resting = ground::license(3);
        resting["spec"]["suspended"] = json!(true);
        self.apply(&resting).await;
        self.delete_seat("bob").await;
        self.license(3).await;
        self.are_bound(&["cy", "dan", "eve"]).await;
        self.delete_license().await;
        // Before the License is there again: else whoever holds a seat by the former Seat keeps it by the new one.
        self.delete_seat("dan").await;
        let mut last = ground::seat("dan");
        last["spec"]["priority"] = json!(-1);
        self.apply(&last).await;
        self.license(2).await;
    }

    /// Waits until exactly these Seats say that they are bound.
    pub async fn are_bound(&self, names: &[&str]) {
        until(&format!("{names:?} are bound in {}", self.namespace), async || {
            let mut bound: Vec<String> = self
                .seats()
                .list(&kube::api::ListParams::default())
                .await
                .unwrap()
                .items
                .into_iter()
                .filter(|seat| seat.status.as_ref().is_some_and(|s| s.state == Some(SeatState::Bound)))
                .map(|seat| seat.name_any())
                .collect();
            bound.sort();
            (bound == names).then_some(())
        })
        .await;
    }

    /// Waits until the Secret is there, or is not.
    pub async fn secret_of(&self, name: &str, is_there: bool) -> Option<Secret> {
        until(&format!("{name} is in {}: {is_there}", self.namespace), async || {
            let secret = self.secrets().get_opt(name).await.unwrap();
            (secret.is_some() == is_there).then_some(secret)
        })
        .await
    }

    // ---- the oracles ----

    /// The end: what there is comes to be `wanted`, and all documents verify.
    pub async fn ends_as(&self, wanted: &[&str]) {
        let reached = async {
            let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
            loop {
                pause.tick().await;
                if self.state().await == wanted {
                    return;
                }
            }
        };
        if tokio::time::timeout(ground::PATIENCE, reached).await.is_err() {
            panic!(
                "{} did not end as it should\n  wanted {wanted:#?}\n  got {:#?}",
                self.namespace,
                self.state().await
            );
        }
    }

    /// The limit: nobody ever saw more than `limit` seats taken.
    pub fn never_over(&self, limit: usize) {
        let sight = self.watcher.sight();
        assert!(
            sight.most_bound <= limit && sight.most_secrets <= limit && sight.events > 0,
            "{} {sight:?}",
            self.namespace
        );
    }

    /// Silence: `operator` looks again and writes nothing.
    pub async fn is_silent(&self, operator: &Operator) {
        // What was under way ends before the first look that we ask for.
        self.look(operator).await;
        let before = self.ground.writes();
        self.look(operator).await;
        self.look(operator).await;
        let mut after = self.ground.writes().split_off(before.len());
        // Sealing the audit is by the minute, and the key of nonces is made once, whatever is looked at.
        let aside = [" usher-system/usher-audit", " usher-system/usher-nonce-key"];
        after.retain(|write| aside.iter().all(|object| !write.contains(object)));
        assert_eq!(after, [""; 0], "{} is not silent", self.namespace);
    }

    /// Makes `operator` look at the License `cad`.
    pub async fn look(&self, operator: &Operator) {
        let before = operator.looks("License");
        let patch = json!({"metadata": {"annotations": {"test/look": before.to_string()}}});
        self.licenses().patch("cad", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        until("the operator looks", async || (operator.looks("License") > before).then_some(())).await;
    }

    /// What there is, without what differs from run to run. A document that does not verify is said to.
    pub async fn state(&self) -> Vec<String> {
        let all = kube::api::ListParams::default();
        let mut state = Vec::new();
        let licenses = self.licenses().list(&all).await.unwrap().items;
        for license in &licenses {
            let status = license.status.clone().unwrap_or_default();
            let (seats, name) = (status.seats, license.name_any());
            let secret = status.secret.map(|secret| format!("in {}, ", secret.name)).unwrap_or_default();
            let ready = ready(&status.conditions);
            state.push(format!(
                "License {name}: {} of {} bound, {} waits, {secret}{ready}",
                seats.bound, seats.limit, seats.waiting
            ));
        }
        let seats = self.seats().list(&all).await.unwrap().items;
        for seat in &seats {
            let status = seat.status.clone().unwrap_or_default();
            let stands = status.state.map(|state| format!("{state:?}")).unwrap_or_default();
            let position = status.waiting.map(|waiting| format!(" {}", waiting.position)).unwrap_or_default();
            let secret = status.secret.map(|secret| format!("in {}, ", secret.name)).unwrap_or_default();
            state.push(format!(
                "Seat {}: {stands}{position}, {secret}{}",
                seat.name_any(),
                ready(&status.conditions)
            ));
        }
        let uids: BTreeMap<String, String> = licenses
            .iter()
            .map(|l| (l.uid().unwrap(), format!("License {}", l.name_any())))
            .chain(seats.iter().map(|s| (s.uid().unwrap(), format!("Seat {}", s.name_any()))))
            .collect();
        let license = licenses.first().and_then(kube::ResourceExt::uid).unwrap_or_default();
        let root = self.root().await;
        for secret in self.secrets().list(&all).await.unwrap().items {
            let owner = secret.owner_references().first().map(|owner| owner.uid.clone()).unwrap_or_default();
            let owner = uids.get(&owner).cloned().unwrap_or_else(|| "nobody".into());
            let says = document(&secret, &root, &license);
            state.push(format!("Secret {} of {owner}: {says}", secret.name_any()));
        }
        state.sort();
        state
    }

    async fn root(&self) -> String {
        let authorities: Api<Authority> = Api::all(self.client.clone());
        let authority = authorities.get("default").await.unwrap();
        authority.status.and_then(|status| status.root).unwrap_or_default()
    }
}

fn ready(conditions: &[usher::cluster::api::Condition]) -> String {
    let types = conditions
        .iter()
        .filter(|c| format!("{:?}", c.type_) != "Bound" && (format!("{:?}", c.type_) != "Ready"));
    let extra: String = types.map(|c| format!(" {:?}={}", c.type_, c.status)).collect();
    let ready = conditions.iter().find(|c| format!("{:?}", c.type_) == "Ready");
    ready.map(|c| format!("{} {}{extra}", c.status, c.reason)).unwrap_or_default()
}

/// Who holds the document in `secret`, if it verifies and is of this License.
fn document(secret: &Secret, root: &str, license: &str) -> String {
    let entry = |name: &str| {
        secret.data.as_ref().and_then(|data| data.get(name)).map(|bytes| bytes.0.clone()).unwrap_or_default()
    };
    let Ok(root) = root.parse() else { return "no root".into() };
    let now = u64::try_from(Machine.now().as_second()).unwrap();
    let issuer = "https://usher.acme.example/a/default";
    let verified = Trust::pinned(&root, &entry("keys.jws"), issuer, "cad", now)
        .and_then(|trust| verify(&entry("license.jws"), &trust, now));
    match verified {
        Err(error) => format!("does not verify: {error}"),
        Ok(document) if document.claims().license.uid != license => "is of a former License".into(),
        Ok(document) => {
            let payload: Value = serde_json::from_slice(document.payload()).unwrap();
            let pretty: Option<Value> = serde_json::from_slice(&entry("license.json")).ok();
            if pretty.as_ref() != Some(&payload) {
                return "license.json says something else".into();
            }
            payload.pointer("/holder/user/email").and_then(Value::as_str).unwrap_or("license").to_owned()
        }
    }
}

/// A ledger that lasts as long as the test.
pub struct Disk(tempfile::TempDir);

impl Disk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }

    /// The ledger is gone.
    pub fn lose(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.0.path().join(format!("ledger.db{suffix}")));
        }
    }
}

/// Waits until the Authority `default` signs.
pub async fn authority_is_ready(client: &Client) {
    let authorities: Api<Authority> = Api::all(client.clone());
    let signs = |authority: &Authority| {
        authority.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.reason == "Published"))
    };
    wait_for(&authorities, "default", "signs", signs).await;
}
