//! Devices without a browser, and the pages for whoever signs in for them.

use serde_json::Value;

use super::*;
use crate::{domain::device::LIFE, service::sign_in::Errand};

/// As what the browser is known, here.
const BROWSER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn usher() -> Usher {
    Usher::of(Scene::with_devices().await)
}

impl Usher {
    async fn asked(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let told = self.send(path, "", "", fields).await;
        (told.status.as_u16(), serde_json::from_str(&told.body).unwrap())
    }

    /// A device waits: its device code and its user code.
    async fn waits(&self) -> (String, String) {
        let fields = [("client_id", "usher"), ("device_name", "Lab 3")];
        let (status, said) = self.asked("/oauth2/device_authorization", &fields).await;
        assert_eq!(status, 200, "{said}");
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        (text("device_code"), text("user_code"))
    }

    async fn fetch(&self, device_code: &str) -> (u16, Value) {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let fields = [("client_id", "usher"), ("grant_type", grant), ("device_code", device_code)];
        self.asked("/oauth2/token", &fields).await
    }

    async fn types(&self, browser: &str, code: &str, login: &str) -> Told {
        let fields = [("form", &*form_token(browser)), ("code", code), ("login", login)];
        self.send("/device", browser, ORIGIN, &fields).await
    }

    /// Ann has typed the code and signed in.
    async fn is_asked_for(&self, user_code: &str, browser: &str) {
        let device = self.0.sign_in.find(&user_code.parse().unwrap()).await.unwrap();
        self.0.is_asked_about(browser, Errand::Device(device)).await;
    }

    /// Asks, or answers, in a browser in which these codes were typed.
    async fn having_typed(&self, codes: &[&str], request: request::Builder, body: String) -> Told {
        let typed = codes.iter().map(|code| format!("__Host-usher-code-{}={code}; ", Tag::of(code)));
        let cookies = typed.collect::<String>() + &cookies(BROWSER);
        self.ask(request.header(header::COOKIE, cookies), body).await
    }

    async fn shown(&self, codes: &[&str]) -> Told {
        let path = format!("/signin/continue?of={}", Tag::of(BROWSER));
        self.having_typed(codes, Request::get(path), String::new()).await
    }
}

#[tokio::test]
async fn a_device_is_told_what_rfc_8628_says_and_each_error_by_its_code() {
    let usher = usher().await;
    let fields = [("client_id", "usher"), ("device_name", "Lab 3")];
    let (status, said) = usher.asked("/oauth2/device_authorization", &fields).await;
    assert_eq!((status, &said["expires_in"], &said["interval"]), (200, &600.into(), &5.into()));
    assert_eq!(said["verification_uri"], format!("{ORIGIN}/device"));
    assert_eq!(
        said.get("verification_uri_complete"),
        None,
        "a link that has the code in it is made to be sent"
    );
    let device_code = said["device_code"].as_str().unwrap();
    assert!(device_code.starts_with("usher_wait_") && device_code.len() == 11 + 43);
    let user_code = said["user_code"].as_str().unwrap().to_owned();
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");

    let error = async |code: &str| usher.fetch(code).await.1["error"].as_str().unwrap().to_owned();
    assert_eq!(error("usher_wait_other").await, "invalid_grant");
    assert_eq!(error(device_code).await, "authorization_pending");
    assert_eq!(error(device_code).await, "slow_down");
    usher.0.hand.turn(10);
    let browser = "A".repeat(43);
    usher.is_asked_for(&user_code, &browser).await;
    let told = usher.answer(&browser, ORIGIN, &form_token(&browser), "no").await;
    assert!(told.body.contains("You are not signed in") && told.header(header::REFRESH).is_empty());
    assert_eq!(error(device_code).await, "access_denied");
    usher.0.hand.turn(LIFE);
    assert_eq!(error(device_code).await, "expired_token");

    let (status, said) = usher.asked("/oauth2/device_authorization", &[("client_id", "other")]).await;
    assert_eq!((status, &said["error"]), (401, &"invalid_client".into()));
    let fields = [("client_id", "usher"), ("device_name", "<b>")];
    let (status, said) = usher.asked("/oauth2/device_authorization", &fields).await;
    assert_eq!((status, &said["error"]), (400, &"invalid_request".into()));
}

#[tokio::test]
async fn programs_are_told_of_devices_only_where_they_may_be_signed_in() {
    let metadata = async |usher: &Usher| {
        let told = usher.get("/.well-known/oauth-authorization-server", "").await;
        serde_json::from_str::<Value>(&told.body).unwrap()
    };
    let said = metadata(&usher().await).await;
    assert_eq!(said["device_authorization_endpoint"], format!("{ORIGIN}/oauth2/device_authorization"));
    assert!(
        said["grant_types_supported"].to_string().contains("urn:ietf:params:oauth:grant-type:device_code")
    );
    let without = Usher::new().await;
    let said = metadata(&without).await;
    assert!(!said.to_string().contains("device"), "{said}");
    let (status, said) = without.asked("/oauth2/device_authorization", &[("client_id", "usher")]).await;
    assert_eq!((status, &said["error"]), (400, &"unauthorized_client".into()));
    let page = without.get("/device", "").await;
    assert!(page.status == StatusCode::BAD_REQUEST && page.body.contains("Nobody signs in here by a code."));
}

#[tokio::test]
async fn a_code_is_typed_and_comes_with_no_link() {
    let usher = usher().await;
    let (_, user_code) = usher.waits().await;
    let page = usher.get(&format!("/device?user_code={user_code}&code={user_code}"), "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.cookie().len() == 43 && page.body.contains(&form_token(&page.cookie())));
    assert!(page.body.contains("The code that your device shows") && !page.body.contains(&user_code));
    assert!(page.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
}

#[tokio::test]
async fn what_was_mistyped_is_mended_on_the_page_and_each_is_told_what() {
    let usher = usher().await;
    let (_, user_code) = usher.waits().await;
    let browser = "A".repeat(43);
    for (code, login, said) in [
        ("WDJB", "ann@acme.example", "This is no such code"),
        ("BBBB-BBBB", "ann@acme.example", "No device waits with this code"),
        (&user_code, "ann", "This is neither an e-mail address nor its domain."),
        (&user_code, "ann@other.example", "Nobody signs in here with addresses of other.example."),
    ] {
        let told = usher.types(&browser, code, login).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{said}");
        assert!(
            told.body.contains(said) && told.body.contains(login) && told.body.contains(code),
            "{}",
            told.body
        );
        assert!(told.headers.get_all(header::SET_COOKIE).iter().next().is_none());
    }
    // It is gone to: the provider of this test does not answer.
    let told = usher.types(&browser, &user_code.to_lowercase().replace('-', " "), "ann@acme.example").await;
    assert_eq!(told.status, StatusCode::BAD_GATEWAY, "{}", told.body);
}

#[tokio::test]
async fn whoever_guesses_codes_is_slow() {
    let usher = usher().await;
    let (_, user_code) = usher.waits().await;
    let browser = "A".repeat(43);
    for _ in 0..10 {
        let told = usher.types(&browser, "BBBB-BBBB", "acme.example").await;
        assert!(told.body.contains("No device waits with this code"), "{}", told.body);
    }
    let told = usher.types(&browser, &user_code, "ann").await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(told.body.contains("Too many codes were typed from your network."), "{}", told.body);
}

#[tokio::test]
async fn nobody_lets_more_devices_wait_than_a_network_has() {
    let usher = usher().await;
    for _ in 0..60 {
        usher.waits().await;
    }
    let (status, said) = usher.asked("/oauth2/device_authorization", &[("client_id", "usher")]).await;
    assert_eq!((status, &said["error"]), (429, &"temporarily_unavailable".into()));
}

#[tokio::test]
async fn who_says_yes_sees_the_code_again_and_what_is_known_of_the_device() {
    let usher = usher().await;
    let (device_code, user_code) = usher.waits().await;
    usher.is_asked_for(&user_code, BROWSER).await;
    let (plain, another) = (user_code.replace('-', ""), "BBBBBBBB");
    usher.0.hand.turn(130);
    // In a browser in which it was not typed, nobody is asked.
    for others in [&[][..], &[another][..]] {
        assert_eq!(usher.shown(others).await.status, StatusCode::BAD_REQUEST, "{others:?}");
    }
    // In another tab, somebody has typed another one since.
    let page = usher.shown(&[&plain, another]).await;
    for said in [
        "Continue as Ann Example on Lab 3?",
        &user_code,
        "Nobody has proven what it says of itself",
        "an unknown address (this browser, too)",
        "2 minutes ago",
        "If somebody has sent you the code, say no",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    assert!(usher.fetch(&device_code).await.1.to_string().contains("authorization_pending"), "no click yet");

    let form = form_token(BROWSER);
    for origin in ["https://evil.example", "null", ""] {
        let forged = usher.answer(BROWSER, origin, &form, "yes").await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{origin}");
        let typed = [("form", &*form), ("code", &*user_code), ("login", "acme.example")];
        assert_eq!(usher.send("/device", BROWSER, origin, &typed).await.status, StatusCode::FORBIDDEN);
    }
    let yes = Request::post("/signin/continue")
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let body = format!("form={form}&of={}&answer=yes", Tag::of(BROWSER));
    let told = usher.having_typed(&[&plain, another], yes, body).await;
    assert!(told.body.contains("Lab 3 goes on in a few seconds."), "{}", told.body);
    let gone = told.headers.get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap());
    let gone: Vec<&str> = gone.inspect(|set| assert!(set.ends_with("Max-Age=0"), "{set}")).collect();
    let (asked, typed) = (Tag::of(BROWSER), Tag::of(&plain));
    assert!(
        gone.len() == 2
            && gone[0].starts_with(&format!("__Host-usher-asked-{asked}=;"))
            && gone[1].starts_with(&format!("__Host-usher-code-{typed}=;")),
        "{gone:?}"
    );
    usher.0.hand.turn(5);
    let (status, said) = usher.fetch(&device_code).await;
    assert_eq!((status, &said["token_type"]), (200, &"Bearer".into()), "{said}");
}
