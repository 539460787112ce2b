//! A picture of each page, at the width of a desk and of a phone. `make pictures` keeps them, for people to look at: they are not compared.

use std::{io::BufRead as _, path::PathBuf};

use fantoccini::{Client, Locator};
use serde_json::json;
use tempfile::TempDir;
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};

use super::{
    Scene,
    device::{clicks, typed},
    for_people,
    mine::{enters, opens_session, presses as by_keyboard},
    people::{Machine, begun, fits, is_titled},
};
use crate::{
    ground::{axe, idp, seat, until},
    scenarios::with,
};

/// Where pictures go if somebody wants to keep them.
fn folder(else_here: &TempDir) -> PathBuf {
    std::env::var_os("USHER_PICTURES").map_or_else(|| else_here.path().to_owned(), PathBuf::from)
}

/// A browser of this width, and where its pictures go.
struct Camera {
    browser: Client,
    width: u32,
    folder: PathBuf,
}

impl Camera {
    /// Keeps the page that is titled so, under this name.
    async fn takes(&self, name: &str, title: &str) {
        is_titled(&self.browser, title).await;
        fits(&self.browser).await;
        axe::nothing_keeps_people_out(&self.browser).await;
        let width = self.browser.execute("return window.innerWidth", Vec::new()).await.unwrap();
        assert_eq!(width, json!(self.width));
        let picture = self.browser.screenshot().await.unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        std::fs::write(self.folder.join(format!("{name}-{}.png", self.width)), picture).unwrap();
    }

    async fn presses(&self, button: &str) {
        self.browser.find(Locator::Css(button)).await.unwrap().click().await.unwrap();
    }

    /// The page that sends the browser on at once: what the form at `url` is answered with, but put where nothing goes on by itself.
    async fn takes_what_goes_on(&self, name: &str, server: &str, url: &str) {
        const PUT: &str = "const ask = (method, url, body) => {
                const call = new XMLHttpRequest(); call.open(method, url, false);
                if (body) call.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
                call.send(body); return call.responseText; };
            const form = new DOMParser().parseFromString(ask('GET', arguments[0]), 'text/html').querySelector('form');
            form.elements.login.value = 'ann@acme.example';
            const answer = ask('POST', '/signin', new URLSearchParams(new FormData(form)).toString());
            document.documentElement.lang = new DOMParser().parseFromString(answer, 'text/html').documentElement.lang;
            document.documentElement.innerHTML = answer;";
        // A place of ours that has no page, and so no policy that forbids this.
        self.browser.goto(&format!("{server}/v1/me")).await.unwrap();
        self.browser.execute(PUT, vec![json!(url)]).await.unwrap();
        let is_styled = "return getComputedStyle(document.querySelector('main')).maxWidth !== 'none'";
        until("the page has its style", async || {
            let is_styled = self.browser.execute(is_styled, Vec::new()).await.ok()?;
            (is_styled == json!(true)).then_some(())
        })
        .await;
        self.takes(name, "One moment").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_has_its_picture_and_fits_a_desk_and_a_phone() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.devices_are_signed_in().await;
    let temporary = tempfile::tempdir().unwrap();
    let folder = folder(&temporary);
    for (width, height) in [(1280, 800), (390, 844)] {
        let camera = Camera { browser: idp::browser(width, height).await, width, folder: folder.clone() };
        let browser = &camera.browser;
        let machine = Machine::new(&scene);

        let (mut login, _said, url) = machine.login();
        browser.goto(&url).await.unwrap();
        camera.takes("sign-in", "Sign in").await;
        begun(browser, &url, "ann@other.example").await;
        browser.wait().for_element(Locator::Css("#hint[role=alert]")).await.unwrap();
        camera.takes("mistyped", "Sign in").await;
        begun(browser, &url, "ann@acme.example").await;
        idp::sign_in(browser, "ann").await;
        camera.takes("continue", "Continue as Ann Example on Lab 3?").await;
        camera.presses("button[value=yes]").await;
        is_titled(browser, "You are signed in. You can close this page.").await;
        assert!(login.wait().unwrap().success());
        // The same again, after it is over.
        browser.goto(&format!("{}/signin/continue", scene.listening.url)).await.unwrap();
        camera.takes("refused", "You are not signed in").await;

        for answer in ["no", "yes"] {
            let (login, mut said, url) = machine.login_on_device();
            let mut code = String::new();
            said.read_line(&mut code).unwrap();
            browser.goto(&url).await.unwrap();
            camera.takes("device", "Sign in for a device").await;
            typed(browser, &url, code.trim(), "ann@acme.example").await;
            camera.takes("device-continue", "Continue as Ann Example on Lab 3?").await;
            clicks(browser, answer).await;
            let title = if answer == "yes" { "You are signed in" } else { "You are not signed in" };
            camera.takes(&format!("device-{answer}"), title).await;
            let output = login.wait_with_output().unwrap();
            assert_eq!(output.status.success(), answer == "yes");
        }

        let (mut login, _said, url) = machine.login();
        camera.takes_what_goes_on("one-moment", &scene.listening.url, &url).await;
        login.kill().unwrap();
        login.wait().unwrap();
        camera.browser.clone().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_see_of_their_licenses_has_its_picture_and_fits_a_desk_and_a_phone() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    scene.place.apply(&seat("bob")).await;
    scene.place.waits_at("bob", 1).await;
    let (machine, temporary) = (Machine::bearer(&scene), tempfile::tempdir().unwrap());
    let (mut login, _said, url) = machine.login();
    let own = idp::browser(1280, 800).await;
    begun(&own, &url, "ann@acme.example").await;
    idp::sign_in(&own, "ann").await;
    is_titled(&own, "Continue as Ann Example on Lab 3?").await;
    clicks(&own, "yes").await;
    is_titled(&own, "You are signed in. You can close this page.").await;
    own.close().await.unwrap();
    assert!(login.wait().unwrap().success());

    let me = format!("{}/me", scene.listening.url);
    for (width, height) in [(1280, 800), (390, 844)] {
        opens_session(&scene, &machine.active().await).await;
        for (name, called) in [("cy", "Cy Example"), ("bob", "Bob Example"), ("ann", "Ann Example")] {
            let browser = idp::browser(width, height).await;
            let camera = Camera { browser, width, folder: folder(&temporary) };
            let browser = &camera.browser;
            if name == "ann" {
                browser.goto(&me).await.unwrap();
                camera.takes("me-sign-in", "Sign in").await;
            }
            enters(browser, &me, name).await;
            let asked = format!("Continue as {called} in this browser?");
            if name == "ann" {
                camera.takes("me-continue", &asked).await;
            }
            is_titled(browser, &asked).await;
            clicks(browser, "yes").await;
            let picture = [("cy", "me-nothing"), ("bob", "me-waits"), ("ann", "me")];
            let picture = picture.into_iter().find(|(of, _)| *of == name).unwrap().1;
            camera.takes(picture, "My licenses").await;
            if name == "ann" {
                by_keyboard(browser, "form[action='/me/devices'] button").await;
                browser.wait().for_element(Locator::Css(".done")).await.unwrap();
                camera.takes("me-ended", "My licenses").await;
                by_keyboard(browser, "form[action='/me/sign-out'] button").await;
                camera.takes("me-left", "You are signed out").await;
            }
            camera.browser.clone().close().await.unwrap();
        }
    }

    scene.place.apply(&with(for_people(), &json!({"spec": {"signIn": "Verified"}}))).await;
    for (width, height) in [(1280, 800), (390, 844)] {
        let camera = Camera { browser: idp::browser(width, height).await, width, folder: folder(&temporary) };
        enters(&camera.browser, &me, "cy").await;
        is_titled(&camera.browser, "Continue as Cy Example in this browser?").await;
        clicks(&camera.browser, "yes").await;
        until("there is something to ask for", async || {
            camera.browser.goto(&me).await.ok()?;
            camera.browser.find(Locator::Css("form[action='/me/licenses']")).await.ok()
        })
        .await;
        camera.takes("me-open", "My licenses").await;
        camera.browser.clone().close().await.unwrap();
    }
}
