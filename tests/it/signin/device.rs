//! Signing in on a machine without a browser, from a browser elsewhere.

use std::{
    io::{BufRead as _, Read as _},
    process::Child,
};

use fantoccini::{Client, Locator, key::Key};
use serde_json::json;
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};
use usher_license::{Holder, User};

use super::{
    Scene,
    people::{Machine, fits, is_titled},
};
use crate::ground::{idp, seat};

fn ended(mut login: Child) -> (bool, String) {
    let mut said = String::new();
    login.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (login.wait().unwrap().success(), said)
}

/// Somebody opens the page, and types what their device shows and their address: by keyboard alone.
pub(super) async fn typed(browser: &Client, url: &str, code: &str, address: &str) {
    browser.goto(url).await.unwrap();
    is_titled(browser, "Sign in for a device").await;
    fits(browser).await;
    let keys = format!("{code}{}{address}{}", char::from(Key::Tab), char::from(Key::Enter));
    browser.active_element().await.unwrap().send_keys(&keys).await.unwrap();
}

pub(super) async fn clicks(browser: &Client, answer: &str) {
    let button = format!("button[value={answer}]");
    browser.find(Locator::Css(&button)).await.unwrap().click().await.unwrap();
}

async fn text(browser: &Client) -> String {
    browser.find(Locator::Css("main")).await.unwrap().text().await.unwrap()
}

/// Signs Ann in for the machine, in this browser, and activates on the seat that is hers.
async fn ann_signs_in(scene: &Scene, browser: &Client, called: &str) {
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    let machine = Machine::new(scene);
    let (login, mut said, url) = machine.login_on_device();
    assert_eq!(url, format!("{}/device", scene.listening.url));
    let mut code = String::new();
    said.read_line(&mut code).unwrap();
    let code = code.trim();
    typed(browser, &url, &code.to_lowercase().replace('-', " "), "ann@acme.example").await;
    idp::sign_in(browser, "ann").await;
    is_titled(browser, &format!("Continue as {called} on Lab 3?")).await;
    fits(browser).await;
    let page = text(browser).await;
    for shown in [code, "Lab 3", "127.0.0.1 (this browser, too)", "less than a minute ago"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    clicks(browser, "yes").await;
    is_titled(browser, "You are signed in").await;
    let (signed_in, why) = ended(login);
    assert!(signed_in, "{why}");
    let mut last = String::new();
    said.read_line(&mut last).unwrap();
    let who = format!("{called} (ann@acme.example), of acme, is signed in on this machine until 20");
    assert!(last.starts_with(&who), "{last}");
    let (signed_in, who) = machine.said("whoami");
    assert!(signed_in && who.starts_with(&last), "{who}");

    let told = machine.activate(&machine.access_token(), "9f86d081").await;
    assert_eq!(told.claims().holder, Some(Holder::User(User::Email { email: "ann@acme.example".into() })));
    crate::runtime::path::verified(&scene.place, &told.text("document")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_for_a_device_in_a_browser_elsewhere_and_nobody_without_their_yes() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    let machine = Machine::new(&scene);
    let (refused, _, url) = machine.login_on_device();
    let (signed_in, why) = ended(refused);
    assert!(
        !signed_in && url.is_empty() && why.contains("nobody signs in at this server by a code"),
        "{why}"
    );

    scene.devices_are_signed_in().await;
    let browser = idp::browser(390, 844).await;
    ann_signs_in(&scene, &browser, "Ann Example").await;

    // Somebody has sent her the code of another device. Keycloak still knows who she is: our own page asks all the same.
    let (login, mut said, url) = machine.login_on_device();
    let mut code = String::new();
    said.read_line(&mut code).unwrap();
    typed(&browser, &url, code.trim(), "acme.example").await;
    is_titled(&browser, "Continue as Ann Example on Lab 3?").await;
    clicks(&browser, "no").await;
    is_titled(&browser, "You are not signed in").await;
    browser.close().await.unwrap();
    let (signed_in, why) = ended(login);
    assert!(!signed_in && why.contains("nobody is signed in: whoever signed in said no"), "{why}");
    assert!(!machine.said("whoami").0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_for_a_device_by_saml() {
    let scene = Scene::at("127.0.0.1").await;
    scene.people_come_by_saml().await;
    scene.devices_are_signed_in().await;
    let browser = idp::browser(1280, 800).await;
    ann_signs_in(&scene, &browser, "Ann").await;
    browser.close().await.unwrap();
}
