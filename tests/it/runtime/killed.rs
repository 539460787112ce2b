//! `kill -9` under load, two processes, each engine: programs write down what they are answered, and a checker says whether it can
//! be true ([`super::history`]).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ::http::Method;
use futures::future::{join, join_all};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;
use usher::service::edge::Edge as _;

use super::{
    Own, for_devices,
    history::{Answer, Entry, Kind, check},
    program::{Call, Program, Told, drawn, key_named},
};
use crate::{
    ground::{
        Ground, Listening, Machine,
        postgres::database,
        process::{Usher, kubeconfig_beside},
        until, wait_for,
    },
    scenarios::{Place, license_conditions, with},
};

const KILLS: usize = 200;
const PROGRAMS: usize = 6;
const SEATS: usize = 4;
const SESSIONS: usize = 2;
/// The longest that a process is let live.
const LIFE: Duration = Duration::from_millis(500);

/// A number below `end`.
fn random(end: usize) -> usize {
    let entropy = Machine.entropy();
    usize::from(u16::from_be_bytes([entropy[0], entropy[1]])) % end
}

/// What the programs wrote down, in the order of one clock that counts.
#[derive(Default)]
struct Log {
    clock: AtomicU64,
    entries: Mutex<Vec<Entry>>,
    /// How many answers each of the programs has had.
    answered: [AtomicU64; PROGRAMS],
    ends: AtomicBool,
}

impl Log {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn answered(&self) -> [u64; PROGRAMS] {
        self.answered.each_ref().map(|answered| answered.load(Ordering::SeqCst))
    }

    fn note(&self, program: usize, begun: u64, answer: Answer) {
        self.answered[program].fetch_add(1, Ordering::SeqCst);
        self.entries.lock().unwrap().push(Entry { begun, ended: self.tick(), answer });
    }
}

/// A device: it asks one thing after the other, each until it is answered.
struct Device<'a> {
    number: usize,
    namespace: &'a str,
    key: &'a str,
    processes: &'a [Program],
    log: &'a Log,
    own: Option<Own>,
    session: Option<String>,
}

impl Device<'_> {
    /// Sends a request to one process or the other until it is answered. Whoever has just started signs in a moment: that is no answer.
    async fn ask(&self, method: &str, path: &str, call: &Call<'_>) -> Told {
        let method: Method = method.parse().unwrap();
        until("it is answered", async || {
            let process = &self.processes[random(self.processes.len())];
            let told = process.try_send(method.clone(), path, call).await.ok()?;
            let is_late = told.status == 503 || told.status == 429 || told.text.contains("license-not-ready");
            (!is_late).then_some(told)
        })
        .await
    }

    async fn activate(&mut self) {
        let begun = self.log.tick();
        let body = json!({"license": format!("{}/cad", self.namespace), "device": {"id": format!("d{}", self.number)}});
        let request = drawn();
        let call = Call { token: Some(self.key), key: Some(&request), body: Some(body), ..Call::default() };
        let told = self.ask("POST", "/v1/activations", &call).await;
        let answer = match told.status {
            201 => {
                let own = Own::of(&told);
                let took = Answer::Took(Kind::Place, own.id.clone());
                self.own = Some(own);
                took
            }
            _ => refused(&told, "seats-exhausted", Kind::Place),
        };
        self.log.note(self.number, begun, answer);
    }

    async fn refresh(&mut self, own: Own) {
        let (begun, request) = (self.log.tick(), drawn());
        let call = Call { token: Some(&own.token), nonce: Some(&own.nonce), key: Some(&request), body: None };
        let told = self.ask("POST", &format!("/v1/activations/{}/refresh", own.id), &call).await;
        let answer = match told.nonce.clone() {
            Some(next) => {
                let went =
                    Answer::Went { activation: own.id.clone(), used: own.nonce.clone(), next: next.clone() };
                self.own = Some(Own { nonce: next, ..own });
                went
            }
            None => Answer::Other(format!("{told:?}")),
        };
        self.log.note(self.number, begun, answer);
    }

    async fn open(&mut self, own: &Own) {
        let (begun, request) = (self.log.tick(), drawn());
        let body = Some(json!({"activation": own.id}));
        let call = Call { token: Some(&own.token), key: Some(&request), body, ..Call::default() };
        let told = self.ask("POST", "/v1/sessions", &call).await;
        let answer = match told.status {
            201 => {
                let id = told.text("id");
                self.session = Some(id.clone());
                Answer::Took(Kind::Session, id)
            }
            _ => refused(&told, "sessions-exhausted", Kind::Session),
        };
        self.log.note(self.number, begun, answer);
    }

    async fn give_back(&self, kind: Kind, own: &Own, path: &str, id: &str) {
        let begun = self.log.tick();
        let told = self.ask("DELETE", path, &Call { token: Some(&own.token), ..Call::default() }).await;
        let is_gone = told.status == 204;
        let answer =
            if is_gone { Answer::GaveBack(kind, id.to_owned()) } else { Answer::Other(format!("{told:?}")) };
        self.log.note(self.number, begun, answer);
    }

    async fn step(&mut self) {
        let Some(own) = self.own.clone() else { return self.activate().await };
        match (random(10), self.session.take()) {
            (0, None) => {
                self.own = None;
                self.give_back(Kind::Place, &own, &format!("/v1/activations/{}", own.id), &own.id).await;
            }
            (0..=3, None) => self.open(&own).await,
            (0..=3, Some(session)) => {
                self.give_back(Kind::Session, &own, &format!("/v1/sessions/{session}"), &session).await;
            }
            (_, session) => {
                self.session = session;
                self.refresh(own).await;
            }
        }
    }

    async fn live(&mut self) {
        while !self.log.ends.load(Ordering::SeqCst) {
            self.step().await;
        }
    }
}

fn refused(told: &Told, code: &str, kind: Kind) -> Answer {
    if told.code() == code { Answer::Exhausted(kind) } else { Answer::Other(format!("{told:?}")) }
}

/// How a process is started.
struct Start {
    kubeconfig: PathBuf,
    ledger: PathBuf,
    name: String,
    port: u16,
}

impl Start {
    fn usher(&self) -> Usher {
        let listen = format!("127.0.0.1:{}", self.port);
        let options = ["--secrets-cluster-wide", "--name", &self.name, "--listen", &listen];
        Usher::start(&self.kubeconfig, &self.ledger, &options)
    }
}

/// Kills these processes at random moments, one or the other, and starts them again. Returns the last ones.
async fn kill(starts: &[Start], mut ushers: Vec<Usher>, log: &Log) -> Vec<Usher> {
    for _ in 0..KILLS {
        // A process that is killed before all were answered was not under load.
        let before = log.answered();
        let all = || log.answered().iter().zip(&before).all(|(now, before)| now > before);
        until("everybody is answered", async || all().then_some(())).await;
        let life = LIFE * u32::try_from(random(1_000)).unwrap() / 1_000;
        // When it dies is the fault that is tried here; nothing is waited for.
        let _ = tokio::time::timeout(life, std::future::pending::<()>()).await;
        let which = random(ushers.len());
        ushers[which].kill();
        ushers[which] = starts[which].usher();
    }
    log.ends.store(true, Ordering::SeqCst);
    ushers
}

/// Programs ask processes of these names, on one ledger, which are killed again and again.
async fn what_was_answered_is_true(ledger: &Path, names: &[&str]) {
    let (ground, directory) = (Ground::own(), tempfile::tempdir().unwrap());
    let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), &ground);
    let starts = names.iter().map(|name| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

        Start { kubeconfig: kubeconfig.clone(), ledger: ledger.to_owned(), name: (*name).into(), port }
    });
    let starts: Vec<Start> = starts.collect();
    let ushers = starts.iter().map(Start::usher).collect();

    let place = Place::new(&ground).await;
    let sessions = json!({"spec": {"sessions": {"total": SESSIONS}}});
    place.apply(&with(for_devices(u32::try_from(SEATS).unwrap()), &sessions)).await;
    let key = key_named(&place.secrets, "lab").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), "usher-system");
    let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let at = |start: &Start| {
        Program::at(&Listening { url: format!("https://localhost:{}", start.port), ca: ca.clone() })
    };
    let processes: Vec<Program> = starts.iter().map(at).collect();
    let log = Log::default();
    let device = |number: usize| Device {
        number,
        namespace: &place.namespace,
        key: &key,
        processes: &processes,
        log: &log,
        own: None,
        session: None,
    };
    let mut devices: Vec<Device<'_>> = (0..PROGRAMS).map(device).collect();
    let (_ushers, _) =
        join(kill(&starts, ushers, &log), join_all(devices.iter_mut().map(Device::live))).await;

    // Nobody was taken for a clone, and whoever has a place goes on.
    for device in &mut devices {
        if let Some(own) = device.own.clone() {
            device.refresh(own).await;
        }
    }
    let held = devices.iter().filter(|device| device.own.is_some()).count();
    let license = wait_for(&place.licenses, "cad", "counts them", |license| {
        license.status.as_ref().is_some_and(|status| usize::try_from(status.seats.activated) == Ok(held))
    })
    .await;
    let conditions = license_conditions(&license);
    assert!(conditions.iter().all(|condition| condition.reason != "CloneSeen"), "{conditions:?}");
    let history = log.entries.into_inner().unwrap();
    assert!(history.len() > KILLS);
    let limits = BTreeMap::from([(Kind::Place, SEATS), (Kind::Session, SESSIONS)]);
    check(&history, &limits).unwrap_or_else(|why| panic!("{why}\n{history:#?}"));
}

#[tokio::test]
async fn killed_two_hundred_times_under_load_what_was_answered_is_true_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    what_was_answered_is_true(&directory.path().join("ledger.db"), &["usher"]).await;
}

#[tokio::test]
async fn killed_two_hundred_times_under_load_what_two_processes_answered_is_true_on_postgres() {
    what_was_answered_is_true(Path::new(&database().await), &["first", "second"]).await;
}
