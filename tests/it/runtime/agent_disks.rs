//! `usher agent` on disks that take nothing.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    Scene,
    agent::{Machine, document},
    for_devices,
};
use crate::{ground::until, scenarios::with};

/// Makes it impossible to replace a file of an agent's folder, for root too: where the new one is to be written, there is a folder.
struct Stuck(PathBuf);

impl Stuck {
    fn at(path: PathBuf) -> Self {
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn ends(self) {
        std::fs::remove_dir(self.0).unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_stops_no_program_and_all_goes_on_once_it_is_mended() {
    let scene = Scene::new(&for_devices(1)).await;
    let machine = Machine::new(&scene);
    let mut agent = machine.start("one", "lab-3", &["--", "sleep", "600"]);
    agent.stands("good").await;
    let state = machine.state("one");
    for file in ["state.json", "license.jws"] {
        let before = document(&state);
        let stuck = Stuck::at(state.join(format!("{file}.new")));
        agent.signal("-HUP");
        let why =
            until("it says why", async || agent.stands("good").await["trouble"].as_str().map(str::to_owned))
                .await;
        assert!(why.contains("cannot write") && why.contains(file), "{why}");
        assert!(agent.lives());
        assert_eq!(document(&state), before);
        stuck.ends();
        agent.signal("-HUP");
        until("it goes on", async || {
            (document(&state) != before && agent.stands("good").await["trouble"].is_null()).then_some(())
        })
        .await;
    }

    // It cannot say how it stands, and goes on all the same.
    let stuck = Stuck::at(state.join("status.json.new"));
    scene.place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    agent.signal("-HUP");
    until("it was refused", async || {
        let kept: Value = serde_json::from_slice(&std::fs::read(state.join("state.json")).unwrap()).unwrap();
        (kept["pending"]["operation"] == "refresh").then_some(())
    })
    .await;
    assert!(agent.lives());
    stuck.ends();
    agent.signal("-HUP");
    agent.stands("refused").await;
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(128 + 15), "as its program ended");
    scene.place.apply(&for_devices(1)).await;
    scene.place.license_says("cad", "Issued").await;
    scene.active("another").await;
}
