//! Secrets, a shelf for each watch: one for all of them, or one for each namespace that lets us in.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Secret, rbac::v1::RoleBinding};
use kube::{core::PartialObjectMeta, runtime::watcher::Event};

use super::{
    Index, Shelf, Shelves, key_of,
    shelf::Shelved as _,
    slim::{Seen, Slim},
};
use crate::{
    cluster::{queue::Task, rights::EVERYWHERE},
    domain::license::Key,
};

impl Shelves {
    /// The shelf where the Secrets of `namespace` are.
    fn secrets_of(&self, namespace: &str) -> Option<&Shelf<Slim<Secret>>> {
        self.secrets.get(EVERYWHERE).or_else(|| self.secrets.get(namespace))
    }
}

impl Index {
    /// A watch begins that brings the Secrets of `scope`, a namespace or [`EVERYWHERE`].
    pub fn open_secrets(&self, scope: &str) {
        self.write(|s| drop(s.secrets.insert(scope.to_owned(), Shelf::default())));
    }

    /// That watch has ended: nothing is known of these Secrets any more.
    pub fn close_secrets(&self, scope: &str) {
        self.write(|s| drop(s.secrets.remove(scope)));
    }

    /// Whether the Secrets of `namespace` were listed once: before that nothing may be decided there.
    pub fn secrets_are_listed(&self, namespace: &str) -> bool {
        self.read(|s| s.secrets_of(namespace).is_some_and(|shelf| shelf.complete))
    }

    /// One of our Secrets came, changed or went, or all of `scope` are listed. `calls` says whether a Secret in a namespace may
    /// call for a look.
    pub fn secret_event(
        &self,
        scope: &str,
        event: Event<Slim<Secret>>,
        calls: impl Fn(&str, &Task) -> bool,
    ) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| {
            if let Some(shelf) = s.secrets.get_mut(scope) {
                let namespace = |secret: &Slim<Secret>| secret.key().namespace;
                shelf.event(event, |secret| {
                    tasks.extend(secret.task.clone().filter(|task| calls(&namespace(secret), task)));
                });
            }
        });
        tasks
    }

    /// A key in our own namespace came, changed or went.
    pub fn key_event(&self, event: Event<Slim<Secret>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| s.keys.event(event, |secret| tasks.extend(secret.task.clone())));
        tasks
    }

    /// We wrote this Secret.
    pub fn note_secret(&self, secret: Slim<Secret>) {
        self.write(|s| {
            let namespace = secret.key().namespace;
            let scope = if s.secrets.contains_key(EVERYWHERE) { EVERYWHERE } else { &namespace };
            if let Some(shelf) = s.secrets.get_mut(scope) {
                shelf.note(secret);
            }
        });
    }

    /// A Secret of ours.
    pub fn secret(&self, key: &Key) -> Option<Seen> {
        self.read(|s| s.secrets_of(&key.namespace)?.items.get(key).map(|secret| secret.seen()))
    }

    /// The License whose Secret this is, as its labels say.
    pub fn license_of_secret(&self, key: &Key) -> Option<Key> {
        let task = self.read(|s| s.secrets_of(&key.namespace)?.items.get(key)?.task.clone());
        task.and_then(|task| if let Task::License(license) = task { Some(license) } else { None })
    }

    /// The looks that all Secrets of ours call for.
    pub fn looks_for_secrets(&self) -> BTreeSet<Task> {
        self.read(|s| {
            let secrets = s.secrets.values().flat_map(|shelf| shelf.items.values());
            secrets.filter_map(|secret| secret.task.clone()).collect()
        })
    }

    /// The RoleBinding that lets us into a namespace came, changed or went. Returns where.
    pub fn binding_event(&self, event: Event<PartialObjectMeta<RoleBinding>>) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        self.write(|s| s.bindings.event(event, |binding| touched.extend([key_of(binding).namespace])));
        touched
    }

    /// Whether there is a RoleBinding that should let us into `namespace`.
    pub fn is_bound(&self, namespace: &str) -> bool {
        self.read(|s| s.bindings.items.keys().any(|key| key.namespace == namespace))
    }

    /// Whether the namespace is going or gone: nothing can be made there, and what is there goes by itself.
    pub fn is_ending(&self, namespace: &str) -> bool {
        self.read(|s| {
            let namespace = s.namespaces.items.get(&Key::new("", namespace));
            namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some())
        })
    }
}
