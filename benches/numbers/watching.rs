//! Somebody who watches: the instrument of every measurement, the same for both sides.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::ListParams,
    core::{ApiResource, NotUsed, Object},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use usher::cluster::api::{License, Seat};

use crate::{Failure, people::NAMESPACE};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What of a status tells that its object is ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

type Slim = Object<NotUsed, Status>;

/// Counts the Licenses and Seats that say Ready.
pub struct Ready {
    count: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl Ready {
    /// Begins to watch.
    pub fn watch(client: &Client) -> Self {
        let (told, count) = watch::channel(0);
        let mut tasks = JoinSet::new();
        for resource in [ApiResource::erase::<License>(&()), ApiResource::erase::<Seat>(&())] {
            let told = told.clone();
            let mut ready = HashSet::new();
            let api: Api<Slim> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
            tasks.spawn(follow(api, move |object: Slim| {
                let conditions =
                    object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
                if conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
                    && ready.insert(object.name_any())
                {
                    told.send_modify(|count| *count += 1);
                }
            }));
        }
        Self { count, _tasks: tasks }
    }

    /// Waits until so many have been seen to be ready.
    pub async fn are(&mut self, wanted: usize) -> Result<(), Failure> {
        let reached = self.count.wait_for(|count| *count >= wanted);
        match tokio::time::timeout(PATIENCE, reached).await.map(|reached| reached.map(drop)) {
            Ok(reached) => Ok(reached?),
            Err(_) => {
                let seen = *self.count.borrow();
                Err(format!("only {seen} of {wanted} got ready in time").into())
            }
        }
    }
}

/// Sees new Secrets.
pub struct Arrivals {
    names: mpsc::UnboundedReceiver<String>,
    known: HashSet<String>,
    _tasks: JoinSet<()>,
}

impl Arrivals {
    /// Begins to watch; returns once it has seen what there is.
    pub async fn watch(client: &Client) -> Result<Self, Failure> {
        let (told, names) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        tasks.spawn(follow(api.clone(), move |secret: Secret| drop(told.send(secret.name_any()))));
        let mut arrivals = Self { names, known: HashSet::new(), _tasks: tasks };
        let there = api.list_metadata(&ListParams::default()).await?.items.len();
        while arrivals.known.len() < there {
            arrivals.next().await?;
        }
        Ok(arrivals)
    }

    /// Waits for a Secret of a name that was not seen before.
    pub async fn next(&mut self) -> Result<(), Failure> {
        loop {
            let arrived = tokio::time::timeout(PATIENCE, self.names.recv()).await;
            let arrived = arrived.map_err(|_| "no Secret came in time")?;
            if self.known.insert(arrived.ok_or("the watch ended")?) {
                return Ok(());
            }
        }
    }
}

async fn follow<K>(api: Api<K>, mut saw: impl FnMut(K))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
            saw(object);
        }
    }
}

/// What came how often, for messages.
pub fn tally<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts.into_iter().collect()
}
