//! Identity providers, one of each for all tests of this process, and the browser in which their people sign in: Keycloak, and [`second`],
//! which is unlike it.

use std::sync::LazyLock;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::supervised::Supervised;

static KEYCLOAK: LazyLock<Supervised> = LazyLock::new(|| Supervised::run("idp", &["run"], &["URL", "CA"]));
static DRIVER: LazyLock<Supervised> = LazyLock::new(|| Supervised::run("browser", &["run"], &["URL"]));

/// The issuer of the realm `acme`.
pub fn issuer() -> String {
    KEYCLOAK.said("URL").to_owned()
}

/// What its TLS is verified with, as PEM.
pub fn ca() -> String {
    std::fs::read_to_string(KEYCLOAK.said("CA")).unwrap()
}

/// A browser that knows nobody yet, of this size.
pub async fn browser(width: u32, height: u32) -> Client {
    let mut arguments = vec!["--headless=new".to_owned(), format!("--window-size={width},{height}")];
    // Chromium's sandbox does not work for root, nor in most containers.
    arguments.extend(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"].map(str::to_owned));
    let mut options = json!({"args": arguments});
    // No window is as narrow as a phone.
    if width < 500 {
        let metrics = json!({"width": width, "height": height, "pixelRatio": 1.0});
        options["mobileEmulation"] = json!({"deviceMetrics": metrics});
    }
    let capabilities = json!({"goog:chromeOptions": options, "acceptInsecureCerts": true});
    let capabilities = capabilities.as_object().unwrap().clone();
    ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(DRIVER.said("URL"))
        .await
        .unwrap()
}

/// Does what `name` does at Keycloak's page, where their password is their name.
pub async fn sign_in(browser: &Client, name: &str) {
    let field = browser.wait().for_element(Locator::Id("username")).await.unwrap();
    field.send_keys(name).await.unwrap();
    browser.find(Locator::Id("password")).await.unwrap().send_keys(name).await.unwrap();
    browser.find(Locator::Id("kc-login")).await.unwrap().click().await.unwrap();
}

/// Another provider.
pub mod second {
    use std::sync::LazyLock;

    use fantoccini::{Client, Locator};

    use crate::ground::supervised::Supervised;

    static PROVIDER: LazyLock<Supervised> =
        LazyLock::new(|| Supervised::run("idp", &["run", "second"], &["URL", "CA"]));

    /// How it is known.
    pub fn issuer() -> String {
        PROVIDER.said("URL").to_owned()
    }

    /// What its TLS is verified with, as PEM.
    pub fn ca() -> String {
        std::fs::read_to_string(PROVIDER.said("CA")).unwrap()
    }

    /// Does what `name` does at its page, where their password is their name.
    pub async fn sign_in(browser: &Client, name: &str) {
        let field = browser.wait().for_element(Locator::Id("username")).await.unwrap();
        field.send_keys(name).await.unwrap();
        browser.find(Locator::Id("password")).await.unwrap().send_keys(name).await.unwrap();
        browser.find(Locator::Css("button[type=submit]")).await.unwrap().click().await.unwrap();
    }
}
