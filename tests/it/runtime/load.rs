//! A load of programs that ask one thing after the other of processes on one ledger, and write down what they are answered, whatever is
//! done to the processes or to the ledger meanwhile; a checker then says whether it can be true ([`super::history`]).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
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
        process::{Usher, free_port, kubeconfig_beside},
        until, wait_for,
    },
    scenarios::{Place, license_conditions, with},
};

const PROGRAMS: usize = 6;
const SEATS: usize = 4;
const SESSIONS: usize = 2;

/// A number below `end`.
pub fn random(end: usize) -> usize {
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
        let call =
            Call { token: Some(&own.token), nonce: Some(&own.nonce), key: Some(&request), ..Call::default() };
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
pub struct Start {
    kubeconfig: PathBuf,
    ledger: PathBuf,
    name: String,
    port: u16,
}

impl Start {
    pub fn usher(&self) -> Usher {
        let listen = format!("127.0.0.1:{}", self.port);
        let options = ["--secrets-cluster-wide", "--name", &self.name, "--listen", &listen];
        Usher::start(&self.kubeconfig, &self.ledger, &options)
    }
}

/// Processes on one ledger, and a License of which programs want more than there is.
pub struct Stage {
    pub starts: Vec<Start>,
    pub processes: Vec<Program>,
    place: Place,
    key: String,
    log: Log,
    _ground: Ground,
    _directory: tempfile::TempDir,
}

impl Stage {
    /// Processes of these names, started; they are at work in a moment.
    pub async fn new(ledger: &Path, names: &[&str]) -> (Self, Vec<Usher>) {
        let (ground, directory) = (Ground::own(), tempfile::tempdir().unwrap());
        let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), &ground);
        let start = |name: &&str| Start {
            kubeconfig: kubeconfig.clone(),
            ledger: ledger.to_owned(),
            name: (*name).to_owned(),
            port: free_port(),
        };
        let starts: Vec<Start> = names.iter().map(start).collect();
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
        let processes = starts.iter().map(at).collect();
        let log = Log::default();
        (Self { starts, processes, place, key, log, _ground: ground, _directory: directory }, ushers)
    }

    /// Returns when each program has had one more answer.
    pub async fn all_are_answered(&self) {
        let before = self.log.answered();
        let all = || self.log.answered().iter().zip(&before).all(|(now, before)| now > before);
        until("everybody is answered", async || all().then_some(())).await;
    }

    /// Programs ask on and on until `meanwhile` has ended. Then what they were answered must be true, and so many answers there must be.
    pub async fn live<T>(&self, meanwhile: impl Future<Output = T>, at_least: usize) {
        let device = |number: usize| Device {
            number,
            namespace: &self.place.namespace,
            key: &self.key,
            processes: &self.processes,
            log: &self.log,
            own: None,
            session: None,
        };
        let mut devices: Vec<Device<'_>> = (0..PROGRAMS).map(device).collect();
        let faults = async {
            let kept = meanwhile.await;
            self.log.ends.store(true, Ordering::SeqCst);
            kept
        };
        let (_kept, _) = join(faults, join_all(devices.iter_mut().map(Device::live))).await;

        // Nobody was taken for a clone, and whoever has a place goes on.
        for device in &mut devices {
            if let Some(own) = device.own.clone() {
                device.refresh(own).await;
            }
        }
        let held = devices.iter().filter(|device| device.own.is_some()).count();
        let license = wait_for(&self.place.licenses, "cad", "counts them", |license| {
            license.status.as_ref().is_some_and(|status| usize::try_from(status.seats.activated) == Ok(held))
        })
        .await;
        let conditions = license_conditions(&license);
        assert!(conditions.iter().all(|condition| condition.reason != "CloneSeen"), "{conditions:?}");
        let history = self.log.entries.lock().unwrap();
        assert!(history.len() >= at_least, "{} answers", history.len());
        let limits = BTreeMap::from([(Kind::Place, SEATS), (Kind::Session, SESSIONS)]);
        check(&history, &limits).unwrap_or_else(|why| panic!("{why}\n{history:#?}"));
    }
}
