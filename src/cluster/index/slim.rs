//! Objects whose content is not kept, only its digest: Secrets, above all.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

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

/// An object without its content.
#[derive(Debug, Clone)]
pub struct Slim<K> {
    pub(super) meta: ObjectMeta,
    digest: String,
    kind: PhantomData<K>,
}

impl<K: Resource> Slim<K> {
    /// Keeps the digest of `object`'s content, not the content.
    pub fn new(mut object: K, digest: String) -> Self {
        let meta = std::mem::take(object.meta_mut());
        Self { meta, digest, kind: PhantomData }
    }

    /// The digest of its content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn seen(&self) -> Seen {
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
    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }
    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }
    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }
    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
