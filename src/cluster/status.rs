//! Writing a status so that it says what it should, and nothing else.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::object::HasStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::cluster::api::MANAGER;

/// Writes `status` to `object`, and to no namesake of it. Returns the object as it is then.
pub(super) async fn write<K>(api: &Api<K>, object: &K, status: &K::Status) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = ()> + HasStatus + Clone + Debug + DeserializeOwned,
    K::Status: Serialize + PartialEq,
{
    let (name, uid) = (object.name_any(), object.uid());
    let patch = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": name, "uid": uid}, "status": status,
    });
    let written = api.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await?;
    if written.status() == Some(status) {
        return Ok(written);
    }
    // Applying leaves the fields that somebody added.
    let found = serde_json::to_value(written.status()).map_err(kube::Error::SerdeError)?;
    let wanted = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let patch = json!({"metadata": {"uid": uid}, "status": without_added(wanted, &found)});
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await
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
