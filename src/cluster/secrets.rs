//! Writing and removing Secrets without ever touching one that is not ours.
//!
//! 1. A Secret is ours when it carries our label; the ledger says for whom. One that does not is left alone.
//! 2. A new Secret is applied without force. If a foreign one has the name, its `type` differs, which cannot be
//!    changed: the API server refuses, whatever the timing.
//! 3. A Secret that says what it should is not written.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::{
        api::MANAGER,
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
    owner: serde_json::Value,
    digest: String,
}

impl Desired {
    /// The Secret `key` for `document`, which goes with `owner`.
    pub(super) fn new(key: Key, license: &str, owner: &Owner<'_>, document: &Document) -> Self {
        let labels = labels::of_document(license, owner.uid);
        let payload = usher_license::License::parse(document.jws.as_bytes())
            .ok()
            .and_then(|license| serde_json::to_string_pretty(license.unverified_claims()).ok())
            .unwrap_or_default();
        let data: BTreeMap<String, ByteString> = [
            ("keys.jws", document.keys_jws.clone()),
            ("license.json", payload + "\n"),
            ("license.jws", document.jws.clone()),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())))
        .collect();
        let owner = json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": owner.kind, "name": owner.name, "uid": owner.uid.0,
            "controller": true, "blockOwnerDeletion": false,
        });
        let digest = digest(&labels, &data, owner.get("uid").and_then(|uid| uid.as_str()));
        Self { key, labels, data, owner, digest }
    }

    fn patch(&self, uid: Option<&str>) -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {
                "name": self.key.name, "namespace": self.key.namespace, "uid": uid,
                "labels": self.labels, "ownerReferences": [self.owner],
            },
            "data": self.data,
        })
    }
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
    let ours = [labels::LICENSE, labels::SUBJECT, labels::MANAGED_BY];
    let mut kept = secret.labels().clone();
    kept.retain(|name, _| ours.contains(&name.as_str()));
    let data = secret.data.clone().unwrap_or_default();
    let owner = secret.owner_references().iter().find(|o| o.controller == Some(true)).map(|o| o.uid.clone());
    let digest = digest(&kept, &data, owner.as_deref());
    Slim::new(secret, digest)
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
    let name = &desired.key.name;
    if let Some(seen) = index.secret(&desired.key) {
        if seen.digest == desired.digest {
            return Ok(Written::Ours);
        }
        let force = PatchParams::apply(MANAGER).force();
        match api.patch(name, &force, &Patch::Apply(desired.patch(Some(&seen.uid)))).await {
            Ok(secret) => {
                index.note_secret(slim(secret));
                return Ok(Written::Ours);
            }
            // It is gone, or another one has its name by now: go on as if we had never seen it.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            Err(error) => return Err(error),
        }
    }
    match api.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(desired.patch(None))).await {
        Ok(secret) => {
            index.note_secret(slim(secret));
            Ok(Written::Ours)
        }
        Err(kube::Error::Api(status)) if [409, 422].contains(&status.code) => {
            match api.get_opt(name).await? {
                Some(secret) if is_ours(&secret) => {
                    let force = PatchParams::apply(MANAGER).force();
                    let patch = Patch::Apply(desired.patch(secret.metadata.uid.as_deref()));
                    index.note_secret(slim(api.patch(name, &force, &patch).await?));
                    Ok(Written::Ours)
                }
                Some(_) => Ok(Written::Foreign),
                None => Err(kube::Error::Api(status)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Ours even if somebody took the label off: our type, and an owner of ours.
fn is_ours(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(TYPE)
        && (secret.labels().get(labels::MANAGED_BY).is_some_and(|by| by == labels::USHER)
            || secret.owner_references().iter().any(|owner| owner.api_version.starts_with("usher.dev/")))
}

/// Removes the Secret if it holds the document of `subject`.
pub(super) async fn remove(client: &Client, key: &Key, subject: &Uid) -> Result<(), kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let Some(secret) = api.get_opt(&key.name).await? else { return Ok(()) };
    let of_subject = secret.labels().get(labels::SUBJECT) == Some(&subject.0)
        || secret.owner_references().iter().any(|owner| owner.uid == subject.0);
    if !is_ours(&secret) || !of_subject {
        return Ok(());
    }
    let only_this_one = DeleteParams {
        preconditions: Some(Preconditions { uid: secret.metadata.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(&key.name, &only_this_one).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        Err(error) => Err(error),
    }
}
