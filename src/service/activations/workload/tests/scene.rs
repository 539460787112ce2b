//! A License for workloads, on a real ledger, and a cluster of which only its pods are told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures::future::BoxFuture;

use crate::{
    domain::{
        chain::Operation,
        contract::Contract,
        license::{Key, License, Uid, tests::license},
        refusal::Code,
        text::Issuer,
        workload::{Account, Kind, Owner, Pod, PodName},
    },
    keys::{
        KeyPair, Signer, Signers,
        key_set::Request,
        nonce::{NonceKey, NonceKeys},
    },
    ledger::{
        Change, Ledger as _, Terms,
        activations::{Activations as _, Question, Taken},
        sqlite::Sqlite,
    },
    service::{
        activations::{Asked, Failure, Grounds, Proof, Reply, Runtime, Wish, tests::Quiet},
        callers::{Away, Blind, Callers, Deed, Known, Placed},
        edge::Edge as _,
        providers::Registry,
        sign_in::tests::Hand,
    },
};

pub(super) const ISSUER: &str = "https://usher.acme.example/a/default";

/// Pods, as the API server tells of them.
#[derive(Default)]
pub(super) struct Cluster(Mutex<World>);

#[derive(Default)]
struct World {
    pods: Vec<(Owner, Pod)>,
    made: usize,
    away: bool,
    refuses: bool,
    /// What comes between a question for pods and what is made of the answer.
    listed: usize,
}

/// The token of the pod with this UID for these audiences.
pub(super) fn token(uid: &Uid, audience: &str) -> String {
    let payload = serde_json::json!({"aud": [audience], "uid": uid.0}).to_string();
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

fn uid_in(token: &str) -> Option<Uid> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(Uid(payload["uid"].as_str()?.to_owned()))
}

impl Cluster {
    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// A pod of this owner comes, as `name` or `name@revision`.
    pub(super) fn come(&self, kind: Kind, what: &str, pod: &str) -> Uid {
        self.come_as("render", kind, what, pod)
    }

    /// The same, as this service account.
    pub(super) fn come_as(&self, account: &str, kind: Kind, what: &str, pod: &str) -> Uid {
        let (name, revision) = pod.split_once('@').unwrap_or((pod, "1"));
        self.world(|world| {
            world.made += 1;
            let uid = Uid(format!("{name}-{}", world.made));
            let owner = Owner { account: account.into(), kind, what: what.into() };
            let revision = Some(Uid(format!("{what} {revision}")));
            world
                .pods
                .push((owner, Pod { uid: uid.clone(), name: name.into(), revision, terminating: false }));
            uid
        })
    }

    pub(super) fn terminate(&self, uid: &Uid) {
        self.world(|world| {
            let pod = world.pods.iter_mut().find(|(_, pod)| pod.uid == *uid);
            pod.unwrap().1.terminating = true;
        });
    }

    pub(super) fn go(&self, uid: &Uid) {
        self.world(|world| world.pods.retain(|(_, pod)| pod.uid != *uid));
    }

    pub(super) fn is_away(&self, away: bool) {
        self.world(|world| world.away = away);
    }

    pub(super) fn refuses(&self, refuses: bool) {
        self.world(|world| world.refuses = refuses);
    }

    /// How often pods were listed.
    pub(super) fn listed(&self) -> usize {
        self.world(|world| world.listed)
    }

    fn ask<T>(&self, look: impl FnOnce(&mut World) -> T) -> Result<T, Away> {
        self.world(|world| if world.away { Err(Away("no route".into())) } else { Ok(look(world)) })
    }
}

impl Callers for Cluster {
    fn known<'a>(&'a self, token: &'a str, _: &'a [Issuer]) -> BoxFuture<'a, Result<Option<Known>, Away>> {
        let known = self.ask(|world| {
            let uid = uid_in(token)?;
            let (owner, pod) = world.pods.iter().find(|(_, pod)| pod.uid == uid)?;
            let bound = |key: &str, value: &str| {
                (format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()])
            };
            Some(Known {
                name: format!("system:serviceaccount:design:{}", owner.account),
                extra: BTreeMap::from([bound("pod-name", &pod.name), bound("pod-uid", &pod.uid.0)]),
                ..Known::default()
            })
        });
        Box::pin(std::future::ready(known))
    }

    fn may<'a>(&'a self, _: &'a Known, _: Deed<'a>) -> BoxFuture<'a, Result<bool, Away>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    fn placed<'a>(&'a self, pod: &'a PodName) -> BoxFuture<'a, Result<Option<Placed>, Blind>> {
        let placed = self.ask(|world| {
            let found = world.pods.iter().find(|(_, there)| there.uid == pod.uid && there.name == pod.name);
            found.cloned().map(|(owner, pod)| Placed { owner, pod })
        });
        let refuses = self.world(|world| world.refuses);
        let placed = if refuses { Err(Blind::NotGranted) } else { placed.map_err(Blind::from) };
        Box::pin(std::future::ready(placed))
    }

    fn pods<'a>(&'a self, account: &'a Account) -> BoxFuture<'a, Result<Vec<Pod>, Blind>> {
        let pods = self.ask(|world| {
            world.listed += 1;
            let of = world.pods.iter().filter(|(owner, _)| owner.account == account.name);
            of.map(|(_, pod)| pod.clone()).collect()
        });
        Box::pin(std::future::ready(pods.map_err(Blind::from)))
    }
}

/// An activation, as the program in a pod keeps it.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) nonce: String,
    /// The fingerprint of its slot.
    pub(super) slot: String,
}

pub(super) struct Scene {
    pub(super) runtime: Runtime<Sqlite>,
    pub(super) ledger: Sqlite,
    pub(super) cluster: Arc<Cluster>,
    pub(super) hand: Arc<Hand>,
    _directory: tempfile::TempDir,
}

pub(super) fn code<T>(result: Result<T, Failure>) -> Code {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code,
        Err(Failure::Unreachable(_)) => Code::ClusterUnreachable,
        Err(Failure::Unavailable(error)) => panic!("{error}"),
        Ok(_) => panic!("it is granted"),
    }
}

impl Scene {
    /// A License of so many seats for the service account `render`.
    pub(super) async fn new(seats: u32) -> Self {
        Self::of(License { workloads: vec!["render".parse().unwrap()], ..license(seats) }).await
    }

    pub(super) async fn of(license: License) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        let issuer: Issuer = ISSUER.parse().unwrap();
        let (root, signing) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let keys = Request { iss: issuer.clone(), serial: 1, keys: Vec::new() }.sign(&root, 0).unwrap();
        let signers = Arc::new(Signers::default());
        signers.set("default", Some(Arc::new(Signer::new(issuer, signing, keys, None))));
        let nonces = Arc::new(OnceLock::new());
        nonces.set(NonceKeys::new(NonceKey::from_secret([3; 32]), Vec::new())).ok().unwrap();
        let (cluster, hand) = (Arc::new(Cluster::default()), Arc::new(Hand::default()));
        hand.turn(1_000);
        let people = Grounds { providers: Arc::new(Registry::default()), intent: Arc::new(Quiet::default()) };
        let runtime = Runtime::new(
            ledger.another(),
            hand.clone(),
            signers,
            nonces,
            Arc::new(Quiet::default()),
            cluster.clone(),
            people,
        );
        let scene = Self { runtime, ledger, cluster, hand, _directory: directory };
        scene.declare(license, None).await;
        scene
    }

    /// The License is as this from now on; `expected` is the version of what was said before.
    pub(super) async fn declare(&self, license: License, expected: Option<i64>) {
        let mut change =
            Change::new(license.key.clone(), license.uid.clone(), expected, self.hand.now(), [7; 32]);
        change.seats = Some(license.seats);
        let contract = Contract { license, issuer: ISSUER.parse().ok(), kept: 0, unknown: 0 };
        change.terms = Some(Terms { contract: Some(contract), ..Terms::default() });
        self.ledger.commit(&change).await.unwrap();
    }

    /// The pod activates.
    pub(super) async fn try_activate(&self, pod: &Uid, key: Option<&str>) -> Result<Own, Failure> {
        let token = token(pod, ISSUER);
        let asked =
            Asked { token: &token, workload: None, idempotency_key: key, body: b"{}", ..Asked::default() };
        let wish = Wish { license: "design/cad".into(), device: None, lost: None };
        let reply = self.runtime.activate(&asked, &wish).await?;
        let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let document = answer["document"].as_str().unwrap();
        let document = usher_license::License::parse(document.as_bytes()).unwrap();
        let slot = document.unverified_claims().device.as_ref().unwrap().id.clone();
        let token = reply.begun.unwrap().token.to_string();
        Ok(Own { id: answer["id"].as_str().unwrap().to_owned(), token, nonce: reply.nonce, slot })
    }

    pub(super) async fn active(&self, pod: &Uid) -> Own {
        self.try_activate(pod, None).await.unwrap()
    }

    /// `own` is refreshed by whoever shows this.
    pub(super) async fn refresh(&self, own: &Own, shows: Option<&str>) -> Result<Reply, Failure> {
        let asked = Asked {
            token: &own.token,
            workload: shows,
            idempotency_key: None,
            body: b"",
            ..Asked::default()
        };
        self.runtime.present(&own.id, &own.nonce, Operation::Refresh, &asked).await
    }

    /// `own` is refreshed by this pod, which must go.
    pub(super) async fn refreshed(&self, own: &Own, pod: &Uid) -> Own {
        let reply = self.refresh(own, Some(&token(pod, ISSUER))).await.unwrap();
        Own { nonce: reply.nonce, ..own.clone() }
    }

    /// `own` is given back by this pod.
    pub(super) async fn deactivate(&self, own: &Own, pod: &Uid) -> Result<(), Failure> {
        let shows = token(pod, ISSUER);
        self.runtime
            .deactivate(&own.id, &Proof { token: &own.token, workload: Some(&shows), ..Proof::default() })
            .await
    }

    pub(super) async fn taken(&self) -> Taken {
        let (license, none) = (Uid("license-1".into()), jiff::Timestamp::MIN);
        let question = Question {
            license: &license,
            holder: "",
            device: None,
            now: self.hand.now(),
            transfers_after: none,
            recoveries_after: none,
            at_most: 9,
            ended_at_most: 3,
        };
        self.ledger.taken(&question).await.unwrap()
    }

    /// How many places are taken.
    pub(super) async fn places(&self) -> u32 {
        self.taken().await.places
    }

    /// Of how many activations copies are known.
    pub(super) async fn forks(&self) -> usize {
        self.ledger.facts(&Key::new("design", "cad")).await.unwrap()[0].forked.len()
    }
}
