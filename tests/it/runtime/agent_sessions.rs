//! `usher agent --session`: a session is open as long as the program runs.

use serde_json::json;

use super::{
    Scene,
    agent::{Machine, said},
    for_devices,
};
use crate::scenarios::with;

#[tokio::test]
async fn a_program_has_a_session_while_it_runs_and_one_too_many_does_not_start() {
    let one = with(for_devices(2), &json!({"spec": {"sessions": {"total": 1, "ttl": "30s"}}}));
    let scene = Scene::new(&one).await;
    let machine = Machine::new(&scene);
    let named = ["--device-name", "Lab 3", "--keep", "--session", "--", "sleep", "600"];
    let mut first = machine.start("one", "lab-3", &named);
    first.stands("good").await;
    let run = |more: &[&str]| machine.run("two", "lab-4", &[more, &["--session", "--", "true"]].concat());

    let exhausted = "1 sessions of the License are open, the oldest on Lab 3; 1 may be. Close one";
    crate::ground::until("the session of the first is open", async || {
        let second = run(&[]);
        (second.status.code() == Some(1) && said(&second).contains(exhausted)).then_some(())
    })
    .await;
    scene.active("another").await;
    let usual = machine.run("three", "lab-5", &["--", "true"]);
    assert!(
        said(&usual).contains("2 of 2 seats are taken"),
        "the place of the one that did not start was free"
    );

    // It ended with the License; of itself, the agent says so and opens another one as soon as it may.
    scene.place.apply(&with(one.clone(), &json!({"spec": {"suspended": true}}))).await;
    scene.place.license_says("cad", "Suspended").await;
    assert_eq!(first.stands("refused").await["code"], "license-suspended");
    scene.place.apply(&with(one, &json!({"spec": {"suspended": false}}))).await;
    scene.place.license_says("cad", "Issued").await;
    first.stands("good").await;

    // Its place is kept, and its session is not.
    first.signal("-TERM");
    assert_eq!(first.ends().await, Some(128 + 15));
    let alone = machine.run("one", "lab-3", &["--session", "--", "true"]);
    assert_eq!(alone.status.code(), Some(0), "{}", said(&alone));
}
