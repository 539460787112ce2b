//! How `usher agent` stands, as a probe asks it: the real program, over HTTP.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    Scene,
    agent::{Agent, agent},
    for_devices,
};
use crate::{
    ground::{served, until},
    scenarios::with,
};

/// A port that nobody has.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The status and what is said, whoever signed the certificate; 0 if nobody answers.
fn asked(url: &str) -> (u16, String) {
    let asked =
        Command::new("curl").args(["-sk", "--noproxy", "*", "-w", "\n%{http_code}", url]).output().unwrap();
    let text = String::from_utf8(asked.stdout).unwrap();
    let (said, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), said.to_owned())
}

fn status(url: &str) -> Value {
    serde_json::from_str(&asked(&format!("{url}/status")).1).unwrap()
}

/// The agent of `lab-3`, which tells at `health` how it stands.
fn command(scene: &Scene, folder: &Path, health: &str) -> Command {
    std::fs::write(folder.join("key"), &scene.key).unwrap();
    std::fs::write(folder.join("ca.crt"), &served().ca).unwrap();
    let mut command = agent(&scene.place.namespace, &folder.join("ca.crt"));
    command.args(["--device", "lab-3", "--health", health]);
    command.arg("--key-file").arg(folder.join("key")).arg("--state").arg(folder.join("state"));
    command
}

#[tokio::test]
async fn a_probe_is_told_whether_the_program_may_run_and_whoever_looks_into_it_why_not() {
    let (scene, folder) = (Scene::new(&for_devices(1)).await, tempfile::tempdir().unwrap());
    let (port, state) = (port(), folder.path().join("state"));
    let url = format!("http://127.0.0.1:{port}");
    let mut agent = Agent::start(command(&scene, folder.path(), &port.to_string()), &state);
    let good = agent.stands("good").await;
    assert_eq!(asked(&format!("{url}/healthz")), (200, "ok\n".into()));
    assert_eq!(asked(&format!("{url}/readyz")), (200, "ok\n".into()));
    let told = status(&url);
    assert_eq!((&told["state"], &told["until"]), (&json!("good"), &good["until"]));
    assert!(told["document_ends"].as_u64() > told["until"].as_u64(), "{told}");
    assert!(told["refreshed_at"].as_u64() <= told["now"].as_u64(), "{told}");
    assert_eq!((&told["asked_at"], &told["trouble"]), (&told["refreshed_at"], &Value::Null));

    // Refused, it goes on until the document ends.
    scene.place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    agent.signal("-HUP");
    agent.stands("refused").await;
    assert_eq!(asked(&format!("{url}/readyz")).0, 200);
    let told = status(&url);
    assert_eq!((&told["code"], &told["why"]), (&json!("license-suspended"), &told["trouble"]));
    assert!(told["trouble"].as_str().unwrap().contains("suspended"), "{told}");
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(0));
    assert_eq!(asked(&format!("{url}/healthz")).0, 0, "nobody is there any more");
}

#[tokio::test]
async fn before_it_has_reached_its_server_it_lives_and_is_not_ready_and_outside_of_its_machine_it_speaks_tls()
{
    let (folder, health, nobody) = (tempfile::tempdir().unwrap(), port(), port());
    std::fs::write(folder.path().join("key"), "usher_key_x").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command.args(["agent", "--server", &format!("http://127.0.0.1:{nobody}"), "--license", "design/cad"]);
    command.args(["--device", "lab-3", "--health", &format!("0.0.0.0:{health}")]);
    command.arg("--key-file").arg(folder.path().join("key")).arg("--state").arg(folder.path().join("state"));
    let agent = Agent::start(command, folder.path());
    let url = format!("https://127.0.0.1:{health}");
    until("it says that it waits for its server", async || {
        let (status, why) = asked(&format!("{url}/readyz"));
        (status == 503 && why.starts_with("nothing is activated yet: the server cannot be reached"))
            .then_some(())
    })
    .await;
    assert_eq!(asked(&format!("{url}/healthz")), (200, "ok\n".into()));
    let told = status(&url);
    assert_eq!((&told["state"], &told["document_ends"]), (&json!("starting"), &Value::Null));
    assert_eq!(asked(&format!("http://127.0.0.1:{health}/healthz")).0, 0, "in the clear it says nothing");
    drop(agent);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_and_nothing_is_activated() {
    let (scene, folder) = (Scene::new(&for_devices(1)).await, tempfile::tempdir().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ran =
        command(&scene, folder.path(), &address.port().to_string()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("cannot tell of its health at {address}")), "{said}");
    scene.active("another").await;
}
