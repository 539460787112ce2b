//! `usher agent`: the real program, on state of its own, and on state that was copied.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Scene, for_devices};
use crate::{
    ground::{served, until},
    scenarios::with,
};

const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// The beginning of an agent's command line, for `cad` of this namespace. It ends when this thread does, and so when this process does.
pub(super) fn agent(namespace: &str, ca: &Path) -> Command {
    agent_of(&served().url, namespace, ca)
}

/// The same, of the server at `url`.
fn agent_of(url: &str, namespace: &str, ca: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", USHER, "agent", "--server", url]);
    command.arg("--license").arg(format!("{namespace}/cad")).arg("--ca").arg(ca);
    command
}

/// A folder with the key and the CA, and with the state of each installation.
pub(super) struct Machine<'a> {
    scene: &'a Scene,
    url: String,
    folder: TempDir,
}

impl<'a> Machine<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        Self::at(scene, &served().url, &served().ca)
    }

    /// The same, whose server is at `url`.
    pub(super) fn at(scene: &'a Scene, url: &str, ca: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), format!("{}\n", scene.key)).unwrap();
        std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
        Self { scene, url: url.to_owned(), folder }
    }

    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command line of the agent whose state is called `state`, on the device `device`.
    pub(super) fn command(&self, state: &str, device: &str, more: &[&str]) -> Command {
        let ca = self.folder.path().join("ca.crt");
        let mut command = agent_of(&self.url, &self.scene.place.namespace, &ca);
        command.args(["--device", device]).arg("--key-file").arg(self.folder.path().join("key"));
        command.arg("--state").arg(self.state(state)).args(more).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, state: &str, device: &str, more: &[&str]) -> Output {
        self.command(state, device, more).output().unwrap()
    }

    pub(super) fn start(&self, state: &str, device: &str, more: &[&str]) -> Agent {
        Agent::start(self.command(state, device, more), &self.state(state))
    }

    /// Copies the state of a running agent, as a snapshot of its disk does. The lock is not copied with it.
    pub(super) fn copy(&self, from: &str, to: &str) {
        self.copy_without_key(from, to);
        std::fs::copy(self.state(from).join("key.jwk"), self.state(to).join("key.jwk")).unwrap();
    }

    fn copy_without_key(&self, from: &str, to: &str) {
        std::fs::create_dir(self.state(to)).unwrap();
        std::fs::copy(self.state(from).join("state.json"), self.state(to).join("state.json")).unwrap();
    }
}

pub struct Agent {
    child: Child,
    status: PathBuf,
}

impl Agent {
    /// Starts this command, whose state is in `state`.
    pub fn start(mut command: Command, state: &Path) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, status: state.join("status.json") }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it says that it stands like this; all that it says.
    pub async fn stands(&self, state: &str) -> Value {
        until(&format!("the agent is {state}"), async || {
            let status: Value = serde_json::from_slice(&std::fs::read(&self.status).ok()?).ok()?;
            (status["state"] == state).then_some(status)
        })
        .await
    }

    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub async fn ends(&mut self) -> Option<i32> {
        until("the agent ends", async || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn document(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("license.jws")).unwrap()
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_program_runs_under_its_license_and_its_place_is_free_when_it_ends() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let authority = scene.place.authorities.get("default").await.unwrap();
    let root = authority.status.unwrap().root.unwrap();
    let issuer = "https://usher.acme.example/a/default";
    let trust = ["--trust", &root, "--issuer", issuer, "--product", "cad", "--"];
    // It finds its documents, and nothing by which it could act as this installation.
    let script = r#"set -e; cd "$USHER_DOCUMENTS"; test -s license.jws; grep -q '"state":"good"' status.json; test -z "$USHER_KEY_FILE"; exit 7"#;
    let ran = machine.run("one", "lab-3", &[&trust[..], &["sh", "-c", script]].concat());
    assert_eq!(ran.status.code(), Some(7), "{}", said(&ran));
    assert!(!machine.state("one").join("license.jws").exists(), "the document goes with the place");
    scene.active("another").await;

    let refused = machine.run("two", "lab-3", &[&trust[..], &["true"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("1 of 1 seats are taken. Deactivate"), "{}", said(&refused));
}

#[tokio::test]
async fn a_document_that_somebody_else_signed_is_not_given_to_the_program() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let root = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let trust = ["--trust", root, "--issuer", "https://usher.acme.example/a/default", "--product", "cad"];
    let ran = machine.run("one", "lab-3", &[&trust[..], &["--", "true"]].concat());
    assert_eq!(ran.status.code(), Some(2));
    assert!(said(&ran).contains("the document that the server sent is refused"), "{}", said(&ran));
    assert!(!machine.state("one").join("license.jws").exists());
}

#[tokio::test]
async fn a_state_that_was_copied_without_its_key_is_worth_nothing_and_the_chain_does_not_see_it() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let original = machine.start("one", "lab-3", &[]);
    original.stands("good").await;
    machine.copy_without_key("one", "two");
    let copy = machine.start("two", "lab-3", &[]);
    let refused = copy.stands("refused").await;
    assert_eq!(refused["code"], "proof-missing");
    // Another key is none.
    drop(copy);
    machine.run("three", "lab-9", &["--", "true"]);
    std::fs::copy(machine.state("three").join("key.jwk"), machine.state("two").join("key.jwk")).unwrap();
    let copy = machine.start("two", "lab-3", &[]);
    until("it is told", async || {
        let status = std::fs::read(machine.state("two").join("status.json")).ok()?;
        String::from_utf8_lossy(&status).contains("proof-invalid").then_some(())
    })
    .await;
    drop(copy);
    let before = document(&machine.state("one"));
    original.signal("-HUP");
    until("it is renewed", async || (document(&machine.state("one")) != before).then_some(())).await;
    let license = scene.place.licenses.get("cad").await.unwrap();
    assert_eq!(super::clones::clone_seen(&license), None, "it is no fork: nobody had the key");
}

#[tokio::test]
async fn whoever_wants_no_key_has_none_and_goes_on_as_before() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let run = |more: &[&str]| {
        machine.run("one", "lab-3", &[more, &["--keep", "--strict", "--", "true"]].concat()).status.code()
    };
    let key = machine.state("one").join("key.jwk");
    assert_eq!((run(&["--bearer"]), key.exists()), (Some(0), false));
    assert_eq!((run(&["--bearer"]), key.exists()), (Some(0), false));
    // What is bound is bound at its beginning, and what is not goes on.
    assert_eq!((run(&[]), key.exists()), (Some(0), false));
    assert_eq!((run(&["--recover"]), key.exists()), (Some(0), true));
    assert_eq!(run(&["--bearer"]), Some(0), "what is bound has its key");
}

#[tokio::test]
async fn whoever_is_strict_stops_its_program_when_the_server_refuses() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let mut agent = machine.start("one", "lab-3", &["--strict", "--", "sleep", "600"]);
    agent.stands("good").await;
    scene.place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    agent.signal("-HUP");
    assert_eq!(agent.ends().await, Some(1));
}

#[tokio::test]
async fn what_was_refused_is_asked_again_as_the_same_request() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let run = || machine.run("one", "lab-3", &["--keep", "--strict", "--", "true"]);
    let pending = || {
        let kept = std::fs::read(machine.state("one").join("state.json")).unwrap();
        serde_json::from_slice::<Value>(&kept).unwrap()["pending"].clone()
    };
    assert_eq!((run().status.code(), pending()), (Some(0), Value::Null));
    scene.place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    assert!(said(&run()).contains("(license-suspended)"));
    let first = pending();
    assert_eq!(first["operation"], "refresh");
    assert!(said(&run()).contains("(license-suspended)"));
    assert_eq!(pending(), first);
    scene.place.apply(&for_devices(1)).await;
    scene.place.license_says("cad", "Issued").await;
    assert_eq!((run().status.code(), pending()), (Some(0), Value::Null));
}

#[tokio::test]
async fn whoever_is_told_to_stop_gives_the_place_back_or_keeps_it() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let mut agent = machine.start("one", "lab-3", &["--keep"]);
    agent.stands("good").await;
    let kept = document(&machine.state("one"));
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(0));
    assert_eq!(scene.activate("another").await.code(), "seats-exhausted");

    let other = machine.run("one", "lab-4", &[]);
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("the state is that of"), "{}", said(&other));

    let mut agent = machine.start("one", "lab-3", &["--", "sleep", "600"]);
    agent.stands("good").await;
    until("it has a new document", async || (document(&machine.state("one")) != kept).then_some(())).await;
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(128 + 15), "as its program ended");
    scene.active("another").await;
}

#[tokio::test]
async fn however_often_an_agent_is_killed_it_is_never_taken_for_a_clone() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    for round in 0..30 {
        // Killed at once, in its first call, or in one that it was asked for.
        let agent = machine.start("one", "lab-3", &[]);
        match round % 3 {
            0 => {}
            1 => drop(agent.stands("good").await),
            _ => {
                agent.stands("good").await;
                agent.signal("-HUP");
            }
        }
        agent.signal("-KILL");
    }
    let agent = machine.start("one", "lab-3", &[]);
    let _ = std::fs::remove_file(machine.state("one").join("status.json"));
    agent.stands("good").await;
    agent.signal("-HUP");
    agent.stands("good").await;
    let license = scene.place.licenses.get("cad").await.unwrap();
    assert_eq!(super::clones::clone_seen(&license), None);
}

#[test]
fn a_machine_is_told_by_its_fingerprint_alone_or_in_a_table() {
    let run = |arguments: &[&str]| {
        let ran = Command::new(USHER).arg("fingerprint").args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", said(&ran));
        String::from_utf8(ran.stdout).unwrap()
    };
    let id = run(&[]);
    assert_eq!(id.trim_end().len(), 43, "{id}");
    assert_eq!(
        run(&["--csv", "--name", "Lab 3, left"]),
        format!("id,name\r\n{},\"Lab 3, left\"\r\n", id.trim_end())
    );
}
