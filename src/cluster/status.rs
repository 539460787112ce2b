//! Writing a status so that it says what it should and nothing else, and only to the very object that was looked at, as
//! it was looked at: a write that comes late, of somebody who leads no longer, finds another version and changes nothing.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{ObjectMeta, Patch, PatchParams},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::cluster::api::{API_VERSION, MANAGER};

/// Applies `status` to the object of `kind` with `meta`. `None` when that object is gone: its event brings us back.
/// A conflict may be a namesake, or somebody in the way of whom no event tells: it is tried again.
pub(super) async fn apply<K: Clone + DeserializeOwned + Debug>(
    api: &Api<K>,
    kind: &str,
    meta: &ObjectMeta,
    status: &impl Serialize,
) -> Result<Option<K>, kube::Error> {
    let name = meta.name.as_deref().unwrap_or_default();
    let patch = json!({
        "apiVersion": API_VERSION, "kind": kind, "status": status,
        "metadata": {"name": name, "uid": meta.uid, "resourceVersion": meta.resource_version},
    });
    gone(api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await)
}

/// Writes `status` to `object`, the fields that somebody added taken out. Returns the object as it is then.
pub(super) async fn write<K>(api: &Api<K>, object: &K, status: &K::Status) -> Result<Option<K>, kube::Error>
where
    K: Resource<DynamicType = ()> + HasStatus + Clone + Debug + DeserializeOwned,
    K::Status: Serialize + PartialEq,
{
    let meta = object.meta();
    let Some(written) = apply(api, &K::kind(&()), meta, status).await? else { return Ok(None) };
    if written.status() == Some(status) {
        return Ok(Some(written));
    }
    let found = serde_json::to_value(written.status()).map_err(kube::Error::SerdeError)?;
    let wanted = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let version = &written.meta().resource_version;
    let patch = json!({
        "metadata": {"uid": meta.uid, "resourceVersion": version}, "status": without_added(wanted, &found),
    });
    let name = meta.name.as_deref().unwrap_or_default();
    gone(api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await)
}

fn gone<K>(written: Result<K, kube::Error>) -> Result<Option<K>, kube::Error> {
    match written {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The merge patch (RFC 7396) that makes `wanted` of `found`.
fn without_added(mut wanted: Value, found: &Value) -> Value {
    if let (Value::Object(wanted), Value::Object(found)) = (&mut wanted, found) {
        for field in found.keys() {
            wanted.entry(field.clone()).or_insert(Value::Null);
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_added_is_taken_out_and_the_rest_is_as_wanted() {
        let patch = without_added(
            json!({"state": "Bound"}),
            &json!({"state": "Waiting", "waiting": {"position": 1}}),
        );
        assert_eq!(patch, json!({"state": "Bound", "waiting": null}));
    }
}
