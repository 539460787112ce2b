//! Objects of which only so much is kept as a look needs: Secrets, above all, of which there are the most.

use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::shelf::{Shelved, key_in, version_in};
use crate::{cluster::queue::Task, domain::license::Key};

/// A Secret or ConfigMap as it was last seen, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Of the object.
    pub uid: String,
    /// Its version.
    pub version: String,
    /// The digest of what we care about in it.
    pub digest: String,
}

/// An object without its content, and of its metadata what tells it from others.
#[derive(Debug, Clone)]
pub struct Slim<K> {
    key: Key,
    uid: Option<String>,
    version: Option<u64>,
    /// Who looks after it.
    pub(super) task: Option<Task>,
    digest: String,
    kind: PhantomData<K>,
}

impl<K> Slim<K> {
    /// Keeps the digest of the object's content, not the content.
    pub fn new(meta: &ObjectMeta, task: Option<Task>, digest: String) -> Self {
        Self {
            key: key_in(meta),
            uid: meta.uid.clone(),
            version: version_in(meta),
            task,
            digest,
            kind: PhantomData,
        }
    }

    /// The digest of its content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            uid: self.uid.clone().unwrap_or_default(),
            version: self.version.map(|version| version.to_string()).unwrap_or_default(),
            digest: self.digest.clone(),
        }
    }
}

impl<K: Resource<DynamicType = ()>> Shelved for Slim<K> {
    fn kind() -> String {
        <K as Resource>::kind(&()).into_owned()
    }
    fn key(&self) -> Key {
        self.key.clone()
    }
    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
    fn version(&self) -> Option<u64> {
        self.version
    }
    fn lighten(&mut self) {}
}
