//! Objects of ours, as a user makes them and waits for them.

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{MARK, until};

/// Applies an object of ours as a user would; `apiVersion` is filled in.
pub async fn apply(client: &Client, namespace: &str, object: &Value) -> Result<Value, kube::Error> {
    let mut object = object.clone();
    let kind = object["kind"].as_str().unwrap().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let (version, plural) = match kind.as_str() {
        "Authority" => ("usher.dev/v1alpha1", "authorities"),
        "IdentityProvider" => ("usher.dev/v1alpha1", "identityproviders"),
        "License" => ("usher.dev/v1alpha1", "licenses"),
        "Seat" => ("usher.dev/v1alpha1", "seats"),
        "Edition" => ("usher.dev/v1alpha1", "editions"),
        "UserAssignment" => ("usher.dev/v1alpha1", "userassignments"),
        "Secret" => ("v1", "secrets"),
        other => panic!("apply {other}?"),
    };
    object["apiVersion"] = json!(version);
    if namespace.is_empty() {
        object["metadata"]["labels"][MARK.0] = json!(MARK.1);
    }
    let gvk =
        kube::core::GroupVersionKind::try_from(&kube::core::TypeMeta { api_version: version.into(), kind })
            .unwrap();
    let resource = kube::core::ApiResource::from_gvk_with_plural(&gvk, plural);
    let api: Api<kube::core::DynamicObject> = if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let params = PatchParams::apply("a-user").force();
    let applied = api.patch(&name, &params, &Patch::Apply(&object)).await?;
    Ok(serde_json::to_value(applied).unwrap())
}

/// The License `cad` with so many seats.
pub fn license(seats: u32) -> Value {
    json!({
        "kind": "License", "metadata": {"name": "cad"},
        "spec": {"product": "cad", "customer": "acme", "authorityRef": {"name": "default"}, "seats": seats,
                 "features": [{"name": "render"}]},
    })
}

/// A Seat under `cad` for the person of the same name.
pub fn seat(name: &str) -> Value {
    json!({
        "kind": "Seat", "metadata": {"name": name},
        "spec": {"licenseRef": {"name": "cad"}, "holder": {"user": {"email": format!("{name}@acme.example")}}},
    })
}

/// Waits until the object `name` is as `wanted`.
pub async fn wait_for<K>(api: &Api<K>, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
where
    K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    until(&format!("{name} {what}"), async || api.get_opt(name).await.unwrap().filter(&wanted)).await
}
