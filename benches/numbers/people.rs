//! What people declare.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{core::v1::Namespace, rbac::v1::RoleBinding};
use kube::{Api, Client, ResourceExt as _, api::PostParams};
use serde_json::json;
use usher::cluster::api::{Authority, License, Seat, UserAssignment};

use crate::Failure;

/// Where all of it lies.
pub const NAMESPACE: &str = "bench";
/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// The name of a License.
pub fn license_name(number: usize) -> String {
    format!("l-{number:05}")
}

/// The License that a name of ours belongs to, wherever in a text it is.
pub fn license_in(text: &str) -> Option<&str> {
    text.match_indices("l-").find_map(|(at, _)| {
        let name = text.get(at..at + 7)?;
        name.get(2..)?.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
    })
}

/// Objects that were made: what `record` and `replay` must know of them.
pub type Uids = BTreeMap<String, String>;

/// A namespace that lets Usher in, and an Authority that signs for it.
pub async fn settle(client: &Client) -> Result<Uids, Failure> {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    // The namespace's owner lets Usher in, as the guide says.
    let granted: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "usher-documents"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "usher-documents"},
        "subjects": [{"kind": "ServiceAccount", "name": "usher", "namespace": "usher-system"}],
    }))?;
    Api::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &granted).await?;
    let authority: Authority = serde_json::from_value(json!({
        "metadata": {"name": "default"},
        "spec": {"issuer": "https://usher.acme.example/a/default", "allowedNamespaces": {"from": "All"}},
    }))?;
    let made = Api::<Authority>::all(client.clone()).create(&PostParams::default(), &authority).await?;
    Ok(Uids::from([("authority/default".into(), made.uid().unwrap_or_default())]))
}

/// Makes a License with so many seats.
pub async fn license(client: &Client, name: &str, seats: usize) -> Result<String, Failure> {
    let license: License = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "product": "cad", "customer": "acme", "authorityRef": {"name": "default"}, "seats": seats,
            "features": [{"name": "render"}, {"name": "simulate", "pool": 5}],
        },
    }))?;
    let api = Api::<License>::namespaced(client.clone(), NAMESPACE);
    Ok(api.create(&PostParams::default(), &license).await?.uid().unwrap_or_default())
}

/// Makes a Seat under the License.
pub async fn seat(client: &Client, license: &str, name: &str) -> Result<String, Failure> {
    let seat: Seat = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"licenseRef": {"name": license}, "holder": {"user": {"email": format!("{name}@acme.example")}}},
    }))?;
    let api = Api::<Seat>::namespaced(client.clone(), NAMESPACE);
    Ok(api.create(&PostParams::default(), &seat).await?.uid().unwrap_or_default())
}

/// Assigns one user to the License.
pub async fn assign(client: &Client, license: &str, name: &str) -> Result<(), Failure> {
    let assignment: UserAssignment = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"licenseRef": {"name": license}, "users": [{"email": format!("{name}@acme.example")}]},
    }))?;
    let api = Api::<UserAssignment>::namespaced(client.clone(), NAMESPACE);
    api.create(&PostParams::default(), &assignment).await?;
    Ok(())
}

/// Makes so many Licenses, with so many Seats each, and places to spare.
pub async fn many(client: &Client, licenses: usize, seats: usize, spare: usize) -> Result<Uids, Failure> {
    let one = async |number: usize| -> Result<Vec<(String, String)>, Failure> {
        let name = license_name(number);
        let mut made = vec![(format!("license/{name}"), license(client, &name, seats + spare).await?)];
        for number in 0..seats {
            let seat_name = format!("{name}-{number}");
            made.push((format!("seat/{seat_name}"), seat(client, &name, &seat_name).await?));
        }
        Ok(made)
    };
    let made: Vec<_> = stream::iter(0..licenses).map(one).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(made.into_iter().flatten().collect())
}
