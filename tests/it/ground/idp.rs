//! Identity providers, one of each for all tests of this process, and the browser in which their people sign in: Keycloak, and [`second`],
//! which is unlike it.

use std::sync::LazyLock;

use ::http::{Method, Request, StatusCode};
use fantoccini::{Client, ClientBuilder, Locator, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::{Config, client::Body};
use reqwest::{Certificate, Client as Http, Url, redirect::Policy};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};

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

/// Whoever asks what is under this CA, without a browser.
pub fn http(ca: &str) -> Http {
    let certificates = Certificate::from_pem_bundle(ca.as_bytes()).unwrap();
    Http::builder().tls_certs_only(certificates).redirect(Policy::none()).build().unwrap()
}

/// What Keycloak shows at `url`, and with which status.
pub async fn shown(url: &Url) -> (StatusCode, String) {
    let told = http(&ca()).get(url.clone()).send().await.unwrap();
    (told.status(), told.text().await.unwrap())
}

/// Whoever describes itself by this document of SAML is known at Keycloak as `client` from now on: Keycloak imports it, as an administrator has it
/// do; what the document does not say is as with the realm's own client of SAML.
pub async fn imports(description: String, client: &str) {
    let admin = Admin::new();
    let described = ("application/xml", description);
    let (_, read) = admin.ask(Method::POST, "/client-description-converter", described).await;
    assert_eq!(read["attributes"]["saml.client.signature"], "true", "requests must be signed: {read}");
    let like = "/clients?clientId=urn:acme.example:usher";
    let (_, mut found) = admin.ask(Method::GET, like, of(&Value::Null)).await;
    let mut known = found[0].take();
    known.as_object_mut().unwrap().remove("id");
    for mapper in known["protocolMappers"].as_array_mut().unwrap() {
        mapper.as_object_mut().unwrap().remove("id");
    }
    known["clientId"] = client.into();
    known["redirectUris"] = read["redirectUris"].clone();
    for (name, value) in read["attributes"].as_object().unwrap() {
        known["attributes"][name] = value.clone();
    }
    admin.ask(Method::POST, "/clients", of(&known)).await;
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
    // The Enter key meets the form also while the page still moves, which a click may not.
    let password = browser.find(Locator::Id("password")).await.unwrap();
    password.send_keys(&format!("{name}{}", char::from(Key::Enter))).await.unwrap();
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

fn of(body: &Value) -> (&'static str, String) {
    ("application/json", body.to_string())
}

/// Whoever administers the realm `acme`.
pub struct Admin(kube::Client);

impl Admin {
    pub fn new() -> Self {
        let ca = CertificateDer::from_pem_slice(ca().as_bytes()).unwrap();
        let mut config = Config::new(issuer().trim_end_matches("/realms/acme").parse().unwrap());
        config.root_cert = Some(vec![ca.to_vec()]);
        Self(kube::Client::try_from(config).unwrap())
    }

    async fn send(&self, request: Request<Body>) -> (Option<String>, Value) {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.0.send(request).await.unwrap();
        let status: StatusCode = answer.status();
        assert!(status.is_success(), "{what}: {status}");
        let made = answer.headers().get("location").map(|made| made.to_str().unwrap().to_owned());
        let body = answer.into_body().collect_bytes().await.unwrap();
        (made, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, (kind, body): (&str, String)) -> (Option<String>, Value) {
        let form = "grant_type=password&client_id=admin-cli&username=admin&password=admin";
        let request = Request::post("/realms/master/protocol/openid-connect/token")
            .header("content-type", "application/x-www-form-urlencoded");
        let (_, tokens) = self.send(request.body(Body::from(form.as_bytes().to_vec())).unwrap()).await;
        let request = Request::builder()
            .method(method)
            .uri(format!("/admin/realms/acme{path}"))
            .header("authorization", format!("Bearer {}", tokens["access_token"].as_str().unwrap()))
            .header("content-type", kind);
        self.send(request.body(Body::from(body.into_bytes())).unwrap()).await
    }

    /// Somebody comes to the company, into this group: their id.
    pub async fn takes_on(&self, name: &str, group: &str) -> String {
        let user = json!({"username": name, "enabled": true, "firstName": name, "lastName": "Example",
            "email": format!("{name}@acme.example"), "emailVerified": true, "groups": [group],
            "credentials": [{"type": "password", "value": name, "temporary": false}]});
        let (made, _) = self.ask(Method::POST, "/users", of(&user)).await;
        made.unwrap().rsplit('/').next().unwrap().to_owned()
    }

    /// They are disabled, and nothing else.
    pub async fn disables(&self, id: &str) {
        let (_, mut user) = self.ask(Method::GET, &format!("/users/{id}"), of(&Value::Null)).await;
        user["enabled"] = json!(false);
        self.ask(Method::PUT, &format!("/users/{id}"), of(&user)).await;
    }

    /// Of their sessions there the one that they began first is ended.
    pub async fn ends_first_session(&self, id: &str) {
        let (_, sessions) = self.ask(Method::GET, &format!("/users/{id}/sessions"), of(&Value::Null)).await;
        let first =
            sessions.as_array().unwrap().iter().min_by_key(|session| session["start"].as_i64()).unwrap();
        let first = first["id"].as_str().unwrap();
        self.ask(Method::DELETE, &format!("/sessions/{first}"), of(&Value::Null)).await;
    }

    /// They are in no group any more.
    pub async fn takes_out_of_groups(&self, id: &str) {
        let (_, groups) = self.ask(Method::GET, &format!("/users/{id}/groups"), of(&Value::Null)).await;
        for group in groups.as_array().unwrap() {
            let group = group["id"].as_str().unwrap();
            self.ask(Method::DELETE, &format!("/users/{id}/groups/{group}"), of(&Value::Null)).await;
        }
    }
}
