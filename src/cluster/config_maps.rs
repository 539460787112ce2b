//! ConfigMaps of ours: what the index keeps of them, and writing them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cluster::{api::MANAGER, index::Slim, labels},
    domain::hex,
    domain::license::Key,
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
    Slim::new(&metadata, labels::authority_of(&metadata), digest)
}

/// Writes the ConfigMap `key`, with this data and nothing else in it; `None` if one that is not ours has the name.
pub(super) async fn apply(
    api: &Api<ConfigMap>,
    key: &Key,
    labels: &BTreeMap<String, String>,
    data: &BTreeMap<String, String>,
) -> kube::Result<Option<ConfigMap>> {
    let Some(found) = api.get_opt(&key.name).await? else {
        // Creating, not applying: whoever is first keeps the name.
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(key.name.clone()),
                labels: Some(labels.clone()),
                ..ObjectMeta::default()
            },
            data: Some(data.clone()),
            ..ConfigMap::default()
        };
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        return api.create(&params, &map).await.map(Some);
    };
    if !is_ours(&found) {
        return Ok(None);
    }
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {
            "name": key.name, "namespace": key.namespace, "uid": found.metadata.uid, "labels": labels,
        },
    });
    let written = api.patch(&key.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map)).await?;
    // Applying leaves the entries that somebody added.
    let added = written.data.iter().flat_map(BTreeMap::keys).filter(|entry| !data.contains_key(*entry));
    let added: BTreeMap<&String, Option<&str>> = added.map(|entry| (entry, None)).collect();
    if added.is_empty() {
        return Ok(Some(written));
    }
    let patch = Patch::Merge(json!({"metadata": {"uid": found.metadata.uid}, "data": added}));
    api.patch(&key.name, &PatchParams::default(), &patch).await.map(Some)
}

/// Ours even if somebody took the label off: the API server remembers who wrote what.
fn is_ours(map: &ConfigMap) -> bool {
    let is_labelled = || map.labels().get(labels::MANAGED_BY).is_some_and(|by| by == labels::USHER);
    let is_written = || map.managed_fields().iter().any(|by| by.manager.as_deref() == Some(MANAGER));
    is_labelled() || is_written()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_map_is_ours_if_we_labelled_it_or_wrote_it() {
        let map = |metadata: serde_json::Value| -> ConfigMap {
            serde_json::from_value(json!({"metadata": metadata})).unwrap()
        };
        assert!(is_ours(&map(json!({"labels": labels::of_usher()}))));
        assert!(is_ours(&map(json!({"managedFields": [{"manager": "kubectl"}, {"manager": MANAGER}]}))));
        assert!(!is_ours(&map(json!({"managedFields": [{"manager": "kubectl"}]}))));
        assert!(!is_ours(&map(json!({"labels": {labels::MANAGED_BY: "somebody"}}))));
    }
}
