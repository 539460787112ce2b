//! A picture of each page, at the width of a desk and of a phone. `make pictures` keeps them, for people to look at: they are not compared.

use std::{io::BufRead as _, path::PathBuf};

use fantoccini::{Client, Locator};
use serde_json::json;
use usher::domain::namespaces::Namespaces;

use super::{
    Scene,
    device::{clicks, typed},
    people::{Machine, begun, fits, is_titled},
};
use crate::ground::{idp, until};

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
    let folder =
        std::env::var_os("USHER_PICTURES").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
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
