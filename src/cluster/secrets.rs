//! Writing and removing Secrets without ever touching one that is not ours.
//!
//! 1. A Secret is ours when it carries our label; the ledger says for whom. One that does not is left alone.
//! 2. A new Secret is created: where one has the name already, the API server refuses, whatever the timing.
//! 3. Ours is repaired by applying to the version that was seen, so that a write that comes late changes nothing; entries that somebody added are taken out; one made immutable is made anew.
//! 4. A Secret that says what it should is not written.
//! 5. One that is being deleted is nobody's to write. It is gone when the API server says so, not when it was told to go.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    cluster::{
        Context,
        api::{API_VERSION, MANAGER},
        index::{Index, Slim},
        labels,
        refusal::refusal,
    },
    domain::{
        hex,
        license::{Key, License, Uid},
    },
    ledger::Document,
    service::activation_keys::Entries,
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

impl Owner<'_> {
    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: API_VERSION.into(),
            kind: self.kind.into(),
            name: self.name.into(),
            uid: self.uid.0.clone(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }
    }
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
        Self::of(key, labels, data(document), Some(owner.reference()))
    }

    /// A copy, in another namespace, of the Secret of `license`.
    pub(super) fn copy(key: Key, license: &Key, uid: &Uid, document: &Document) -> Self {
        Self::of(key, labels::of_copy(license, uid), data(document), None)
    }

    /// The Secret for the activation keys of `license`.
    pub(super) fn with_keys(license: &License, entries: &Entries) -> Self {
        let data = entries.iter().map(|(name, key)| (name.clone(), ByteString(key.as_bytes().to_vec())));
        let owner = Owner { kind: "License", name: &license.key.name, uid: &license.uid };
        let key = Key::new(&license.key.namespace, license.keys_secret());
        Self::of(key, labels_of_keys(license), data.collect(), Some(owner.reference()))
    }

    fn of(
        key: Key,
        labels: BTreeMap<String, String>,
        data: BTreeMap<String, ByteString>,
        owner: Option<OwnerReference>,
    ) -> Self {
        let digest = digest(&labels, &hashes(&data), owner.as_ref().map(|owner| owner.uid.as_str()));
        Self { key, labels, data, owner, digest }
    }

    /// Whether `found`, which has the name, is what is to be mended. In its own namespace the ledger says for whom one of ours is;
    /// a copy has no owner that would tell, and takes the place of no other, whatever the ledger lost: its label or its
    /// document must be about this License.
    fn may_mend(&self, found: &Secret) -> bool {
        if self.owner.is_some() {
            return is_ours(found);
        }
        let subject = self.labels.get(labels::SUBJECT);
        let is_labelled = found.labels().get(labels::SUBJECT) == subject && is_ours(found);
        is_labelled || subject.is_some_and(|subject| is_about(found, subject))
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

    fn patch(&self, uid: Option<&str>, version: Option<&str>) -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {
                "name": self.key.name, "namespace": self.key.namespace, "uid": uid, "resourceVersion": version,
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

fn labels_of_keys(license: &License) -> BTreeMap<String, String> {
    labels::of_document(&license.key.name, &license.keys_subject())
}

/// What the index has of the Secret with these activation keys; nothing while one of them is not made.
pub(super) fn digest_of_keys(license: &License, hashes: &BTreeMap<String, Option<String>>) -> Option<String> {
    let made = hashes.iter().map(|(name, hash)| Some((name.clone(), hash.clone()?)));
    Some(digest(&labels_of_keys(license), &made.collect::<Option<_>>()?, Some(&license.uid.0)))
}

/// The hash of each entry.
fn hashes(data: &BTreeMap<String, ByteString>) -> BTreeMap<String, String> {
    data.iter().map(|(name, value)| (name.clone(), hex(&Sha256::digest(&value.0)))).collect()
}

/// The digest of a Secret whose entries have these hashes.
fn digest(
    labels: &BTreeMap<String, String>,
    entries: &BTreeMap<String, String>,
    owner: Option<&str>,
) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels {
        digest.update(format!("{name}={value}\n"));
    }
    for (name, hash) in entries {
        digest.update(format!("{name} {hash}\n"));
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
    let digest = digest(&kept, &hashes(&data.unwrap_or_default()), owner.map(|owner| owner.uid.as_str()));
    Slim::new(&metadata, labels::license_of(&metadata), digest)
}

/// Why a Secret does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Withheld {
    /// One that is not ours has the name.
    Taken,
    /// It cannot be written, and this is what stands against it.
    Refused(String),
}

/// What the Secret `key` holds: nothing if there is none, `None` if it is not ours.
pub(super) async fn entries(client: &Client, key: &Key) -> Result<Option<Entries>, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let Some(found) = api.get_opt(&key.name).await? else { return Ok(Some(Entries::new())) };
    let texts = found.data.iter().flatten().filter_map(|(name, value)| {
        Some((name.clone(), Zeroizing::new(String::from_utf8(value.0.clone()).ok()?)))
    });
    Ok(is_ours(&found).then(|| texts.collect()))
}

/// Makes the Secret say what it should, or says why it does not. One that is out of our sight is left as it is.
pub(super) async fn ensure<L>(
    context: &Context<L>,
    desired: &Desired,
) -> Result<Option<Withheld>, kube::Error> {
    if context.is_out_of_sight(&desired.key) {
        return Ok(None);
    }
    match write(&context.client, &context.index, desired).await {
        Err(error) => refusal(&error).map(|said| Some(Withheld::Refused(said))).ok_or(error),
        written => written,
    }
}

async fn write(client: &Client, index: &Index, desired: &Desired) -> Result<Option<Withheld>, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &desired.key.namespace);
    match index.secret(&desired.key) {
        Some(seen) if seen.digest == desired.digest => return Ok(None),
        // What the index keeps of a copy does not say whose it is.
        Some(_) if desired.owner.is_none() => {}
        Some(seen) => match apply(&api, desired, Some(&seen.uid), Some(&seen.version)).await {
            Ok(secret) => {
                let slim = slim(secret);
                let repaired = slim.digest() == desired.digest;
                index.note_secret(slim);
                if repaired {
                    return Ok(None);
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
async fn create(
    api: &Api<Secret>,
    index: &Index,
    desired: &Desired,
) -> Result<Option<Withheld>, kube::Error> {
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    index.note_secret(slim(api.create(&params, &desired.object()).await?));
    Ok(None)
}

async fn apply(
    api: &Api<Secret>,
    desired: &Desired,
    uid: Option<&str>,
    version: Option<&str>,
) -> Result<Secret, kube::Error> {
    let patch = Patch::Apply(desired.patch(uid, version));
    api.patch(&desired.key.name, &PatchParams::apply(MANAGER).force(), &patch).await
}

/// The Secret that has the name is not as it should be: if it is ours, whatever people did to it is undone.
async fn mend(api: &Api<Secret>, index: &Index, desired: &Desired) -> Result<Option<Withheld>, kube::Error> {
    let name = &desired.key.name;
    let Some(found) = api.get_opt(name).await? else { return create(api, index, desired).await };
    if !desired.may_mend(&found) {
        return Ok(Some(Withheld::Taken));
    }
    let leaves = || Some(Withheld::Refused("it is being deleted, and its finalizers hold it".to_owned()));
    if found.metadata.deletion_timestamp.is_some() {
        return Ok(leaves());
    }
    match undo(api, desired, &found).await {
        Ok(secret) => {
            index.note_secret(slim(secret));
            Ok(None)
        }
        Err(kube::Error::Api(status)) if status.code == 422 && found.immutable == Some(true) => {
            if delete(api, &found).await? { create(api, index, desired).await } else { Ok(leaves()) }
        }
        Err(error) => Err(error),
    }
}

/// Applying leaves what somebody added, so that is taken out first: entries, and the label that would make this a copy.
async fn undo(api: &Api<Secret>, desired: &Desired, found: &Secret) -> Result<Secret, kube::Error> {
    let added = found.data.iter().flat_map(BTreeMap::keys).filter(|entry| !desired.data.contains_key(*entry));
    let entries: BTreeMap<&String, Option<ByteString>> = added.map(|entry| (entry, None)).collect();
    let label = labels::LICENSE_NAMESPACE;
    let misleads = found.labels().contains_key(label) && !desired.labels.contains_key(label);
    let labels: BTreeMap<&str, Option<&str>> = misleads.then_some((label, None)).into_iter().collect();
    let mut meta = found.metadata.clone();
    if !entries.is_empty() || !labels.is_empty() {
        let patch = json!({
            "metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "labels": labels}, "data": entries,
        });
        meta = api.patch(&desired.key.name, &PatchParams::default(), &Patch::Merge(patch)).await?.metadata;
    }
    apply(api, desired, meta.uid.as_deref(), meta.resource_version.as_deref()).await
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

/// Removes the Secret if it holds the document of `subject`. Returns whether it is gone.
pub(super) async fn remove(client: &Client, key: &Key, subject: &Uid) -> Result<bool, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let Some(secret) = api.get_opt(&key.name).await? else { return Ok(true) };
    let of_subject = secret.labels().get(labels::SUBJECT) == Some(&subject.0)
        || secret.owner_references().iter().any(|owner| owner.uid == subject.0);
    if !(is_ours(&secret) && of_subject || is_about(&secret, &subject.0)) {
        return Ok(true);
    }
    delete(&api, &secret).await
}

/// Whether it is gone: one with finalizers stays until these are taken out.
async fn delete(api: &Api<Secret>, secret: &Secret) -> Result<bool, kube::Error> {
    let only_this_one = DeleteParams {
        preconditions: Some(Preconditions {
            uid: secret.metadata.uid.clone(),
            resource_version: secret.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    };
    match api.delete(&secret.name_any(), &only_this_one).await {
        Ok(deleted) => Ok(deleted.right().is_some()),
        // A conflict, though, may be another Secret or somebody in the way: the next look sees which.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(error),
    }
}
