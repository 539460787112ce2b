//! Signing in, on a real ledger, as far as no provider is asked.

mod browser;
mod device;
mod judged;
mod late;
mod possession;
pub(crate) mod provider;
pub(crate) mod recheck;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{agree::Granted, depart::away, *};
use crate::{
    domain::{
        authorization::Unverified,
        license::tests::at,
        login::{ACCESS, CODE, IDLE},
        principal::Principal,
    },
    identity::oidc::Refused,
    keys::{
        nonce::{NonceKey, NonceKeys},
        token,
    },
    ledger::sqlite::{Sqlite, tests::tamper},
    service::{
        activations::{self, Runtime, tests::Quiet},
        providers::{
            Registry,
            tests::{provider, with_device_codes},
        },
    },
};

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:4321/";

/// One for all tests: to make one takes its time.
static KEY: LazyLock<Arc<saml::OwnKey>> =
    LazyLock::new(|| Arc::new(saml::OwnKey::fresh(Timestamp::UNIX_EPOCH).unwrap()));

/// A clock that is turned by hand, and randomness that counts.
#[derive(Default)]
pub(crate) struct Hand {
    now: AtomicI64,
    drawn: AtomicU8,
}

impl Hand {
    pub(crate) fn turn(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Edge for Hand {
    fn now(&self) -> Timestamp {
        at(self.now.load(Ordering::SeqCst))
    }
    fn wait_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn wait(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
    fn entropy(&self) -> [u8; 32] {
        [self.drawn.fetch_add(1, Ordering::SeqCst); 32]
    }
}

pub(crate) fn asked() -> Unverified {
    Unverified {
        response_type: "code".into(),
        client_id: "usher".into(),
        redirect_uri: REDIRECT.into(),
        state: "af0ifjsldkj".into(),
        code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
        code_challenge_method: "S256".into(),
        device_name: "Lab 3".into(),
    }
}

pub(crate) struct Scene {
    pub(crate) sign_in: Arc<SignIn<Sqlite>>,
    pub(crate) hand: Arc<Hand>,
    pub(crate) quiet: Arc<Quiet>,
    pub(crate) providers: Arc<Registry>,
    directory: tempfile::TempDir,
}

impl Scene {
    /// Usher, where people of acme.example sign in.
    pub(crate) async fn new() -> Self {
        let keys = NonceKeys::new(NonceKey::from_secret([7; 32]), Vec::new());
        Self::with_keys(OnceLock::from(keys)).await
    }

    /// The same, before the key was found.
    async fn without_keys() -> Self {
        Self::with_keys(OnceLock::new()).await
    }

    async fn with_keys(keys: OnceLock<NonceKeys>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        let (hand, providers) = (Arc::new(Hand::default()), Arc::new(Registry::default()));
        providers.replace([provider("acme", "acme.example")], []);
        let home = "https://usher.acme.example".parse().unwrap();
        let keys = Arc::new(keys);
        let nonces = NonceKeys::new(NonceKey::from_secret([3; 32]), Vec::new());
        let proofs = Arc::new(Proofs::new(
            hand.clone(),
            Arc::default(),
            Arc::new(nonces.into()),
            vec!["usher.acme.example".into()],
        ));
        let (edge, at) = (hand.clone(), providers.clone());
        let sign_in = Arc::new(SignIn::new(ledger, edge, at, keys, home, proofs, KEY.clone()));
        Self { sign_in, hand, quiet: Arc::default(), providers, directory }
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> Sqlite {
        self.sign_in.ledger.another()
    }

    /// What answers programs there.
    pub(crate) fn runtime(&self) -> Arc<Runtime<Sqlite>> {
        let (ledger, providers) = (self.ledger(), self.providers.clone());
        Arc::new(activations::tests::runtime(ledger, self.hand.clone(), providers, self.quiet.clone()))
    }

    /// The same, where devices without a browser are signed in, too.
    pub(crate) async fn with_devices() -> Self {
        let scene = Self::new().await;
        scene.providers.replace([with_device_codes("acme", "acme.example")], []);
        scene
    }

    /// Ann has proven who she is.
    pub(crate) async fn ann(&self) -> Principal {
        let ann = Principal {
            provider: "acme".parse().unwrap(),
            issuer: "https://acme.example/".parse().unwrap(),
            subject: "1".parse().unwrap(),
            email: Ok("ann@acme.example".parse().unwrap()),
            groups: Default::default(),
            name: "Ann Example".into(),
        };
        self.sign_in.ledger.meet(&ann, self.hand.now()).await.unwrap();
        ann
    }

    /// What Ann is asked in `browser`.
    pub(crate) async fn is_asked(&self, browser: &str) {
        self.is_asked_about(browser, Errand::Program(asked().verified().unwrap())).await;
    }

    pub(crate) async fn is_asked_about(&self, browser: &str, errand: Errand) {
        let Principal { issuer, subject, name, .. } = self.ann().await;
        let (email, why_no_email) = (Some("ann@acme.example".into()), None);
        let consent = Consent { errand, called: name, email, why_no_email, issuer, subject, again: None };
        self.sign_in.keep(agree::asked(browser), &consent, 600).await.unwrap();
    }

    /// A code for Ann.
    async fn code(&self) -> String {
        self.code_of(&self.ann().await).await
    }

    async fn code_of(&self, who: &Principal) -> String {
        let Principal { issuer, subject, .. } = who.clone();
        let code = format!("code {}", self.hand.drawn.fetch_add(1, Ordering::SeqCst));
        let errand = Errand::Program(asked().verified().unwrap());
        let granted = Granted { errand, issuer, subject, again: None };
        self.sign_in.keep(token::hash(&code), &granted, CODE).await.unwrap();
        code
    }

    /// The access token of somebody who has signed in.
    pub(crate) async fn access_token(&self, who: &Principal) -> String {
        self.sign_in.ledger.meet(who, self.hand.now()).await.unwrap();
        self.exchange(&self.code_of(who).await).await.unwrap().access_token.to_string()
    }

    async fn exchange(&self, code: &str) -> Result<Tokens, Denied> {
        self.sign_in
            .give("usher", Grant::Code { code, redirect_uri: REDIRECT, verifier: VERIFIER }, None)
            .await
    }

    async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, Denied> {
        self.sign_in.give("usher", Grant::DeviceToken(&tokens.refresh_token), None).await
    }

    pub(crate) async fn is_good(&self, tokens: &Tokens) -> bool {
        let hash = token::hash(&tokens.access_token);
        self.sign_in.ledger.signed_in(&hash, self.hand.now()).await.unwrap().is_some()
    }
}

fn why(denied: Result<Tokens, Denied>) -> &'static str {
    match denied {
        Err(Denied::Grant(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("tokens were given"),
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_shown_again_ends_what_it_began() {
    let scene = Scene::new().await;
    let code = scene.code().await;
    let tokens = scene.exchange(&code).await.unwrap();
    assert_eq!((tokens.expires_in, tokens.refresh_token_expires_in), (ACCESS, IDLE));
    assert!(scene.is_good(&tokens).await);
    assert!(why(scene.exchange(&code).await).starts_with("the code is unknown"));
    assert!(!scene.is_good(&tokens).await, "two have the code, and whoever was first may be the wrong one");
    assert!(why(scene.refresh(&tokens).await).starts_with("the device token is unknown"));
    let late = scene.code().await;
    scene.hand.turn(CODE + 1);
    assert!(why(scene.exchange(&late).await).starts_with("the code is unknown"));
}

#[tokio::test]
async fn a_code_is_for_the_program_that_asked_for_it() {
    let scene = Scene::new().await;
    let code = scene.code().await;
    let tried = async |client, redirect_uri, verifier| {
        scene.sign_in.give(client, Grant::Code { code: &code, redirect_uri, verifier }, None).await
    };
    assert!(matches!(tried("other", REDIRECT, VERIFIER).await, Err(Denied::Client)));
    let other = tried("usher", "http://127.0.0.1:4322/", VERIFIER).await;
    assert_eq!(why(other), "redirect_uri is not the one that the code was asked for with");
    let other = VERIFIER.replace('d', "e");
    for verifier in ["", &other] {
        let refused = why(tried("usher", REDIRECT, verifier).await);
        assert_eq!(refused, "code_verifier is not what code_challenge is the hash of");
    }
    assert!(tried("usher", REDIRECT, VERIFIER).await.is_ok(), "whoever asked for it still has it");
}

#[tokio::test]
async fn whoever_signs_out_is_out_at_once_and_nobody_else() {
    let scene = Scene::new().await;
    let (mine, other) = (
        scene.exchange(&scene.code().await).await.unwrap(),
        scene.exchange(&scene.code().await).await.unwrap(),
    );
    scene.sign_in.revoke("usher_dev_none").await.unwrap();
    scene.sign_in.revoke(&mine.refresh_token).await.unwrap();
    assert!(!scene.is_good(&mine).await && scene.is_good(&other).await);
    assert!(why(scene.refresh(&mine).await).starts_with("the device token is unknown"));
    scene.sign_in.revoke(&other.access_token).await.unwrap();
    assert!(!scene.is_good(&other).await);
}

#[tokio::test]
async fn whoever_goes_on_is_still_somebody_of_a_provider_that_was_asked_lately() {
    let scene = Scene::new().await;
    let tokens = scene.exchange(&scene.code().await).await.unwrap();
    scene.hand.turn(SignedDuration::from_hours(24).as_secs());
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(1);
    assert!(why(scene.refresh(&tokens).await).starts_with("it is time to sign in again"));
    scene.ann().await;
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.providers.replace([provider("acme", "other.example")], []);
    assert_eq!(why(scene.refresh(&tokens).await), "the identity provider is not known here any more");
    scene.providers.replace([], []);
    assert_eq!(why(scene.refresh(&tokens).await), "the identity provider is not known here any more");
    // One that is declared, and not at work just now, signs nobody out.
    scene.providers.replace([], ["acme".to_owned()]);
    assert!(matches!(scene.refresh(&tokens).await, Err(Denied::Failure(Failure::Unavailable(_)))));
    scene.providers.replace([provider("acme", "acme.example")], []);
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(IDLE);
    assert!(why(scene.refresh(&tokens).await).starts_with("the device token is unknown"));
}

#[tokio::test]
async fn what_one_browser_began_no_other_ends() {
    let scene = Scene::new().await;
    let departed = depart::Departed {
        errand: Errand::Program(asked().verified().unwrap()),
        provider: "acme".parse().unwrap(),
        pending: serde_json::from_str(r#"{"state": "s", "nonce": "n", "verifier": "v"}"#).unwrap(),
    };
    scene.sign_in.keep(away("mine", "s"), &departed, 600).await.unwrap();
    let back = Callback { state: "s".into(), code: Some("c".into()), ..Callback::default() };
    let other = Callback { state: "t".into(), ..back.clone() };
    let refused = async |browser, callback| scene.sign_in.arrive(browser, callback).await.map(|_| ());
    for (browser, callback) in [("another", &back), ("mine", &other)] {
        let refused = refused(browser, callback).await;
        assert!(matches!(refused, Err(Failure::Refused(Why::Elsewhere))), "{refused:?}");
    }
    // It is found here, once: this provider does not answer.
    let found = refused("mine", &back).await;
    assert!(matches!(found, Err(Failure::Refused(Why::Provider(Refused::Away(_))))), "{found:?}");
    assert!(matches!(refused("mine", &back).await, Err(Failure::Refused(Why::Elsewhere))));

    scene.is_asked("mine").await;
    assert!(matches!(scene.sign_in.agree("another").await, Err(Failure::Refused(Why::Elsewhere))));
    assert_eq!(scene.sign_in.consent("mine").await.unwrap().called, "Ann Example");
    let Answered::Back(url) = scene.sign_in.agree("mine").await.unwrap() else { panic!() };
    assert!(url.as_str().starts_with("http://127.0.0.1:4321/?code=usher_code_"), "{url}");
    assert!(url.as_str().ends_with("&state=af0ifjsldkj&iss=https%3A%2F%2Fusher.acme.example"), "{url}");
    assert!(matches!(scene.sign_in.agree("mine").await, Err(Failure::Refused(Why::Elsewhere))), "once");
}

#[tokio::test]
async fn where_sign_ins_that_lead_nowhere_have_all_the_room_whoever_was_proven_goes_on() {
    let scene = Scene::new().await;
    let goes = async |browser| scene.sign_in.keep_away(away(browser, "s"), &"nobody").await;
    goes("first").await.unwrap();
    scene.is_asked("mine").await;
    let all = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO passes (hash, content, expires_at) SELECT 'nobody ' || i, '', 9999999999 FROM n";
    tamper(&scene.directory.path().join("ledger.db"), all).await;
    assert!(matches!(goes("second").await, Err(Failure::Refused(Why::Crowded))));
    scene.sign_in.agree("mine").await.unwrap();
    scene.is_asked("mine").await;
}

#[tokio::test]
async fn of_what_is_typed_only_the_domain_is_looked_at_and_it_must_be_a_providers() {
    let scene = Scene::new().await;
    let errand = Errand::Program(asked().verified().unwrap());
    let typed = async |typed: &str| scene.sign_in.depart(errand.clone(), "mine", typed).await.unwrap_err();
    for known in ["ann@acme.example", " Ann@ACME.example ", "acme.example", "@acme.example"] {
        let away = typed(known).await;
        assert!(matches!(away, Failure::Refused(Why::Provider(Refused::Away(_)))), "{known}: {away}");
    }
    for other in ["ann@other.example", "sub.acme.example", "evil-acme.example"] {
        assert!(matches!(typed(other).await, Failure::Refused(Why::NoProvider(_))), "{other}");
    }
    for nothing in ["", "ann", "ann@", "<b>", "ann@acme.example, bob@acme.example"] {
        assert!(matches!(typed(nothing).await, Failure::Refused(Why::NoAddress)), "{nothing}");
    }
}

#[test]
fn usher_is_reached_at_an_https_url_of_a_host() {
    let home: Home = "https://usher.acme.example".parse().unwrap();
    assert_eq!(home.origin(), "https://usher.acme.example");
    assert_eq!(home.at(CALLBACK).as_str(), "https://usher.acme.example/signin/callback");
    assert!("https://localhost:8443/".parse::<Home>().is_ok());
    for text in [
        "http://usher.acme.example",
        "https://usher.acme.example/a",
        "https://usher.acme.example/?a",
        &"https://usher.acme.example".replace("://", "://ann@"),
        "usher.acme.example",
        "",
    ] {
        assert!(text.parse::<Home>().is_err(), "{text}");
    }
}

#[test]
fn a_form_is_of_the_browser_that_it_was_shown_to() {
    let token = form_token("a");
    assert!(is_form_token("a", &token));
    assert!(!is_form_token("b", &token) && !is_form_token("a", "") && !is_form_token("a", &token[1..]));
    assert_ne!(hashed("x", &["ab", "c"]), hashed("x", &["a", "bc"]));
}
