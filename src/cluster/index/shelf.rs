//! One kind of object, as its watch and we ourselves have shown it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};

use crate::{cluster::labels, domain::license::Key};

/// One kind of object, by namespace and name.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    pub(super) items: HashMap<Key, Arc<T>>,
    /// While a list is under way: what it has brought so far.
    listing: Option<Listing>,
    /// Whether a list has ever been complete.
    pub(super) complete: bool,
    /// The newest version that the watch has brought, of any object, deletions included.
    seen: u64,
}

/// A list that is under way. It began after all that was there: what it brings takes the place of what was there, even
/// if that has a higher version, for etcd may have been restored. Only what we wrote since then may be newer.
#[derive(Debug, Default)]
struct Listing {
    brought: HashSet<Key>,
    /// What we wrote since the list began.
    noted: HashSet<Key>,
    /// The highest version that it brought.
    newest: u64,
    /// Whether something has a lower version than it had.
    restored: bool,
}

impl Listing {
    /// The list brought `object`.
    fn bring(&mut self, object: &impl Shelved) {
        self.brought.insert(object.key());
        self.newest = self.newest.max(object.version().unwrap_or(0));
    }

    /// We wrote `object` meanwhile.
    fn note(&mut self, object: &impl Shelved) {
        self.brought.insert(object.key());
        self.noted.insert(object.key());
    }

    /// Whether `object` takes the place of `former`, which has no lower version.
    fn replaces(&mut self, former: &impl Shelved, object: &impl Shelved) -> bool {
        let replaces = !self.noted.contains(&object.key()) && former.version() != object.version();
        self.restored |= replaces;
        replaces
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), listing: None, complete: false, seen: 0 }
    }
}

/// What a shelf must know of an object.
pub(in crate::cluster) trait Shelved {
    /// What it is, for messages.
    fn kind() -> String;
    /// Its namespace and name.
    fn key(&self) -> Key;
    /// Tells it from its namesakes.
    fn uid(&self) -> Option<&str>;
    /// Versions count across all objects of a kind. One that is not a number cannot be compared.
    fn version(&self) -> Option<u64>;
    /// Takes out what nobody here reads.
    fn lighten(&mut self);
}

/// Annotations and labels that begin so are ours.
const OURS: &str = "usher.dev/";

impl<K: Resource<DynamicType = ()>> Shelved for K {
    fn kind() -> String {
        <K as Resource>::kind(&()).into_owned()
    }
    fn key(&self) -> Key {
        key_of(self)
    }
    fn uid(&self) -> Option<&str> {
        self.meta().uid.as_deref()
    }
    fn version(&self) -> Option<u64> {
        version_in(self.meta())
    }
    /// Who wrote which field is most of an object, unless somebody makes it carry more: whoever may write it decides how much.
    /// (Only a namespace's labels are its owner's to choose, and ours to read.)
    fn lighten(&mut self) {
        let is_namespace = <K as Resource>::kind(&()) == "Namespace";
        let meta = self.meta_mut();
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.retain(|name, _| name.starts_with(OURS));
        }
        if let Some(labels) = meta.labels.as_mut().filter(|_| !is_namespace) {
            labels.retain(|name, _| name.starts_with(OURS) || name == labels::MANAGED_BY);
        }
    }
}

pub(super) fn key_of(object: &impl Resource) -> Key {
    key_in(object.meta())
}

pub(super) fn key_in(meta: &ObjectMeta) -> Key {
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

pub(super) fn version_in(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

/// Whether `former` is as new as `object`. Versions that are not numbers cannot be compared: then it is not.
fn as_new(former: &impl Shelved, object: &impl Shelved) -> bool {
    match (former.version(), object.version()) {
        (Some(former), Some(new)) => former >= new,
        _ => false,
    }
}

impl<T: Shelved> Shelf<T> {
    /// Puts `object` in unless what is there is as new. Returns whether it did, and what was there.
    pub(super) fn put(&mut self, mut object: T) -> (bool, Option<Arc<T>>, Arc<T>) {
        let key = object.key();
        let former = self.items.get(&key).cloned();
        // Versions count across all objects of a kind, so this holds for namesakes too.
        if let Some(former) = &former
            && as_new(&**former, &object)
            && !self.listing.as_mut().is_some_and(|listing| listing.replaces(&**former, &object))
        {
            return (false, None, former.clone());
        }
        object.lighten();
        let object = Arc::new(object);
        self.items.insert(key, object.clone());
        (true, former, object)
    }

    /// Puts in what we wrote, unless the watch knows better.
    pub(super) fn note(&mut self, object: T) {
        if object.version().is_some_and(|version| version > self.seen) {
            if let Some(listing) = &mut self.listing {
                listing.note(&object);
            }
            self.put(object);
        }
    }

    /// Takes `object` out, unless another one has its name by now.
    fn take(&mut self, object: &T) -> Option<Arc<T>> {
        let key = object.key();
        let same = self.items.get(&key).is_some_and(|there| there.uid() == object.uid());
        if same { self.items.remove(&key) } else { None }
    }

    /// Applies a watch event; `touched` is told every object that came, changed or went.
    pub(super) fn event(&mut self, event: Event<T>, mut touched: impl FnMut(&T)) {
        if let Event::InitApply(object) | Event::Apply(object) | Event::Delete(object) = &event {
            self.seen = self.seen.max(object.version().unwrap_or(0));
        }
        if let (Event::InitApply(object), Some(listing)) = (&event, &mut self.listing) {
            listing.bring(object);
        }
        match event {
            Event::Init => self.listing = Some(Listing::default()),
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
                if listed.restored {
                    self.seen = listed.newest;
                }
                let is_gone = |key: &&Key| !listed.brought.contains(*key);
                let gone: Vec<Key> = self.items.keys().filter(is_gone).cloned().collect();
                for key in gone {
                    self.items.remove(&key).iter().for_each(|object| touched(object));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, Secret};
    use serde_json::json;

    use super::*;

    fn heavy<K: serde::de::DeserializeOwned>(version: u32) -> K {
        serde_json::from_value(json!({"metadata": {
            "name": "a", "namespace": "design", "resourceVersion": version.to_string(),
            "managedFields": [{"manager": "usher", "fieldsV1": {"f:data": {}}}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x", "usher.dev/paused": "true"},
            "labels": {"team": "design", "usher.dev/license": "cad", labels::MANAGED_BY: "usher"},
        }}))
        .unwrap()
    }

    #[test]
    fn what_nobody_reads_is_not_kept_whether_the_watch_brought_it_or_we_wrote_it() {
        let mut shelf = Shelf::default();
        let light = |shelf: &Shelf<Secret>, version: &str| {
            let meta = &shelf.items[&Key::new("design", "a")].metadata;
            assert_eq!((meta.resource_version.as_deref(), &meta.managed_fields), (Some(version), &None));
            let kept: Vec<&String> = meta.annotations.as_ref().unwrap().keys().collect();
            assert_eq!(kept, ["usher.dev/paused"]);
            let kept: Vec<&String> = meta.labels.as_ref().unwrap().keys().collect();
            assert_eq!(kept, [labels::MANAGED_BY, "usher.dev/license"]);
        };
        shelf.event(Event::Apply(heavy(1)), |_| {});
        light(&shelf, "1");
        shelf.note(heavy(2));
        light(&shelf, "2");
    }

    #[test]
    fn of_a_namespace_all_labels_are_kept_for_authorities_select_by_them() {
        let mut namespace: Namespace = heavy(1);
        namespace.lighten();
        assert_eq!(namespace.metadata.labels.unwrap().len(), 3);
    }
}
