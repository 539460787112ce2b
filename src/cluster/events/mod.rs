//! Events, on the object that the user looks at, once per change of a condition's reason.
//!
//! Said again within a few minutes, the same is counted on the event that there is, not said anew. (The recorder of
//! kube walks through all that it has said for each event, and keeps it whole: quadratic, and most of our memory, when
//! thousands of objects change at once.)

mod recent;

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tracing::warn;

use crate::{
    cluster::api::{Condition, Type},
    domain::reason::Because,
    service::edge::Edge,
};

use recent::{Recent, Said, Words};

const CONTROLLER: &str = "usher.dev/usher";
const INSTANCE: &str = "usher";
const ACTION: &str = "Reconcile";

/// Says things to users.
pub(super) struct Events {
    client: Client,
    edge: Arc<dyn Edge>,
    recent: Mutex<Recent>,
}

impl Events {
    pub(super) fn new(client: Client, edge: Arc<dyn Edge>) -> Self {
        Self { client, edge, recent: Mutex::default() }
    }

    /// Tells of `aspect` if its reason is another one than before. An event that cannot be said is logged: the
    /// condition says it too.
    pub(super) async fn of_change<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        aspect: Type,
        before: &[Condition],
        after: &[Condition],
    ) {
        let Some(condition) = telling(after, aspect) else { return };
        if telling(before, aspect).is_some_and(|before| before.reason == condition.reason) {
            return;
        }
        let stalled = after.iter().any(|c| c.type_ == Type::Stalled);
        let type_ = if stalled { "Warning" } else { "Normal" };
        self.say(object, type_, &condition.reason, &condition.message).await;
    }

    /// Tells what has passed and went well.
    pub(super) async fn note<K: Resource<DynamicType = ()>>(&self, object: &K, because: &Because) {
        self.say(object, "Normal", &because.reason.to_string(), &because.message).await;
    }

    /// Tells what no condition says, because it has passed.
    pub(super) async fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, because: &Because) {
        self.say(object, "Warning", &because.reason.to_string(), &because.message).await;
    }

    async fn say<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: &'static str,
        reason: &str,
        note: &str,
    ) {
        let about: ObjectReference = object.object_ref(&());
        // Of what belongs to no namespace, Kubernetes tells in `default`.
        let api: Api<Event> =
            Api::namespaced(self.client.clone(), about.namespace.as_deref().unwrap_or("default"));
        let words = Words { about: about.uid.clone().unwrap_or_default(), type_, reason: reason.to_owned() };
        let said = self.recent.lock().unwrap_or_else(PoisonError::into_inner).said(&words, self.edge.now());
        let written = match said {
            Some(said) => self.count(&api, &said).await,
            None => self.create(&api, about, words, note).await,
        };
        if let Err(error) = written {
            warn!(%error, reason, "an event could not be written");
        }
    }

    async fn create(
        &self,
        api: &Api<Event>,
        about: ObjectReference,
        words: Words,
        note: &str,
    ) -> Result<(), kube::Error> {
        let now = self.edge.now();
        let name = format!("{}.{:x}", about.name.as_deref().unwrap_or(INSTANCE), now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(ACTION.into()),
            event_time: Some(MicroTime(now)),
            note: Some(note.to_owned()),
            reason: Some(words.reason.clone()),
            regarding: Some(about),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(INSTANCE.into()),
            type_: Some(words.type_.into()),
            ..Event::default()
        };
        api.create(&PostParams::default(), &event).await?;
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).note(words, name, now);
        Ok(())
    }

    async fn count(&self, api: &Api<Event>, said: &Said) -> Result<(), kube::Error> {
        let series = json!({"count": said.times, "lastObservedTime": MicroTime(self.edge.now())});
        let patch = Patch::Merge(json!({ "series": series }));
        api.patch(&said.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

/// The condition that an event is made of: what keeps the object from being ready, else `aspect`.
fn telling(conditions: &[Condition], aspect: Type) -> Option<&Condition> {
    let of = |type_: Type| conditions.iter().find(|condition| condition.type_ == type_);
    of(Type::Stalled).or_else(|| of(aspect))
}
