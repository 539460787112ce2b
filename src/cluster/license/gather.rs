//! Everything that a look at a License needs to know of the cluster. From the index: no request is made. (Who has signed in is in the
//! ledger, and is asked there.)

use std::{collections::BTreeMap, sync::Arc};

use kube::{Resource as _, core::DeserializeGuard};

use crate::{
    cluster::{
        Context,
        api::{Authority, Edition, License, Seat, UserAssignment},
        context::Signing,
        license::members::Members,
        rights::Access,
    },
    domain::license::{Key, Uid},
};

pub(super) struct Gathered {
    pub(super) key: Key,
    pub(super) license: Option<Arc<DeserializeGuard<License>>>,
    pub(super) seats: Vec<Arc<DeserializeGuard<Seat>>>,
    /// The Edition that the License names.
    pub(super) edition: Option<Arc<DeserializeGuard<Edition>>>,
    pub(super) assignments: Vec<Arc<DeserializeGuard<UserAssignment>>>,
    /// Whether there are UserAssignments in the namespace that cannot be read.
    pub(super) unreadable_assignments: bool,
    /// Seats of the namespace that cannot be read, with their names.
    pub(super) unreadable_seats: BTreeMap<Uid, String>,
    pub(super) authority: Option<Arc<DeserializeGuard<Authority>>>,
    /// `None` until this very Authority was looked at once.
    pub(super) signing: Option<Signing>,
    pub(super) namespace_labels: BTreeMap<String, String>,
    /// Whether the Secrets of the License's namespace may be touched.
    pub(super) access: Access,
    /// Usher's own namespace.
    pub(super) usher: String,
    /// Who takes a seat by signing in; from the ledger.
    pub(super) members: Members,
}

impl Gathered {
    /// The License, if it can be read.
    pub(super) fn readable(&self) -> Option<&License> {
        self.license.as_ref()?.0.as_ref().ok()
    }

    /// The Seats that can be read.
    pub(super) fn readable_seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter_map(|seat| seat.0.as_ref().ok())
    }

    /// The UserAssignments that can be read.
    pub(super) fn readable_assignments(&self) -> impl Iterator<Item = &UserAssignment> {
        self.assignments.iter().filter_map(|assignment| assignment.0.as_ref().ok())
    }
}

pub(super) fn gather<L>(context: &Context<L>, key: &Key) -> Gathered {
    let license = context.index.license(key);
    let readable = license.as_ref().and_then(|license| license.0.as_ref().ok());
    let authority = readable.and_then(|license| context.index.authority_of(key, license));
    let found = authority.as_deref().and_then(|name| context.index.authority(name));
    let uid = found.as_ref().and_then(|found| found.meta().uid.as_deref());
    let signing = authority.as_deref().zip(uid).and_then(|(name, uid)| context.signing_of(name, uid));
    let edition = readable.and_then(|license| license.spec.edition_ref.as_ref());
    Gathered {
        key: key.clone(),
        seats: context.index.seats_of(key),
        edition: edition
            .and_then(|edition| context.index.edition(&Key::new(&key.namespace, edition.name.as_str()))),
        assignments: context.index.assignments_of(key),
        unreadable_assignments: context.index.has_unreadable_assignments(&key.namespace),
        unreadable_seats: context.index.unreadable_seats(&key.namespace),
        signing,
        authority: found,
        namespace_labels: context.index.namespace_labels(&key.namespace),
        access: context.access(&key.namespace),
        usher: context.namespace.clone(),
        members: Members::default(),
        license,
    }
}
