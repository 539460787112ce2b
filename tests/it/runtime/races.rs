//! Sixty-four callers who want the same at the same time: the last seat, the same nonce, the last session. One has it, each round.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    Own, for_devices,
    history::{Answer, Entry, Kind, check},
    program::{Call, Program, Told, drawn, key_named},
    replicas::Replicas,
};
use crate::{
    ground::{served, shared, until},
    scenarios::{Place, with},
};

const CALLERS: usize = 64;
/// Keys by which they activate: nobody asks so often by one that they are held up.
const KEYS: usize = 8;

/// One seat, and one session.
fn one_of_each() -> Value {
    let keys: Vec<Value> = (0..KEYS).map(|n| json!({"name": format!("lab{n}")})).collect();
    with(for_devices(1), &json!({"spec": {"activationKeys": keys, "sessions": {"total": 1}}}))
}

/// Those who race, over one process or several.
struct Field<'a> {
    programs: &'a [Program],
    license: String,
    keys: Vec<String>,
    clock: AtomicU64,
    history: Mutex<Vec<Entry>>,
}

impl<'a> Field<'a> {
    async fn new(programs: &'a [Program], place: &Place) -> Self {
        place.apply(&one_of_each()).await;
        let keys = (0..KEYS).map(async |n| key_named(&place.secrets, &format!("lab{n}")).await);
        let keys = join_all(keys).await;
        place.license_says("cad", "Issued").await;
        Self {
            programs,
            license: format!("{}/cad", place.namespace),
            keys,
            clock: AtomicU64::new(0),
            history: Mutex::default(),
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// What `caller` is told, once it is an answer; and what that is, by `answer`.
    async fn ask(
        &self,
        caller: usize,
        method: Method,
        path: &str,
        call: &Call<'_>,
        answer: impl Fn(&Told) -> Answer,
    ) -> Told {
        let program = &self.programs[caller % self.programs.len()];
        let begun = self.tick();
        let told = until("it is answered", async || {
            let told = program.try_send(method.clone(), path, call).await.ok()?;
            (![429, 503].contains(&told.status)).then_some(told)
        })
        .await;
        let entry = Entry { begun, ended: self.tick(), answer: answer(&told) };
        self.history.lock().unwrap().push(entry);
        told
    }

    /// All at once; the one who has it.
    async fn race(&self, what: &str, one: impl AsyncFn(usize) -> Told) -> Told {
        let told = join_all((0..CALLERS).map(|caller| one(caller))).await;
        let (mut won, lost): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| told.status < 300);
        assert_eq!(won.len(), 1, "{what}: {won:?} {:?}", lost.first());
        won.remove(0)
    }

    async fn activate(&self, round: usize, caller: usize) -> Told {
        let body = json!({"license": self.license, "device": {"id": format!("r{round}-{caller}")}});
        let (by, key) = (&self.keys[caller % KEYS], drawn());
        let call = Call { token: Some(by), key: Some(&key), body: Some(body), ..Call::default() };
        self.ask(caller, Method::POST, "/v1/activations", &call, |told| match told.status {
            201 => Answer::Took(Kind::Place, told.text("id")),
            _ => refused(told, "seats-exhausted", Answer::Exhausted(Kind::Place)),
        })
        .await
    }

    async fn refresh(&self, own: &Own, caller: usize) -> Told {
        let (path, key) = (format!("/v1/activations/{}/refresh", own.id), drawn());
        let call =
            Call { token: Some(&own.token), nonce: Some(&own.nonce), key: Some(&key), ..Call::default() };
        let (activation, used) = (own.id.clone(), own.nonce.clone());
        self.ask(caller, Method::POST, &path, &call, move |told| match told.nonce.clone() {
            Some(next) => Answer::Went { activation: activation.clone(), used: used.clone(), next },
            None => {
                let forked = Answer::Forked { activation: activation.clone(), used: used.clone() };
                refused(told, "nonce-used", forked)
            }
        })
        .await
    }

    async fn open(&self, own: &Own, caller: usize) -> Told {
        let (body, key) = (json!({"activation": own.id}), drawn());
        let call = Call { token: Some(&own.token), key: Some(&key), body: Some(body), ..Call::default() };
        self.ask(caller, Method::POST, "/v1/sessions", &call, |told| match told.status {
            201 => Answer::Took(Kind::Session, told.text("id")),
            _ => refused(told, "sessions-exhausted", Answer::Exhausted(Kind::Session)),
        })
        .await
    }

    async fn give_back(&self, caller: usize, own: &Own, path: &str, kind: Kind, id: &str) {
        let call = Call { token: Some(&own.token), ..Call::default() };
        let gone = |told: &Told| match told.status {
            204 => Answer::GaveBack(kind, id.to_owned()),
            _ => Answer::Other(format!("{told:?}")),
        };
        self.ask(caller, Method::DELETE, path, &call, gone).await;
    }

    async fn run(&self, rounds: usize) {
        for round in 0..rounds {
            let won = self.race("the last seat", async |caller| self.activate(round, caller).await).await;
            let own = Own::of(&won);
            self.race("the same nonce", async |caller| self.refresh(&own, caller).await).await;
            let open = self.race("the last session", async |caller| self.open(&own, caller).await).await;
            let session = open.text("id");
            self.give_back(round, &own, &format!("/v1/sessions/{session}"), Kind::Session, &session).await;
            self.give_back(round + 1, &own, &format!("/v1/activations/{}", own.id), Kind::Place, &own.id)
                .await;
        }
        let history = self.history.lock().unwrap();
        assert_eq!(history.len(), rounds * (3 * CALLERS + 2));
        let limits = BTreeMap::from([(Kind::Place, 1), (Kind::Session, 1)]);
        check(&history, &limits).unwrap_or_else(|why| panic!("{why}"));
    }
}

fn refused(told: &Told, code: &str, answer: Answer) -> Answer {
    if told.code() == code { answer } else { Answer::Other(format!("{told:?}")) }
}

#[tokio::test]
async fn of_sixty_four_who_race_over_two_processes_on_postgres_one_has_it_each_round() {
    let replicas = Replicas::start().await;
    let place = Place::new(&replicas.ground).await;
    Field::new(&replicas.programs, &place).await.run(100).await;
}

#[tokio::test]
async fn of_sixty_four_who_race_over_one_process_on_sqlite_one_has_it_each_round() {
    let place = Place::new(shared()).await;
    Field::new(&[Program::at(served())], &place).await.run(10).await;
}

#[tokio::test]
async fn what_no_id_looks_like_is_nobodys_on_postgres_too() {
    let replicas = Replicas::start().await;
    let place = Place::new(&replicas.ground).await;
    let programs = &replicas.programs[..1];
    let field = Field::new(programs, &place).await;
    let own = Own::of(&field.activate(0, 0).await);
    let sessions = format!("/v1/sessions/{}-%00", own.id);
    for (method, path) in [
        (Method::GET, "/v1/activations/%00".to_owned()),
        (Method::DELETE, format!("/v1/activations/{}%00", own.id)),
        (Method::POST, format!("{sessions}/heartbeat")),
        (Method::DELETE, sessions),
    ] {
        let call = Call { token: Some(&own.token), nonce: Some(&own.nonce), ..Call::default() };
        let told = programs[0].send(method, &path, &call).await;
        assert_eq!((told.status, told.code().as_str()), (401, "unauthorized"), "{path}");
    }
    assert_eq!(programs[0].refresh(&own).await.status, 200);
}
