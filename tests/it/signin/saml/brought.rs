//! What a browser brings, where it is good, and how often: on a real ledger, read in real child processes.

use std::{
    collections::BTreeMap,
    future::Future,
    io::Read as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::read::DeflateDecoder;
use jiff::{SignedDuration, Timestamp};
use usher::{
    domain::{authorization::Unverified, namespaces::Namespaces, principal::Mailboxes, terms::DeviceCodes},
    identity::{
        Claims, RelyingParty,
        saml::{Reader, Refusal, Refused, SUBCOMMAND, ServiceProvider, Settings, Source},
    },
    ledger::{people::People as _, sqlite::Sqlite},
    service::{
        edge::Edge,
        possession::Proofs,
        providers::{Provider, Registry},
        sign_in::{Away, Brought, Errand, Failure, SignIn, Why},
    },
};

use super::mint::{CONSUMER, IDP, Mint, NOW, REQUEST, Say, at, confirmation, response_attributes};
use crate::ground::{Machine, saml_key};

pub const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// It is always the same instant, or a second later whenever somebody looks.
#[derive(Default)]
pub struct Clock {
    goes: bool,
    looks: AtomicI64,
}

impl Clock {
    fn looks(&self) -> i64 {
        self.looks.load(Ordering::SeqCst)
    }
}

impl Edge for Clock {
    fn now(&self) -> Timestamp {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        at(NOW + if self.goes { looks } else { 0 })
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
        Machine.entropy()
    }
}

/// Usher twice, on one ledger, where people of acme.example sign in at `mint`.
pub struct Desk {
    pub one: SignIn<Sqlite>,
    pub other: SignIn<Sqlite>,
    ledger: Sqlite,
    _directory: tempfile::TempDir,
}

fn acme(mint: &Mint, reader: Reader) -> Arc<Provider> {
    let domains = vec!["acme.example".parse().unwrap()];
    let settings = Settings {
        provider: "acme".parse().unwrap(),
        entity_id: IDP.parse().unwrap(),
        audience: None,
        format: None,
        claims: Claims::default(),
        mailboxes: Mailboxes { domains: domains.clone(), authority: true },
    };
    let certificate = BASE64_STANDARD.encode(&mint.certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
    let source = Source::pinned("https://idp.acme.example/sso", vec![pem]).unwrap();
    Arc::new(Provider {
        name: "acme".parse().unwrap(),
        relying_party: RelyingParty::Saml(Box::new(ServiceProvider::new(settings, source, reader))),
        domains,
        allowed_namespaces: Namespaces::All,
        device_codes: DeviceCodes::Forbidden,
        email_authority: true,
        reauthenticate_after: SignedDuration::from_hours(24),
    })
}

/// The program itself.
pub fn reader() -> Reader {
    Reader::of(USHER, [SUBCOMMAND])
}

impl Desk {
    pub async fn new(reader: Reader) -> Self {
        Self::by(Arc::default(), reader).await
    }

    /// Usher with this clock.
    async fn by(clock: Arc<Clock>, reader: Reader) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        let providers = Arc::new(Registry::default());
        providers.replace([acme(Mint::ours(), reader)], []);
        let home: usher::service::sign_in::Home = "https://usher.acme.example".parse().unwrap();
        let proofs = Arc::new(Proofs::new(clock.clone(), Arc::default(), Arc::default(), Vec::new()));
        let desk = |ledger| {
            let (edge, at, proofs) = (clock.clone(), providers.clone(), proofs.clone());
            SignIn::new(ledger, edge, at, Arc::default(), home.clone(), proofs, saml_key())
        };
        let (one, other) = (desk(ledger.another()), desk(ledger.another()));
        Self { one, other, ledger, _directory: directory }
    }

    /// Somebody goes: the handle, the relay state, and the id of the request.
    pub async fn gone(&self, browser: &str) -> (String, String, String) {
        let asked = Unverified {
            response_type: "code".into(),
            client_id: "usher".into(),
            redirect_uri: "http://127.0.0.1:4321/".into(),
            state: "af0ifjsldkj".into(),
            code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
            code_challenge_method: "S256".into(),
            device_name: "Lab 3".into(),
        };
        let errand = Errand::Program(asked.verified().unwrap());
        let Away { url, handle } = self.one.depart(errand, browser, "ann@acme.example").await.unwrap();
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let mut request = String::new();
        let deflated = BASE64_STANDARD.decode(&pairs["SAMLRequest"]).unwrap();
        DeflateDecoder::new(&deflated[..]).read_to_string(&mut request).unwrap();
        let id = request.split_once(" ID=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert!(id.len() > 43, "128 bits at least: {id}");
        let handle = handle.unwrap();
        assert_eq!(handle.relay_state, pairs["RelayState"]);
        (handle.value.to_string(), handle.relay_state, id)
    }
}

/// What the provider says to the request `id`, under the assertion's own id.
pub fn said(id: &str, assertion: &str) -> String {
    let say = Say {
        response_attributes: response_attributes(CONSUMER, id, 0),
        confirmation: confirmation(CONSUMER, id, 300),
        assertion_id: assertion.into(),
        ..Say::default()
    };
    BASE64_STANDARD.encode(Mint::ours().answer(&say))
}

fn brought(response: &str, relay_state: &str) -> Brought {
    Brought { response: response.into(), relay_state: relay_state.into() }
}

/// The words on the page.
fn why<T>(done: Result<T, Failure>) -> String {
    match done {
        Err(Failure::Refused(why)) => why.to_string(),
        Err(Failure::Unavailable(error)) => panic!("{error}"),
        Ok(_) => "nothing was refused".into(),
    }
}

fn elsewhere() -> String {
    Why::Elsewhere.to_string()
}

#[tokio::test]
async fn what_one_browser_began_no_other_ends() {
    let desk = Desk::new(reader()).await;
    let (handle, relay, id) = desk.gone("mine").await;
    let good = brought(&said(&id, "_a"), &relay);
    let (other_handle, other_relay, other_id) = desk.gone("theirs").await;
    // Under another handle, with another relay state, or after nobody went.
    assert_eq!(why(desk.one.bring(&other_handle, &good).await), elsewhere());
    assert_eq!(why(desk.one.bring("none", &good).await), elsewhere());
    assert_eq!(why(desk.one.bring(&handle, &brought(&good.response, &other_relay)).await), elsewhere());
    // An answer to somebody else's request, brought under one's own.
    let stolen = brought(&said(&id, "_b"), &other_relay);
    let refused = Why::from(Refused::from(Refusal::InResponseTo)).to_string();
    assert_eq!(why(desk.one.bring(&other_handle, &stolen).await), refused);
    assert!(refused.contains("(in-response-to)"), "{refused}");
    let own = brought(&said(&other_id, "_c"), &other_relay);
    assert_eq!(
        why(desk.one.bring(&other_handle, &own).await),
        elsewhere(),
        "a request is answered once, well or not"
    );

    // It lands in the browser that began, once, and there under a new name.
    let next = desk.one.bring(&handle, &good).await.unwrap();
    assert_ne!(*next, handle);
    assert_eq!(why(desk.one.land(&handle, "mine").await), elsewhere());
    let browser = desk.other.land(&next, "mine").await.unwrap();
    assert_eq!(desk.one.consent(&browser).await.unwrap().called, "ann@acme.example");
    assert_eq!(why(desk.one.land(&next, "mine").await), elsewhere());
    assert_eq!(why(desk.one.consent("mine").await.map(drop)), elsewhere(), "the former name is nobody's");

    let (handle, relay, id) = desk.gone("mine").await;
    let next = desk.one.bring(&handle, &brought(&said(&id, "_d"), &relay)).await.unwrap();
    assert_eq!(why(desk.one.land(&next, "theirs").await), elsewhere());
}

#[tokio::test]
async fn an_assertion_is_good_once_whichever_replica_it_is_brought_to() {
    let desk = Desk::new(reader()).await;
    let (handle, relay, id) = desk.gone("mine").await;
    let good = brought(&said(&id, "_once"), &relay);
    let at_once = tokio::join!(desk.one.bring(&handle, &good), desk.other.bring(&handle, &good));
    let (won, lost) = match at_once {
        (Ok(won), lost) | (lost, Ok(won)) => (won, lost),
        (lost, _) => panic!("{}", why(lost)),
    };
    assert_eq!(why(lost), elsewhere());
    desk.one.land(&won, "mine").await.unwrap();
    assert_eq!(why(desk.one.bring(&handle, &good).await), elsewhere());

    // The provider answers two requests with one assertion, as no provider does: the request is another one, the assertion is not.
    let ids = [desk.gone("mine").await, desk.gone("mine").await];
    let two = ids.map(|(handle, relay, id)| (handle, brought(&said(&id, "_twice"), &relay)));
    let at_once = tokio::join!(desk.one.bring(&two[0].0, &two[0].1), desk.other.bring(&two[1].0, &two[1].1));
    let lost = match at_once {
        (Ok(_), lost) | (lost, Ok(_)) => lost,
        (lost, _) => panic!("{}", why(lost)),
    };
    assert_eq!(why(lost), Why::from(Refused::from(Refusal::Used)).to_string());
}

#[tokio::test]
async fn somebody_has_come_when_the_answer_was_read_and_not_when_that_began() {
    let clock = Arc::new(Clock { goes: true, ..Clock::default() });
    let desk = Desk::by(clock.clone(), reader()).await;
    let (handle, relay, id) = desk.gone("mine").await;
    let began = clock.looks();
    desk.one.bring(&handle, &brought(&said(&id, "_a"), &relay)).await.unwrap();
    let arrivals = desk.ledger.arrivals(Timestamp::UNIX_EPOCH).await.unwrap();
    let [arrival] = &Vec::from_iter(arrivals)[..] else { panic!("nobody came, or somebody twice") };
    assert!(arrival.at > at(NOW + began), "{arrival:?}");
}

#[tokio::test]
async fn what_is_no_answer_is_refused_with_its_reason() {
    let desk = Desk::new(reader()).await;
    for (response, refusal) in [
        ("%%%".to_owned(), Refusal::Encoding),
        (BASE64_STANDARD.encode("<a/>"), Refusal::NotAResponse),
        (BASE64_STANDARD.encode("<!DOCTYPE a><a/>"), Refusal::Doctype),
        ("A".repeat(500_000), Refusal::TooLarge),
        (said(REQUEST, "_e"), Refusal::InResponseTo),
    ] {
        let (handle, relay, _) = desk.gone("mine").await;
        let refused = desk.one.bring(&handle, &brought(&response, &relay)).await;
        assert_eq!(why(refused), Why::from(Refused::from(refusal)).to_string());
    }
}
