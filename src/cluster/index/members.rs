//! Objects that belong to a License, which they name: Seats and UserAssignments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::{Resource, ResourceExt as _, core::DeserializeGuard, runtime::watcher::Event};

use super::shelf::{Shelf, key_of};
use crate::{
    cluster::api::{Seat, UserAssignment},
    domain::license::{Key, Uid},
};

/// An object that names a License of its namespace.
pub(super) trait NamesLicense: Resource<DynamicType = ()> {
    fn license(&self) -> &str;
    /// The person for whom it is, as they are known to the ledger.
    fn person(&self) -> Option<String> {
        None
    }
}

impl NamesLicense for Seat {
    fn license(&self) -> &str {
        self.spec.license_ref.name.as_str()
    }
    fn person(&self) -> Option<String> {
        self.spec.holder.user.as_ref()?;
        self.spec.holder.holder().map(|holder| holder.identity())
    }
}

impl NamesLicense for UserAssignment {
    fn license(&self) -> &str {
        self.spec.license_ref.name.as_str()
    }
}

/// One such kind.
#[derive(Debug)]
pub(super) struct Members<T> {
    pub(super) shelf: Shelf<DeserializeGuard<T>>,
    /// License to the names of those who name it.
    pub(super) of: HashMap<Key, BTreeSet<String>>,
    /// People, with those that are for them.
    pub(super) people: BTreeSet<(String, Key)>,
    /// Those that cannot be read: nobody knows whose they are, so nothing is taken from them.
    pub(super) unreadable: BTreeMap<Key, Uid>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self {
            shelf: Shelf::default(),
            of: HashMap::new(),
            people: BTreeSet::new(),
            unreadable: BTreeMap::new(),
        }
    }
}

/// What a change touches.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// These Licenses.
    pub(super) licenses: BTreeSet<Key>,
    /// Any License of these namespaces: what could not be read went, or can be read.
    pub(super) namespaces: BTreeSet<String>,
    /// These objects came, or changed, and cannot be read.
    pub(super) unreadable: BTreeSet<Key>,
}

/// The License that an object names. One that cannot be read names none.
pub(super) fn license_of<T: NamesLicense>(guard: &DeserializeGuard<T>) -> Option<Key> {
    let object = guard.0.as_ref().ok()?;
    Some(Key::new(object.namespace()?, object.license()))
}

fn person_of<T: NamesLicense>(guard: &DeserializeGuard<T>) -> Option<String> {
    guard.0.as_ref().ok()?.person()
}

impl<T: NamesLicense> Members<T> {
    /// One came, changed or went.
    pub(super) fn event(&mut self, event: Event<DeserializeGuard<T>>) -> Touched {
        let mut named: Vec<(Key, Key)> = Vec::new();
        let mut nameless: Vec<Key> = Vec::new();
        let mut people: Vec<(String, Key)> = Vec::new();
        self.shelf.event(event, |object| {
            people.extend(person_of(object).map(|person| (person, key_of(object))));
            match license_of(object) {
                Some(license) => named.push((license, key_of(object))),
                None => nameless.push(key_of(object)),
            }
        });
        for (person, key) in people {
            self.file_person(person, key);
        }
        let mut touched = Touched::default();
        for key in nameless {
            match self.shelf.items.get(&key).filter(|object| object.0.is_err()) {
                Some(object) => {
                    let uid = Uid(object.meta().uid.clone().unwrap_or_default());
                    touched.unreadable.insert(key.clone());
                    self.unreadable.insert(key, uid);
                }
                None => {
                    self.unreadable.remove(&key);
                    touched.namespaces.insert(key.namespace);
                }
            }
        }
        for (license, key) in named {
            self.file(&license, &key);
            touched.licenses.insert(license);
        }
        touched
    }

    /// We wrote this one.
    pub(super) fn note(&mut self, object: T) {
        let guard = DeserializeGuard(Ok(object));
        let (license, person, key) = (license_of(&guard), person_of(&guard), key_of(&guard));
        self.shelf.note(guard);
        if let Some(person) = person {
            self.file_person(person, key.clone());
        }
        if let Some(license) = license {
            self.file(&license, &key);
        }
    }

    /// Whether the object `key` is among those who name `license` follows from what is on the shelf.
    fn file(&mut self, license: &Key, key: &Key) {
        let there = self.shelf.items.get(key).and_then(|object| license_of(object)).as_ref() == Some(license);
        let names = self.of.entry(license.clone()).or_default();
        if there {
            names.insert(key.name.clone());
        } else {
            names.remove(&key.name);
        }
        if names.is_empty() {
            self.of.remove(license);
        }
    }

    /// Whether the object `key` is for `person` follows from what is on the shelf.
    fn file_person(&mut self, person: String, key: Key) {
        let there = self.shelf.items.get(&key).and_then(|object| person_of(object));
        if there.as_ref() == Some(&person) {
            self.people.insert((person, key));
        } else {
            self.people.remove(&(person, key));
        }
    }

    /// Those that are for `person`.
    pub(super) fn for_person<'a>(
        &'a self,
        person: &'a str,
    ) -> impl Iterator<Item = std::sync::Arc<DeserializeGuard<T>>> + 'a {
        let first = (person.to_owned(), Key::new("", ""));
        let theirs = self.people.range(first..).take_while(move |(of, _)| of == person);
        theirs.filter_map(|(_, key)| self.shelf.items.get(key).cloned())
    }

    /// Those who name `license`.
    pub(super) fn under(&self, license: &Key) -> Vec<std::sync::Arc<DeserializeGuard<T>>> {
        let names = self.of.get(license).into_iter().flatten();
        names.filter_map(|name| self.shelf.items.get(&Key::new(&license.namespace, name)).cloned()).collect()
    }

    /// Those of a namespace that cannot be read, with their names.
    pub(super) fn unreadable_in(&self, namespace: &str) -> BTreeMap<Uid, String> {
        let there = self.unreadable.iter().filter(|(key, _)| key.namespace == namespace);
        there.map(|(key, uid)| (uid.clone(), key.name.clone())).collect()
    }
}
