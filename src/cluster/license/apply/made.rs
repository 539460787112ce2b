//! The Seats that Usher makes for the users of UserAssignments.

use futures::{StreamExt as _, stream};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};

use super::{AT_ONCE, Outcomes};
use crate::{
    cluster::{
        Context,
        api::{API_VERSION, MANAGER, Seat},
        labels,
        license::{troubles::Troubles, validate::Made},
    },
    domain::license::{Key, Uid},
    service::reconcile_license::AT_MOST,
};

/// Makes or mends these. Returns whether anything was: then the look begins again.
pub(in crate::cluster::license) async fn make_seats<L>(
    context: &Context<L>,
    license: &Key,
    missing: &[Made],
    troubles: &mut Troubles,
) -> bool {
    let api: Api<Seat> = Api::namespaced(context.client.clone(), &license.namespace);
    let params = PatchParams::apply(MANAGER).force();
    // In order, a part each time: whoever is listed first has the older Seat.
    for part in missing.chunks(AT_MOST) {
        let failures = Outcomes::none();
        stream::iter(part)
            .for_each_concurrent(AT_ONCE, async |made| {
                match api.patch(&made.name, &params, &Patch::Apply(object(license, made))).await {
                    Ok(seat) => context.index.note_seat(seat),
                    Err(error) => failures.add(error),
                }
            })
            .await;
        let failures = failures.all();
        let any = failures.len() < part.len();
        for error in failures {
            troubles.note("making a Seat", error);
        }
        if any {
            return true;
        }
    }
    false
}

fn object(license: &Key, made: &Made) -> Value {
    let owners: Vec<Value> = made
        .owners
        .iter()
        .map(|owner| {
            json!({"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "blockOwnerDeletion": false})
        })
        .collect();
    json!({
        "apiVersion": API_VERSION, "kind": "Seat",
        "metadata": {"name": made.name, "labels": labels::of_license(&license.name), "ownerReferences": owners},
        "spec": made.spec,
    })
}

/// Removes these, and no namesakes of theirs: a part, and another one where nothing of a part could be. Returns whether
/// there is more.
pub(in crate::cluster::license) async fn remove_seats<L>(
    context: &Context<L>,
    namespace: &str,
    unwanted: &[(String, Uid)],
    troubles: &mut Troubles,
) -> bool {
    let api: Api<Seat> = Api::namespaced(context.client.clone(), namespace);
    let mut left = unwanted.len();
    for part in unwanted.chunks(AT_MOST) {
        let failures = Outcomes::none();
        stream::iter(part)
            .for_each_concurrent(AT_ONCE, async |(name, uid)| {
                let only_this_one = DeleteParams {
                    preconditions: Some(Preconditions { uid: Some(uid.0.clone()), resource_version: None }),
                    ..DeleteParams::default()
                };
                match api.delete(name, &only_this_one).await {
                    Ok(_) => {}
                    // It is gone, or another one has its name: its event brings us back.
                    Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                    Err(error) => failures.add(error),
                }
            })
            .await;
        let failures = failures.all();
        left -= part.len();
        let any = failures.len() < part.len();
        for error in failures {
            // It may say `Bound` for as long as it is there.
            troubles.note("removing a Seat", error);
            troubles.hold_back(None);
        }
        if any {
            return left > 0;
        }
    }
    false
}
