//! Two providers at once, each for the people of its own domain. The second is unlike Keycloak wherever providers may differ: its issuer ends
//! in a slash, it signs by RSA, and its ID tokens say only who somebody is.

use fantoccini::{Client, Locator};
use kube::Api;
use serde_json::json;
use usher::{
    cluster::api::{IdentityProvider, SeatState},
    domain::namespaces::Namespaces,
    service::providers::Providers as _,
};
use usher_license::{Holder, User};

use super::{
    Scene,
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{apply, idp, seat, until, wait_for},
    runtime::program::Told,
    scenarios::with,
};

impl Scene {
    /// The second provider, for whoever is of `other.acme.example`.
    async fn others_come_too(&self) {
        let provider = json!({
            "kind": "IdentityProvider", "metadata": {"name": "other"},
            "spec": {
                "oidc": {"issuer": idp::second::issuer(), "clientId": "usher", "clientSecretRef": {"name": "acme", "key": "secret"},
                    "algorithms": ["RS256"], "ca": idp::second::ca(), "allowLoopback": true},
                "domains": ["other.acme.example"], "allowedNamespaces": {"from": "All"},
            },
        });
        apply(&self.place.client, "", &provider).await.unwrap();
        until("people sign in there", async || self.operator.providers.named("other").map(drop)).await;
        let providers: Api<IdentityProvider> = Api::all(self.place.client.clone());
        let is_told = |provider: &IdentityProvider| {
            provider.status.as_ref().is_some_and(|status| status.authorization_host.is_some())
        };
        wait_for(&providers, "other", "says where people sign in", is_told).await;
    }
}

/// The page of `usher login`, in a browser that knows nobody, where `address` was typed.
async fn typed(url: &str, address: &str) -> Client {
    let browser = idp::browser(1280, 800).await;
    begun(&browser, url, address).await;
    browser
}

/// What an activation is told of whoever signs in as `name` with this address.
async fn comes(scene: &Scene, name: &str, address: &str, called: &str) -> Told {
    let machine = Machine::new(scene);
    let (mut login, _said, url) = machine.login();
    let browser = typed(&url, address).await;
    if address.ends_with("@other.acme.example") {
        idp::second::sign_in(&browser, name).await;
    } else {
        idp::sign_in(&browser, name).await;
    }
    is_titled(&browser, &format!("Continue as {called} on Lab 3?")).await;
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(&browser, "You are signed in. You can close this page.").await;
    browser.close().await.unwrap();
    assert!(login.wait().unwrap().success());
    machine.activate(&machine.access_token(), name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_two_providers_sign_in_each_at_their_own_and_others_are_told_what_to_do() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.others_come_too().await;
    scene.place.apply(&with(super::for_people(), &json!({"spec": {"seats": 3}}))).await;
    for (name, address) in [
        ("ann", "ann@acme.example"),
        ("dora", "dora@other.acme.example"),
        ("emil", "emil@other.acme.example"),
    ] {
        let held = json!({"spec": {"holder": {"user": {"email": address}}}});
        scene.place.apply(&with(seat(name), &held)).await;
        scene.place.seat(name, SeatState::Bound).await;
    }

    for (name, address, called) in [
        ("ann", "ann@acme.example", "Ann Example"),
        // The address of whoever is known here by a bare subject comes from the UserInfo endpoint.
        ("dora", "dora@other.acme.example", "dora Example"),
    ] {
        let told = comes(&scene, name, address, called).await;
        let holder = Holder::User(User::Email { email: address.into() });
        assert_eq!(told.claims().holder, Some(holder), "{told:?}");
    }
    // It says that this address was not verified; and the address of another's domain is not its to say.
    for (name, called) in [("emil", "emil Example"), ("ann", "ann Example")] {
        let told = comes(&scene, name, "somebody@other.acme.example", called).await;
        assert_eq!((told.status, told.code().as_str()), (403, "seat-missing"), "{name}");
    }

    let machine = Machine::new(&scene);
    let (mut login, _said, url) = machine.login();
    let browser = typed(&url, "fay@third.acme.example").await;
    let hint = browser.wait().for_element(Locator::Css("#hint[role=alert]")).await.unwrap();
    assert_eq!(
        hint.text().await.unwrap(),
        "Nobody signs in here with addresses of third.acme.example. Look for a typing error. If there is none, ask your platform \
         team for an IdentityProvider with this domain."
    );
    browser.close().await.unwrap();
    login.kill().unwrap();
    login.wait().unwrap();
}
