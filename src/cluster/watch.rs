//! Keeping the index up to date. A watch that breaks is begun again, with backoff; nothing is forgotten meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::Arc,
};

use futures::{
    Stream, StreamExt as _,
    stream::{self, AbortHandle, SelectAll, abortable},
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Secret},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Resource,
    api::WatchParams,
    core::{DeserializeGuard, PartialObjectMeta},
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
    api::{Authority, Edition, IdentityProvider, License, Seat, UserAssignment},
    authority, config_maps, identity_provider,
    index::{Index, Shelved, Slim},
    labels,
    queue::Task,
    rights::{DOCUMENTS, EVERYWHERE},
    secrets,
};

/// Follows every kind until the set is dropped.
pub(super) fn all<L: Send + Sync + 'static>(context: &Arc<Context<L>>) -> JoinSet<()> {
    let mut set = JoinSet::new();
    let client = || context.client.clone();
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
        watch(Api::<DeserializeGuard<Edition>>::all(client()), any()),
        Index::edition_event,
    ));
    set.spawn(follow(
        context.clone(),
        watch(Api::<DeserializeGuard<UserAssignment>>::all(client()), any()),
        Index::assignment_event,
    ));
    set.spawn(follow(
        context.clone(),
        watch(Api::<DeserializeGuard<Authority>>::all(client()), any()),
        Index::authority_event,
    ));
    let namespaces = context.clone();
    set.spawn(follow(
        context.clone(),
        watch(Api::<Namespace>::all(client()), any()),
        move |index: &Index, event: Event<Namespace>| {
            let mut tasks = index.namespace_event(event);
            tasks.retain(|task| !matches!(task, Task::Namespace(name) if !namespaces.rights.is_wanted(name)));
            tasks
        },
    ));
    if context.rights.are_wide() {
        context.index.open_secrets(EVERYWHERE);
        let everywhere = secrets(Api::all(client()));
        let bound = context.clone();
        let put = move |index: &Index, event: Event<Slim<Secret>>| {
            index.secret_event(EVERYWHERE, event, |namespace, task| bound.rights.calls(namespace, task))
        };
        set.spawn(follow(context.clone(), everywhere, put));
    } else {
        set.spawn(follow_bindings(context.clone()));
        set.spawn(follow_granted(context.clone()));
    }
    follow_providers(context, &mut set);
    let keys =
        watch(Api::<Secret>::namespaced(client(), &context.namespace), of_type(authority::store::TYPE))
            .map(|event| event.map(|event| slimmed(event, |key: Secret| authority::store::slim(&key))));
    set.spawn(follow(context.clone(), keys, Index::key_event));
    // All of them: some are brought by people.
    let maps = watch(Api::<ConfigMap>::namespaced(client(), &context.namespace), any())
        .map(|event| event.map(|event| slimmed(event, config_maps::slim)));
    set.spawn(follow(context.clone(), maps, Index::config_map_event));
    set
}

/// Whatever becomes of IdentityProviders and client secrets is news for whoever keeps them.
fn follow_providers<L: Send + Sync + 'static>(context: &Arc<Context<L>>, set: &mut JoinSet<()>) {
    let told = context.clone();
    let providers = Api::<DeserializeGuard<IdentityProvider>>::all(context.client.clone());
    let put = move |index: &Index, event| {
        index.identity_provider_event(event);
        told.identities.news();
        BTreeSet::new()
    };
    set.spawn(follow(context.clone(), watch(providers, watcher::Config::default()), put));
    let told = context.clone();
    let of_type = format!("type={}", identity_provider::CLIENT_SECRET);
    let config = watcher::Config::default().fields(&of_type).page_size(PAGE);
    // Their content is read when it is needed.
    let secrets =
        watch(Api::<Secret>::namespaced(context.client.clone(), &context.namespace), config).map(|event| {
            event.map(|event| slimmed(event, |s: Secret| Slim::new(&s.metadata, None, String::new())))
        });
    let put = move |index: &Index, event| {
        index.client_secret_event(event);
        told.identities.news();
        BTreeSet::new()
    };
    set.spawn(follow(context.clone(), secrets, put));
}

fn watch<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config).default_backoff()
}

fn ours() -> watcher::Config {
    watcher::Config::default().labels(&labels::selector())
}

/// So many Secrets in one answer. Whoever may make Secrets decides how large they are, up to 1 MiB each.
const PAGE: u32 = 20;

/// Secrets of ours, of one type: only this keeps others' large ones away, for anybody may set a label.
fn of_type(type_: &str) -> watcher::Config {
    ours().fields(&format!("type={type_}")).page_size(PAGE)
}

/// One after the other if the API server does that (Kubernetes 1.34): a page costs it a walk over all of them. What it tells so may be old at first; nothing
/// is removed upon it, see [`secrets::remove`].
fn secrets(api: Api<Secret>) -> impl Stream<Item = Result<Event<Slim<Secret>>, watcher::Error>> + Send {
    let streams = stream::once(streams(api.clone()));
    let events = streams.flat_map(move |streams| {
        let config = of_type(secrets::TYPE);
        watch(api.clone(), if streams { config.streaming_lists() } else { config })
    });
    events.map(|event| event.map(|event| slimmed(event, secrets::slim)))
}

/// Whether the API server tells what there is in the course of a watch (KEP-3157). If it cannot be asked, the watch will say why.
async fn streams(api: Api<Secret>) -> bool {
    let params = WatchParams {
        // Of none: the answer is what matters.
        field_selector: Some("metadata.name=usher.none".to_owned()),
        label_selector: Some(labels::selector()),
        bookmarks: true,
        send_initial_events: true,
        timeout: Some(1),
    };
    !matches!(api.watch_metadata(&params, "").await, Err(kube::Error::Api(status)) if status.code == 422)
}

/// Follows the RoleBindings that let us into namespaces. They have one name, so that we may see these and no others.
async fn follow_bindings<L>(context: Arc<Context<L>>) {
    let name = watcher::Config::default().fields(&format!("metadata.name={DOCUMENTS}"));
    let events = watch(Api::<PartialObjectMeta<RoleBinding>>::all(context.client.clone()), name);
    let bindings = context.clone();
    follow(context, events, move |index: &Index, event| {
        let touched = index.binding_event(event).into_iter();
        let wanted = touched.filter(|namespace| bindings.rights.is_wanted(namespace));
        wanted.inspect(|namespace| bindings.rights.news(namespace)).map(Task::Namespace).collect()
    })
    .await;
}

/// Follows the Secrets of our own namespace, and of each that lets us in, for as long as it does.
async fn follow_granted<L>(context: Arc<Context<L>>) {
    let mut streams = SelectAll::new();
    let mut open: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        let mut wanted = context.rights.granted();
        wanted.insert(context.namespace.clone());
        open.retain(|namespace, watch| {
            let stays = wanted.contains(namespace);
            if !stays {
                watch.abort();
                context.index.close_secrets(namespace);
            }
            stays
        });
        wanted.retain(|namespace| !open.contains_key(namespace));
        for namespace in wanted {
            context.index.open_secrets(&namespace);
            let events = secrets(Api::namespaced(context.client.clone(), &namespace));
            let (events, watch) = abortable(events.boxed());
            open.insert(namespace.clone(), watch);
            streams.push(events.map(move |event| (namespace.clone(), event)));
        }
        loop {
            tokio::select! {
                biased;
                () = context.rights.changed() => break,
                Some((namespace, event)) = streams.next() => granted_event(&context, &namespace, event),
            }
        }
    }
}

fn granted_event<L>(
    context: &Context<L>,
    namespace: &str,
    event: Result<Event<Slim<Secret>>, watcher::Error>,
) {
    let event = match event {
        Ok(event) => event,
        // Perhaps nobody lets us in any more.
        Err(error) if is_forbidden(&error) && namespace != context.namespace => {
            return context.push([Task::Namespace(namespace.to_owned())]);
        }
        Err(error) => return warn!(kind = "Secret", namespace, "{}", said(&error)),
    };
    let listed = matches!(event, Event::InitDone);
    let calls = |namespace: &str, task: &Task| context.rights.calls(namespace, task);
    let mut tasks = context.index.secret_event(namespace, event, calls);
    if listed {
        tasks.extend(context.rights.wanted_by(namespace).into_iter().map(Task::License));
    }
    if listed || !tasks.is_empty() {
        context.push(tasks);
    }
}

fn slimmed<K>(event: Event<K>, slim: impl Fn(K) -> Slim<K>) -> Event<Slim<K>> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(slim(object)),
        Event::Apply(object) => Event::Apply(slim(object)),
        Event::Delete(object) => Event::Delete(slim(object)),
    }
}

async fn follow<L, K: Shelved>(
    context: Arc<Context<L>>,
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    put: impl Fn(&Index, Event<K>) -> BTreeSet<Task>,
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
            Err(error) => warn!(kind = %K::kind(), "{}", said(&error)),
        }
    }
}

fn refusal(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => Some(source),
        _ => None,
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    matches!(refusal(error), Some(kube::Error::Api(status)) if status.code == 403)
}

/// A broken watch in a sentence, with what to do where only an administrator can.
fn said(error: &watcher::Error) -> String {
    match refusal(error) {
        None => format!("the watch broke and is begun again: {error}"),
        Some(kube::Error::Api(status)) if status.code == 403 => {
            format!("{}: install the chart anew, for its roles", status.message)
        }
        Some(kube::Error::Api(status)) if status.code == 404 => {
            "the cluster does not know this kind: install the chart with crds.enabled".to_owned()
        }
        Some(kube::Error::Api(status)) => format!("the watch broke and is begun again: {}", status.message),
        Some(other) => format!("the watch broke and is begun again: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_secrets_we_ask_for_ours_of_our_type_and_few_at_a_time() {
        let config = of_type(secrets::TYPE);
        assert_eq!(config.label_selector.as_deref(), Some("app.kubernetes.io/managed-by=usher"));
        assert_eq!(config.field_selector.as_deref(), Some("type=usher.dev/license"));
        // Of 1 MiB each, in base64, as text and as an object.
        assert!(config.page_size.unwrap() * 3 < 100);
    }
}
