//! Two processes on one PostgreSQL: one leads, both answer programs.

use std::{path::Path, process::Command};

use ::http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    Own,
    clones::clone_seen,
    for_devices,
    program::{Call, Program, drawn, key_named},
};
use crate::{
    ground::{
        Ground, Listening, license,
        postgres::database,
        process::{Usher, free_port, kubeconfig_beside},
        seat, until, wait_for,
    },
    scenarios::Place,
};
use usher::cluster::api::SeatState;

/// Two `usher run` on one database. The first one leads.
pub(super) struct Replicas {
    pub(super) ground: Ground,
    kubeconfig: std::path::PathBuf,
    url: String,
    ushers: [Usher; 2],
    pub(super) programs: [Program; 2],
    _directory: tempfile::TempDir,
}

pub(super) fn start(kubeconfig: &Path, url: &str, name: &str, port: u16) -> Usher {
    let listen = format!("127.0.0.1:{port}");
    let options = ["--secrets-cluster-wide", "--name", name, "--listen", &listen];
    Usher::start(kubeconfig, Path::new(url), &options)
}

impl Replicas {
    pub(super) async fn start() -> Self {
        let (ground, directory) = (Ground::own(), tempfile::tempdir().unwrap());
        let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), &ground);
        let (url, ports) = (database().await, [free_port(), free_port()]);
        let mut first = start(&kubeconfig, &url, "first", ports[0]);
        first.is_at_work().await;
        let second = start(&kubeconfig, &url, "second", ports[1]);
        let maps: Api<ConfigMap> = Api::namespaced(ground.admin().await, "usher-system");
        let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
        let at = |port| Program::at(&Listening { url: format!("https://localhost:{port}"), ca: ca.clone() });
        let programs = ports.map(at);
        Self { ground, kubeconfig, url, ushers: [first, second], programs, _directory: directory }
    }
}

async fn jwks(program: &Program) -> Option<String> {
    let told = program.try_send(Method::GET, "/a/default/jwks.json", &Call::default()).await.ok()?;
    (told.status == 200).then_some(told.text)
}

#[tokio::test]
async fn both_replicas_answer_and_what_the_one_that_follows_was_asked_is_shown_by_the_one_that_leads() {
    let replicas = Replicas::start().await;
    let [first, second] = &replicas.programs;
    let place = Place::new(&replicas.ground).await;
    place.apply(&for_devices(1)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;

    // The keys of the one that leads are those of the other.
    let keys = until("the second has the keys", async || jwks(second).await).await;
    assert_eq!(Some(keys), jwks(first).await);

    // One place: taken at the second, seen at the first, and shown.
    let request = drawn();
    let own = until("the second signs", async || {
        let told = second.try_activate(&place.namespace, &key, "d1", &request).await.ok()?;
        (told.status != 503).then_some(told)
    })
    .await;
    let mut own = Own::of(&own);
    let refused = first.activate(&place.namespace, &key, "d2", Some(&drawn())).await;
    assert_eq!(refused.code(), "seats-exhausted");
    wait_for(&place.licenses, "cad", "shows it", |license| {
        license.status.as_ref().is_some_and(|status| status.seats.activated == 1)
    })
    .await;

    // A chain goes on from replica to replica, and a copy is caught by either.
    let copy = own.clone();
    for program in [first, second, first] {
        let told = program.refresh(&own).await;
        assert_eq!(told.status, 200, "{told:?}");
        own.nonce = told.nonce.unwrap();
    }
    assert_eq!(second.refresh(&copy).await.code(), "nonce-used");
    wait_for(&place.licenses, "cad", "says so", |license| clone_seen(license).is_some()).await;
    assert_eq!(second.deactivate(&own).await.status, 204);
    wait_for(&place.licenses, "cad", "is free", |license| {
        license.status.as_ref().is_some_and(|status| status.seats.activated == 0)
    })
    .await;
}

#[tokio::test]
async fn when_the_leader_dies_the_other_answers_on_and_leads() {
    let mut replicas = Replicas::start().await;
    let place = Place::new(&replicas.ground).await;
    place.apply(&for_devices(2)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let mut own = Own::of(&replicas.programs[0].activate(&place.namespace, &key, "d1", Some(&drawn())).await);

    replicas.ushers[0].kill();
    let second = replicas.programs[1].clone();
    answered(&second, &mut own).await;
    replicas.ushers[1].is_at_work().await;
    answered(&second, &mut own).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;

    // A third one comes, and follows; the second stops in its turn.
    let port = free_port();
    let mut third = start(&replicas.kubeconfig, &replicas.url, "third", port);
    answered(&second, &mut own).await;
    replicas.ushers[1].kill();
    third.is_at_work().await;
    place.delete_seat("ann").await;
    place.apply(&seat("bob")).await;
    place.seat("bob", SeatState::Bound).await;
}

#[tokio::test]
async fn when_a_key_turns_neither_replica_is_at_a_loss_for_the_next_one() {
    let replicas = Replicas::start().await;
    let place = Place::new(&replicas.ground).await;
    place.apply(&for_devices(2)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let mut owns = Vec::new();
    for (device, program) in ["d1", "d2"].into_iter().zip(&replicas.programs) {
        let request = drawn();
        let begun = until("it signs", async || {
            let told = program.try_activate(&place.namespace, &key, device, &request).await.ok()?;
            (told.status != 503).then_some(told)
        });
        owns.push(Own::of(&begun.await));
    }
    let signing =
        async || place.authorities.get("default").await.unwrap().status.unwrap().signing_key.unwrap();
    let former = signing().await;
    let revoke = json!({"metadata": {"annotations": {"usher.dev/revoke-keys": former}}});
    place.authorities.patch("default", &PatchParams::default(), &Patch::Merge(revoke)).await.unwrap();
    let mut since = 0;
    until("another key signs for a while", async || {
        for (own, program) in owns.iter_mut().zip(&replicas.programs) {
            let told = program.refresh(own).await;
            assert_eq!(told.status, 200, "{told:?}");
            own.nonce = told.nonce.unwrap();
        }
        since += i32::from(signing().await != former);
        (since == 5).then_some(())
    })
    .await;
}

/// Refreshes; whoever has just begun signs in a moment.
async fn answered(program: &Program, own: &mut Own) {
    let path = format!("/v1/activations/{}/refresh", own.id);
    let call = Call { token: Some(&own.token), nonce: Some(&own.nonce), ..Call::default() };
    let told = until("it is answered", async || {
        let told = program.try_send(Method::POST, &path, &call).await.ok()?;
        (told.status != 503).then_some(told)
    })
    .await;
    assert_eq!(told.status, 200, "{told:?}");
    own.nonce = told.nonce.unwrap();
}

/// What a command that works on the ledger at `url` ends with, and says.
fn usher(ground: &Ground, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), ground);
    let output = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("USHER_LEDGER", url)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn commands_work_on_a_database_as_on_a_file_and_never_say_its_password() {
    let replicas = Replicas::start().await;
    let place = Place::new(&replicas.ground).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    let usher = |url: &str, arguments: &[&str]| usher(&replicas.ground, url, arguments);

    let (code, said) = usher(&replicas.url, &["audit", "verify"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("whole in itself"), "{said}");
    let (code, said) = usher(&replicas.url, &["audit", "list"]);
    assert!(code == Some(0) && said.contains("ann@acme.example"), "{said}");
    let (code, said) = usher(&replicas.url, &["forget", "zoe@acme.example"]);
    assert!(code == Some(0) && said.contains("knows no such person"), "{said}");
    let (code, said) = usher(&replicas.url, &["ledger", "backup", "copy.db"]);
    assert!(code == Some(2) && said.contains("with pg_dump"), "{said}");

    let (code, said) = usher(&database().await, &["audit", "verify"]);
    assert!(code == Some(2) && said.contains("is no ledger of this version"), "{said}");
    for (url, sentence) in [
        ("mysql://usher:s3cret@db.acme.example/usher", "none of a PostgreSQL database"),
        ("postgres://usher:s3cret@127.0.0.1:1/usher", "cannot open the ledger postgres://127.0.0.1/usher"),
    ] {
        for command in [&["audit", "verify"][..], &["forget", "zoe@acme.example"]] {
            let (code, said) = usher(url, command);
            assert!(code == Some(2) && said.contains(sentence) && !said.contains("s3cret"), "{said}");
        }
    }
    let (code, said) = usher("mysql://usher:s3cret@db.acme.example/usher", &["run"]);
    assert!(code == Some(2) && said.contains("none of a PostgreSQL") && !said.contains("s3cret"), "{said}");
    let (_, said) = usher("postgres://usher:s3cret@db.acme.example/usher", &["run", "--help"]);
    assert!(said.contains("USHER_LEDGER") && !said.contains("s3cret"), "{said}");
}
