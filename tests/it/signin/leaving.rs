//! Whoever leaves the company, or a group there, while their programs go on.

use std::sync::Arc;

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

/// Where members of the group take seats of the License that is named, too.
async fn for_members(clock: &Arc<Turned>) -> (Scene, String) {
    let scene = Scene::by("localhost", clock.clone()).await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&admitting("Members")).await;
    scene.place.apply(&members()).await;
    let cad = format!("{}/cad", scene.place.namespace);
    (scene, cad)
}

/// A program goes on by this device token.
async fn goes_on(scene: &Scene, device_token: &str) -> (u16, Value) {
    let fields = [("grant_type", "refresh_token"), ("client_id", "usher"), ("refresh_token", device_token)];
    scene.program.form("/oauth2/token", &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_or_loses_the_group_is_out_at_the_next_recheck_and_who_waits_is_in() {
    let clock = Turned::new();
    let (scene, cad) = for_members(&clock).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_on_one_machine_costs_nobody_the_seat_and_a_leaver_is_out_on_all() {
    let clock = Turned::new();
    let (scene, cad) = for_members(&clock).await;
    let admin = Admin::new();
    let gil_id = admin.takes_on("gil", "cad-users").await;
    admin.takes_on("hal", "cad-users").await;
    let old = signed_in(&scene, "gil").await;
    scene.seat_of("gil", SeatState::Bound).await;
    let (live, idle) = (signed_in(&scene, "gil").await, signed_in(&scene, "gil").await);
    let own = Own::of(&scene.activate(&live.access_token(), &cad).await);
    signed_in(&scene, "hal").await;
    scene.seat_of("hal", SeatState::Waiting).await;

    // An old machine, whose session is over at the provider.
    admin.ends_first_session(&gil_id).await;
    clock.forward(SignedDuration::from_secs(60));
    let (status, said) = goes_on(&scene, &old.device_token()).await;
    let over = json!("your session at the identity provider is over: sign in again");
    assert_eq!((status, &said["error"], &said["error_description"]), (400, &json!("invalid_grant"), &over));
    let out = scene.activate(&old.access_token(), &cad).await;
    assert_eq!((out.status, out.code().as_str()), (401, "unauthorized"));
    let own = Own { nonce: scene.program.refresh(&own).await.nonce.unwrap(), ..own };
    clock.forward(SignedDuration::from_secs(60));
    let (status, said) = goes_on(&scene, &live.device_token()).await;
    assert_eq!(status, 200, "{said}");
    let live = said;
    scene.seat_of("gil", SeatState::Bound).await;
    scene.seat_of("hal", SeatState::Waiting).await;

    // He leaves, and is out everywhere with the first question.
    admin.disables(&gil_id).await;
    clock.forward(SignedDuration::from_secs(60));
    let (status, said) = goes_on(&scene, live["refresh_token"].as_str().unwrap()).await;
    let no = json!("the identity provider does not let you in any more: sign in again");
    assert_eq!((status, &said["error_description"]), (400, &no));
    scene.seat_of("hal", SeatState::Bound).await;
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended");
    for token in [idle.access_token(), live["access_token"].as_str().unwrap().to_owned()] {
        let out = scene.activate(&token, &cad).await;
        assert_eq!((out.status, out.code().as_str()), (401, "unauthorized"));
    }
    let counted = scene.operator.metrics.text();
    for (outcome, times) in [("no", 3), ("yes", 2)] {
        let line = format!("\nusher_rechecks_total{{outcome=\"{outcome}\"}} {times}\n");
        assert!(counted.contains(&line), "{outcome}: {counted}");
    }
}
