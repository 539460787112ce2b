//! The audit as an administrator meets it: sealed each minute, verified by the program, pruned, and without names.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::DeleteParams};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use usher::cluster::api::SeatState;

use super::Place;
use crate::ground::{Ground, Operator, license, operator::Turned, seat, until, wait_for};

/// A minute and a bit: the audit is sealed once in it.
pub(super) const MINUTE: SignedDuration = SignedDuration::from_secs(61);

pub(super) struct World {
    pub(super) ground: Ground,
    pub(super) clock: Arc<Turned>,
    pub(super) directory: tempfile::TempDir,
    pub(super) place: Place,
}

impl World {
    pub(super) async fn new() -> Self {
        let ground = Ground::own();
        let place = Place::new(&ground).await;
        Self { ground, clock: Turned::new(), directory: tempfile::tempdir().unwrap(), place }
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    pub(super) async fn start(&self) -> Operator {
        let client = Client::try_from(self.ground.usher_config().await).unwrap();
        Operator::start(client, &self.ledger(), self.clock.clone()).await
    }

    /// Runs the program: its exit code, and what it said.
    pub(super) fn usher(&self, arguments: &[&str], ledger: &Path) -> (Option<i32>, String) {
        self.program(&[arguments, &["--ledger", ledger.to_str().unwrap()]].concat())
    }

    /// The same, for what needs no ledger.
    pub(super) fn program(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_usher"))
            .args(arguments)
            .env("KUBECONFIG", self.ground.kubeconfig())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), text.concat())
    }

    /// What `audit verify` makes of the ledger and the cluster.
    pub(super) fn verified(&self) -> Value {
        let (_, said) = self.usher(&["audit", "verify", "--from-cluster", "-o", "json"], &self.ledger());
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }

    /// Turns the clock until everything is sealed and shown.
    pub(super) async fn sealed(&self) {
        let report = until("all is sealed and shown", async || {
            self.clock.forward(MINUTE);
            let shown = self.place.published.get_opt("usher-audit").await.unwrap().is_some();
            let report = if shown { self.verified() } else { Value::Null };
            let all = report["checkpoints"]["outside"] == report["checkpoints"]["ledger"];
            (shown && all && report["head"] == report["sealed"]).then_some(report)
        })
        .await;
        assert_eq!(report["verdict"], "whole", "{report}");
    }

    /// A copy of the ledger, as of now, in which `sql` was done.
    pub(super) async fn copy(&self, name: &str, sql: &'static str) -> PathBuf {
        let path = self.directory.path().join(name);
        let open = async |path: &Path| {
            SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap()
        };
        let mut ledger = open(&self.ledger()).await;
        sqlx::query("VACUUM INTO $1").bind(path.to_str()).execute(&mut ledger).await.unwrap();
        let mut copy = open(&path).await;
        sqlx::raw_sql(sql).execute(&mut copy).await.unwrap();
        copy.close().await.unwrap();
        path
    }
}

// The program is waited for on this thread; the operator goes on on others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_to_the_audit_shows_and_what_is_forgotten_or_pruned_does_not_break_it() {
    let world = World::new().await;
    let operator = world.start().await;
    let place = &world.place;
    place.apply(&license(2)).await;
    place.license_says("cad", "Issued").await;
    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
        place.seat(name, SeatState::Bound).await;
    }
    world.sealed().await;
    tampering_is_found(&world).await;
    let older = world.copy("older.db", "SELECT 1").await;
    a_person_is_forgotten(&world).await;
    pruned(&world).await;
    silent_when_nothing_changed(&world, &operator);
    a_key_is_never_replaced(&world, &operator).await;
    operator.stop().await;
    an_older_copy_does_not_erase_the_evidence(&world, &older).await;
}

/// Many minutes have passed in which nothing was done: each checkpoint was shown by one write, and there was no other.
fn silent_when_nothing_changed(world: &World, operator: &Operator) {
    let writes = world.ground.writes();
    let shown = writes.iter().filter(|write| write.contains(" configmaps usher-system/usher-audit ")).count();
    assert_eq!(
        u64::try_from(shown).unwrap(),
        measured(operator, "usher_audit_checkpoints_total"),
        "{writes:?}"
    );
    assert!(shown > 2, "{writes:?}");
    let keys = writes.iter().filter(|write| write.contains(" usher-system/usher-audit-key ")).count();
    assert_eq!(keys, 1, "the key is made once: {writes:?}");
}

/// On a copy, as somebody does who has got the file, compared with what the cluster keeps.
async fn tampering_is_found(world: &World) {
    let kept = world.directory.path().join("kept.yaml");
    let yaml = world.ground.kubectl(&["get", "configmap", "usher-audit", "-n", "usher-system", "-o", "yaml"]);
    std::fs::write(&kept, yaml).unwrap();
    let verify = |copy: &Path| {
        let (code, said) = world.usher(&["audit", "verify", "--checkpoints", kept.to_str().unwrap()], copy);
        (code, said)
    };
    let (code, said) = verify(&world.copy("untouched.db", "SELECT 1").await);
    assert!(code == Some(0) && said.starts_with("whole: "), "{said}");
    let head = world.verified()["head"].as_i64().unwrap();
    assert!(head >= 4, "{head} entries");
    let swap =
        "UPDATE audit SET sequence = -2 WHERE sequence = 2; UPDATE audit SET sequence = 2 WHERE sequence = 3;
                UPDATE audit SET sequence = 3 WHERE sequence = -2";
    for (name, sql, sentence) in [
        (
            "changed.db",
            "UPDATE audit SET entries = replace(entries, 'bind', 'free') WHERE sequence = 3",
            "entry 3 was changed: it does not follow the one before it".to_owned(),
        ),
        (
            "removed.db",
            "DELETE FROM audit WHERE sequence = 2",
            "entry 2 is missing: it was removed".to_owned(),
        ),
        ("swapped.db", swap, "entry 2 stands at the place of another one: entries were reordered".to_owned()),
        (
            "truncated.db",
            "DELETE FROM audit WHERE sequence > 2; DELETE FROM checkpoints WHERE sequence > 2",
            format!("the chain ends at entry 2, but entry {head} has a checkpoint of "),
        ),
    ] {
        let (code, said) = verify(&world.copy(name, sql).await);
        assert!(code == Some(1) && said.contains(&format!("\n  {sentence}")), "{name}: {said}");
    }
    let (code, said) = world.usher(&["audit", "verify"], &world.ledger());
    assert!(code == Some(3) && said.starts_with("whole in itself: "), "{said}");
    let (code, said) = world.usher(&["audit", "verify"], Path::new("/nowhere.db"));
    assert!(code == Some(2) && said.contains("there is no ledger /nowhere.db"), "{said}");
}

async fn a_person_is_forgotten(world: &World) {
    let forget = || world.usher(&["forget", "ann@acme.example"], &world.ledger());
    let list = || world.usher(&["audit", "list"], &world.ledger()).1;
    let (code, said) = forget();
    let first = format!("kubectl delete seat ann -n {}", world.place.namespace);
    assert!(code == Some(1) && said.contains(&first), "{said}");
    assert!(list().contains("email:ann@acme.example"));
    world.place.delete_seat("ann").await;
    world.place.no_secret("ann-seat").await;
    world.place.counts("cad", 1, 0).await;
    let (code, said) = forget();
    assert!(code == Some(0) && said.starts_with("forgotten: "), "{said}");
    let (code, said) = forget();
    assert!(code == Some(0) && said.starts_with("nothing to forget: "), "{said}");
    let listed = list();
    assert!(!listed.contains("ann@") && listed.contains("email:bob@acme.example"), "{listed}");
    assert!(listed.contains("  erase "), "{listed}");
    world.sealed().await;
}

async fn pruned(world: &World) {
    world.clock.forward(usher::cluster::AUDIT_RETENTION + SignedDuration::from_hours(25));
    let report = until("the audit is pruned", async || {
        world.clock.forward(MINUTE);
        let report = world.verified();
        report["prunedThrough"].is_number().then_some(report)
    })
    .await;
    assert_eq!(report["verdict"], "whole", "{report}");
    world.sealed().await;
    let (code, said) = world.usher(&["audit", "verify", "--from-cluster"], &world.ledger());
    let through = report["prunedThrough"].as_i64().unwrap();
    assert!(code == Some(0) && said.contains(&format!("up to entry {through}, sealed ")), "{said}");
}

fn measured(operator: &Operator, metric: &str) -> u64 {
    let text = operator.metrics.text();
    let line = text.lines().find(|line| line.starts_with(metric)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

pub(super) fn failures(operator: &Operator) -> u64 {
    measured(operator, "usher_audit_failures_total")
}

async fn a_key_is_never_replaced(world: &World, operator: &Operator) {
    let secrets: Api<Secret> = Api::namespaced(world.place.client.clone(), "usher-system");
    let backup = secrets.get("usher-audit-key").await.unwrap();
    assert_eq!(backup.immutable, Some(true));
    secrets.delete("usher-audit-key", &DeleteParams::default()).await.unwrap();
    world.place.apply(&seat("cy")).await;
    world.place.seat("cy", SeatState::Bound).await;
    let before = failures(operator);
    until("it is said that the key is gone", async || {
        world.clock.forward(MINUTE);
        (failures(operator) > before).then_some(())
    })
    .await;
    assert!(secrets.get_opt("usher-audit-key").await.unwrap().is_none(), "no other key is made");
    let restored = Secret {
        metadata: kube::api::ObjectMeta {
            name: backup.metadata.name.clone(),
            labels: backup.metadata.labels.clone(),
            ..Default::default()
        },
        ..backup
    };
    secrets.create(&Default::default(), &restored).await.unwrap();
    world.sealed().await;
}

/// The ledger of before is put back: what was sealed since is gone, and the cluster goes on saying so.
async fn an_older_copy_does_not_erase_the_evidence(world: &World, older: &Path) {
    let kept = world.directory.path().join("evidence.yaml");
    let yaml = world.ground.kubectl(&["get", "configmap", "usher-audit", "-n", "usher-system", "-o", "yaml"]);
    std::fs::write(&kept, yaml).unwrap();

    // The witness tells that it is older: the audit says so itself, and is sealed and shown again.
    let operator = put_back(world, older).await;
    world.sealed().await;
    operator.stop().await;
    let report = world.verified();
    assert_eq!(report["verdict"], "whole", "{report}");
    let (code, said) =
        world.usher(&["audit", "verify", "--checkpoints", kept.to_str().unwrap()], &world.ledger());
    assert!(code == Some(0) && said.contains("of before the ledger was lost or restored"), "{said}");
    assert!(world.usher(&["audit", "list"], &world.ledger()).1.contains("  recover "));

    // Somebody has removed the witness, too: then it is what was sealed that tells.
    let evidence = world.place.published.get("usher-audit").await.unwrap();
    world.place.published.delete("usher-witness", &DeleteParams::default()).await.unwrap();
    let operator = put_back(world, older).await;
    world.place.apply(&seat("eve")).await;
    wait_for(&world.place.seats, "eve", "is seen", |seat| seat.status.is_some()).await;
    until("it is said that the ledger is behind", async || {
        world.clock.forward(MINUTE);
        (failures(&operator) > 0).then_some(())
    })
    .await;
    assert_eq!(world.place.published.get("usher-audit").await.unwrap().data, evidence.data);
    assert_eq!(world.verified()["verdict"], "broken");
    operator.stop().await;
}

async fn put_back(world: &World, older: &Path) -> Operator {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", world.ledger().display()));
    }
    std::fs::copy(older, world.ledger()).unwrap();
    let operator = world.start().await;
    world.place.apply(&seat("dan")).await;
    wait_for(&world.place.seats, "dan", "is seen", |seat| seat.status.is_some()).await;
    operator
}
