//! Keeping the index up to date. A watch that breaks is begun again, with backoff; nothing is forgotten meanwhile.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::warn;

use crate::cluster::{
    Context,
    api::{Authority, License, Seat},
    authority,
    index::{Index, Slim},
    labels,
    queue::Task,
    secrets,
};

/// Follows every kind until the set is dropped.
pub(super) fn all<L: Send + Sync + 'static>(context: &Arc<Context<L>>) -> JoinSet<()> {
    let mut set = JoinSet::new();
    let client = || context.client.clone();
    let ours = || watcher::Config::default().labels(&labels::selector());
    let any = watcher::Config::default;
    set.spawn(follow(
        context.clone(),
        watch(Api::<DeserializeGuard<License>>::all(client()), any()),
        Index::license_event,
    ));
    set.spawn(follow(
        context.clone(),
        watch(Api::<DeserializeGuard<Seat>>::all(client()), any()),
        Index::seat_event,
    ));
    set.spawn(follow(
        context.clone(),
        watch(Api::<DeserializeGuard<Authority>>::all(client()), any()),
        Index::authority_event,
    ));
    set.spawn(follow(context.clone(), watch(Api::<Namespace>::all(client()), any()), Index::namespace_event));
    let secrets = watch(Api::<Secret>::all(client()), ours())
        .map(|event| event.map(|event| slimmed(event, secrets::slim)));
    set.spawn(follow(context.clone(), secrets, Index::secret_event));
    let maps = watch(Api::<ConfigMap>::namespaced(client(), &context.namespace), ours())
        .map(|event| event.map(|event| slimmed(event, authority::slim)));
    set.spawn(follow(context.clone(), maps, Index::config_map_event));
    set
}

fn watch<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config)
        .default_backoff()
        .map(|event| event.map(|event| event.modify(|object| drop(object.meta_mut().managed_fields.take()))))
}

fn slimmed<K: Resource>(event: Event<K>, slim: impl Fn(K) -> Slim<K>) -> Event<Slim<K>> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(slim(object)),
        Event::Apply(object) => Event::Apply(slim(object)),
        Event::Delete(object) => Event::Delete(slim(object)),
    }
}

async fn follow<L, K: Resource<DynamicType = ()>>(
    context: Arc<Context<L>>,
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    put: fn(&Index, Event<K>) -> BTreeSet<Task>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let listed = matches!(event, Event::InitDone);
                let tasks = put(&context.index, event);
                // Even without a task: the operator waits for the first complete list.
                if listed || !tasks.is_empty() {
                    context.push(tasks);
                }
            }
            Err(error) => warn!(kind = %K::kind(&()), "{}", said(&error)),
        }
    }
}

/// A broken watch in a sentence, with what to do where only an administrator can.
fn said(error: &watcher::Error) -> String {
    let (watcher::Error::InitialListFailed(source)
    | watcher::Error::WatchStartFailed(source)
    | watcher::Error::WatchFailed(source)) = error
    else {
        return format!("the watch broke and is begun again: {error}");
    };
    match source {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{}: apply the roles in deploy/rbac.yaml", status.message)
        }
        kube::Error::Api(status) if status.code == 404 => {
            "the cluster does not know this kind: apply crds/".to_owned()
        }
        kube::Error::Api(status) => format!("the watch broke and is begun again: {}", status.message),
        other => format!("the watch broke and is begun again: {other}"),
    }
}
