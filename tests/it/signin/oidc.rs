//! Usher as a relying party of Keycloak.

use fantoccini::Client;
use jiff::Timestamp;
use openidconnect::url::Url;
use usher::{
    domain::{principal::NoAddress, text::ProviderGroup},
    identity::{
        Principal,
        fetch::Loopback,
        oidc::{Algorithm, Callback, Pending, Refused, RelyingParty, Settings, token::Check},
    },
    service::edge::Edge as _,
};

use super::settings;
use crate::ground::{Machine, idp, until};

fn usher(settings: Settings) -> RelyingParty {
    RelyingParty::new(settings, Loopback::Allowed).unwrap()
}

/// Nobody listens there: where the browser was sent back to is read from its address.
fn back() -> Url {
    "https://127.0.0.1:9/back".parse().unwrap()
}

fn now() -> Timestamp {
    Machine.now()
}

async fn begun(usher: &RelyingParty) -> (Url, Pending) {
    usher.begin(&back(), &Machine.entropy(), now()).await.unwrap()
}

/// What the browser brings back after `name` has signed in at `url`.
async fn signed_in(browser: &Client, url: &Url, name: &str) -> Callback {
    browser.goto(url.as_str()).await.unwrap();
    idp::sign_in(browser, name).await;
    let came_back = until("the browser is sent back", async || {
        let at = browser.current_url().await.ok()?;
        (at.path() == "/back").then_some(at)
    });
    let found: std::collections::BTreeMap<String, String> =
        came_back.await.query_pairs().into_owned().collect();
    let found = |name: &str| found.get(name).cloned();
    Callback { state: found("state").unwrap(), code: found("code"), iss: found("iss"), error: found("error") }
}

async fn who(name: &str) -> Principal {
    let (browser, usher) = (idp::browser(1280, 800).await, usher(settings()));
    let (url, pending) = begun(&usher).await;
    let callback = signed_in(&browser, &url, name).await;
    browser.close().await.unwrap();
    usher.finish(&pending, &callback, &back(), now()).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_is_who_the_provider_says() {
    let ann = who("ann").await;
    assert_eq!((ann.issuer.as_str(), ann.name.as_str()), (idp::issuer().as_str(), "Ann Example"));
    assert_eq!(ann.email.unwrap().as_str(), "ann@acme.example");
    assert_eq!(ann.groups.iter().map(ProviderGroup::as_str).collect::<Vec<_>>(), ["cad-users"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_counts_only_if_it_is_the_providers_to_say_and_verified() {
    assert_eq!(who("mallory").await.email, Err(NoAddress::OtherDomain));
    assert_eq!(who("eve").await.email, Err(NoAddress::Unverified));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_brings_back_is_good_for_its_own_request_alone_and_once() {
    let (browser, usher) = (idp::browser(1280, 800).await, usher(settings()));
    let (url, pending) = begun(&usher).await;
    let callback = signed_in(&browser, &url, "bob").await;
    browser.close().await.unwrap();
    let finish =
        async |pending: &Pending, callback: &Callback| usher.finish(pending, callback, &back(), now()).await;

    let (_, other) = begun(&usher).await;
    assert!(matches!(finish(&other, &callback).await, Err(Refused::State)));
    for iss in [None, Some("https://other.acme.example".to_owned())] {
        let mixed_up = Callback { iss, ..callback.clone() };
        assert!(matches!(finish(&pending, &mixed_up).await, Err(Refused::MixUp)));
    }
    let denied = Callback { error: Some("access_denied".into()), code: None, ..callback.clone() };
    assert!(matches!(finish(&pending, &denied).await, Err(Refused::Denied(why)) if why == "access_denied"));
    // The code of one, and what was kept of another: the provider holds it against the challenge that it was shown.
    let stolen = Callback { state: other.state.clone(), ..callback.clone() };
    assert!(matches!(finish(&other, &stolen).await, Err(Refused::Code(why)) if why == "invalid_grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once() {
    let (browser, usher) = (idp::browser(1280, 800).await, usher(settings()));
    let (url, pending) = begun(&usher).await;
    let callback = signed_in(&browser, &url, "cy").await;
    browser.close().await.unwrap();
    usher.finish(&pending, &callback, &back(), now()).await.unwrap();
    let again = usher.finish(&pending, &callback, &back(), now()).await;
    assert!(matches!(again, Err(Refused::Code(why)) if why == "invalid_grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_a_kind_that_is_not_named_is_refused_though_the_key_is_the_providers() {
    let browser = idp::browser(1280, 800).await;
    let usher = usher(Settings { algorithms: vec![Algorithm::Rs256], ..settings() });
    let (url, pending) = begun(&usher).await;
    let callback = signed_in(&browser, &url, "ann").await;
    browser.close().await.unwrap();
    let refused = usher.finish(&pending, &callback, &back(), now()).await.map(|(who, _)| who);
    assert!(matches!(refused, Err(Refused::Token(Check::Algorithm))), "{refused:?}");
}

#[tokio::test]
async fn a_provider_that_is_not_who_it_should_be_is_not_gone_to() {
    let away = async |settings: Settings, loopback| {
        let usher = RelyingParty::new(settings, loopback).unwrap();
        match usher.begin(&back(), &[7; 32], now()).await {
            Err(Refused::Away(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was gone to"),
        }
    };
    // Its certificate is of nobody whom we trust.
    let why = away(Settings { ca: None, ..settings() }, Loopback::Allowed).await;
    assert!(why.contains("certificate"), "{why}");
    let why = away(settings(), Loopback::Forbidden).await;
    assert!(why.contains("not an address that a provider may have"), "{why}");
    // The host by another name: what it publishes is of another issuer.
    let issuer = idp::issuer().replace("localhost", "127.0.0.1").parse().unwrap();
    let why = away(Settings { issuer, ..settings() }, Loopback::Allowed).await;
    assert!(why.contains("unexpected issuer"), "{why}");
}
