//! What objects say of themselves, and the events that go with it.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    core::{ApiResource, DynamicObject},
};
use serde_json::json;

use super::{AT_ONCE, failed};
use crate::{
    cluster::{
        self, Context,
        api::{self, Condition, Conditions, LicenseStatus, SeatStatus, Type, UserAssignmentStatus, paused},
        license::{
            Error,
            gather::Gathered,
            status::{self, Before, Stands},
            validate,
        },
        status::write,
    },
    domain::{
        allocation::Standing,
        license::{License, Uid},
        reason::{Because, Reason},
    },
    service::reconcile_license::{AT_MOST, Outcome},
};

/// Says so of the Seats that do not hold a place. Returns whether there are more than one look may write.
pub(in crate::cluster::license) async fn losses<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<bool, Error> {
    seats(context, gathered, validated, outcome, &BTreeSet::new(), now, false).await
}

/// Says so of the Seats that hold a place. Returns whether there are more than one look may write.
pub(in crate::cluster::license) async fn gains<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    now: Timestamp,
) -> Result<bool, Error> {
    seats(context, gathered, validated, outcome, foreign, now, true).await
}

async fn seats<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    now: Timestamp,
    bound: bool,
) -> Result<bool, Error> {
    let objects = objects(gathered);
    let due = validated.seats.seats.iter().filter_map(|seat| {
        // Of a Seat whose turn has not come nothing is said.
        let standing = outcome.standings.get(&seat.uid)?;
        let object = *objects.get(seat.uid.0.as_str())?;
        if (*standing == Standing::Bound) != bound {
            return None;
        }
        let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
        let status = status::of_seat(validated, seat, outcome, foreign, &before, now);
        is_due(object, &status).then_some((object, status))
    });
    let mut due: Vec<(&api::Seat, SeatStatus)> = due.collect();
    let more = due.len() > AT_MOST;
    due.truncate(AT_MOST);
    stream::iter(due)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |(object, status)| write_seat(context, object, status).await)
        .await?;
    Ok(more)
}

/// The Seats by their UIDs.
fn objects(gathered: &Gathered) -> HashMap<&str, &api::Seat> {
    gathered.readable_seats().filter_map(|seat| Some((seat.metadata.uid.as_deref()?, seat))).collect()
}

fn before<'a>(object: &impl kube::Resource, conditions: Option<&'a [Condition]>) -> Before<'a> {
    Before { conditions: conditions.unwrap_or_default(), generation: object.meta().generation.unwrap_or(0) }
}

/// The License's own status.
pub(in crate::cluster::license) async fn license<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    hindered: Option<&Because>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(object) = gathered.readable() else { return Ok(()) };
    let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
    let status = status::of_license(validated, outcome, foreign, hindered, &before, now);
    write_license(context, object, status).await
}

/// The License cannot be read: it says so, and nothing else of its status changes.
pub(in crate::cluster::license) async fn stalled<L>(
    context: &Context<L>,
    gathered: &Gathered,
    because: &Because,
) -> Result<(), Error> {
    let doing = "writing the status of a License that cannot be read";
    let resource = ApiResource::erase::<api::License>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &gathered.key.namespace, &resource);
    let Some(object) = api.get_opt(&gathered.key.name).await.map_err(failed(doing))? else { return Ok(()) };
    let mut status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
    let former: Vec<Condition> = status
        .get("conditions")
        .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
        .unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or(0);
    let conditions = Conditions::after(&former, generation, context.edge.now()).ready(because, Some(because));
    let conditions = conditions.list();
    if former == conditions {
        return Ok(());
    }
    if let Some(status) = status.as_object_mut() {
        status.insert("conditions".into(), json!(conditions));
        status.insert("observedGeneration".into(), json!(generation));
    }
    cluster::status::apply(&api, "License", &object.metadata, &status).await.map_err(failed(doing))?;
    Ok(())
}

/// The UserAssignments of the License.
pub(in crate::cluster::license) async fn assignments<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Error> {
    let stands = Stands::new(validated, outcome);
    let readable = gathered.readable_assignments();
    let objects: HashMap<&str, &api::UserAssignment> =
        readable.filter_map(|object| Some((object.metadata.uid.as_deref()?, object))).collect();
    for assignment in &validated.assignments {
        let Some(object) = objects.get(assignment.uid.0.as_str()).copied() else { continue };
        let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
        let status =
            status::of_assignment(validated, assignment, &object.spec, outcome, &stands, &before, now);
        write_assignment(context, object, status).await?;
    }
    Ok(())
}

/// The Seats and UserAssignments that name a License that is not there.
pub(in crate::cluster::license) async fn orphans<L>(
    context: &Context<L>,
    gathered: &Gathered,
    now: Timestamp,
) -> Result<(), Error> {
    let name = &gathered.key.name;
    let by_hand = gathered.readable_seats().filter(|seat| !validate::is_made(seat));
    for seat in by_hand.filter(|seat| seat.metadata.deletion_timestamp.is_none()) {
        let before = before(seat, seat.status.as_ref().map(|status| status.conditions.as_slice()));
        write_seat(context, seat, status::of_orphan(name, &before, now)).await?;
    }
    for object in
        gathered.readable_assignments().filter(|object| object.metadata.deletion_timestamp.is_none())
    {
        let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
        let status = status::of_orphaned_assignment(name, &object.spec, &before, now);
        write_assignment(context, object, status).await?;
    }
    Ok(())
}

async fn write_assignment<L>(
    context: &Context<L>,
    object: &api::UserAssignment,
    status: UserAssignmentStatus,
) -> Result<(), Error> {
    if object.status.as_ref() == Some(&status) || paused(&object.metadata) {
        return Ok(());
    }
    let api: Api<api::UserAssignment> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let written = write(&api, object, &status).await;
    if let Some(written) = written.map_err(failed("writing the status of a UserAssignment"))? {
        context.index.note_assignment(written);
        let former = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.events.of_change(object, Type::Ready, former, &status.conditions).await;
    }
    Ok(())
}

fn is_due(object: &api::Seat, status: &SeatStatus) -> bool {
    object.status.as_ref() != Some(status) && !paused(&object.metadata)
}

async fn write_seat<L>(context: &Context<L>, object: &api::Seat, status: SeatStatus) -> Result<(), Error> {
    if !is_due(object, &status) {
        return Ok(());
    }
    let api: Api<api::Seat> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let written = write(&api, object, &status).await;
    if let Some(written) = written.map_err(failed("writing the status of a Seat"))? {
        context.index.note_seat(written);
        let former = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.events.of_change(object, Type::Bound, former, &status.conditions).await;
    }
    Ok(())
}

async fn write_license<L>(
    context: &Context<L>,
    object: &api::License,
    status: LicenseStatus,
) -> Result<(), Error> {
    if object.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<api::License> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let written = write(&api, object, &status).await;
    if let Some(written) = written.map_err(failed("writing the status of a License"))? {
        context.index.note_license(written);
        let former = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.events.of_change(object, Type::Ready, former, &status.conditions).await;
    }
    Ok(())
}

/// Tells those who lost their seat although they are there. They hold none any more when they are told.
pub(in crate::cluster::license) async fn tell_losers<L>(
    context: &Context<L>,
    gathered: &Gathered,
    license: &License,
    outcome: &Outcome,
) {
    let objects = objects(gathered);
    for uid in outcome.freed.iter().take(AT_MOST) {
        if let (Some(Standing::Waiting { .. }), Some(seat)) =
            (outcome.standings.get(uid), objects.get(uid.0.as_str()).copied())
        {
            let name = &license.key.name;
            let message = format!(
                "lost its seat: License {name} has {} now, or its group has fewer; it waits for the next free one",
                license.limit()
            );
            context.events.tell(seat, &Because::new(Reason::LimitLowered, message)).await;
        }
    }
}
