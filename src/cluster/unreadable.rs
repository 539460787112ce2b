//! What this Usher cannot read: an object of a newer version, say, under a schema that this one does not know. It says so itself, and
//! names the field; what it holds stays as it is, and the rest of its status, too.

use kube::{
    Api, Resource,
    core::{ApiResource, DynamicObject},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::error;

use crate::{
    cluster::{
        Context,
        api::{Condition, Conditions, paused},
        queue::Done,
        status,
    },
    domain::{
        license::Key,
        reason::{Because, Reason},
    },
};

/// The most that is told of an error, in characters: it quotes what it found.
const TOLD: usize = 300;

/// Looks at an object of which nothing is known but that it cannot be read.
pub(super) async fn reconcile<K, L>(context: &Context<L>, key: &Key) -> Done
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    match say::<K, L>(context, key, None).await {
        Ok(()) => Done::Rest,
        Err(kube::Error::Api(status)) if status.code == 409 => Done::At(context.edge.now()),
        Err(failure) => {
            let error = &failure as &dyn std::error::Error;
            error!(error, "saying that an object cannot be read failed, and is tried again");
            Done::Failed
        }
    }
}

/// Says on the object that it cannot be read, or else why it is stalled. One that can be read by now is left to its event.
pub(super) async fn say<K, L>(
    context: &Context<L>,
    key: &Key,
    stalled: Option<&Because>,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let resource = ApiResource::erase::<K>(&());
    let client = context.client.clone();
    let api: Api<DynamicObject> = match key.namespace.as_str() {
        "" => Api::all_with(client, &resource),
        namespace => Api::namespaced_with(client, namespace, &resource),
    };
    let Some(object) = api.get_opt(&key.name).await? else { return Ok(()) };
    if paused(&object.metadata) || object.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let unread = why::<K>(&object);
    let Some(because) = unread.as_ref().or(stalled) else { return Ok(()) };
    let mut status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
    let former = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or(0);
    let read: Vec<Condition> =
        former.iter().filter_map(|condition| serde_json::from_value(condition.clone()).ok()).collect();
    let said = Conditions::after(&read, generation, context.edge.now()).ready(because, Some(because)).list();
    let is_other = |condition: &&Value| !matches!(condition["type"].as_str(), Some("Ready" | "Stalled"));
    let mut conditions: Vec<Value> = said.into_iter().map(|condition| json!(condition)).collect();
    conditions.extend(former.iter().filter(is_other).cloned());
    if former == conditions {
        return Ok(());
    }
    if let Some(status) = status.as_object_mut() {
        status.insert("conditions".into(), json!(conditions));
        status.insert("observedGeneration".into(), json!(generation));
    }
    status::apply(&api, &resource.kind, &object.metadata, &status).await?;
    Ok(())
}

/// Why it cannot be read; nothing if it can.
fn why<K: Resource<DynamicType = ()> + DeserializeOwned>(object: &DynamicObject) -> Option<Because> {
    let value = serde_json::to_value(object).ok()?;
    let error = serde_path_to_error::deserialize::<_, K>(value).err()?;
    let said: String = format!("{}: {}", error.path(), error.inner()).chars().take(TOLD).collect();
    let kind = K::kind(&());
    let message = format!(
        "the {kind} cannot be read: {said}; correct it, or update Usher: meanwhile it stays as it stood"
    );
    Some(Because::new(Reason::InvalidSpec, message))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::cluster::api::{Seat, UserAssignment};

    fn said<K: Resource<DynamicType = ()> + DeserializeOwned + Debug>(spec: &Value) -> Option<String> {
        let object = json!({"apiVersion": "usher.dev/v1alpha1", "kind": K::kind(&()), "metadata": {"name": "a"}, "spec": spec});
        why::<K>(&serde_json::from_value(object).unwrap()).map(|because| because.message)
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_field_in_a_sentence_of_bounded_length() {
        let seat = |priority: Value| json!({"licenseRef": {"name": "cad"}, "holder": {"user": {"email": "ann@acme.example"}}, "priority": priority});
        assert_eq!(said::<Seat>(&seat(json!(1))), None);
        let message = said::<Seat>(&seat(json!("first"))).unwrap();
        assert!(
            message.starts_with("the Seat cannot be read: spec.priority: invalid type: string"),
            "{message}"
        );
        let long = said::<Seat>(&seat(json!("x".repeat(10_000)))).unwrap();
        assert!(long.len() < 500, "{long}");
        let message =
            said::<UserAssignment>(&json!({"licenseRef": {"name": "cad"}, "suspended": "at night"}));
        assert!(message.unwrap().contains(": spec.suspended: "));
    }
}
