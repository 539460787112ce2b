//! Events, on the object that the user looks at, once per change of a condition's reason.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

use crate::cluster::api::{Condition, Type};

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
        let of = |conditions: &[Condition]| conditions.iter().find(|c| c.type_ == aspect).cloned();
        let Some(condition) = of(after) else { return };
        if of(before).is_some_and(|before| before.reason == condition.reason) {
            return;
        }
        let stalled = after.iter().any(|c| c.type_ == Type::Stalled);
        let event = Event {
            type_: if stalled { EventType::Warning } else { EventType::Normal },
            reason: condition.reason,
            note: Some(condition.message),
            action: "Reconcile".into(),
            secondary: None,
        };
        let reference: ObjectReference = object.object_ref(&());
        if let Err(error) = self.0.publish(&event, &reference).await {
            warn!(%error, reason = event.reason, "an event could not be written");
        }
    }
}
