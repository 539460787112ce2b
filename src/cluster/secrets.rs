//! Writing and removing Secrets without ever touching one that is not ours.
//!
//! 1. A Secret is ours when it carries our label; the ledger says for whom. One that does not is left alone.
//! 2. A new Secret is created: where one has the name already, the API server refuses, whatever the timing.
//! 3. Ours is repaired by applying; entries that somebody added are taken out; one made immutable is made anew.
//! 4. A Secret that says what it should is not written.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::{
        api::{API_VERSION, MANAGER},
        index::{Index, Slim},
        labels,
    },
    domain::license::{Key, Uid},
    ledger::{Document, audit::hex},
};

/// The type of a document's Secret.
pub(super) const TYPE: &str = "usher.dev/license";

/// The object that a Secret goes with.
#[derive(Debug, Clone)]
pub(super) struct Owner<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) uid: &'a Uid,
}

/// A Secret as it should be.
#[derive(Debug, Clone)]
pub(super) struct Desired {
    key: Key,
    labels: BTreeMap<String, String>,
    data: BTreeMap<String, ByteString>,
    /// Absent on a copy: an owner reference does not reach into another namespace.
    owner: Option<OwnerReference>,
    digest: String,
}

impl Desired {
    /// The Secret `key` for `document`, which goes with `owner`.
    pub(super) fn new(key: Key, license: &str, owner: &Owner<'_>, document: &Document) -> Self {
        let labels = labels::of_document(license, owner.uid);
        let data = data(document);
        let digest = digest(&labels, &data, Some(&owner.uid.0));
        let owner = OwnerReference {
            api_version: API_VERSION.into(),
            kind: owner.kind.into(),
            name: owner.name.into(),
            uid: owner.uid.0.clone(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        };
        Self { key, labels, data, owner: Some(owner), digest }
    }

    /// A copy, in another namespace, of the Secret of `license`.
    pub(super) fn copy(key: Key, license: &Key, uid: &Uid, document: &Document) -> Self {
        let (labels, data) = (labels::of_copy(license, uid), data(document));
        let digest = digest(&labels, &data, None);
        Self { key, labels, data, owner: None, digest }
    }

    /// Whether `secret` is this copy with its labels taken off: a copy has no owner that would tell.
    fn is_said_by(&self, secret: &Secret) -> bool {
        let subject = self.labels.get(labels::SUBJECT).filter(|_| self.owner.is_none());
        subject.is_some_and(|subject| is_about(secret, subject))
    }

    fn object(&self) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(self.key.name.clone()),
                namespace: Some(self.key.namespace.clone()),
                labels: Some(self.labels.clone()),
                owner_references: self.owner.clone().map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.into()),
            data: Some(self.data.clone()),
            ..Secret::default()
        }
    }

    fn patch(&self, uid: Option<&str>) -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {
                "name": self.key.name, "namespace": self.key.namespace, "uid": uid,
                "labels": self.labels, "ownerReferences": self.owner.iter().collect::<Vec<_>>(),
            },
            "data": self.data,
        })
    }
}

/// What a Secret with `document` holds.
fn data(document: &Document) -> BTreeMap<String, ByteString> {
    let payload = usher_license::License::parse(document.jws.as_bytes())
        .ok()
        .and_then(|license| serde_json::to_string_pretty(license.unverified_claims()).ok())
        .unwrap_or_default();
    [
        ("keys.jws", document.keys_jws.clone()),
        ("license.json", payload + "\n"),
        ("license.jws", document.jws.clone()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())))
    .collect()
}

fn digest(
    labels: &BTreeMap<String, String>,
    data: &BTreeMap<String, ByteString>,
    owner: Option<&str>,
) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels {
        digest.update(format!("{name}={value}\n"));
    }
    for (name, value) in data {
        digest.update(format!("{name} {}\n", value.0.len()));
        digest.update(&value.0);
    }
    digest.update(owner.unwrap_or_default());
    hex(&digest.finalize())
}

/// What the index keeps of a Secret: the digest of our labels, our data and our owner in it.
pub(super) fn slim(secret: Secret) -> Slim<Secret> {
    let Secret { metadata, data, .. } = secret;
    let ours = [labels::LICENSE, labels::LICENSE_NAMESPACE, labels::SUBJECT, labels::MANAGED_BY];
    let mut kept = metadata.labels.clone().unwrap_or_default();
    kept.retain(|name, _| ours.contains(&name.as_str()));
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let digest = digest(&kept, &data.unwrap_or_default(), owner.map(|owner| owner.uid.as_str()));
    Slim::new(&metadata, digest)
}

/// How writing a Secret went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It says what it should.
    Ours,
    /// A Secret that is not ours has the name.
    Foreign,
}

/// Makes the Secret say what it should.
pub(super) async fn ensure(
    client: &Client,
    index: &Index,
    desired: &Desired,
) -> Result<Written, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &desired.key.namespace);
    match index.secret(&desired.key) {
        Some(seen) if seen.digest == desired.digest => return Ok(Written::Ours),
        Some(seen) => match apply(&api, desired, Some(&seen.uid)).await {
            Ok(secret) => {
                let slim = slim(secret);
                let repaired = slim.digest() == desired.digest;
                index.note_secret(slim);
                if repaired {
                    return Ok(Written::Ours);
                }
            }
            // It is gone, or another one, or cannot be changed: see for ourselves.
            Err(kube::Error::Api(status)) if [404, 409, 422].contains(&status.code) => {}
            Err(error) => return Err(error),
        },
        None => match create(&api, index, desired).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => return other,
        },
    }
    mend(&api, index, desired).await
}

/// Creating, not applying: where a Secret has the name already, nothing is merged into it.
async fn create(api: &Api<Secret>, index: &Index, desired: &Desired) -> Result<Written, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    index.note_secret(slim(api.create(&params, &desired.object()).await?));
    Ok(Written::Ours)
}

async fn apply(api: &Api<Secret>, desired: &Desired, uid: Option<&str>) -> Result<Secret, kube::Error> {
    api.patch(&desired.key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(desired.patch(uid)))
        .await
}

/// The Secret that has the name is not as it should be: if it is ours, whatever people did to it is undone.
async fn mend(api: &Api<Secret>, index: &Index, desired: &Desired) -> Result<Written, kube::Error> {
    let name = &desired.key.name;
    let Some(found) = api.get_opt(name).await? else { return create(api, index, desired).await };
    if !is_ours(&found) && !desired.is_said_by(&found) {
        return Ok(Written::Foreign);
    }
    match undo(api, desired, &found).await {
        Ok(secret) => {
            index.note_secret(slim(secret));
            Ok(Written::Ours)
        }
        // Somebody made it immutable.
        Err(kube::Error::Api(status)) if status.code == 422 => {
            delete(api, &found).await?;
            create(api, index, desired).await
        }
        Err(error) => Err(error),
    }
}

/// Applying leaves the entries that somebody added, so these are taken out first.
async fn undo(api: &Api<Secret>, desired: &Desired, found: &Secret) -> Result<Secret, kube::Error> {
    let added = found.data.iter().flat_map(BTreeMap::keys).filter(|entry| !desired.data.contains_key(*entry));
    let added: BTreeMap<&String, Option<ByteString>> = added.map(|entry| (entry, None)).collect();
    if !added.is_empty() {
        let patch = json!({"metadata": {"uid": found.metadata.uid}, "data": added});
        api.patch(&desired.key.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    }
    apply(api, desired, found.metadata.uid.as_deref()).await
}

/// Ours even if somebody took the label off: our type, and an owner of ours.
fn is_ours(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(TYPE)
        && (secret.labels().get(labels::MANAGED_BY).is_some_and(|by| by == labels::USHER)
            || secret.owner_references().iter().any(|owner| owner.api_version.starts_with("usher.dev/")))
}

/// Whether it is of our type, and holds a document of the License with this UID.
fn is_about(secret: &Secret, license: &str) -> bool {
    let document = secret.data.as_ref().and_then(|data| data.get("license.jws"));
    let parsed = document.and_then(|bytes| usher_license::License::parse(&bytes.0).ok());
    secret.type_.as_deref() == Some(TYPE)
        && parsed.is_some_and(|of| of.unverified_claims().license.uid == license)
}

/// Removes the Secret if it holds the document of `subject`.
pub(super) async fn remove(client: &Client, key: &Key, subject: &Uid) -> Result<(), kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let Some(secret) = api.get_opt(&key.name).await? else { return Ok(()) };
    let of_subject = secret.labels().get(labels::SUBJECT) == Some(&subject.0)
        || secret.owner_references().iter().any(|owner| owner.uid == subject.0);
    if !(is_ours(&secret) && of_subject || is_about(&secret, &subject.0)) {
        return Ok(());
    }
    delete(&api, &secret).await
}

async fn delete(api: &Api<Secret>, secret: &Secret) -> Result<(), kube::Error> {
    let only_this_one = DeleteParams {
        preconditions: Some(Preconditions { uid: secret.metadata.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(&secret.name_any(), &only_this_one).await {
        Ok(_) => Ok(()),
        // A conflict, though, may be another Secret or somebody in the way: the next look sees which.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
