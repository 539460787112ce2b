//! `usher agent` is told to stop: what it gives back, and what it must not.

use serde_json::json;

use super::{
    Scene,
    agent::{Machine, document, said},
    for_devices,
    gateway::{Does, Gateway},
};
use crate::{
    ground::{served, until},
    scenarios::with,
};

const ACTIVATE: &str = "POST /v1/activations";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_told_to_stop_leaves_the_place_to_the_one_that_goes_on_whether_it_knows_or_not() {
    for knows in [true, false] {
        let scene = Scene::new(&for_devices(1)).await;
        let machine = Machine::new(&scene);
        let mut one = machine.start("one", "lab-3", &["--", "sleep", "600"]);
        one.stands("good").await;
        machine.copy("one", "two");
        // It refreshes when it starts, and so it is the one that goes on.
        let other = machine.start("two", "lab-3", &[]);
        other.stands("good").await;
        if knows {
            one.signal("-HUP");
            assert_eq!(one.stands("refused").await["code"], "nonce-used");
        }
        one.signal("-TERM");
        assert_eq!(one.ends().await, Some(128 + 15), "as its program ended");
        let before = document(&machine.state("two"));
        other.signal("-HUP");
        until("the other goes on", async || (document(&machine.state("two")) != before).then_some(())).await;
        assert_eq!(scene.activate("another").await.code(), "seats-exhausted");

        // Nor does the copy take the place away when it starts again.
        let again = machine.run("one", "lab-3", &["--strict", "--", "true"]);
        assert_eq!(again.status.code(), Some(1));
        other.signal("-HUP");
        other.stands("good").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_to_stop_before_it_knows_whether_it_has_a_place_gives_it_back() {
    let scene = Scene::new(&for_devices(1)).await;
    let gateway = Gateway::that(Does::LoseOneReply).await;
    let machine = Machine::at(&scene, &gateway.url, &served().ca);
    let mut agent = machine.start("one", "lab-3", &["--", "sleep", "600"]);
    until("it has asked", async || (!gateway.came(ACTIVATE).is_empty()).then_some(())).await;
    assert_eq!(scene.activate("another").await.code(), "seats-exhausted");
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(0));
    scene.active("another").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_whose_reply_was_lost_is_repeated_as_it_was_whatever_the_machine_is_called_by_then() {
    let none = json!({"spec": {"clones": {"recoveries": {"limit": 0, "per": "720h"}}}});
    let scene = Scene::new(&with(for_devices(1), &none)).await;
    let gateway = Gateway::that(Does::Pass).await;
    let machine = Machine::at(&scene, &gateway.url, &served().ca);
    // What cannot come to anything is not repeated.
    let refused = machine.run("one", "lab-3", &["--device-name", "Lab 3, left"]);
    assert!(said(&refused).contains("(request-invalid)"), "{refused:?}");
    gateway.does(Does::LoseReplies);
    let agent = machine.start("one", "lab-3", &["--device-name", "Lab 3 left"]);
    until("it has asked", async || (gateway.came(ACTIVATE).len() > 1).then_some(())).await;
    agent.signal("-KILL");
    drop(agent);
    gateway.does(Does::Pass);
    let named = machine.run("one", "lab-3", &["--device-name", "Lab 3 right", "--keep", "--", "true"]);
    assert_eq!(named.status.code(), Some(0), "{named:?}");
    let mut came = gateway.came(ACTIVATE);
    assert!(came.len() > 2);
    came.dedup();
    assert_eq!(came.len(), 2, "{came:?}");
}
