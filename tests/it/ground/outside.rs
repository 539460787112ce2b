//! Somebody who only watches: never may they see more seats taken than there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::task::JoinSet;
use usher::cluster::api::{Seat, SeatState};

/// What was seen.
#[derive(Debug, Default, Clone)]
pub struct Sight {
    /// The most Seats that said `Bound` at one moment.
    pub most_bound: usize,
    /// The most Secrets of Seats that there were at one moment.
    pub most_secrets: usize,
    /// How many events came.
    pub events: usize,
}

/// Watches the Seats and Secrets of one namespace until dropped.
pub struct Watcher {
    sight: Arc<Mutex<Sight>>,
    _tasks: JoinSet<()>,
}

impl Watcher {
    /// Begins to watch; returns once it sees.
    pub async fn start(client: &Client, namespace: &str) -> Self {
        let sight = Arc::new(Mutex::new(Sight::default()));
        let mut tasks = JoinSet::new();
        let (told, mut listening) = tokio::sync::mpsc::channel::<()>(4);

        let seats = Api::<Seat>::namespaced(client.clone(), namespace);
        let is_bound = |seat: &Seat| seat.status.as_ref().and_then(|s| s.state) == Some(SeatState::Bound);
        let seen = sight.clone();
        tasks.spawn(follow(seats, told.clone(), is_bound, move |count| {
            let mut sight = seen.lock().unwrap();
            sight.most_bound = sight.most_bound.max(count);
            sight.events += 1;
        }));
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        let of_seat = |secret: &Secret| {
            secret.type_.as_deref() == Some("usher.dev/license")
                && secret.owner_references().iter().any(|owner| owner.kind == "Seat")
        };
        let seen = sight.clone();
        tasks.spawn(follow(secrets, told, of_seat, move |count| {
            let mut sight = seen.lock().unwrap();
            sight.most_secrets = sight.most_secrets.max(count);
            sight.events += 1;
        }));
        for _ in 0..2 {
            listening.recv().await.unwrap();
        }
        Self { sight, _tasks: tasks }
    }

    /// What was seen so far.
    pub fn sight(&self) -> Sight {
        self.sight.lock().unwrap().clone()
    }
}

async fn follow<K>(
    api: Api<K>,
    told: tokio::sync::mpsc::Sender<()>,
    counts: impl Fn(&K) -> bool,
    mut saw: impl FnMut(usize),
) where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut counted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut events = watcher(api, watcher::Config::default()).default_backoff().into_stream().boxed();
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        match event {
            watcher::Event::Init => counted.clear(),
            watcher::Event::InitDone => drop(told.try_send(())),
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                let uids = counted.entry(object.name_any()).or_default();
                uids.clear();
                if counts(&object) {
                    uids.insert(object.uid().unwrap_or_default());
                }
            }
            watcher::Event::Delete(object) => drop(counted.remove(&object.name_any())),
        }
        saw(counted.values().map(BTreeSet::len).sum());
    }
}
