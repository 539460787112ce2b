//! What the watches have shown, and what we wrote ourselves, whichever is newer.
//!
//! Nothing here awaits. A change is answered with the tasks that it calls for; an object that did not change calls for
//! none, so that a relist of thousands costs comparisons and nothing else. What we wrote is put in at once
//! (`note`), so that nobody decides to write it again before the watch brings it back.
//!
//! The index triggers work and spares writes. It never decides a limit: that is the ledger's.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt as _, core::DeserializeGuard, runtime::watcher::Event};

use crate::{
    cluster::{
        api::{Authority, License, Seat},
        labels,
        queue::Task,
    },
    domain::license::{Key, Uid},
};

/// One kind of object, by namespace and name.
#[derive(Debug)]
struct Shelf<T> {
    items: HashMap<Key, Arc<T>>,
    /// While a list is under way: what it has brought so far.
    listing: Option<HashSet<Key>>,
    /// Whether a list has ever been complete.
    complete: bool,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), listing: None, complete: false }
    }
}

fn key_of(object: &impl Resource) -> Key {
    let meta = object.meta();
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// Whether `former` is as new as `object`. Versions that are not numbers cannot be compared: then it is not.
fn as_new(former: &impl Resource, object: &impl Resource) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_deref()?.parse::<u64>().ok();
    match (version(former.meta()), version(object.meta())) {
        (Some(former), Some(new)) => former >= new,
        _ => false,
    }
}

impl<T: Resource> Shelf<T> {
    /// Puts `object` in unless what is there is as new. Returns whether it did, and what was there.
    fn put(&mut self, object: T) -> (bool, Option<Arc<T>>, Arc<T>) {
        let key = key_of(&object);
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        let former = self.items.get(&key).cloned();
        if let Some(former) = &former
            && former.meta().uid == object.meta().uid
            && as_new(&**former, &object)
        {
            return (false, None, former.clone());
        }
        let object = Arc::new(object);
        self.items.insert(key, object.clone());
        (true, former, object)
    }

    /// Takes `object` out, unless another one has its name by now.
    fn take(&mut self, object: &T) -> Option<Arc<T>> {
        let key = key_of(object);
        let same = self.items.get(&key).is_some_and(|there| there.meta().uid == object.meta().uid);
        if same { self.items.remove(&key) } else { None }
    }

    /// Applies a watch event; `touched` is told every object that came, changed or went.
    fn event(&mut self, event: Event<T>, mut touched: impl FnMut(&T)) {
        match event {
            Event::Init => self.listing = Some(HashSet::new()),
            Event::InitApply(object) | Event::Apply(object) => {
                if let (true, former, object) = self.put(object) {
                    former.iter().for_each(|former| touched(former));
                    touched(&object);
                }
            }
            Event::Delete(object) => {
                if let Some(gone) = self.take(&object) {
                    touched(&gone);
                }
            }
            Event::InitDone => {
                self.complete = true;
                let Some(listed) = self.listing.take() else { return };
                let gone: Vec<Key> = self.items.keys().filter(|key| !listed.contains(key)).cloned().collect();
                for key in gone {
                    self.items.remove(&key).iter().for_each(|object| touched(object));
                }
            }
        }
    }
}

/// A Secret or ConfigMap as it was last seen, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Of the object.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The digest of what we care about in it.
    pub digest: String,
}

#[derive(Debug, Default)]
struct Shelves {
    licenses: Shelf<DeserializeGuard<License>>,
    seats: Shelf<DeserializeGuard<Seat>>,
    authorities: Shelf<DeserializeGuard<Authority>>,
    namespaces: Shelf<Namespace>,
    secrets: Shelf<Slim<Secret>>,
    config_maps: Shelf<Slim<ConfigMap>>,
    /// License to the names of its Seats.
    seats_of: HashMap<Key, BTreeSet<String>>,
    /// Seats that cannot be read: nobody knows whose they are, so nothing is taken from them.
    unreadable: BTreeMap<Key, Uid>,
}

/// What the cluster holds, as far as we know.
#[derive(Debug, Default)]
pub struct Index(RwLock<Shelves>);

/// An object without its content.
#[derive(Debug, Clone)]
pub struct Slim<K> {
    meta: ObjectMeta,
    digest: String,
    kind: std::marker::PhantomData<K>,
}

impl<K: Resource> Slim<K> {
    /// Keeps the digest of `object`'s content, not the content.
    pub fn new(mut object: K, digest: String) -> Self {
        let meta = std::mem::take(object.meta_mut());
        Self { meta, digest, kind: std::marker::PhantomData }
    }

    /// The digest of its content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn seen(&self) -> Seen {
        Seen {
            uid: self.meta.uid.clone().unwrap_or_default(),
            labels: self.meta.labels.clone().unwrap_or_default(),
            digest: self.digest.clone(),
        }
    }
}

impl<K: Resource> Resource for Slim<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;
    fn kind(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        K::kind(dynamic)
    }
    fn group(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        K::group(dynamic)
    }
    fn version(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        K::version(dynamic)
    }
    fn plural(dynamic: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
        K::plural(dynamic)
    }
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// The License that a Seat names. A Seat that cannot be read names none.
fn license_of(seat: &DeserializeGuard<Seat>) -> Option<Key> {
    let seat = seat.0.as_ref().ok()?;
    Some(Key::new(seat.namespace()?, seat.spec.license_ref.name.as_str()))
}

impl Index {
    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Shelves) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every kind has been listed once: before that nothing may be decided.
    pub fn complete(&self) -> bool {
        self.read(|s| {
            s.licenses.complete
                && s.seats.complete
                && s.authorities.complete
                && s.namespaces.complete
                && s.secrets.complete
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
        let mut touched: Vec<(Key, Key)> = Vec::new();
        let mut unreadable: Vec<Key> = Vec::new();
        let mut tasks = BTreeSet::new();
        self.write(|s| {
            s.seats.event(event, |seat| match license_of(seat) {
                Some(license) => touched.push((license, key_of(seat))),
                None => unreadable.push(key_of(seat)),
            });
            for key in unreadable {
                match s.seats.items.get(&key).filter(|seat| seat.0.is_err()) {
                    Some(seat) => {
                        let uid = Uid(seat.meta().uid.clone().unwrap_or_default());
                        s.unreadable.insert(key, uid);
                    }
                    None => {
                        s.unreadable.remove(&key);
                        // Any License of its namespace may have been the one.
                        let near =
                            s.licenses.items.keys().filter(|license| license.namespace == key.namespace);
                        tasks.extend(near.cloned().map(Task::License));
                    }
                }
            }
            for (license, seat) in &touched {
                let there =
                    s.seats.items.get(seat).and_then(|seat| license_of(seat)).as_ref() == Some(license);
                let names = s.seats_of.entry(license.clone()).or_default();
                if there {
                    names.insert(seat.name.clone());
                } else {
                    names.remove(&seat.name);
                }
                if names.is_empty() {
                    s.seats_of.remove(license);
                }
            }
        });
        tasks.extend(touched.into_iter().map(|(license, _)| Task::License(license)));
        tasks
    }

    /// An Authority came, changed or went.
    pub fn authority_event(&self, event: Event<DeserializeGuard<Authority>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| {
            s.authorities.event(event, |authority| tasks.extend([Task::Authority(authority.name_any())]));
        });
        tasks
    }

    /// A namespace came, changed or went: an Authority may sign for it now, or no longer.
    pub fn namespace_event(&self, event: Event<Namespace>) -> BTreeSet<Task> {
        self.write(|s| {
            let mut touched: HashMap<String, Vec<Option<BTreeMap<String, String>>>> = HashMap::new();
            s.namespaces.event(event, |namespace| {
                touched.entry(namespace.name_any()).or_default().push(namespace.metadata.labels.clone());
            });
            // An Apply touches the former and the new one: the same labels mean nothing for us.
            touched.retain(|_, labels| labels.len() != 2 || labels.first() != labels.last());
            let licenses = s.licenses.items.keys().filter(|key| touched.contains_key(&key.namespace));
            licenses.cloned().map(Task::License).collect()
        })
    }

    /// One of our Secrets came, changed or went.
    pub fn secret_event(&self, event: Event<Slim<Secret>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| s.secrets.event(event, |secret| tasks.extend(labels::task_of(&secret.meta))));
        tasks
    }

    /// One of our ConfigMaps came, changed or went.
    pub fn config_map_event(&self, event: Event<Slim<ConfigMap>>) -> BTreeSet<Task> {
        let mut tasks = BTreeSet::new();
        self.write(|s| s.config_maps.event(event, |map| tasks.extend(labels::task_of(&map.meta))));
        tasks
    }

    // ---- what we wrote ----

    /// We wrote the status of this License.
    pub fn note_license(&self, license: License) {
        self.write(|s| drop(s.licenses.put(DeserializeGuard(Ok(license)))));
    }

    /// We wrote the status of this Seat.
    pub fn note_seat(&self, seat: Seat) {
        self.write(|s| drop(s.seats.put(DeserializeGuard(Ok(seat)))));
    }

    /// We wrote the status of this Authority.
    pub fn note_authority(&self, authority: Authority) {
        self.write(|s| drop(s.authorities.put(DeserializeGuard(Ok(authority)))));
    }

    /// We wrote this Secret.
    pub fn note_secret(&self, secret: Slim<Secret>) {
        self.write(|s| drop(s.secrets.put(secret)));
    }

    /// We wrote this ConfigMap.
    pub fn note_config_map(&self, map: Slim<ConfigMap>) {
        self.write(|s| drop(s.config_maps.put(map)));
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

    /// The names of the Licenses that name this Authority.
    pub fn licenses_under(&self, authority: &str) -> Vec<Key> {
        self.read(|s| {
            let named = |license: &DeserializeGuard<License>| {
                license.0.as_ref().is_ok_and(|license| license.spec.authority_ref.name.as_str() == authority)
            };
            s.licenses
                .items
                .iter()
                .filter(|(_, license)| named(license))
                .map(|(key, _)| key.clone())
                .collect()
        })
    }

    /// The Licenses that Seats name, whether they are there or not.
    pub fn licenses_wanted(&self) -> Vec<Key> {
        self.read(|s| s.seats_of.keys().cloned().collect())
    }

    /// The Seats of a License.
    pub fn seats_of(&self, license: &Key) -> Vec<Arc<DeserializeGuard<Seat>>> {
        self.read(|s| {
            let names = s.seats_of.get(license).into_iter().flatten();
            names.filter_map(|name| s.seats.items.get(&Key::new(&license.namespace, name)).cloned()).collect()
        })
    }

    /// The Seats of a namespace that cannot be read.
    pub fn unreadable_seats(&self, namespace: &str) -> BTreeSet<Uid> {
        self.read(|s| {
            let there = s.unreadable.iter().filter(|(key, _)| key.namespace == namespace);
            there.map(|(_, uid)| uid.clone()).collect()
        })
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

    /// A Secret of ours.
    pub fn secret(&self, key: &Key) -> Option<Seen> {
        self.read(|s| s.secrets.items.get(key).map(|secret| secret.seen()))
    }

    /// A ConfigMap of ours.
    pub fn config_map(&self, key: &Key) -> Option<Seen> {
        self.read(|s| s.config_maps.items.get(key).map(|map| map.seen()))
    }
}
