//! One kind of object, as its watch and we ourselves have shown it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kube::{Resource, runtime::watcher::Event};

use crate::domain::license::Key;

/// One kind of object, by namespace and name.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    pub(super) items: HashMap<Key, Arc<T>>,
    /// While a list is under way: what it has brought so far.
    listing: Option<HashSet<Key>>,
    /// Whether a list has ever been complete.
    pub(super) complete: bool,
    /// The newest version that the watch has brought, of any object, deletions included.
    seen: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), listing: None, complete: false, seen: 0 }
    }
}

pub(super) fn key_of(object: &impl Resource) -> Key {
    let meta = object.meta();
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// Whether `former` is as new as `object`. Versions that are not numbers cannot be compared: then it is not.
fn as_new(former: &impl Resource, object: &impl Resource) -> bool {
    match (version(former), version(object)) {
        (Some(former), Some(new)) => former >= new,
        _ => false,
    }
}

impl<T: Resource> Shelf<T> {
    /// Puts `object` in unless what is there is as new. Returns whether it did, and what was there.
    pub(super) fn put(&mut self, object: T) -> (bool, Option<Arc<T>>, Arc<T>) {
        let key = key_of(&object);
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        let former = self.items.get(&key).cloned();
        // Versions count across all objects of a kind, so this holds for namesakes too.
        if let Some(former) = &former
            && as_new(&**former, &object)
        {
            return (false, None, former.clone());
        }
        let object = Arc::new(object);
        self.items.insert(key, object.clone());
        (true, former, object)
    }

    /// Puts in what we wrote, unless the watch knows better.
    pub(super) fn note(&mut self, object: T) {
        if version(&object).is_some_and(|version| version > self.seen) {
            self.put(object);
        }
    }

    /// Takes `object` out, unless another one has its name by now.
    fn take(&mut self, object: &T) -> Option<Arc<T>> {
        let key = key_of(object);
        let same = self.items.get(&key).is_some_and(|there| there.meta().uid == object.meta().uid);
        if same { self.items.remove(&key) } else { None }
    }

    /// Applies a watch event; `touched` is told every object that came, changed or went.
    pub(super) fn event(&mut self, event: Event<T>, mut touched: impl FnMut(&T)) {
        if let Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) = &event {
            self.seen = self.seen.max(version(object).unwrap_or(0));
        }
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
