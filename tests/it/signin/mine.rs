//! What somebody sees of their licenses in their own browser, and ends there by keyboard alone.

use ::http::Method;
use fantoccini::{Client, Locator, key::Key};
use serde_json::json;
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};

use super::{
    Scene,
    device::clicks,
    for_people,
    groups::admitting,
    people::{Machine, begun, fits, is_titled},
};
use crate::{
    ground::{axe, idp, seat, until},
    runtime::{
        Own,
        program::{Call, drawn},
    },
    scenarios::with,
};

impl Machine {
    /// An activation on the seat of whoever is signed in on this machine.
    pub(super) async fn active(&self) -> Own {
        Own::of(&self.activate(&self.access_token(), "9f86d081").await)
    }
}

/// A session is opened of this activation.
pub(super) async fn opens_session(scene: &Scene, own: &Own) {
    let (key, body) = (drawn(), json!({"activation": own.id}));
    let call = Call { key: Some(&key), body: Some(body), ..own.call() };
    let told = scene.program.send(Method::POST, "/v1/sessions", &call).await;
    assert_eq!(told.status, 201, "{told:?}");
}

/// Somebody whose name and password are `name` opens the page, and comes back from their provider.
pub(super) async fn enters(browser: &Client, me: &str, name: &str) {
    begun(browser, me, &format!("{name}@acme.example")).await;
    idp::sign_in(browser, name).await;
}

/// Goes on with the Tab key until this has the focus, and presses Enter.
pub(super) async fn presses(browser: &Client, css: &str) {
    let is_there = format!("return document.activeElement.matches({})", json!(css));
    for _ in 0..20 {
        let focused = browser.active_element().await.unwrap();
        if browser.execute(&is_there, Vec::new()).await.unwrap() == json!(true) {
            return focused.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
        }
        focused.send_keys(&char::from(Key::Tab).to_string()).await.unwrap();
    }
    panic!("nobody comes to {css} by keyboard");
}

/// Two copies of `own` speak, and nobody but whoever holds the seat ends the quarantine: they have signed in on `machine`.
async fn resolves(scene: &Scene, machine: &Machine, own: &mut Own) {
    let copy = own.clone();
    own.nonce = scene.program.refresh(own).await.nonce.unwrap();
    assert_eq!(scene.program.refresh(&copy).await.code(), "nonce-used");
    assert_eq!(scene.program.refresh(own).await.code(), "activation-quarantined");
    let resolve = async |token: &str, id: &str| {
        let call = Call { token: Some(token), ..Call::default() };
        scene.program.send(Method::POST, &format!("/v1/activations/{id}/resolve"), &call).await
    };
    let access = machine.access_token();
    assert_eq!(resolve(&own.token, &own.id).await.code(), "unauthorized");
    assert_eq!(resolve(&access, &"0".repeat(32)).await.code(), "forbidden");
    assert_eq!(scene.program.refresh(own).await.code(), "activation-quarantined");
    assert_eq!(resolve(&access, &own.id).await.status, 204);
    own.nonce = scene.program.refresh(own).await.nonce.unwrap();
    assert_eq!(scene.program.refresh(&copy).await.code(), "nonce-used");
}

async fn says(browser: &Client) -> String {
    browser.find(Locator::Css("main")).await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_sees_their_seat_ends_its_device_by_keyboard_alone_and_signs_out() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    for name in ["ann", "bob"] {
        scene.place.apply(&seat(name)).await;
    }
    let quarantine = json!({"spec": {"clones": {"policy": "Quarantine"}}});
    scene.place.apply(&with(for_people(), &quarantine)).await;
    let me = format!("{}/me", scene.listening.url);
    let cad = format!("cad {}/cad", scene.place.namespace);
    scene.place.seat("ann", SeatState::Bound).await;
    scene.place.waits_at("bob", 1).await;

    let browser = idp::browser(390, 844).await;
    enters(&browser, &me, "ann").await;
    is_titled(&browser, "Continue as Ann Example in this browser?").await;
    presses(&browser, "button[value=yes]").await;
    is_titled(&browser, "My licenses").await;
    assert_eq!(browser.current_url().await.unwrap().as_str(), me, "it says nothing of anybody");
    let page = says(&browser).await;
    for said in
        ["You are Ann Example, ann@acme.example.", &cad, "You have a seat.", "It is active on no device."]
    {
        assert!(page.contains(said), "{said}: {page}");
    }

    // The same person signs in on a machine, and a program is activated there.
    let machine = Machine::bearer(&scene);
    let (mut login, _said, url) = machine.login();
    begun(&browser, &url, "ann@acme.example").await;
    is_titled(&browser, "Continue as Ann Example on Lab 3?").await;
    clicks(&browser, "yes").await;
    is_titled(&browser, "You are signed in. You can close this page.").await;
    assert!(login.wait().unwrap().success());
    let mut own = machine.active().await;
    resolves(&scene, &machine, &mut own).await;
    opens_session(&scene, &own).await;
    browser.goto(&me).await.unwrap();
    is_titled(&browser, "My licenses").await;
    let page = says(&browser).await;
    for said in ["Devices: 1 of 1", "In use now: 1", "Lab 3"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    fits(&browser).await;
    axe::nothing_keeps_people_out(&browser).await;

    presses(&browser, "form[action='/me/devices'] button").await;
    let done = browser.wait().for_element(Locator::Css("[role=status]")).await.unwrap();
    assert_eq!(done.text().await.unwrap(), "The device is ended, and its place is free.");
    assert!(says(&browser).await.contains("It is active on no device."));
    let refused = scene.program.refresh(&own).await;
    assert_eq!((refused.status, refused.code().as_str()), (410, "activation-ended"));
    // Its place is free, for the same one or another.
    machine.activate(&machine.access_token(), "0000aaaa").await.claims();

    presses(&browser, "form[action='/me/sign-out'] button").await;
    is_titled(&browser, "You are signed out").await;
    browser.goto(&me).await.unwrap();
    is_titled(&browser, "Sign in").await;
    assert!(machine.said("whoami").0, "on the machine she is signed in");
    browser.close().await.unwrap();

    let browser = idp::browser(1280, 800).await;
    enters(&browser, &me, "bob").await;
    is_titled(&browser, "Continue as Bob Example in this browser?").await;
    presses(&browser, "button[value=yes]").await;
    is_titled(&browser, "My licenses").await;
    let page = says(&browser).await;
    assert!(page.contains(&cad) && page.contains("You wait for a seat, at place 1."), "{page}");
    assert!(!page.contains("Lab 3") && !page.contains("ann@acme.example"), "{page}");
    fits(&browser).await;
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_seat_of_what_is_open_to_all_asks_for_one_by_keyboard_alone() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&admitting("Verified")).await;
    scene.place.license_says("cad", "Issued").await;
    let me = format!("{}/me", scene.listening.url);
    for (name, called, stands, width) in [
        ("cy", "Cy Example", "You have a seat.", 390),
        ("ann", "Ann Example", "You wait for a seat, at place 1.", 1280),
    ] {
        let browser = idp::browser(width, 844).await;
        enters(&browser, &me, name).await;
        is_titled(&browser, &format!("Continue as {called} in this browser?")).await;
        presses(&browser, "button[value=yes]").await;
        is_titled(&browser, "My licenses").await;
        let page = says(&browser).await;
        assert!(
            page.contains("You have no license here.") && page.contains("You can ask for a seat"),
            "{page}"
        );
        fits(&browser).await;
        axe::nothing_keeps_people_out(&browser).await;
        presses(&browser, "form[action='/me/licenses'] button").await;
        browser.wait().for_element(Locator::Css("[role=status]")).await.unwrap();
        until(stands, async || {
            browser.goto(&me).await.ok()?;
            says(&browser).await.contains(stands).then_some(())
        })
        .await;
        assert!(!says(&browser).await.contains("You can ask for a seat"));
        browser.close().await.unwrap();
    }
}
