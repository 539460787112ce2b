//! Writing a status where it is not yet as it should be, and telling of it.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt as _,
    core::{NamespaceResourceScope, object::HasStatus},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::cluster::{
    Context,
    api::{
        Condition, License, LicenseStatus, Seat, SeatStatus, Type, UserAssignment, UserAssignmentStatus,
        paused,
    },
    index::Index,
    status,
};

/// What a look at a License writes the status of.
pub(super) trait Shown:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Serialize + PartialEq>
    + Clone
    + Debug
    + DeserializeOwned
{
    /// The condition that events tell of, unless the object is stalled.
    const TELLS: Type;

    /// The conditions in a status.
    fn conditions(status: &Self::Status) -> &[Condition];

    /// Whether it may be written even if the object is paused.
    fn must_say(&self, _status: &Self::Status) -> bool {
        false
    }

    /// We wrote it.
    fn note(self, index: &Index);
}

impl Shown for License {
    const TELLS: Type = Type::Ready;

    fn conditions(status: &LicenseStatus) -> &[Condition] {
        &status.conditions
    }

    fn note(self, index: &Index) {
        index.note_license(self);
    }
}

impl Shown for UserAssignment {
    const TELLS: Type = Type::Ready;

    fn conditions(status: &UserAssignmentStatus) -> &[Condition] {
        &status.conditions
    }

    fn note(self, index: &Index) {
        index.note_assignment(self);
    }
}

impl Shown for Seat {
    const TELLS: Type = Type::Bound;

    fn conditions(status: &SeatStatus) -> &[Condition] {
        &status.conditions
    }

    /// Whoever lost a seat says so: somebody else is about to say that they have it.
    fn must_say(&self, status: &SeatStatus) -> bool {
        says_bound(self.status.as_ref()) && !says_bound(Some(status))
    }

    fn note(self, index: &Index) {
        index.note_seat(self);
    }
}

/// Whether whoever looks at the Seat sees a seat taken.
pub(super) fn says_bound(status: Option<&SeatStatus>) -> bool {
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == Type::Bound && condition.status == "True")
}

/// Whether the object does not say this, and may.
pub(super) fn is_due<K: Shown>(object: &K, status: &K::Status) -> bool {
    object.status() != Some(status) && (!paused(object.meta()) || object.must_say(status))
}

/// What the object says now.
pub(super) fn conditions<K: Shown>(object: &K) -> &[Condition] {
    object.status().map(K::conditions).unwrap_or_default()
}

/// Makes the object say `status`.
pub(super) async fn write<L, K: Shown>(
    context: &Context<L>,
    object: &K,
    status: &K::Status,
) -> Result<(), kube::Error> {
    if !is_due(object, status) {
        return Ok(());
    }
    let api: Api<K> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    if let Some(written) = status::write(&api, object, status).await? {
        written.note(&context.index);
        context.events.of_change(object, K::TELLS, conditions(object), K::conditions(status)).await;
    }
    Ok(())
}
