//! `usher agent --login`: the real program, on the seat of whoever is signed in on its machine.

use std::{path::PathBuf, process::Output};

use ::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};
use usher_license::{Holder, User};

use super::{
    Scene,
    device::clicks,
    groups::{admitting, members},
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{
        idp::{self, Admin},
        operator::Turned,
        proxy::Proxy,
        seat, until,
    },
    runtime::{
        agent::{Agent, document, said},
        program::Call,
    },
};

impl Machine {
    /// Somebody signs in on it whose name and password are `name`.
    async fn signs_in(&self, name: &str, called: &str) {
        let browser = idp::browser(1280, 800).await;
        let (mut login, _said, url) = self.login();
        begun(&browser, &url, &format!("{name}@acme.example")).await;
        idp::sign_in(&browser, name).await;
        is_titled(&browser, &format!("Continue as {called} on Lab 3?")).await;
        clicks(&browser, "yes").await;
        is_titled(&browser, "You are signed in. You can close this page.").await;
        browser.close().await.unwrap();
        assert!(login.wait().unwrap().success());
    }

    fn agent_state(&self) -> PathBuf {
        self.state("activations").join(self.namespace()).join("cad")
    }

    fn agent(&self, more: &[&str]) -> std::process::Command {
        let license = format!("{}/cad", self.namespace());
        let agent = ["--login", "--license", &license, "--device", "9f86d081"];
        self.command("agent", &[&agent[..], more].concat())
    }

    fn runs(&self, more: &[&str]) -> Output {
        self.agent(more).output().unwrap()
    }

    fn starts(&self, more: &[&str]) -> Agent {
        Agent::start(self.agent(more), &self.agent_state())
    }

    /// As if ten minutes had gone by.
    fn access_token_ends(&self) {
        let path = self.state("login.json");
        let mut kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        kept["access_until"] = 0.into();
        std::fs::write(&path, kept.to_string()).unwrap();
    }
}

/// A cluster in which Ann has a seat.
pub(super) async fn with_ann() -> (Scene, Machine) {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    let machine = Machine::new(&scene);
    (scene, machine)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_goes_by_whoever_is_signed_in_and_says_when_they_are_not_any_more() {
    let (scene, machine) = with_ann().await;
    let nobody = machine.runs(&["--", "true"]);
    assert_eq!(nobody.status.code(), Some(1));
    let told = "Nobody is signed in on this machine. Sign in again: usher login. (signed-out)";
    assert!(said(&nobody).contains(told), "{}", said(&nobody));

    machine.signs_in("ann", "Ann Example").await;
    let script = r#"test -s "$USHER_DOCUMENTS/license.jws" && test -z "$USHER_LOGIN" && exec sleep 600"#;
    let mut agent = machine.starts(&["--", "sh", "-c", script]);
    agent.stands("good").await;
    let signed = usher_license::License::parse(document(&machine.agent_state()).as_bytes()).unwrap();
    let ann = Holder::User(User::Email { email: "ann@acme.example".into() });
    assert_eq!(signed.unverified_claims().holder, Some(ann));
    assert!(!machine.agent_state().join("key.jwk").exists(), "it is bound to the key of the login");
    let (_, who) = machine.said("whoami");
    assert!(who.contains("active on 1 of 1 devices"), "{who}");

    // Her access token alone, without her key, sees nothing and ends nothing.
    let state = std::fs::read(machine.agent_state().join("state.json")).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    let activation = format!("/v1/activations/{}", state["activation"]["id"].as_str().unwrap());
    for (method, path) in [(Method::DELETE, activation.as_str()), (Method::GET, "/v1/me/licenses")] {
        let call = Call { token: Some(&machine.access_token()), ..Call::default() };
        let told = scene.program.send(method, path, &call).await;
        assert_eq!((told.status, told.code()), (401, "proof-missing".to_owned()), "{path}");
    }

    // The access token ends, and the next one comes of itself.
    let former = machine.access_token();
    machine.access_token_ends();
    until("there is another access token", async || (machine.access_token() != former).then_some(())).await;
    let before = document(&machine.agent_state());
    agent.signal("-HUP");
    until("it is renewed", async || (document(&machine.agent_state()) != before).then_some(())).await;

    // She signs out, and is told of it; what was granted goes on.
    assert!(machine.said("logout").0);
    let refused = agent.stands("refused").await;
    assert_eq!((&refused["code"], &refused["why"]), (&json!("signed-out"), &json!(told)), "{refused}");
    assert!(agent.lives());
    machine.signs_in("ann", "Ann Example").await;
    agent.stands("good").await;
    assert!(agent.lives());

    // Somebody else is not her.
    machine.said("logout");
    machine.signs_in("bob", "Bob Example").await;
    until("it is said", async || {
        (agent.stands("refused").await["code"] == "another-signed-in").then_some(())
    })
    .await;
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(128 + 15));
    assert!(!machine.agent_state().join("license.jws").exists(), "the place is given back by its own token");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_goes_on_without_the_network_and_is_asked_about_when_it_is_back() {
    let (_scene, machine) = with_ann().await;
    machine.signs_in("ann", "Ann Example").await;
    let proxy = Proxy::new().await;
    let through = ["--proxy", &proxy.url, "--keep", "--", "sleep", "600"];
    let mut agent = machine.starts(&through);
    agent.stands("good").await;
    let before = document(&machine.agent_state());

    proxy.pull();
    let tried = proxy.asked().len();
    machine.access_token_ends();
    until("the server is asked in vain", async || (proxy.asked().len() > tried).then_some(())).await;
    assert!(agent.lives());
    agent.stands("good").await;
    assert_eq!(document(&machine.agent_state()), before);
    proxy.plug();
    until("the document is a new one", async || (document(&machine.agent_state()) != before).then_some(()))
        .await;
    agent.signal("-TERM");
    assert_eq!(agent.ends().await, Some(128 + 15));

    // It starts without the network, too.
    proxy.pull();
    let offline = machine.runs(&[&through[..3], &["--", "true"]].concat());
    assert_eq!(offline.status.code(), Some(0), "{}", said(&offline));

    // Signed out, and strict: its program does not start.
    proxy.plug();
    machine.said("logout");
    let strict = machine.runs(&["--strict", "--", "true"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(said(&strict).contains("(signed-out)"), "{}", said(&strict));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_the_company_is_signed_out_under_their_running_program() {
    let clock = Turned::new();
    let scene = Scene::by("localhost", clock.clone()).await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&admitting("Members")).await;
    scene.place.apply(&members()).await;
    let admin = Admin::new();
    let gus = admin.takes_on("gus", "cad-users").await;
    let machine = Machine::new(&scene);
    machine.signs_in("gus", "gus Example").await;
    let mut agent = machine.starts(&["--strict", "--", "sleep", "600"]);
    agent.stands("good").await;

    admin.disables(&gus).await;
    clock.forward(SignedDuration::from_secs(60));
    machine.access_token_ends();
    assert_eq!(agent.ends().await, Some(1));
    let status: Value =
        serde_json::from_slice(&std::fs::read(machine.agent_state().join("status.json")).unwrap()).unwrap();
    assert_eq!(status["code"], "signed-out");
    let why = status["why"].as_str().unwrap();
    assert!(
        why.starts_with("The sign-in on this machine has ended: ") && why.contains("usher login"),
        "{why}"
    );
    assert_eq!(machine.said("whoami"), (false, "Nobody is signed in on this machine: usher login\n".into()));
}
