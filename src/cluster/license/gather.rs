//! Everything that a look at a License needs to know of the cluster. From the index: no request is made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::core::DeserializeGuard;

use crate::{
    cluster::{
        Context,
        api::{Authority, License, Seat},
        context::{Access, Signing},
    },
    domain::license::{Key, Uid},
};

pub(super) struct Gathered {
    pub(super) key: Key,
    pub(super) license: Option<Arc<DeserializeGuard<License>>>,
    pub(super) seats: Vec<Arc<DeserializeGuard<Seat>>>,
    /// Seats of the namespace that cannot be read.
    pub(super) unreadable_seats: BTreeSet<Uid>,
    pub(super) authority: Option<Arc<DeserializeGuard<Authority>>>,
    /// `None` until the Authority was looked at once.
    pub(super) signing: Option<Signing>,
    pub(super) namespace_labels: BTreeMap<String, String>,
    /// Whether the Secrets of the License's namespace may be touched.
    pub(super) access: Access,
    /// Usher's own namespace.
    pub(super) usher: String,
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
}

pub(super) fn gather<L>(context: &Context<L>, key: &Key) -> Gathered {
    let license = context.index.license(key);
    let authority = license
        .as_ref()
        .and_then(|license| license.0.as_ref().ok())
        .map(|license| license.spec.authority_ref.name.to_string());
    Gathered {
        key: key.clone(),
        seats: context.index.seats_of(key),
        unreadable_seats: context.index.unreadable_seats(&key.namespace),
        authority: authority.as_deref().and_then(|name| context.index.authority(name)),
        signing: authority.as_deref().and_then(|name| context.signing(name)),
        namespace_labels: context.index.namespace_labels(&key.namespace),
        access: context.access(&key.namespace),
        usher: context.namespace.clone(),
        license,
    }
}
