//! Showing the outcome: requests, and only where something is not yet as it should be.

mod keys;
mod made;
mod statuses;
mod write;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use futures::{StreamExt as _, stream};
use kube::ResourceExt as _;

use crate::{
    cluster::{
        Context,
        license::{Error, gather::Gathered, status, troubles::Troubles, validate},
        secrets::{self, Desired, Owner, Withheld},
    },
    domain::{
        allocation::Standing,
        license::{Key, Uid},
    },
    service::reconcile_license::{AT_MOST, Outcome, Removal, seat_secret},
};

pub(super) use keys::activation_keys;
pub(super) use made::{make_seats, remove_seats};
pub(super) use statuses::{assignments, gains, license, losses, orphans, stalled, tell_losers};

/// How many requests of one look are under way at once.
const AT_ONCE: usize = 4;

/// What came of requests that were under way at once.
struct Outcomes<T>(Mutex<Vec<T>>);

impl<T> Outcomes<T> {
    fn none() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn add(&self, outcome: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    fn all(self) -> Vec<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(doing: &'static str) -> impl Fn(kube::Error) -> Error {
    move |source| Error::Cluster { doing, source }
}

/// Removes the Secrets of those who lost: a part, and another one where nothing of a part could be. Returns those that are gone.
pub(super) async fn removals<L>(
    context: &Context<L>,
    key: &Key,
    outcome: &Outcome,
    troubles: &mut Troubles,
) -> Vec<Removal> {
    let mut gone = Vec::new();
    for part in outcome.removals.chunks(AT_MOST) {
        let removed = Outcomes::none();
        stream::iter(part)
            .for_each_concurrent(AT_ONCE, async |removal| {
                let secret = Key::new(&key.namespace, &removal.name);
                removed.add((removal, secrets::remove(&context.client, &secret, &removal.subject).await));
            })
            .await;
        for (removal, removed) in removed.all() {
            let held = match removed {
                Ok(true) => {
                    gone.push(removal.clone());
                    continue;
                }
                Ok(false) => Some("its finalizers hold it".to_owned()),
                Err(error) => troubles.note("removing a Secret", error),
            };
            troubles.hold_back(held.map(|said| status::not_removed(&removal.name, &said)));
        }
        if !gone.is_empty() {
            break;
        }
    }
    gone
}

/// Removes documents of Seats that hold no place, which nobody who leads has put there: whoever led before was late.
pub(super) async fn strays<L>(
    context: &Context<L>,
    gathered: &Gathered,
    outcome: &Outcome,
    troubles: &mut Troubles,
) {
    for seat in gathered.readable_seats() {
        let uid = Uid(seat.uid().unwrap_or_default());
        // Of a License that is gone nobody holds anything; of a large one a look tells only a part.
        let holds_nothing = match outcome.standings.get(&uid) {
            Some(standing) => *standing != Standing::Bound,
            None => outcome.phase.is_none(),
        };
        if !holds_nothing || outcome.documents.contains_key(&uid) {
            continue;
        }
        let secret = Key::new(&gathered.key.namespace, seat_secret(&seat.name_any()));
        if context.index.secret(&secret).is_some()
            && let Err(error) = secrets::remove(&context.client, &secret, &uid).await
        {
            troubles.note("removing a Secret", error);
        }
    }
}

/// Whether one of the Secrets is not there, as far as we know.
pub(super) fn is_missing<L>(context: &Context<L>, validated: &validate::Valid, outcome: &Outcome) -> bool {
    wanted(validated, outcome).any(|(_, key)| context.index.secret(&key).is_none())
}

/// Where the documents of the License and of its Seats are to lie.
fn places(validated: &validate::Valid) -> impl Iterator<Item = (Owner<'_>, Key)> {
    let license = &validated.license;
    let own =
        (Owner { kind: "License", name: &license.key.name, uid: &license.uid }, license.secret.to_string());
    let of_seats = validated
        .seats
        .seats
        .iter()
        .map(|seat| (Owner { kind: "Seat", name: &seat.name, uid: &seat.uid }, seat_secret(&seat.name)));
    std::iter::once(own).chain(of_seats).map(|(owner, name)| (owner, Key::new(&license.key.namespace, name)))
}

/// Where the documents of the License and of the Seats that hold a place lie.
fn wanted<'a>(
    validated: &'a validate::Valid,
    outcome: &'a Outcome,
) -> impl Iterator<Item = (Owner<'a>, Key)> {
    places(validated)
        .filter(|(owner, _)| !outcome.taken.contains(owner.uid) && outcome.documents.contains_key(owner.uid))
}

/// The Secrets whose names belong to somebody else.
pub(super) fn awaited(validated: &validate::Valid, outcome: &Outcome) -> BTreeSet<Key> {
    if outcome.taken.is_empty() {
        return BTreeSet::new();
    }
    let license = &validated.license;
    let keys = outcome.taken.contains(&license.keys_subject());
    let keys = keys.then(|| Key::new(&license.key.namespace, license.keys_secret()));
    let documents = places(validated).filter(|(owner, _)| outcome.taken.contains(owner.uid));
    documents.map(|(_, secret)| secret).chain(keys).collect()
}

/// Writes the Secrets; of Seats only those that are there already, while nobody new may be shown.
pub(super) async fn secrets<L>(
    context: &Context<L>,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
) {
    let license = &validated.license;
    let desired: Vec<(Uid, Desired)> = wanted(validated, outcome)
        .filter_map(|(owner, key)| {
            let document = outcome.documents.get(owner.uid)?;
            let may_show =
                !troubles.holds_back() || *owner.uid == license.uid || context.index.secret(&key).is_some();
            may_show.then(|| (owner.uid.clone(), Desired::new(key, &license.key.name, &owner, document)))
        })
        .collect();
    let written: Vec<(Uid, Result<Option<Withheld>, kube::Error>)> = stream::iter(desired)
        .map(async |(subject, desired)| (subject, secrets::ensure(context, &desired).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    troubles.withheld.extend(outcome.taken.iter().map(|subject| (subject.clone(), Withheld::Taken)));
    for (subject, written) in written {
        match written {
            Ok(None) => {}
            Ok(Some(withheld)) => drop(troubles.withheld.insert(subject, withheld)),
            Err(error) => {
                troubles.note("writing a Secret", error);
                troubles.unsure.insert(subject);
            }
        }
    }
}
