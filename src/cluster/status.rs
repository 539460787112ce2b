//! Writing a status: applied by us alone, and only to the very object that was looked at.

use std::fmt::Debug;

use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::cluster::api::{API_VERSION, MANAGER};

/// Applies `status` to the object of `kind` with `meta`. `None` when that object is gone: its event brings us back.
pub(super) async fn apply<K: Clone + DeserializeOwned + Debug>(
    api: &Api<K>,
    kind: &str,
    meta: &ObjectMeta,
    status: &impl Serialize,
) -> Result<Option<K>, kube::Error> {
    let name = meta.name.as_deref().unwrap_or_default();
    let patch = json!({
        "apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "uid": meta.uid}, "status": status,
    });
    match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(None),
        Err(error) => Err(error),
    }
}
