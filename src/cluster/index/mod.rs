//! What the watches have shown, and what we wrote ourselves, whichever is newer.
//!
//! Nothing here awaits. A change is answered with the tasks that it calls for; an object that did not change calls for
//! none, so that a relist of thousands costs comparisons and nothing else. What we wrote is put in at once
//! (`note`), so that nobody decides to write it again before the watch brings it back; unless the watch is further
//! already: then what we wrote was changed or deleted meanwhile, and to put it in would raise the dead.
//!
//! The index triggers work and spares writes. It never decides a limit: that is the ledger's.

mod arrivals;
mod census;
mod members;
mod providers;
mod secrets;
mod shelf;
mod slim;
#[cfg(test)]
mod tests;
mod untold;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Secret},
    rbac::v1::RoleBinding,
};
use kube::{
    ResourceExt as _,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher::Event,
};

use crate::{
    cluster::{
        api::{Authority, Edition, IdentityProvider, License, Seat, UserAssignment},
        queue::Task,
    },
    domain::license::{Key, Uid},
};

use members::{Members, Touched};
pub(super) use shelf::Shelved;
use shelf::{Shelf, key_of};
use slim::Seen;
pub use slim::Slim;

#[derive(Debug, Default)]
struct Shelves {
    licenses: Shelf<DeserializeGuard<License>>,
    seats: Members<Seat>,
    editions: Shelf<DeserializeGuard<Edition>>,
    assignments: Members<UserAssignment>,
    authorities: Shelf<DeserializeGuard<Authority>>,
    namespaces: Shelf<Namespace>,
    /// A shelf for each watch.
    secrets: HashMap<String, Shelf<Slim<Secret>>>,
    bindings: Shelf<PartialObjectMeta<RoleBinding>>,
    /// The keys of Authorities.
    keys: Shelf<Slim<Secret>>,
    config_maps: Shelf<Slim<ConfigMap>>,
    identity_providers: Shelf<DeserializeGuard<IdentityProvider>>,
    /// Of Usher's own namespace.
    client_secrets: Shelf<Slim<Secret>>,
}

/// What the cluster holds, as far as we know.
#[derive(Debug, Default)]
pub struct Index(RwLock<Shelves>);

impl Shelves {
    /// The looks that a change of a Seat or a UserAssignment calls for.
    fn tasks(&self, touched: Touched, unreadable: fn(Key) -> Task) -> BTreeSet<Task> {
        // Any License of its namespace may have been the one.
        let near = self.licenses.items.keys().filter(|key| touched.namespaces.contains(&key.namespace));
        let looks = near.cloned().chain(touched.licenses).map(Task::License);
        looks.chain(touched.unreadable.into_iter().map(unreadable)).collect()
    }

    /// The Authority of a License: its own, else that of its Edition.
    fn authority_of(&self, key: &Key, license: &License) -> Option<String> {
        let edition = || {
            let edition = license.spec.edition_ref.as_ref()?;
            let edition = self.editions.items.get(&Key::new(&key.namespace, edition.name.as_str()))?;
            edition.0.as_ref().ok()?.spec.shared.authority_ref.clone()
        };
        let own = license.spec.shared.authority_ref.clone();
        own.or_else(edition).map(|authority| authority.name.to_string())
    }
}

/// The Edition that a License names.
fn edition_of(license: &DeserializeGuard<License>) -> Option<&str> {
    Some(license.0.as_ref().ok()?.spec.edition_ref.as_ref()?.name.as_str())
}

impl Index {
    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Shelves) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every kind has been listed once: before that nothing may be decided. (Of Secrets: [`Self::secrets_are_listed`].)
    pub fn complete(&self) -> bool {
        self.read(|s| {
            s.licenses.complete
                && s.seats.shelf.complete
                && s.editions.complete
                && s.assignments.shelf.complete
                && s.authorities.complete
                && s.namespaces.complete
                && s.config_maps.complete
        })
    }

    // ---- what the watches bring ----

    /// A License came, changed or went.
    pub fn license_event(&self, event: Event<DeserializeGuard<License>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| s.licenses.event(event, |license| tasks.extend([Task::License(key_of(license))])));
        tasks
    }

    /// A Seat came, changed or went.
    pub fn seat_event(&self, event: Event<DeserializeGuard<Seat>>) -> BTreeSet<Task> {
        self.write(|s| {
            let touched = s.seats.event(event);
            s.tasks(touched, Task::Seat)
        })
    }

    /// A UserAssignment came, changed or went.
    pub fn assignment_event(&self, event: Event<DeserializeGuard<UserAssignment>>) -> BTreeSet<Task> {
        self.write(|s| {
            let touched = s.assignments.event(event);
            s.tasks(touched, Task::UserAssignment)
        })
    }

    /// An Edition came, changed or went.
    pub fn edition_event(&self, event: Event<DeserializeGuard<Edition>>) -> BTreeSet<Task> {
        let mut touched = BTreeSet::new();
        self.write(|s| {
            s.editions.event(event, |edition| touched.extend([key_of(edition)]));
            let licenses = s.licenses.items.iter().filter(|(key, license)| {
                edition_of(license)
                    .is_some_and(|edition| touched.contains(&Key::new(&key.namespace, edition)))
            });
            licenses.map(|(key, _)| Task::License(key.clone())).collect()
        })
    }

    /// An Authority came, changed or went.
    pub fn authority_event(&self, event: Event<DeserializeGuard<Authority>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| {
            s.authorities.event(event, |authority| tasks.extend([Task::Authority(authority.name_any())]));
        });
        tasks
    }

    /// A namespace came, changed or went: an Authority may sign for it now, or no longer, and what was there goes.
    pub fn namespace_event(&self, event: Event<Namespace>) -> BTreeSet<Task> {
        self.write(|s| {
            let mut touched: HashMap<String, Vec<_>> = HashMap::new();
            s.namespaces.event(event, |namespace| {
                let meta = namespace.metadata.clone();
                touched
                    .entry(namespace.name_any())
                    .or_default()
                    .push((meta.labels, meta.deletion_timestamp.is_some()));
            });
            // An Apply touches the former and the new one: the same labels mean nothing for us.
            touched.retain(|_, told| told.len() != 2 || told.first() != told.last());
            let licenses = s.licenses.items.keys().filter(|key| touched.contains_key(&key.namespace));
            let licenses: Vec<Task> = licenses.cloned().map(Task::License).collect();
            licenses.into_iter().chain(touched.into_keys().map(Task::Namespace)).collect()
        })
    }

    /// A ConfigMap of our namespace came, changed or went.
    pub fn config_map_event(&self, event: Event<Slim<ConfigMap>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| s.config_maps.event(event, |map| tasks.extend(map.task.clone())));
        tasks
    }

    // ---- what we wrote ----

    /// We wrote the status of this License.
    pub fn note_license(&self, license: License) {
        self.write(|s| s.licenses.note(DeserializeGuard(Ok(license))));
    }

    /// We wrote this Seat, or its status.
    pub fn note_seat(&self, seat: Seat) {
        self.write(|s| s.seats.note(seat));
    }

    /// We wrote the status of this UserAssignment.
    pub fn note_assignment(&self, assignment: UserAssignment) {
        self.write(|s| s.assignments.note(assignment));
    }

    /// We wrote the status of this Authority.
    pub fn note_authority(&self, authority: Authority) {
        self.write(|s| s.authorities.note(DeserializeGuard(Ok(authority))));
    }

    /// We wrote this ConfigMap.
    pub fn note_config_map(&self, map: Slim<ConfigMap>) {
        self.write(|s| s.config_maps.note(map));
    }

    // ---- what is known ----

    /// A License.
    pub fn license(&self, key: &Key) -> Option<Arc<DeserializeGuard<License>>> {
        self.read(|s| s.licenses.items.get(key).cloned())
    }

    /// The names of all Licenses.
    pub fn license_keys(&self) -> Vec<Key> {
        self.read(|s| s.licenses.items.keys().cloned().collect())
    }

    /// The names of the Licenses in a namespace.
    pub fn licenses_in(&self, namespace: &str) -> Vec<Key> {
        let there = |key: &&Key| key.namespace == namespace;
        self.read(|s| s.licenses.items.keys().filter(there).cloned().collect())
    }

    /// The names of the Licenses under this Authority.
    pub fn licenses_under(&self, authority: &str) -> Vec<Key> {
        self.read(|s| {
            let under = s.licenses.items.iter().filter(|(key, license)| {
                let license = license.0.as_ref().ok();
                license.and_then(|license| s.authority_of(key, license)).as_deref() == Some(authority)
            });
            under.map(|(key, _)| key.clone()).collect()
        })
    }

    /// The names of the other Licenses of a product in a namespace.
    pub fn licenses_beside(&self, license: &Key, product: &str) -> Vec<Key> {
        self.read(|s| {
            let beside = s.licenses.items.iter().filter(|(key, other)| {
                key.namespace == license.namespace
                    && **key != *license
                    && other.0.as_ref().is_ok_and(|other| other.spec.product.as_str() == product)
            });
            beside.map(|(key, _)| key.clone()).collect()
        })
    }

    /// The Licenses that Seats and UserAssignments name, whether they are there or not.
    pub fn licenses_wanted(&self) -> BTreeSet<Key> {
        self.read(|s| s.seats.of.keys().chain(s.assignments.of.keys()).cloned().collect())
    }

    /// The Authority of a License: its own, else that of its Edition.
    pub fn authority_of(&self, key: &Key, license: &License) -> Option<String> {
        self.read(|s| s.authority_of(key, license))
    }

    /// The Seats of a License.
    pub fn seats_of(&self, license: &Key) -> Vec<Arc<DeserializeGuard<Seat>>> {
        self.read(|s| s.seats.under(license))
    }

    /// The Seats for one of these people, of any License: at most so many.
    pub fn seats_for(&self, people: &[String], at_most: usize) -> Vec<Arc<DeserializeGuard<Seat>>> {
        self.read(|s| people.iter().flat_map(|person| s.seats.for_person(person)).take(at_most).collect())
    }

    /// The UserAssignments of a License.
    pub fn assignments_of(&self, license: &Key) -> Vec<Arc<DeserializeGuard<UserAssignment>>> {
        self.read(|s| s.assignments.under(license))
    }

    /// The Seats of a namespace that cannot be read, with their names.
    pub fn unreadable_seats(&self, namespace: &str) -> BTreeMap<Uid, String> {
        self.read(|s| s.seats.unreadable_in(namespace))
    }

    /// The Seats and UserAssignments that cannot be read, each to be looked at by itself.
    pub fn unreadable_members(&self) -> Vec<Task> {
        self.read(|s| {
            let seats = s.seats.unreadable.keys().cloned().map(Task::Seat);
            seats.chain(s.assignments.unreadable.keys().cloned().map(Task::UserAssignment)).collect()
        })
    }

    /// Whether there are UserAssignments in a namespace that cannot be read: nobody knows whom they name.
    pub fn has_unreadable_assignments(&self, namespace: &str) -> bool {
        self.read(|s| !s.assignments.unreadable_in(namespace).is_empty())
    }

    /// An Edition.
    pub fn edition(&self, key: &Key) -> Option<Arc<DeserializeGuard<Edition>>> {
        self.read(|s| s.editions.items.get(key).cloned())
    }

    /// An Authority.
    pub fn authority(&self, name: &str) -> Option<Arc<DeserializeGuard<Authority>>> {
        self.read(|s| s.authorities.items.get(&Key::new("", name)).cloned())
    }

    /// All Authorities.
    pub fn authorities(&self) -> Vec<Arc<DeserializeGuard<Authority>>> {
        self.read(|s| s.authorities.items.values().cloned().collect())
    }

    /// The labels of a namespace.
    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        self.read(|s| {
            let namespace = s.namespaces.items.get(&Key::new("", name));
            namespace.and_then(|namespace| namespace.metadata.labels.clone()).unwrap_or_default()
        })
    }

    /// A ConfigMap of our namespace.
    pub fn config_map(&self, key: &Key) -> Option<Seen> {
        self.read(|s| s.config_maps.items.get(key).map(|map| map.seen()))
    }
}
