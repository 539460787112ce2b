//! Pages and endpoints, asked as browsers and programs ask.

mod again;
mod audited;
mod bounds;
mod device;
mod mine;

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header, request},
};
use futures::FutureExt as _;
use tower::ServiceExt as _;

use super::{cookie::Tag, *};
use crate::{
    ledger::sqlite::Sqlite,
    service::{
        possession::tests::proven,
        sign_in::{
            form_token,
            tests::{Hand, Scene, VERIFIER, asked},
        },
    },
};

const ORIGIN: &str = "https://usher.acme.example";

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The name that the browser was given.
    fn cookie(&self) -> String {
        let set = self.header(header::SET_COOKIE).split(';').next().unwrap_or_default();
        set.strip_prefix("__Host-usher-signin=").unwrap_or_default().to_owned()
    }
}

struct Usher(Scene, Router, Arc<Hand>);

impl Usher {
    async fn new() -> Self {
        Self::of(Scene::new().await)
    }

    fn of(scene: Scene) -> Self {
        let hand = scene.hand.clone();
        let router = router::<Sqlite>(scene.sign_in.clone(), scene.runtime(), hand.clone());
        Self(scene, router, hand)
    }

    async fn ask(&self, request: request::Builder, body: String) -> Told {
        let response = self.1.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        Told { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, browser: &str) -> Told {
        self.ask(Request::get(path).header(header::COOKIE, cookies(browser)), String::new()).await
    }

    /// The page on which is asked under `asked`, in the browser of that name.
    async fn consent(&self, asked: &str) -> Told {
        self.get(&format!("/signin/continue?of={}", Tag::of(asked)), asked).await
    }

    /// What is said there, on a form of this page.
    async fn answer(&self, asked: &str, origin: &str, form: &str, answer: &str) -> Told {
        let of = Tag::of(asked).to_string();
        let fields = [("form", form), ("of", of.as_str()), ("answer", answer)];
        self.send("/signin/continue", asked, origin, &fields).await
    }

    async fn send(&self, path: &str, browser: &str, origin: &str, fields: &[(&str, &str)]) -> Told {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request
            .header(header::COOKIE, cookies(browser))
            .header(header::ORIGIN, origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        self.ask(request, pairs.collect::<Vec<_>>().join("&")).await
    }
}

/// What a browser of this name brings along in which something is asked under that name, too.
fn cookies(browser: &str) -> String {
    format!("__Host-usher-signin={browser}; __Host-usher-asked-{}={browser}", Tag::of(browser))
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn authorize() -> String {
    let asked = asked();
    format!(
        "/oauth2/authorize?response_type=code&client_id=usher&redirect_uri={}&state={}&code_challenge={}&code_challenge_method=S256&device_name=Lab%203",
        encoded(&asked.redirect_uri),
        asked.state,
        asked.code_challenge
    )
}

fn fields<'a>(form: &'a str, login: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("form", form),
        ("login", login),
        ("response_type", "code"),
        ("client_id", "usher"),
        ("redirect_uri", "http://127.0.0.1:4321/"),
        ("state", "af0ifjsldkj"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("device_name", "Lab 3"),
    ]
}

#[tokio::test]
async fn a_browser_is_given_a_page_and_a_name_and_held_to_what_pages_may() {
    let usher = Usher::new().await;
    let told = usher.get(&authorize(), "").await;
    assert_eq!(told.status, StatusCode::OK);
    assert!(told.cookie().len() == 43 && told.body.contains("Your work e-mail address"));
    assert!(told.body.contains(&form_token(&told.cookie())));
    let policy = told.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self'"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(told.header(header::CACHE_CONTROL), "no-store");
    let again = usher.get(&authorize(), &told.cookie()).await;
    assert_eq!(again.cookie(), told.cookie(), "two sign-ins in one browser");
    let style = usher.get("/signin/style.css", "").await;
    assert_eq!(style.header(header::CONTENT_TYPE), "text/css; charset=utf-8");
}

#[tokio::test]
async fn what_is_not_asked_for_as_it_should_be_is_told_to_whoever_it_is_safe_to_tell() {
    let usher = Usher::new().await;
    for (from, to) in [("127.0.0.1", "127.0.0.2"), ("client_id=usher", "client_id=other")] {
        let path = authorize().replace(&encoded(from), &encoded(to)).replace(from, to);
        let told = usher.get(&path, "").await;
        assert_eq!((told.status, told.header(header::LOCATION)), (StatusCode::BAD_REQUEST, ""), "{path}");
    }
    let told = usher.get(&authorize().replace("S256", "plain"), "").await;
    let back = told.header(header::LOCATION);
    assert!(back.starts_with("http://127.0.0.1:4321/?error=invalid_request&"), "{back}");
    assert_eq!(told.status, StatusCode::SEE_OTHER);
    let twice = format!("{}&client_id=usher", authorize());
    assert_eq!(usher.get(&twice, "").await.status, StatusCode::BAD_REQUEST, "each parameter once");
}

#[tokio::test]
async fn a_form_is_sent_by_our_own_page_or_not_at_all() {
    let usher = Usher::new().await;
    let browser = "A".repeat(43);
    let form = form_token(&browser);
    usher.0.is_asked(&browser).await;
    let other = "B".repeat(43);
    for (browser, origin, token) in [
        (&*browser, "https://evil.example", &*form),
        (&browser, "null", &form),
        (&browser, "", &form),
        (&browser, ORIGIN, ""),
        (&browser, ORIGIN, &form_token(&other)),
        (&other, ORIGIN, &form),
        ("", ORIGIN, &form),
    ] {
        let yes = usher.answer(browser, origin, token, "yes").await;
        assert_eq!(yes.status, StatusCode::FORBIDDEN, "{browser} {origin} {token}");
        let typed = usher.send("/signin", browser, origin, &fields(token, "ann@other.example")).await;
        assert_eq!(typed.status, StatusCode::FORBIDDEN, "{browser} {origin} {token}");
    }
    let page = usher.consent(&browser).await;
    assert!(page.body.contains("Continue as Ann Example on Lab 3?"), "{}", page.body);
    let typed = usher.send("/signin", &browser, ORIGIN, &fields(&form, "ann@other.example")).await;
    assert_eq!(typed.status, StatusCode::BAD_REQUEST);
    assert!(typed.body.contains("Nobody signs in here with addresses of other.example."), "{}", typed.body);
    let yes = usher.answer(&browser, ORIGIN, &form, "yes").await;
    assert_eq!(yes.status, StatusCode::OK);
    let back = yes.header(header::REFRESH);
    assert!(back.starts_with("0; url=http://127.0.0.1:4321/?code=usher_code_"), "{back}");
    assert!(yes.header(header::SET_COOKIE).ends_with("Max-Age=0"));
}

#[tokio::test]
async fn what_is_asked_in_two_tabs_is_answered_in_each_and_in_no_other() {
    let usher = Usher::new().await;
    let (one, other) = ("A".repeat(43), "B".repeat(43));
    usher.0.is_asked(&one).await;
    usher.0.is_asked(&other).await;
    let both = format!("{}; {}", cookies(&one), cookies(&other));
    let of = |asked: &str| Tag::of(asked).to_string();
    let shown = async |path: String| {
        usher.ask(Request::get(path).header(header::COOKIE, both.clone()), String::new()).await
    };
    let sent = async |of: String, form: String| {
        let request = Request::post("/signin/continue")
            .header(header::COOKIE, both.clone())
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        usher.ask(request, format!("form={form}&of={of}&answer=yes")).await
    };
    for asked in [&one, &other] {
        let page = shown(format!("/signin/continue?of={}", of(asked))).await;
        assert!(page.body.contains(&form_token(asked)) && page.body.contains(&of(asked)), "{}", page.body);
    }
    for path in ["/signin/continue".to_owned(), format!("/signin/continue?of={}", of("neither"))] {
        assert_eq!(shown(path).await.status, StatusCode::BAD_REQUEST);
    }
    // A form of the one page is none of the other.
    assert_eq!(sent(of(&one), form_token(&other)).await.status, StatusCode::FORBIDDEN);
    for asked in [&one, &other] {
        let yes = sent(of(asked), form_token(asked)).await;
        assert!(yes.header(header::REFRESH).contains("?code=usher_code_"), "{}", yes.body);
        let gone: Vec<_> = yes.headers.get_all(header::SET_COOKIE).iter().collect();
        let [gone] = &gone[..] else { panic!("{gone:?}") };
        let gone = gone.to_str().unwrap();
        assert!(gone.starts_with(&format!("__Host-usher-asked-{}=;", of(asked))), "{gone}");
        assert!(gone.ends_with("Max-Age=0"), "{gone}");
    }
}

#[tokio::test]
async fn whoever_says_no_sends_no_code() {
    let usher = Usher::new().await;
    let browser = "A".repeat(43);
    usher.0.is_asked(&browser).await;
    let no = usher.answer(&browser, ORIGIN, &form_token(&browser), "no").await;
    assert!(no.header(header::REFRESH).contains("?error=access_denied&"), "{}", no.header(header::REFRESH));
    assert!(!no.header(header::REFRESH).contains("code"));
    assert_eq!(usher.consent(&browser).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_program_is_given_tokens_for_its_code_and_told_why_not() {
    let usher = Usher::new().await;
    let browser = "A".repeat(43);
    usher.0.is_asked(&browser).await;
    let yes = usher.answer(&browser, ORIGIN, &form_token(&browser), "yes").await;
    let code =
        yes.header(header::REFRESH).split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let asked = |grant: &'static str, code: &str| {
        let of =
            [("client_id", "usher"), ("redirect_uri", "http://127.0.0.1:4321/"), ("code_verifier", VERIFIER)];
        let own = [("grant_type", grant.to_owned()), ("code", code.to_owned())];
        own.into_iter().chain(of.map(|(name, value)| (name, value.to_owned()))).collect::<Vec<_>>()
    };
    let tell = async |fields: Vec<(&str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = usher.send("/oauth2/token", "", "", &fields).await;
        (told.status.as_u16(), serde_json::from_str::<serde_json::Value>(&told.body).unwrap())
    };
    let (status, said) = tell(asked("password", &code)).await;
    assert_eq!((status, &said["error"]), (400, &"unsupported_grant_type".into()));
    let (status, said) = tell(asked("authorization_code", "usher_code_other")).await;
    assert_eq!((status, &said["error"]), (400, &"invalid_grant".into()));
    let (status, said) = tell(asked("authorization_code", &code)).await;
    assert_eq!((status, &said["token_type"], &said["expires_in"]), (200, &"Bearer".into(), &600.into()));
    let device = said["refresh_token"].as_str().unwrap();
    assert!(
        device.starts_with("usher_dev_") && said["access_token"].as_str().unwrap().starts_with("usher_acc_")
    );
    for _ in 0..2 {
        let revoked = usher.send("/oauth2/revoke", "", "", &[("token", device)]).await;
        assert_eq!(revoked.status, StatusCode::OK, "what is over is over");
    }
    let refresh = [("client_id", "usher"), ("grant_type", "refresh_token"), ("refresh_token", device)];
    let told = usher.send("/oauth2/token", "", "", &refresh).await;
    assert!(told.body.contains("invalid_grant"), "{}", told.body);
}

#[tokio::test]
async fn a_program_that_proves_possession_of_a_key_is_told_what_the_standard_says() {
    let usher = Usher::new().await;
    let asked = async |proofs: &[&str]| {
        let mut request =
            Request::post("/oauth2/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for proof in proofs {
            request = request.header("DPoP", *proof);
        }
        usher.ask(request, "client_id=usher&grant_type=refresh_token&refresh_token=usher_dev_x".into()).await
    };
    let proof = |seconds: i64| {
        let made = (usher.2.now().as_second() + seconds, "j");
        proven(1, ("POST", "/oauth2/token"), None, made).proof().to_owned()
    };
    let nonce = |told: &Told| told.headers.get("dpop-nonce").cloned();
    for (proofs, error) in [
        (&[proof(0)][..], "invalid_grant"),
        (&[], "invalid_grant"),
        (&[proof(61)], "use_dpop_nonce"),
        (&["a.b.c".into()], "invalid_dpop_proof"),
        (&[proof(0), proof(0)], "invalid_dpop_proof"),
    ] {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let told = asked(&proofs).await;
        let said: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!((told.status, &said["error"]), (StatusCode::BAD_REQUEST, &error.into()), "{proofs:?}");
        assert_eq!(nonce(&told).is_some(), proofs.len() == 1, "{error}");
    }
}

#[tokio::test]
async fn programs_find_the_endpoints_where_rfc_8414_says() {
    let told = Usher::new().await.get("/.well-known/oauth-authorization-server", "").await;
    let said: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(said["issuer"], ORIGIN);
    assert_eq!(said["token_endpoint"], format!("{ORIGIN}/oauth2/token"));
    assert_eq!(said["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(said["dpop_signing_alg_values_supported"], serde_json::json!(["EdDSA", "ES256"]));
}
