//! `usher agent`, of whose state there are two: real processes, under each policy of `clones`, and the ways out.

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    Scene,
    administrators::{ISSUER, account, token},
    agent::{Agent, Machine, document, said},
    clones::clone_seen,
    for_devices,
    program::Call,
};
use crate::{
    ground::{shared, until, wait_for},
    scenarios::{Place, turned::World, with},
};

/// A program that runs until it is told to stop.
const PROGRAM: &[&str] = &["--", "sleep", "600"];

fn by_policy(seats: u32, policy: &str) -> Value {
    with(for_devices(seats), &json!({"spec": {"clones": {"policy": policy}}}))
}

/// Of two agents of one state, which was copied while the first one ran: the copy refreshes when it starts, and so before the original,
/// which is told that it is not the only one.
async fn two_of_one(machine: &Machine<'_>) -> [Agent; 2] {
    let original = machine.start("one", "lab-3", PROGRAM);
    original.stands("good").await;
    machine.copy("one", "two");
    let copy = machine.start("two", "lab-3", PROGRAM);
    copy.stands("good").await;
    original.signal("-HUP");
    let refused = original.stands("refused").await;
    assert_eq!(refused["code"], "nonce-used");
    assert!(refused["why"].as_str().unwrap().contains("activate again on the same device"), "{refused}");
    assert!(refused["ends"].as_u64().unwrap() > 0, "its document has an end");
    [original, copy]
}

/// What the License says of copies, once it does.
async fn warning(scene: &Scene) -> String {
    let says = wait_for(&scene.place.licenses, "cad", "says so", |license| clone_seen(license).is_some());
    clone_seen(&says.await).unwrap()
}

impl Agent {
    /// Asks now, and is given another document than `before`, which is in `state`.
    async fn is_renewed(&self, machine: &Machine<'_>, state: &str, before: &str) {
        self.signal("-HUP");
        let renewed = async || (document(&machine.state(state)) != before).then_some(());
        until("it is renewed", renewed).await;
        self.stands("good").await;
    }
}

#[tokio::test]
async fn under_refuse_one_goes_on_and_the_other_is_told_what_to_do_and_recovers() {
    let scene = Scene::new(&for_devices(2)).await;
    let machine = Machine::new(&scene);
    let [mut original, copy] = two_of_one(&machine).await;
    let second = machine.run("one", "lab-3", &[]);
    assert_eq!(second.status.code(), Some(2));
    assert!(said(&second).contains("is in use by another process"), "{}", said(&second));
    copy.is_renewed(&machine, "two", &document(&machine.state("two"))).await;
    assert!(warning(&scene).await.ends_with("deactivate it, or activate its device again"));

    // The honest way out, for whichever of the two is the honest one.
    original.signal("-TERM");
    original.ends().await;
    let recovered = machine.start("one", "lab-3", &["--recover"]);
    recovered.stands("good").await;
    copy.signal("-HUP");
    assert_eq!(copy.stands("refused").await["code"], "activation-superseded");
}

#[tokio::test]
async fn under_quarantine_both_run_on_and_neither_is_renewed_until_an_administrator_has_decided() {
    let scene = Scene::new(&by_policy(1, "Quarantine")).await;
    let machine = Machine::new(&scene);
    let [mut original, mut copy] = two_of_one(&machine).await;
    let before = document(&machine.state("two"));
    copy.signal("-HUP");
    let refused = copy.stands("refused").await;
    assert_eq!(refused["code"], "activation-quarantined");
    assert!(refused["why"].as_str().unwrap().contains("Ask an administrator"), "{refused}");
    assert!(refused["ends"].as_u64().unwrap() > 0, "its document has an end");
    assert!(original.lives() && copy.lives(), "with the documents that they have");
    assert_eq!(document(&machine.state("two")), before);
    assert!(machine.state("one").join("license.jws").exists());
    let warning = warning(&scene).await;

    // A copy that starts anew is no better off, and its program runs all the same.
    copy.signal("-KILL");
    drop(copy);
    std::fs::remove_file(machine.state("two").join("status.json")).unwrap();
    let mut copy = machine.start("two", "lab-3", PROGRAM);
    assert_eq!(copy.stands("refused").await["code"], "activation-quarantined");
    assert!(copy.lives());

    // The License says what to send, and an administrator sends it.
    let path = warning.split_once("or POST ").expect(&warning).1;
    account(shared(), &scene.place.namespace, "boss", Some("usher-licensor"));
    let boss = token(shared(), &scene.place.namespace, "boss", &[ISSUER]);
    let call = Call { token: Some(&boss), ..Call::default() };
    assert_eq!(scene.program.send(Method::POST, path, &call).await.status, 204);
    copy.is_renewed(&machine, "two", &before).await;
    wait_for(&scene.place.licenses, "cad", "says nothing any more", |license| clone_seen(license).is_none())
        .await;
    original.signal("-TERM");
    assert_eq!(original.ends().await, Some(128 + 15), "as its program ended");
    let again = machine.run("one", "lab-3", &["--strict", "--", "true"]);
    assert!(said(&again).contains("(nonce-used)"), "{}", said(&again));

    let recovered = machine.start("one", "lab-3", &["--recover"]);
    recovered.stands("good").await;
    copy.signal("-HUP");
    assert_eq!(copy.stands("refused").await["code"], "activation-superseded");
}

/// The server's clock is so far behind that what it signs has ended on the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_quarantine_an_agent_ends_with_its_document_and_once_that_has_ended_the_last_nonce_goes_on() {
    let world = World::new().await;
    let listening = world.operator.listen().await;
    let scene = Scene::of(Place::new(&world.ground).await, &listening, &by_policy(1, "Quarantine")).await;
    let machine = Machine::at(&scene, &listening.url, &listening.ca);
    let start = |state: &str| machine.run(state, "lab-3", &["--keep", "--", "true"]);
    let ends = |state: &str, code: &str| {
        let ran = start(state);
        assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
        assert!(said(&ran).contains(&format!("({code})")), "{}", said(&ran));
    };
    let has_ended = |state: &str| {
        let ran = start(state);
        assert!(said(&ran).contains("the document has ended"), "{}", said(&ran));
    };
    // Of a day and three more offline.
    let behind = SignedDuration::from_hours(97);
    world.clock.back(behind);
    has_ended("one");
    machine.copy("one", "two");
    has_ended("two");
    ends("one", "nonce-used");
    ends("two", "activation-quarantined");
    assert_eq!(scene.activate("another").await.code(), "seats-exhausted");
    world.clock.forward(behind);
    assert_eq!(start("two").status.code(), Some(0));
    ends("one", "nonce-used");
}

#[tokio::test]
async fn under_replace_both_go_on_each_with_a_place_of_its_own_and_a_third_finds_none() {
    let scene = Scene::new(&by_policy(2, "Replace")).await;
    let machine = Machine::new(&scene);
    let mut original = machine.start("one", "lab-3", PROGRAM);
    original.stands("good").await;
    machine.copy("one", "two");
    machine.copy("one", "three");
    // The original goes on first, and so the copies are those that are told.
    original.is_renewed(&machine, "one", &document(&machine.state("one"))).await;
    let told = machine.run("two", "lab-3", &["--keep", "--strict", "--", "true"]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));
    assert!(said(&told).contains("with a place of its own"), "{}", said(&told));
    let again = machine.run("two", "lab-3", &["--keep", "--strict", "--", "true"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(!said(&again).contains("copy"), "{}", said(&again));
    std::fs::remove_file(machine.state("two").join("status.json")).unwrap();
    let copy = machine.start("two", "lab-3", PROGRAM);
    copy.stands("good").await;
    for (agent, state) in [(&original, "one"), (&copy, "two"), (&original, "one")] {
        agent.is_renewed(&machine, state, &document(&machine.state(state))).await;
    }
    warning(&scene).await;
    let third = machine.run("three", "lab-3", &["--strict", "--", "true"]);
    assert_eq!(third.status.code(), Some(1));
    assert!(said(&third).contains("2 of 2 seats are taken"), "{}", said(&third));
    assert!(said(&third).contains("(nonce-used)"), "{}", said(&third));
    assert_eq!(scene.activate("another").await.code(), "seats-exhausted");

    // Whoever recovers takes over its own place, and not the copy's.
    original.signal("-KILL");
    original.ends().await;
    let recovered = machine.start("three", "lab-3", &["--recover"]);
    recovered.stands("good").await;
    copy.is_renewed(&machine, "two", &document(&machine.state("two"))).await;
    let former = machine.run("one", "lab-3", &["--strict", "--", "true"]);
    assert!(said(&former).contains("(activation-superseded)"), "{}", said(&former));
}
