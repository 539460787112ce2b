//! Showing the outcome: requests, and only where something is not yet as it should be.

mod made;
mod statuses;

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::{
        Context,
        license::{Error, validate},
        secrets::{self, Desired, Owner, Written},
    },
    domain::license::{Key, Uid},
    service::reconcile_license::{Outcome, seat_secret},
};

pub(super) use made::{make_seats, remove_seats};
pub(super) use statuses::{assignments, gains, license, losses, orphans, stalled, tell_losers};

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

/// Whether one of the Secrets is not there, as far as we know.
pub(super) fn is_missing<L>(context: &Context<L>, validated: &validate::Valid, outcome: &Outcome) -> bool {
    wanted(validated, outcome).any(|(_, key)| context.index.secret(&key).is_none())
}

/// Where the documents of the License and of the Seats that hold a place lie.
fn wanted<'a>(
    validated: &'a validate::Valid,
    outcome: &'a Outcome,
) -> impl Iterator<Item = (Owner<'a>, Key)> {
    let license = &validated.license;
    let own =
        (Owner { kind: "License", name: &license.key.name, uid: &license.uid }, license.secret.to_string());
    let of_seats = validated
        .seats
        .seats
        .iter()
        .map(|seat| (Owner { kind: "Seat", name: &seat.name, uid: &seat.uid }, seat_secret(&seat.name)));
    std::iter::once(own)
        .chain(of_seats)
        .filter(|(owner, _)| !outcome.taken.contains(owner.uid) && outcome.documents.contains_key(owner.uid))
        .map(|(owner, name)| (owner, Key::new(&license.key.namespace, name)))
}

/// Writes the Secrets. Returns those whose Secret is not ours to write.
pub(super) async fn secrets<L>(
    context: &Context<L>,
    validated: &validate::Valid,
    outcome: &Outcome,
) -> Result<BTreeSet<Uid>, Error> {
    let desired: Vec<(Uid, Desired)> = wanted(validated, outcome)
        .filter_map(|(owner, key)| {
            let document = outcome.documents.get(owner.uid)?;
            let desired = Desired::new(key, &validated.license.key.name, &owner, document);
            Some((owner.uid.clone(), desired))
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
