//! `usher agent --trust`, on a machine whose clock is not the server's.

use jiff::SignedDuration;

use super::{
    Scene,
    agent::{Machine, document, said},
    for_devices,
};
use crate::{
    ground::until,
    scenarios::{Place, turned::World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_behind_the_servers_stops_no_program_and_takes_no_place() {
    let world = World::new().await;
    let listening = world.operator.listen().await;
    let scene = Scene::of(Place::new(&world.ground).await, &listening, &for_devices(1)).await;
    let machine = Machine::at(&scene, &listening.url, &listening.ca);
    let authority = scene.place.authorities.get("default").await.unwrap();
    let root = authority.status.unwrap().root.unwrap();
    let issuer = "https://usher.acme.example/a/default";
    let trust = ["--trust", &root, "--issuer", issuer, "--product", "cad"];
    let with = |more: &[&'static str]| [&trust[..], more].concat();

    // Half a minute is borne with.
    world.clock.forward(SignedDuration::from_secs(30));
    let mut agent = machine.start("one", "lab-3", &with(&["--keep", "--", "sleep", "600"]));
    agent.stands("good").await;
    let good = document(&machine.state("one"));

    // With more, the program goes on with the document that it has.
    world.clock.forward(SignedDuration::from_hours(1));
    agent.signal("-HUP");
    let why =
        until("it says why", async || agent.stands("good").await["trouble"].as_str().map(str::to_owned))
            .await;
    assert!(why.contains("the document that the server sent is refused"), "{why}");
    assert!(agent.lives());
    assert_eq!(document(&machine.state("one")), good);
    agent.signal("-TERM");
    agent.ends().await;
    std::fs::remove_file(machine.state("one").join("status.json")).unwrap();
    let mut again = machine.start("one", "lab-3", &with(&["--", "sleep", "600"]));
    again.stands("good").await;
    assert_eq!(document(&machine.state("one")), good, "also after a start");
    again.signal("-TERM");
    assert_eq!(again.ends().await, Some(128 + 15), "as its program ended");

    // Whoever has none begins with none, and leaves the place to others.
    let ran = machine.run("two", "lab-4", &with(&["--", "true"]));
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert!(said(&ran).contains("the document that the server sent is refused"), "{}", said(&ran));
    assert!(!machine.state("two").join("license.jws").exists());
    scene.active("another").await;
}
