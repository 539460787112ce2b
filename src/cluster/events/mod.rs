//! Events, on the object that the user looks at, once per change of a condition's reason.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use crate::{
    cluster::api::{Condition, Type},
    domain::reason::Because,
};

/// Says things to users.
pub(super) struct Events(Recorder);

impl Events {
    pub(super) fn new(client: Client) -> Self {
        let reporter = Reporter { controller: "usher.dev/usher".into(), instance: Some("usher".into()) };
        Self(Recorder::new(client, reporter))
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
        let type_ = if stalled { EventType::Warning } else { EventType::Normal };
        self.say(object, type_, condition.reason.clone(), condition.message.clone()).await;
    }

    /// Tells what no condition says, because it has passed.
    pub(super) async fn tell<K: Resource<DynamicType = ()>>(&self, object: &K, because: &Because) {
        self.say(object, EventType::Warning, because.reason.to_string(), because.message.clone()).await;
    }

    async fn say<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        type_: EventType,
        reason: String,
        note: String,
    ) {
        let event = Event { type_, reason, note: Some(note), action: "Reconcile".into(), secondary: None };
        let reference: ObjectReference = object.object_ref(&());
        if let Err(error) = self.0.publish(&event, &reference).await {
            warn!(%error, reason = event.reason, "an event could not be written");
        }
    }
}

/// The condition that an event is made of: what keeps the object from being ready, else `aspect`.
fn telling(conditions: &[Condition], aspect: Type) -> Option<&Condition> {
    let of = |type_: Type| conditions.iter().find(|condition| condition.type_ == type_);
    of(Type::Stalled).or_else(|| of(aspect))
}
