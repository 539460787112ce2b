//! Two sign-ins in two tabs of one browser: neither ends the other, whichever way their provider has.

use std::process::Child;

use fantoccini::{Client, Locator};
use serde_json::json;
use usher::domain::namespaces::Namespaces;

use super::{
    Scene,
    people::{Machine, begun, is_titled},
};
use crate::ground::idp;

async fn yes(browser: &Client, mut login: Child) {
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(browser, "You are signed in. You can close this page.").await;
    assert!(login.wait().unwrap().success());
}

/// Ann begins in one tab and gets as far as her provider; begins in another one, and signs in there; and goes on in the first.
async fn in_two_tabs(scene: &Scene, called: &str) {
    let (one, other) = (Machine::new(scene), Machine::new(scene));
    let asked = format!("Continue as {called} on Lab 3?");
    let browser = idp::browser(1280, 800).await;
    let (first_login, _said, url) = one.login();
    begun(&browser, &url, "ann@acme.example").await;
    browser.wait().for_element(Locator::Id("username")).await.unwrap();
    let first = browser.window().await.unwrap();

    let second = browser.new_window(true).await.unwrap().handle;
    browser.switch_to_window(second.clone()).await.unwrap();
    let (second_login, _said_too, url) = other.login();
    begun(&browser, &url, "ann@acme.example").await;
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, &asked).await;

    browser.switch_to_window(first.clone()).await.unwrap();
    // Keycloak's page notices by itself that she has signed in elsewhere, or is told so.
    drop(browser.refresh().await);
    is_titled(&browser, &asked).await;
    browser.switch_to_window(second).await.unwrap();
    yes(&browser, second_login).await;
    browser.switch_to_window(first).await.unwrap();
    yes(&browser, first_login).await;
    browser.close().await.unwrap();
    for machine in [one, other] {
        assert!(machine.said("whoami").1.contains("(ann@acme.example), of acme, is signed in"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_saml_in_two_tabs_at_once() {
    let scene = Scene::at("127.0.0.1").await;
    scene.people_come_by_saml().await;
    in_two_tabs(&scene, "Ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_in_two_tabs_at_once() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    in_two_tabs(&scene, "Ann Example").await;
}
