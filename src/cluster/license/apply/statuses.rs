//! What objects say of themselves, and the events that go with it.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    AT_ONCE, Outcomes, failed,
    write::{Shown, conditions, is_due, says_bound, write},
};
use crate::{
    cluster::{
        Context,
        api::{self, Condition, SeatStatus, Type},
        license::{
            Error,
            gather::Gathered,
            status::{self, Before, Stands},
            troubles::Troubles,
            validate,
        },
        unreadable,
    },
    domain::{
        allocation::Standing,
        license::{License, Uid},
        reason::{Because, Reason},
    },
    service::reconcile_license::{AT_MOST, Outcome},
};

const WRITING_A_SEAT: &str = "writing the status of a Seat";
const WRITING_AN_ASSIGNMENT: &str = "writing the status of a UserAssignment";

/// Says so of the Seats that do not hold a place. While one of them goes on saying that it does, nobody new is shown.
/// Returns whether there are more than one look may write.
pub(in crate::cluster::license) async fn losses<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
    now: Timestamp,
) -> bool {
    let due = due(gathered, validated, outcome, troubles, now, |standing, _, _| *standing != Standing::Bound);
    let (failed, more) = seats(context, &due).await;
    for (object, error) in failed {
        let says_bound = says_bound(object.status.as_ref());
        match troubles.note(WRITING_A_SEAT, error) {
            Some(said) if says_bound => {
                troubles.hold_back(Some(status::still_says_bound(&object.name_any(), &said)));
            }
            Some(_) => {}
            None => troubles.hold_back(None),
        }
    }
    more
}

/// Says so of the Seats that hold a place. Returns whether there are more than one look may write.
pub(in crate::cluster::license) async fn gains<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
    now: Timestamp,
) -> bool {
    let due = due(gathered, validated, outcome, troubles, now, |standing, uid, object| {
        let may_be_shown = !troubles.holds_back() || says_bound(object.status.as_ref());
        *standing == Standing::Bound && may_be_shown && !troubles.unsure.contains(uid)
    });
    let (failed, more) = seats(context, &due).await;
    for (_, error) in failed {
        troubles.note(WRITING_A_SEAT, error);
    }
    more
}

/// The chosen Seats that do not say what they should, and what that is. Of a Seat whose turn has not come nothing is said.
fn due<'a>(
    gathered: &'a Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &Troubles,
    now: Timestamp,
    chosen: impl Fn(&Standing, &Uid, &api::Seat) -> bool,
) -> Vec<(&'a api::Seat, SeatStatus)> {
    let objects = objects(gathered);
    let due = validated.seats.seats.iter().filter_map(|seat| {
        let standing = outcome.standings.get(&seat.uid)?;
        let object = *objects.get(seat.uid.0.as_str())?;
        if !chosen(standing, &seat.uid, object) {
            return None;
        }
        let before = before(object);
        let status = status::of_seat(validated, seat, outcome, troubles, &before, now);
        is_due(object, &status).then_some((object, status))
    });
    due.collect()
}

/// Writes a part of these; another one where nothing of a part could be written. Returns what failed, and whether there is more.
async fn seats<'a, L>(
    context: &Context<L>,
    due: &[(&'a api::Seat, SeatStatus)],
) -> (Vec<(&'a api::Seat, kube::Error)>, bool) {
    let (mut failed, mut left) = (Vec::new(), due.len());
    for part in due.chunks(AT_MOST) {
        let failures = Outcomes::none();
        stream::iter(part)
            .for_each_concurrent(AT_ONCE, async |(object, status)| {
                if let Err(error) = write(context, *object, status).await {
                    failures.add((*object, error));
                }
            })
            .await;
        let failures = failures.all();
        left -= part.len();
        let came_to_something = failures.len() < part.len();
        failed.extend(failures);
        if came_to_something {
            return (failed, left > 0);
        }
    }
    (failed, false)
}

/// The Seats by their UIDs.
fn objects(gathered: &Gathered) -> HashMap<&str, &api::Seat> {
    gathered.readable_seats().filter_map(|seat| Some((seat.metadata.uid.as_deref()?, seat))).collect()
}

fn before<K: Shown>(object: &K) -> Before<'_> {
    Before { conditions: conditions(object), generation: object.meta().generation.unwrap_or(0) }
}

/// The License's own status.
pub(in crate::cluster::license) async fn license<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
    now: Timestamp,
) {
    let Some(object) = gathered.readable() else { return };
    if troubles.unsure.contains(&validated.license.uid) {
        return;
    }
    let before = before(object);
    let status = status::of_license(validated, outcome, troubles, &before, now);
    match write(context, object, &status).await {
        Ok(()) => {
            if let Some(because) = new_clone(conditions(object), &status.conditions) {
                context.events.tell(object, &because).await;
            }
        }
        Err(error) => drop(troubles.note("writing the status of a License", error)),
    }
}

/// The License cannot be read: it says so, and nothing else of its status changes.
pub(in crate::cluster::license) async fn stalled<L>(
    context: &Context<L>,
    gathered: &Gathered,
    because: &Because,
) -> Result<(), Error> {
    let doing = "writing the status of a License that cannot be read";
    unreadable::say::<api::License, _>(context, &gathered.key, Some(because)).await.map_err(failed(doing))
}

/// The UserAssignments of the License.
pub(in crate::cluster::license) async fn assignments<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
    now: Timestamp,
) {
    let stands = Stands::new(validated, outcome);
    let of = (&stands, &gathered.members);
    let readable = gathered.readable_assignments();
    let objects: HashMap<&str, &api::UserAssignment> =
        readable.filter_map(|object| Some((object.metadata.uid.as_deref()?, object))).collect();
    for assignment in &validated.assignments {
        let Some(object) = objects.get(assignment.uid.0.as_str()).copied() else { continue };
        let before = before(object);
        let status = status::of_assignment(validated, assignment, &object.spec, outcome, of, &before, now);
        if let Err(error) = write(context, object, &status).await {
            troubles.note(WRITING_AN_ASSIGNMENT, error);
        }
    }
}

/// The Seats and UserAssignments that name a License that is not there.
pub(in crate::cluster::license) async fn orphans<L>(
    context: &Context<L>,
    gathered: &Gathered,
    troubles: &mut Troubles,
    now: Timestamp,
) {
    let name = &gathered.key.name;
    let by_hand = gathered.readable_seats().filter(|seat| !validate::is_made(seat));
    for seat in by_hand.filter(|seat| seat.metadata.deletion_timestamp.is_none()) {
        let before = before(seat);
        if let Err(error) = write(context, seat, &status::of_orphan(name, &before, now)).await {
            troubles.note(WRITING_A_SEAT, error);
        }
    }
    for object in
        gathered.readable_assignments().filter(|object| object.metadata.deletion_timestamp.is_none())
    {
        let before = before(object);
        let status = status::of_orphaned_assignment(name, &object.spec, &before, now);
        if let Err(error) = write(context, object, &status).await {
            troubles.note(WRITING_AN_ASSIGNMENT, error);
        }
    }
}

/// What is to be told of copies that were not known before.
fn new_clone(before: &[Condition], after: &[Condition]) -> Option<Because> {
    let said = |conditions: &[Condition]| {
        conditions.iter().find(|c| c.type_ == Type::CloneSeen).map(|c| c.message.clone())
    };
    let now = said(after)?;
    (said(before).as_ref() != Some(&now)).then(|| Because::new(Reason::CloneSeen, now))
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
