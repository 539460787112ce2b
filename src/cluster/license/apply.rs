//! Showing the outcome: requests, and only where something is not yet as it should be.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt as _,
    core::{ApiResource, DynamicObject},
};
use serde_json::json;

use crate::{
    cluster::{
        self, Context,
        api::{self, Condition, Conditions, LicenseStatus, SeatStatus, Type, paused},
        license::{
            Error,
            gather::Gathered,
            status::{self, Before},
            validate,
        },
        secrets::{self, Desired, Owner, Written},
        status::write,
    },
    domain::{
        allocation::Standing,
        license::{Key, License, Seat, Uid},
        reason::{Because, Reason},
    },
    service::reconcile_license::{Outcome, seat_secret},
};

/// How many requests of one look are under way at once.
const AT_ONCE: usize = 4;
/// How long until a name that somebody else has is tried again.
const FOREIGN_AGAIN: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn look_again_for_foreign(now: Timestamp) -> Timestamp {
    now.checked_add(FOREIGN_AGAIN).unwrap_or(Timestamp::MAX)
}

fn failed(doing: &'static str) -> impl Fn(kube::Error) -> Error {
    move |source| Error::Cluster { doing, source }
}

/// Removes the Secrets of those who lost.
pub(super) async fn removals<L>(context: &Context<L>, key: &Key, outcome: &Outcome) -> Result<(), Error> {
    stream::iter(&outcome.removals)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |removal| {
            let secret = Key::new(&key.namespace, &removal.name);
            secrets::remove(&context.client, &secret, &removal.subject).await
        })
        .await
        .map_err(failed("removing a Secret"))
}

/// Says so of the Seats that do not hold a place.
pub(super) async fn losses<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Error> {
    seats(context, gathered, validated, outcome, &BTreeSet::new(), now, false).await
}

/// Says so of the Seats that hold a place.
pub(super) async fn gains<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    now: Timestamp,
) -> Result<(), Error> {
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
) -> Result<(), Error> {
    let chosen: Vec<(&Seat, &api::Seat)> = validated
        .seats
        .iter()
        .filter(|seat| (outcome.standings.get(&seat.uid) == Some(&Standing::Bound)) == bound)
        .filter_map(|seat| Some((seat, object_of(gathered, &seat.uid)?)))
        .collect();
    stream::iter(chosen)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, async |(seat, object)| {
            let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
            let status = status::of_seat(validated, seat, outcome, foreign, &before, now);
            write_seat(context, object, status).await
        })
        .await
}

fn object_of<'a>(gathered: &'a Gathered, uid: &Uid) -> Option<&'a api::Seat> {
    gathered.readable_seats().find(|seat| seat.metadata.uid.as_ref() == Some(&uid.0))
}

fn before<'a>(object: &impl kube::Resource, conditions: Option<&'a [Condition]>) -> Before<'a> {
    Before { conditions: conditions.unwrap_or_default(), generation: object.meta().generation.unwrap_or(0) }
}

/// The Secrets of the License and of the Seats that hold a place. Returns those whose Secret is not ours to write.
pub(super) async fn secrets<L>(
    context: &Context<L>,
    validated: &validate::Valid,
    outcome: &Outcome,
) -> Result<BTreeSet<Uid>, Error> {
    let license = &validated.license;
    let own =
        (Owner { kind: "License", name: &license.key.name, uid: &license.uid }, license.secret.to_string());
    let of_seats = validated
        .seats
        .iter()
        .map(|seat| (Owner { kind: "Seat", name: &seat.name, uid: &seat.uid }, seat_secret(&seat.name)));
    let desired: Vec<(Uid, Desired)> = std::iter::once(own)
        .chain(of_seats)
        .filter(|(owner, _)| !outcome.taken.contains(owner.uid))
        .filter_map(|(owner, name)| {
            let document = outcome.documents.get(owner.uid)?;
            let key = Key::new(&license.key.namespace, &name);
            Some((owner.uid.clone(), Desired::new(key, &license.key.name, &owner, document)))
        })
        .collect();
    let foreign: Vec<Option<Uid>> = stream::iter(desired)
        .map(async |(subject, desired)| {
            let written = secrets::ensure(&context.client, &context.index, &desired).await?;
            Ok((written == Written::Foreign).then_some(subject))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .map_err(failed("writing a Secret"))?;
    Ok(foreign.into_iter().flatten().chain(outcome.taken.iter().cloned()).collect())
}

/// The License's own status.
pub(super) async fn license<L>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(object) = gathered.readable() else { return Ok(()) };
    let before = before(object, object.status.as_ref().map(|status| status.conditions.as_slice()));
    let status = status::of_license(validated, outcome, foreign, &before, now);
    write_license(context, object, status).await
}

/// The License cannot be read: it says so, and nothing else of its status changes.
pub(super) async fn stalled<L>(
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

/// The Seats that name a License that is not there.
pub(super) async fn orphans<L>(
    context: &Context<L>,
    gathered: &Gathered,
    now: Timestamp,
) -> Result<(), Error> {
    for seat in gathered.readable_seats().filter(|seat| seat.metadata.deletion_timestamp.is_none()) {
        let before = before(seat, seat.status.as_ref().map(|status| status.conditions.as_slice()));
        write_seat(context, seat, status::of_orphan(&gathered.key.name, &before, now)).await?;
    }
    Ok(())
}

async fn write_seat<L>(context: &Context<L>, object: &api::Seat, status: SeatStatus) -> Result<(), Error> {
    if object.status.as_ref() == Some(&status) || paused(&object.metadata) {
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

/// Tells those who lost their seat to a lowered limit. They hold none any more when they are told.
pub(super) async fn tell_losers<L>(
    context: &Context<L>,
    gathered: &Gathered,
    license: &License,
    outcome: &Outcome,
) {
    for uid in &outcome.freed {
        if let (Some(Standing::Waiting { .. }), Some(seat)) =
            (outcome.standings.get(uid), object_of(gathered, uid))
        {
            let name = &license.key.name;
            let message = format!(
                "lost its seat: spec.seats of License {name} was lowered to {}; it waits for the next free one",
                license.seats
            );
            context.events.tell(seat, &Because::new(Reason::LimitLowered, message)).await;
        }
    }
}
