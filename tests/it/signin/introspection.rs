//! Servers of others that are shown an access token ask Usher what it is worth.

use ::http::Method;
use fantoccini::Locator;
use serde_json::{Value, json};
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};

use super::{
    Scene,
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{Ground, idp, seat, until},
    runtime::{
        Own,
        administrators::{ISSUER, account, token},
        program::{Call, Told},
    },
};

/// Ann signs in on this machine.
async fn signs_in(machine: &Machine) {
    let browser = idp::browser(1280, 800).await;
    let (mut login, _said, url) = machine.login();
    begun(&browser, &url, "ann@acme.example").await;
    idp::sign_in(&browser, "ann").await;
    is_titled(&browser, "Continue as Ann Example on Lab 3?").await;
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(&browser, "You are signed in. You can close this page.").await;
    browser.close().await.unwrap();
    assert!(login.wait().unwrap().success());
}

impl Scene {
    /// What whoever shows `caller` is told of what this form asks about.
    async fn asks(&self, caller: Option<&str>, form: &str) -> Told {
        let call = Call { token: caller, form: Some(form), ..Call::default() };
        self.program.send(Method::POST, "/v1/introspect", &call).await
    }

    async fn is_told_of(&self, caller: &str, shown: &str) -> Value {
        let told = self.asks(Some(caller), &format!("token={shown}")).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.json()
    }
}

/// A server that may ask.
fn server(ground: &Ground, namespace: &str) -> String {
    account(ground, namespace, "server", None);
    let account = format!("--serviceaccount={namespace}:server");
    let role = "--clusterrole=usher-introspector";
    ground.kubectl(&["create", "clusterrolebinding", "server", role, &account]);
    token(ground, namespace, "server", &[ISSUER])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_the_right_is_told_whose_an_access_token_is_as_long_as_it_is_good() {
    let scene = Scene::new().await;
    let namespace = &*scene.place.namespace;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    let server = server(&scene.ground, namespace);
    let metadata = "/.well-known/oauth-authorization-server";
    let metadata = scene.program.send(Method::GET, metadata, &Call::default()).await;
    assert_eq!(metadata.text("introspection_endpoint"), format!("{}/v1/introspect", scene.listening.url));

    let (bound, bearer) = (Machine::new(&scene), Machine::bearer(&scene));
    signs_in(&bound).await;
    signs_in(&bearer).await;
    let access = bound.access_token();
    let told = scene.is_told_of(&server, &access).await;
    let (issued, ends) = (told["iat"].as_i64().unwrap(), told["exp"].as_i64().unwrap());
    assert_eq!(ends - issued, 600);
    let bearers = bearer.access_token();
    let me = Call { token: Some(&bearers), ..Call::default() };
    let me = scene.program.send(Method::GET, "/v1/me", &me).await;
    let sub = format!("{} {}", idp::issuer(), me.text("subject"));
    let all = json!({"active": true, "iss": scene.listening.url, "aud": scene.listening.url, "client_id": "usher", "sub": sub,
        "token_type": "DPoP", "iat": issued, "exp": ends, "cnf": {"jkt": bound.prover().thumbprint()}});
    assert_eq!(told, all, "and nothing else: no name, no address");
    let told = scene.is_told_of(&server, &bearers).await;
    assert_eq!((&told["sub"], &told["token_type"]), (&all["sub"], &json!("Bearer")));
    assert_eq!(told.get("cnf"), None);

    // What is no access token is nothing, whosever it is.
    let own = Own::of(&bearer.activate(&bearers, "9f86d081").await);
    for shown in [&*bound.device_token(), &bearer.device_token(), &own.token, "", "usher_acc_none", &server] {
        assert_eq!(scene.is_told_of(&server, shown).await, json!({"active": false}), "{shown}");
    }
    // Signed out: at once.
    assert!(bound.said("logout").0);
    assert_eq!(scene.is_told_of(&server, &access).await, json!({"active": false}));
    // Nor does anybody count whom no provider that is known has proven.
    assert_eq!(scene.is_told_of(&server, &bearers).await["active"], true);
    scene.providers().delete("acme", &Default::default()).await.unwrap();
    until("her token is good for nothing", async || {
        let told = scene.asks(Some(&server), &format!("token={bearers}")).await;
        (told.status == 200 && told.json() == json!({"active": false})).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_ask_is_told_nothing_of_any_token() {
    let scene = Scene::new().await;
    let (ground, namespace) = (&scene.ground, &*scene.place.namespace);
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    let good = server(ground, namespace);
    account(ground, namespace, "boss", Some("usher-licensor"));
    let boss = token(ground, namespace, "boss", &[ISSUER]);
    let elsewhere = token(ground, namespace, "server", &["https://other.acme.example"]);
    let both = token(ground, namespace, "server", &[ISSUER, "https://other.acme.example"]);
    let forged = format!("{}.c2ln", good.rsplit_once('.').unwrap().0);
    let ann = scene.token_in("ann", Ok("ann@acme.example"), &[]).await;
    for (caller, refused) in [
        (None, (401, "unauthorized")),
        (Some(&*ann), (401, "unauthorized")),
        (Some(&*forged), (401, "unauthorized")),
        (Some("usher_key_none"), (401, "unauthorized")),
        (Some(&*elsewhere), (401, "audience-wrong")),
        (Some(&*both), (401, "audience-wrong")),
        (Some(&*boss), (403, "forbidden")),
    ] {
        let told = scene.asks(caller, &format!("token={ann}")).await;
        assert_eq!((told.status, told.code().as_str()), refused, "{caller:?}");
        assert!(!told.text.contains("\"active\"") && !told.text.contains("ann@"), "{told:?}");
        assert_eq!(told.text, scene.asks(caller, "token=none").await.text, "{caller:?}");
    }
    let asked = |form: Option<&'static str>| Call { token: Some(&good), form, ..Call::default() };
    for (form, refused) in [
        (None, (415, "media-type-unsupported")),
        (Some(""), (400, "request-invalid")),
        (Some("token_type_hint=access_token"), (400, "request-invalid")),
        (Some("token=a&token=b"), (400, "request-invalid")),
    ] {
        let told = scene.program.send(Method::POST, "/v1/introspect", &asked(form)).await;
        assert_eq!((told.status, told.code().as_str()), refused, "{form:?}");
    }
    let told = scene.asks(Some(&good), &format!("token={ann}&token_type_hint=refresh_token")).await;
    assert_eq!((told.status, &told.json()["active"]), (200, &json!(true)), "a hint is a hint");
}
