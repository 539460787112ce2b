//! The Seats that Usher makes for the users of UserAssignments.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use super::{AT_ONCE, failed};
use crate::{
    cluster::{
        Context,
        api::{API_VERSION, MANAGER, Seat},
        labels,
        license::{Error, validate::Made},
    },
    domain::license::{Key, Uid},
    service::reconcile_license::AT_MOST,
};

/// Makes or mends these. Returns whether there was anything to do: then the look begins again.
pub(in crate::cluster::license) async fn make_seats<L>(
    context: &Context<L>,
    license: &Key,
    missing: &[Made],
) -> Result<bool, Error> {
    let api: Api<Seat> = Api::namespaced(context.client.clone(), &license.namespace);
    let params = PatchParams::apply(MANAGER).force();
    // In order, a part each time: whoever is listed first has the older Seat.
    stream::iter(missing.iter().take(AT_MOST))
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |made| {
            let seat = api.patch(&made.name, &params, &Patch::Apply(object(license, made))).await?;
            context.index.note_seat(seat);
            Ok(())
        })
        .await
        .map_err(failed("making a Seat"))?;
    Ok(!missing.is_empty())
}

fn object(license: &Key, made: &Made) -> Value {
    let owners: Vec<Value> = made
        .owners
        .iter()
        .map(|(name, uid)| {
            json!({"apiVersion": API_VERSION, "kind": "UserAssignment", "name": name, "uid": uid, "blockOwnerDeletion": false})
        })
        .collect();
    json!({
        "apiVersion": API_VERSION, "kind": "Seat",
        "metadata": {"name": made.name, "labels": labels::of_license(&license.name), "ownerReferences": owners},
        "spec": made.spec,
    })
}

/// Removes these, and no namesakes of theirs. Returns whether there are more than one look may remove.
pub(in crate::cluster::license) async fn remove_seats<L>(
    context: &Context<L>,
    namespace: &str,
    unwanted: &[(String, Uid)],
) -> Result<bool, Error> {
    let api: Api<Seat> = Api::namespaced(context.client.clone(), namespace);
    stream::iter(unwanted.iter().take(AT_MOST))
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |(name, uid)| {
            let only_this_one = DeleteParams {
                preconditions: Some(Preconditions { uid: Some(uid.0.clone()), resource_version: None }),
                ..DeleteParams::default()
            };
            match api.delete(name, &only_this_one).await {
                Ok(_) => Ok(()),
                // It is gone, or another one has its name: its event brings us back.
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
        .map_err(failed("removing a Seat"))?;
    Ok(unwanted.len() > AT_MOST)
}
