//! What somebody sees as theirs, and ends, on a real ledger.

use futures::future::{Either, select};

use crate::{
    domain::{
        chain::{Call, Chain, Digest, LastCall, Operation, Position, State, Why},
        contract::Contract,
        license::{Key, License, Phase, Uid, tests::license},
        namespaces::Namespaces,
        principal::{NoAddress, Principal},
        standing::Person,
        terms::{Provisioning, Sessions, SignIn},
    },
    ledger::{
        Bind, Change, Ledger as _, Terms, Trail as _,
        activations::{Activation, Activations as _, Step},
        audit::{Entry, Said},
        people::{People as _, Pin},
        sessions::Use,
    },
    service::{
        activations::{Mine, Place, SHOWN},
        edge::Edge as _,
        providers::{Provider, tests::provider},
        sign_in::tests::{Scene, recheck::until},
    },
};

const ANN: &str = "email:ann@acme.example";
const BOB: &str = "email:bob@acme.example";

/// An id of an activation.
pub(crate) fn id(number: u8) -> String {
    format!("{number:032x}")
}

impl Scene {
    /// The License `design/NAME`, with a bound seat for each of these.
    pub(crate) async fn license(&self, name: &str, holders: &[&str], says: impl FnOnce(&mut License)) {
        let mut license = License { key: Key::new("design", name), uid: Uid(name.into()), ..license(9) };
        says(&mut license);
        let mut change =
            Change::new(license.key.clone(), license.uid.clone(), None, self.hand.now(), [7; 32]);
        change.seats = Some(license.seats);
        let seats = holders.iter().enumerate();
        change.bind = seats
            .map(|(number, holder)| Bind { seat: Uid(format!("{name}-{number}")), holder: (*holder).into() })
            .collect();
        let contract = Contract { license, issuer: None, kept: 0, unknown: 0 };
        change.terms = Some(Terms { contract: Some(contract), ..Terms::default() });
        self.ledger().commit(&change).await.unwrap();
    }

    fn step(&self, license: &str) -> Step {
        Step::new(Uid(license.into()), Key::new("design", license), self.hand.now(), [3; 32])
    }

    async fn turn_of(&self, license: &str) -> i64 {
        let ann = Person::from(&self.ann().await);
        self.ledger().met(&Key::new("design", license), &ann).await.unwrap().unwrap().turn
    }

    /// The seat of `holder` is active on a device that is called so, for a day, and pinned to the person of this subject.
    pub(crate) async fn active(&self, license: &str, holder: &str, number: u8, device: &str, subject: &str) {
        let now = self.hand.now();
        let digest = Digest([number; 32]);
        let call = Call { operation: Operation::Activate, key: digest, request: digest, caller: digest };
        let begun = Activation {
            id: id(number),
            license: Uid(license.into()),
            holder: holder.into(),
            device: serde_json::json!({"id": format!("d{number}"), "name": device}).to_string(),
            fingerprint: format!("d{number}"),
            token: "hash".into(),
            chain: Chain {
                state: State::Active,
                head: Position { incarnation: 1, sequence: 0 },
                floors: Vec::new(),
                resolved_at: None,
                made_by: call,
                last: LastCall { used: None, call },
                earlier: Vec::new(),
                expires_at: crate::domain::login::after(now, 24 * 3_600),
            },
            answer: String::new(),
            since: now,
            workload: None,
            jkt: None,
        };
        let turn = Some(self.turn_of(license).await);
        self.ledger().record(Step { turn, begin: Some(begun), ..self.step(license) }).await.unwrap();
        let issuer = "https://acme.example/".parse().unwrap();
        let pin = Pin { holder: holder.into(), issuer, subject: subject.parse().unwrap() };
        let turn = Some(self.turn_of(license).await);
        // It may be pinned already.
        drop(self.ledger().record(Step { turn, pin: Some(pin), ..self.step(license) }).await);
    }

    async fn opens_session(&self, license: &str, number: u8, session: &str) {
        let opens = Use::Open { id: session.into(), activation: id(number), request: "request".into() };
        let step = Step { session: Some(opens), ..self.step(license) };
        self.ledger().record(step).await.unwrap();
    }

    async fn mine(&self) -> Mine {
        self.runtime().mine(&self.ann().await).await.unwrap()
    }

    pub(crate) async fn state(&self, number: u8) -> State {
        self.ledger().activation(&id(number)).await.unwrap().unwrap().seen.activation.chain.state
    }
}

#[tokio::test]
async fn whoever_has_nothing_sees_nothing_and_whoever_has_a_seat_what_is_theirs_and_no_more() {
    let scene = Scene::new().await;
    assert_eq!(scene.mine().await, Mine::default());
    let per_user = Some(2);
    scene
        .license("cad", &[ANN, BOB], |license| {
            license.terms.sessions = Sessions { per_user, total: None, ttl: 60 };
        })
        .await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.active("cad", BOB, 2, "Bob's own", "2").await;
    scene.opens_session("cad", 1, "s1").await;
    scene.opens_session("cad", 2, "s2").await;
    let mine = scene.mine().await;
    let [cad] = &mine.licenses[..] else { panic!("{mine:?}") };
    assert_eq!(
        (cad.key.to_string().as_str(), cad.place, cad.phase),
        ("design/cad", Place::Seat, Phase::Active)
    );
    let devices: Vec<_> =
        cad.devices.iter().map(|on| (on.id.clone(), on.device.name.clone().unwrap())).collect();
    assert_eq!(devices, [(id(1), "Lab 3".parse().unwrap())]);
    assert_eq!(cad.sessions.len(), 1);
    scene.hand.turn(61);
    assert_eq!(scene.mine().await.licenses[0].sessions.len(), 0, "nothing was heard of it");
    scene.hand.turn(24 * 3_600);
    assert_eq!(scene.mine().await.licenses[0].devices.len(), 0, "its document has ended");
}

#[tokio::test]
async fn whoever_waits_sees_where_and_why() {
    let scene = Scene::new().await;
    scene.license("full", &[BOB], |_| {}).await;
    scene.license("rests", &[ANN], |_| {}).await;
    scene.license("still", &[ANN], |license| license.suspended = true).await;
    scene.license("over", &[ANN], |license| license.validity.until = Some(scene.hand.now())).await;
    scene.quiet.declare(ANN, "full", Some(3), false);
    scene.quiet.declare(ANN, "none", None, false);
    scene.quiet.declare(ANN, "rests", None, true);
    scene.quiet.declare(ANN, "still", None, true);
    scene.quiet.declare(BOB, "full", Some(4), false);
    let mine = scene.mine().await;
    let told: Vec<_> = mine.licenses.iter().map(|it| (it.key.name.as_str(), it.place, it.phase)).collect();
    assert_eq!(
        told,
        [
            ("full", Place::Waits(Some(3)), Phase::Active),
            ("none", Place::Waits(None), Phase::Active),
            ("over", Place::Seat, Phase::Expired),
            ("rests", Place::Rests, Phase::Active),
            ("still", Place::Seat, Phase::Suspended),
        ]
    );
}

#[tokio::test]
async fn where_their_provider_does_not_count_nothing_is_theirs() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.quiet.declare(ANN, "full", Some(3), false);
    assert_eq!(scene.mine().await.licenses.len(), 2);
    let acme = std::sync::Arc::into_inner(provider("acme", "acme.example")).unwrap();
    scene.providers.replace([Provider { allowed_namespaces: Namespaces::None, ..acme }.into()], []);
    assert_eq!(scene.mine().await, Mine::default());
    let ann = scene.ann().await;
    assert!(!scene.runtime().end_mine(&ann, &id(1)).await.unwrap());
    assert_eq!(scene.state(1).await, State::Active);
}

#[tokio::test]
async fn whoever_ends_a_device_ends_one_of_their_own() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN, BOB], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.active("cad", BOB, 2, "Bob's own", "2").await;
    let (ann, runtime) = (scene.ann().await, scene.runtime());
    for other in [&*id(2), &id(9), "", "'", "\0"] {
        assert!(!runtime.end_mine(&ann, other).await.unwrap(), "{other}");
    }
    assert_eq!((scene.state(1).await, scene.state(2).await), (State::Active, State::Active));
    assert!(runtime.end_mine(&ann, &id(1)).await.unwrap());
    assert_eq!((scene.state(1).await, scene.state(2).await), (State::Ended(Why::Deactivated), State::Active));
    assert!(runtime.end_mine(&ann, &id(1)).await.unwrap(), "it stays so");
    assert_eq!(scene.mine().await.licenses[0].devices, []);

    let links = scene.ledger().audit(0, 100).await.unwrap();
    let last: Vec<Entry> = serde_json::from_str(&links.last().unwrap().entries).unwrap();
    let [Entry::Deactivate { activation, why: Said::Deactivated, by: Some(by), .. }] = &last[..] else {
        panic!("{last:?}")
    };
    assert!(*activation == id(1) && !by.contains("ann"), "{by}");
}

#[tokio::test]
async fn whoever_has_the_address_after_somebody_has_nothing_by_it() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN], |_| {}).await;
    scene.license("more", &[ANN], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    let (first, runtime) = (scene.ann().await, scene.runtime());
    let second = Principal { subject: "2".parse().unwrap(), ..first.clone() };
    let mine = runtime.mine(&second).await.unwrap();
    assert!(mine.licenses.iter().all(|it| it.place == Place::Anothers && it.devices.is_empty()), "{mine:?}");
    assert_eq!(mine.licenses.len(), 2, "under no License");
    assert!(!runtime.end_mine(&second, &id(1)).await.unwrap());
    // She has another address now, and her seat all the same.
    let renamed = Principal { email: Ok("ann.b@acme.example".parse().unwrap()), ..first };
    let mine = runtime.mine(&renamed).await.unwrap();
    assert_eq!(mine.licenses.len(), 1, "the other was pinned to nobody");
    assert_eq!((mine.licenses[0].place, mine.licenses[0].devices.len()), (Place::Seat, 1));
    assert!(runtime.end_mine(&renamed, &id(1)).await.unwrap());
}

#[tokio::test]
async fn so_many_are_shown_and_it_is_said_that_there_are_more() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN], |_| {}).await;
    let shown = usize::try_from(SHOWN).unwrap();
    for number in 0..u8::try_from(SHOWN).unwrap() {
        scene.active("cad", ANN, number, "Lab", "1").await;
    }
    let mine = scene.mine().await;
    assert_eq!((mine.licenses[0].devices.len(), mine.has_more), (shown, false));
    scene.active("cad", ANN, 200, "Lab", "1").await;
    let mine = scene.mine().await;
    assert_eq!((mine.licenses[0].devices.len(), mine.has_more), (shown, true));
}

#[tokio::test]
async fn whoever_has_nothing_of_a_license_that_is_open_to_all_sees_that_and_asks_for_it() {
    let scene = Scene::new().await;
    let verified = |license: &mut License| license.sign_in = SignIn::Verified;
    scene.license("cad", &[], verified).await;
    scene.license("mine", &[ANN], verified).await;
    scene.license("waits", &[], verified).await;
    scene.license("members", &[], |license| license.sign_in = SignIn::Members).await;
    scene.license("named", &[], |_| {}).await;
    let floats = |license: &mut License| license.terms.provisioning = Provisioning::Floating;
    scene.license("floats", &[], |license| (verified(license), floats(license)).1).await;
    for license in ["cad", "mine", "waits"] {
        scene.quiet.opens(license);
    }
    scene.quiet.declare(ANN, "waits", Some(1), false);
    let key = |name: &str| Key::new("design", name);
    let (ann, runtime) = (scene.ann().await, scene.runtime());
    let open = vec![(key("cad"), "cad".parse().unwrap())];
    assert_eq!(runtime.mine(&ann).await.unwrap().open, open, "what is hers, or waits, is said above");
    let nobody = Principal { email: Err(NoAddress::Unverified), ..ann.clone() };
    assert_eq!(runtime.mine(&nobody).await.unwrap().open, []);

    let asked = async |license: &str| {
        let of = Uid(license.into());
        scene.ledger().members(&of, &[]).await.unwrap().people.iter().any(|one| one.asked)
    };
    for other in [
        "design/mine",
        "design/waits",
        "design/members",
        "design/named",
        "design/floats",
        "design/none",
        "cad",
        "",
        "\0/a",
    ] {
        assert!(!runtime.ask_for_mine(&ann, other).await.unwrap(), "{other}");
        assert!(!asked(other.trim_start_matches("design/")).await, "{other}");
    }
    assert!(!runtime.ask_for_mine(&nobody, "design/cad").await.unwrap() && !asked("cad").await);
    // Nobody gives seats here, so she waits, and it is on record.
    let asks = std::pin::pin!(runtime.ask_for_mine(&ann, "design/cad"));
    let on_record = std::pin::pin!(until(async || asked("cad").await));
    assert!(matches!(select(asks, on_record).await, Either::Right(_)));

    let acme = std::sync::Arc::into_inner(provider("acme", "acme.example")).unwrap();
    scene.providers.replace([Provider { allowed_namespaces: Namespaces::None, ..acme }.into()], []);
    assert_eq!(runtime.mine(&ann).await.unwrap(), Mine::default());
    assert!(!runtime.ask_for_mine(&ann, "design/cad").await.unwrap());
}
