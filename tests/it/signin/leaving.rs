//! Whoever leaves the company, or a group there, while their programs go on.

use fantoccini::Locator;
use jiff::SignedDuration;
use serde_json::{Value, json};
use usher::{
    cluster::api::{LeavingBy, SeatState},
    domain::namespaces::Namespaces,
};

use super::{
    Scene,
    groups::{admitting, members},
    people::{Machine, begun, is_titled},
};
use crate::{
    ground::{
        idp::{self, Admin},
        operator::Turned,
        until,
    },
    runtime::Own,
};

/// `name` signs in on a machine of theirs.
async fn signed_in(scene: &Scene, name: &str) -> Machine {
    let (machine, browser) = (Machine::bearer(scene), idp::browser(1280, 800).await);
    let (mut login, _said, url) = machine.login();
    begun(&browser, &url, &format!("{name}@acme.example")).await;
    idp::sign_in(&browser, name).await;
    is_titled(&browser, &format!("Continue as {name} Example on Lab 3?")).await;
    browser.find(Locator::Css("button[value=yes]")).await.unwrap().click().await.unwrap();
    is_titled(&browser, "You are signed in. You can close this page.").await;
    browser.close().await.unwrap();
    assert!(login.wait().unwrap().success());
    machine
}

/// A program goes on by this device token.
async fn goes_on(scene: &Scene, device_token: &str) -> (u16, Value) {
    let fields = [("grant_type", "refresh_token"), ("client_id", "usher"), ("refresh_token", device_token)];
    scene.program.form("/oauth2/token", &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_or_loses_the_group_is_out_at_the_next_recheck_and_who_waits_is_in() {
    let clock = Turned::new();
    let scene = Scene::by("localhost", clock.clone()).await;
    let cad = format!("{}/cad", scene.place.namespace);
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&admitting("Members")).await;
    scene.place.apply(&members()).await;
    let admin = Admin::new();
    let dee_id = admin.takes_on("dee", "cad-users").await;
    let eli_id = admin.takes_on("eli", "cad-users").await;
    admin.takes_on("fay", "cad-users").await;

    let dee = signed_in(&scene, "dee").await;
    scene.seat_of("dee", SeatState::Bound).await;
    let own = Own::of(&scene.activate(&dee.access_token(), &cad).await);
    let eli = signed_in(&scene, "eli").await;
    scene.seat_of("eli", SeatState::Waiting).await;
    let fay = signed_in(&scene, "fay").await;
    scene.seat_of("fay", SeatState::Waiting).await;

    // She is disabled at the provider, which tells nobody.
    admin.disables(&dee_id).await;
    assert_eq!(scene.program.check(&own).await.status, 200);
    clock.forward(SignedDuration::from_secs(60));
    let (status, said) = goes_on(&scene, &dee.device_token()).await;
    assert_eq!((status, &said["error"]), (400, &json!("invalid_grant")), "{said}");
    let out = scene.activate(&dee.access_token(), &cad).await;
    assert_eq!((out.status, out.code().as_str()), (401, "unauthorized"), "at once");
    scene.seat_of("eli", SeatState::Bound).await;
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended", "it went with her seat");

    // Whoever is still there goes on.
    let (status, said) = goes_on(&scene, &eli.device_token()).await;
    assert_eq!(status, 200, "{said}");
    scene.seat_of("eli", SeatState::Bound).await;

    // He is there, and in the group no more.
    admin.takes_out_of_groups(&eli_id).await;
    clock.forward(SignedDuration::from_secs(60));
    let (status, said) = goes_on(&scene, said["refresh_token"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{said}");
    scene.seat_of("fay", SeatState::Bound).await;
    let (status, said) = goes_on(&scene, &fay.device_token()).await;
    assert_eq!(status, 200, "{said}");
    Own::of(&scene.activate(said["access_token"].as_str().unwrap(), &cad).await);
    let none = scene.activate(&eli.access_token(), &cad).await;
    assert_ne!(none.status, 201, "{none:?}");

    // Once the provider was looked at again, it says how soon a leaver is out.
    clock.forward(SignedDuration::from_mins(5));
    until("the IdentityProvider says how leavers are kept out", async || {
        let leaving = scene.providers().get("acme").await.unwrap().status?.leaving?;
        (leaving.by == LeavingBy::Recheck && leaving.within == "11m").then_some(())
    })
    .await;
}
