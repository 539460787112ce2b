//! The ledger is another cluster's, or was found lost: nothing is told out of it and nothing written into it, until somebody consents.

use std::{process::Command, sync::Arc};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use usher::{
    cluster::{
        Settings,
        api::{Condition, Type},
    },
    domain::{
        license::Uid,
        witness::{Head, Loss, OnLoss},
    },
    ledger::{Claim, Ledger as _, sqlite::Sqlite},
    service::edge::Edge as _,
};

use crate::{
    faults::{lost::usher_ledger, place::Disk},
    ground::{Ground, Machine, Operator, license, until},
    runtime::{
        Own,
        program::{Program, drawn, key_named},
    },
    scenarios::{Place, with},
};

/// A License with an activation, whose Usher has stopped.
struct Scene {
    ground: Ground,
    disk: Disk,
    place: Place,
    own: Own,
    /// A copy of the ledger from before the activation went on.
    backup: Vec<u8>,
}

impl Scene {
    async fn new() -> Self {
        let (ground, disk) = (Ground::own(), Disk::new());
        let client = Client::try_from(ground.usher_config().await).unwrap();
        let operator = Operator::start(client, &disk.ledger(), Arc::new(Machine)).await;
        let program = Program::at(&operator.listen().await);
        let place = Place::new(&ground).await;
        let keys = json!({"spec": {"activationKeys": [{"name": "lab"}]}});
        place.apply(&with(license(2), &keys)).await;
        let key = key_named(&place.secrets, "lab").await;
        place.license_says("cad", "Issued").await;
        let mut own = Own::of(&program.activate(&place.namespace, &key, "a", Some(&drawn())).await);
        let backup = usher_ledger(&["backup", "-"], &disk.ledger(), b"").unwrap();
        own.nonce = program.refresh(&own).await.nonce.unwrap();
        operator.stop().await;
        Self { ground, disk, place, own, backup }
    }

    /// Starts an Usher that refuses to rebuild, and does not wait for it to lead.
    async fn start(&self) -> (Operator, Program) {
        let client = Client::try_from(self.ground.usher_config().await).unwrap();
        let ledger = until("the ledger is free", async || Sqlite::open(&self.disk.ledger()).await.ok()).await;
        let settings = Settings { identity: ledger.owner(), on_loss: OnLoss::Refuse, ..Settings::default() };
        let operator = Operator::follow(client, ledger, Arc::new(Machine), settings).await;
        let program = Program::at(&operator.serve().await);
        (operator, program)
    }

    /// What the ledger says of itself.
    async fn head(&self) -> Head {
        Sqlite::to_read(&self.disk.ledger()).await.unwrap().head().await.unwrap()
    }

    /// Waits until the Authority gives this reason, and nothing is signed.
    async fn says(&self, reason: &str) -> Condition {
        until(&format!("the Authority says {reason}"), async || {
            let status = self.place.authorities.get("default").await.unwrap().status?;
            let ready = status.conditions.iter().find(|c| c.type_ == Type::Ready).unwrap();
            let told =
                status.conditions.iter().find(|c| c.type_ == Type::LedgerMissing && c.reason == reason);
            told.filter(|c| c.status == "False" || (ready.status == "False" && ready.reason == reason))
                .cloned()
        })
        .await
    }

    /// Asks as a program does, until it is refused in so many words; nothing else is ever said.
    async fn is_refused(&self, program: &Program, code: &str) {
        until(&format!("programs are told {code}"), async || {
            let told = program.refresh(&self.own).await;
            assert_eq!(told.status, 503, "{told:?}");
            (told.code() == code).then_some(())
        })
        .await;
        assert_eq!(program.check(&self.own).await.code(), code);
        let deactivated = program.deactivate(&self.own).await;
        assert_eq!((deactivated.status, deactivated.code()), (503, code.to_owned()));
    }

    async fn goes_on(&self, program: &Program) {
        let told = until("programs are answered", async || {
            let told = program.refresh(&self.own).await;
            (told.status != 503 && !told.text.contains("license-not-ready")).then_some(told)
        })
        .await;
        assert_eq!(told.status, 200, "{told:?}");
    }

    async fn witness(&self) -> Api<ConfigMap> {
        Api::namespaced(self.ground.admin().await, "usher-system")
    }

    /// Says `usher ledger …`, as an administrator of the cluster does.
    fn consents(&self, arguments: &[&str]) {
        let told = Command::new(env!("CARGO_BIN_EXE_usher"))
            .arg("ledger")
            .args(arguments)
            .env("KUBECONFIG", self.ground.kubeconfig())
            .output()
            .unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

#[tokio::test]
async fn a_ledger_of_another_cluster_is_not_touched_until_somebody_wants_it_taken_over() {
    let scene = Scene::new().await;
    // Another Usher has it since, and nothing here remembers it.
    let ledger = Sqlite::open(&scene.disk.ledger()).await.unwrap();
    let adopt = ledger.head().await.unwrap().owner;
    let there = Uid("7f3a0f0e-there".into());
    let claim = Claim { cluster: there, adopt: adopt.clone(), token: [1; 32], at: Machine.now() };
    ledger.lead(&claim).await.unwrap();
    drop(ledger);
    scene.witness().await.delete("usher-witness", &DeleteParams::default()).await.unwrap();
    let (before, secrets) =
        (scene.head().await, scene.place.secrets.list(&Default::default()).await.unwrap());

    let (operator, program) = scene.start().await;
    let said = scene.says("LedgerForeign").await;
    scene.is_refused(&program, "ledger-foreign").await;
    let owner = before.owner.clone().unwrap();
    assert!(said.message.ends_with(&format!("run: usher ledger adopt {owner}")), "{}", said.message);
    // A consent to something else is none, nor is that to a rebuild.
    scene.consents(&["adopt", &adopt.unwrap().to_string()]);
    scene.is_refused(&program, "ledger-foreign").await;
    assert!(!operator.is_leader() && operator.looks("License") == 0, "nothing is decided");
    assert_eq!(scene.head().await, before, "nothing is written");
    let versions = |list: kube::core::ObjectList<k8s_openapi::api::core::v1::Secret>| {
        list.items.into_iter().map(|secret| secret.metadata.resource_version).collect::<Vec<_>>()
    };
    let now = scene.place.secrets.list(&Default::default()).await.unwrap();
    assert_eq!(versions(now), versions(secrets));

    scene.consents(&["adopt", &owner.to_string()]);
    operator.leads().await;
    scene.goes_on(&program).await;
    let own = scene.ground.kubectl(&["get", "namespace", "usher-system", "-o", "jsonpath={.metadata.uid}"]);
    assert_eq!(scene.head().await.owner.unwrap().cluster, Uid(own));
    operator.stop().await;
}

#[tokio::test]
async fn what_was_found_lost_stays_lost_until_somebody_consents_whatever_programs_ask_and_the_witness_says() {
    let scene = Scene::new().await;
    scene.disk.lose();
    std::fs::write(scene.disk.ledger(), &scene.backup).unwrap();
    let before = scene.head().await;

    let (operator, program) = scene.start().await;
    scene.says("LedgerMissing").await;
    // As many calls as would bring it past its witness.
    for _ in 0..8 {
        scene.is_refused(&program, "ledger-missing").await;
    }
    let lost = scene.head().await;
    assert_eq!(lost, Head { lost: Some(Loss::Older), ..before });
    operator.stop().await;

    // Nothing in the cluster remembers any more; the ledger does.
    let witness = scene.witness().await;
    witness.delete("usher-witness", &DeleteParams::default()).await.unwrap();
    let (operator, program) = scene.start().await;
    scene.is_refused(&program, "ledger-missing").await;
    until("there is something to consent to", async || witness.get_opt("usher-witness").await.unwrap()).await;
    assert!(!operator.is_leader());
    assert_eq!(scene.head().await.mark, lost.mark);

    scene.consents(&["rebuild"]);
    operator.leads().await;
    scene.says("LedgerRebuilt").await;
    scene.goes_on(&program).await;
    assert_eq!(scene.head().await.lost, None);
    operator.stop().await;
}

#[tokio::test]
async fn a_ledger_with_another_history_than_its_witness_saw_is_not_the_one_however_far_it_is() {
    let scene = Scene::new().await;
    let other = json!({"data": {"audit-hash": "f00d"}});
    let witness = scene.witness().await;
    witness.patch("usher-witness", &PatchParams::default(), &Patch::Merge(other)).await.unwrap();
    let (operator, program) = scene.start().await;
    let said = scene.says("LedgerMissing").await;
    assert!(said.message.starts_with("the ledger has another history"), "{}", said.message);
    scene.is_refused(&program, "ledger-missing").await;
    assert_eq!(scene.head().await.lost, Some(Loss::Diverged));
    operator.stop().await;

    // Whoever restores a backup has decided.
    usher_ledger(&["restore", "-"], &scene.disk.ledger(), &scene.backup).unwrap();
    let (operator, program) = scene.start().await;
    operator.leads().await;
    scene.says("LedgerRebuilt").await;
    scene.goes_on(&program).await;
    operator.stop().await;
}
