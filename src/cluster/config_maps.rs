//! ConfigMaps of ours: what the index keeps of them, and writing them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::{api::MANAGER, index::Slim, labels},
    domain::license::Key,
    ledger::audit::hex,
};

/// A digest of what we care about in a ConfigMap.
pub(super) fn digest(labels: &BTreeMap<String, String>, data: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels.iter().chain(data) {
        digest.update(format!("{name} {}\n{value}", value.len()));
    }
    hex(&digest.finalize())
}

/// What the index keeps of a ConfigMap.
pub(super) fn slim(map: ConfigMap) -> Slim<ConfigMap> {
    let ConfigMap { metadata, data, .. } = map;
    let mut kept = metadata.labels.clone().unwrap_or_default();
    kept.retain(|name, _| [labels::AUTHORITY, labels::MANAGED_BY].contains(&name.as_str()));
    let digest = digest(&kept, &data.unwrap_or_default());
    Slim::new(&metadata, digest)
}

/// Writes the ConfigMap `key`, with this data and nothing else in it.
pub(super) async fn apply(
    api: &Api<ConfigMap>,
    key: &Key,
    labels: &BTreeMap<String, String>,
    data: &BTreeMap<String, String>,
) -> kube::Result<ConfigMap> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels}, "data": data,
    });
    let written = api.patch(&key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map)).await?;
    // Applying leaves the entries that somebody added.
    let added = written.data.iter().flat_map(BTreeMap::keys).filter(|entry| !data.contains_key(*entry));
    let added: BTreeMap<&String, Option<&str>> = added.map(|entry| (entry, None)).collect();
    if added.is_empty() {
        return Ok(written);
    }
    let patch = Patch::Merge(json!({"data": added}));
    api.patch(&key.name, &PatchParams::default(), &patch).await
}
