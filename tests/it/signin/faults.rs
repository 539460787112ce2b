//! Signing in while something breaks, with Usher as a process on a database that is cut off.

use std::path::Path;

use fantoccini::{Client, Locator};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;
use usher::cluster::api::IdentityProvider;

use super::{
    acme, client_secret,
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{
        Ground, Listening, apply,
        cable::Cable,
        idp,
        postgres::database,
        process::{Usher, free_port, kubeconfig_beside},
        until, wait_for,
    },
    scenarios::Place,
};

const CONTINUE: &str = "Continue as Ann Example on Lab 3?";

async fn heading(browser: &Client) -> Option<String> {
    browser.find(Locator::Css("h1")).await.ok()?.text().await.ok()
}

/// Ann says yes, and her program is signed in.
async fn goes_on(browser: &Client, login: &mut std::process::Child) {
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(browser, "You are signed in. You can close this page.").await;
    assert!(login.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_the_provider_while_the_database_or_usher_is_away_is_signed_in_when_it_is_back() {
    let (ground, directory) = (Ground::own(), tempfile::tempdir().unwrap());
    let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), &ground);
    let cable = Cable::to(&database().await, true).await;
    let port = free_port();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("https://localhost:{port}"));
    let start = || {
        let options = ["--secrets-cluster-wide", "--listen", &listen, "--public-url", &url];
        Usher::start(&kubeconfig, Path::new(&cable.url), &options)
    };
    let mut usher = start();
    usher.is_at_work().await;
    client_secret(&ground);
    let place = Place::new(&ground).await;
    apply(&place.client, "", &acme(&json!({"from": "All"}))).await.unwrap();
    let providers: Api<IdentityProvider> = Api::all(place.client.clone());
    let is_told = |provider: &IdentityProvider| {
        provider.status.as_ref().is_some_and(|status| status.authorization_host.is_some())
    };
    wait_for(&providers, "acme", "says where people sign in", is_told).await;
    let maps: Api<ConfigMap> = Api::namespaced(ground.admin().await, "usher-system");
    let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let machine = Machine::of(Listening { url: url.clone(), ca }, &place);

    // She comes back while the database is away, is told to try again, and does.
    let browser = idp::browser(1280, 800).await;
    let (mut login, _said, at) = machine.login();
    begun(&browser, &at, "ann@acme.example").await;
    browser.wait().for_element(Locator::Id("kc-login")).await.unwrap();
    cable.pull();
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, "Usher cannot answer").await;
    let said = browser.find(Locator::Css("[role=alert]")).await.unwrap().text().await.unwrap();
    assert_eq!(said, "Usher cannot answer at this moment.");
    cable.plug();
    until("trying again helps", async || {
        browser.refresh().await.ok()?;
        heading(&browser).await.filter(|heading| heading == CONTINUE)
    })
    .await;
    goes_on(&browser, &mut login).await;
    // What is over is over, whichever way one goes back to it.
    browser.goto(&format!("{url}/signin/continue")).await.unwrap();
    is_titled(&browser, "You are not signed in").await;
    browser.close().await.unwrap();

    // She is at the provider while Usher is killed, and comes back to the next one.
    let browser = idp::browser(1280, 800).await;
    let (mut login, _said, at) = machine.login();
    begun(&browser, &at, "ann@acme.example").await;
    browser.wait().for_element(Locator::Id("kc-login")).await.unwrap();
    usher.kill();
    let mut usher = start();
    usher.is_at_work().await;
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, CONTINUE).await;
    goes_on(&browser, &mut login).await;
    browser.close().await.unwrap();
}
