//! What a License and its Seats say of themselves. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    cluster::{
        api::{
            Conditions, LicenseStatus, SeatCounts, SeatState, SeatStatus, SecretName, Type, WaitingStatus,
            seconds,
        },
        license::validate,
    },
    domain::{
        allocation::Standing,
        license::{License, Phase, Seat, Uid},
        reason::{Because, Reason},
    },
    service::reconcile_license::{Outcome, seat_secret},
};

/// Positions are told to the first so many.
const TOLD_POSITIONS: usize = 100;

/// What was there before: the conditions, and the generation to speak of.
pub(super) struct Before<'a> {
    pub(super) conditions: &'a [crate::cluster::api::Condition],
    pub(super) generation: i64,
}

pub(super) fn of_license(
    validated: &validate::Valid,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    before: &Before<'_>,
    now: Timestamp,
) -> LicenseStatus {
    let license = &validated.license;
    let counts = counts(license, outcome);
    let ready = license_ready(license, outcome, counts);
    let taken = foreign.contains(&license.uid).then(|| {
        secret_taken(license.secret.as_str(), "set spec.secret.name to another name, or delete that Secret")
    });
    let stalled = validated.signer.as_ref().err().or(taken.as_ref());
    let document = outcome.documents.get(&license.uid).filter(|_| taken.is_none());
    let conditions = Conditions::after(before.conditions, before.generation, now);
    let conditions = match stalled {
        // The Authority sees to that itself: nobody needs to edit the License.
        Some(because) if because.reason == Reason::AuthorityNotReady => {
            conditions.with(Type::Ready, false, because)
        }
        other => conditions.ready(&ready, other),
    };
    LicenseStatus {
        observed_generation: before.generation,
        seats: counts,
        secret: document.map(|_| SecretName { name: license.secret.to_string() }),
        serial: document.map(|document| document.serial.clone()),
        key_id: document.map(|document| document.key_id.clone()),
        issued_at: document.map(|document| seconds(document.issued_at)),
        expires_at: document.map(|document| seconds(document.expires_at)),
        renews_at: document.and_then(|document| document.renew_at).map(seconds),
        conditions: conditions.list(),
    }
}

fn counts(license: &License, outcome: &Outcome) -> SeatCounts {
    let count = |wanted: fn(&Standing) -> bool| {
        i64::try_from(outcome.standings.values().filter(|s| wanted(s)).count()).unwrap_or(i64::MAX)
    };
    SeatCounts {
        limit: i64::from(license.seats),
        bound: count(|standing| *standing == Standing::Bound),
        waiting: count(|standing| matches!(standing, Standing::Waiting { .. })),
    }
}

fn license_ready(license: &License, outcome: &Outcome, counts: SeatCounts) -> Because {
    let seats = format!("{} of {} seats are bound, {} waiting", counts.bound, counts.limit, counts.waiting);
    let until = license.validity.until.map(seconds).unwrap_or_default();
    match outcome.phase.unwrap_or(Phase::Active) {
        Phase::Active => Because::new(Reason::Issued, seats),
        Phase::NotYetValid => {
            let from = license.validity.from.map(seconds).unwrap_or_default();
            Because::new(Reason::NotYetValid, format!("{seats}; documents are good from {from} on"))
        }
        Phase::Overdue => {
            Because::new(Reason::Overdue, format!("{seats}; validity ended at {until}: renew the contract"))
        }
        Phase::Suspended => Because::new(
            Reason::Suspended,
            format!("{seats}; documents grant nothing until spec.suspended is false"),
        ),
        Phase::Expired => Because::new(
            Reason::Expired,
            format!(
                "{seats}; validity ended at {until} and documents grant nothing: extend spec.validity.until"
            ),
        ),
    }
}

fn secret_taken(name: &str, next: &str) -> Because {
    Because::new(
        Reason::SecretNameTaken,
        format!(
            "Secret {name} is not ours, or belongs to another License or Seat, and is left alone: {next}"
        ),
    )
}

pub(super) fn of_seat(
    validated: &validate::Valid,
    seat: &Seat,
    outcome: &Outcome,
    foreign: &BTreeSet<Uid>,
    before: &Before<'_>,
    now: Timestamp,
) -> SeatStatus {
    let phase = outcome.phase.unwrap_or(Phase::Active);
    let standing = outcome.standings.get(&seat.uid).cloned().unwrap_or(Standing::Waiting { position: 0 });
    let secret = seat_secret(&seat.name);
    let taken = (standing == Standing::Bound && foreign.contains(&seat.uid)).then(|| {
        secret_taken(&secret, "delete that Secret, or delete this Seat and make one of another name")
    });
    let document = outcome.documents.get(&seat.uid).filter(|_| taken.is_none());
    let because = seat_because(validated, &standing, phase);
    let stalled = if because.reason == Reason::LicenseStalled { Some(because.clone()) } else { taken };
    SeatStatus {
        observed_generation: before.generation,
        state: Some(match (&standing, phase) {
            (Standing::Bound, Phase::Suspended) => SeatState::Suspended,
            (Standing::Bound, Phase::Expired) => SeatState::Expired,
            (Standing::Bound, _) => SeatState::Bound,
            (Standing::Waiting { .. }, _) => SeatState::Waiting,
            (Standing::Duplicate { .. }, _) => SeatState::Duplicate,
        }),
        waiting: match standing {
            Standing::Waiting { position } if (1..=TOLD_POSITIONS).contains(&position) => {
                Some(WaitingStatus { position: i64::try_from(position).unwrap_or(i64::MAX) })
            }
            _ => None,
        },
        secret: document.map(|_| SecretName { name: secret }),
        expires_at: document.map(|document| seconds(document.expires_at)),
        conditions: Conditions::after(before.conditions, before.generation, now)
            .ready(&because, stalled.as_ref())
            .with(Type::Bound, standing == Standing::Bound, &because)
            .list(),
    }
}

fn seat_because(validated: &validate::Valid, standing: &Standing, phase: Phase) -> Because {
    let License { key, seats, .. } = &validated.license;
    let name = &key.name;
    match (standing, phase) {
        (Standing::Duplicate { of }, _) => Because::new(
            Reason::Duplicate,
            format!("Seat {of} stands for the same holder: one seat is enough, delete this one"),
        ),
        (Standing::Bound, Phase::Suspended) => Because::new(
            Reason::Suspended,
            format!(
                "holds a seat of License {name}, which is suspended: its document grants nothing until it is resumed"
            ),
        ),
        (Standing::Bound, Phase::Expired) => Because::new(
            Reason::Expired,
            format!("holds a seat of License {name}, which has expired: its document grants nothing"),
        ),
        (Standing::Bound, _) => Because::new(Reason::Bound, format!("holds a seat of License {name}")),
        (Standing::Waiting { .. }, Phase::Suspended) => {
            Because::new(Reason::Suspended, format!("License {name} is suspended: its queue stands still"))
        }
        (Standing::Waiting { .. }, Phase::Expired) => {
            Because::new(Reason::Expired, format!("License {name} has expired: nobody is given a seat"))
        }
        (Standing::Waiting { .. }, _) => match &validated.signer {
            Ok(_) => Because::new(
                Reason::NoFreeSeat,
                format!(
                    "License {name} has no free seat, of {seats}: raise its spec.seats, or delete a Seat that is bound"
                ),
            ),
            Err(because) => Because::new(
                Reason::LicenseStalled,
                format!("License {name} is not ready, so nobody is given a seat: {}", because.message),
            ),
        },
    }
}

/// The status of a Seat whose License is not there.
pub(super) fn of_orphan(license: &str, before: &Before<'_>, now: Timestamp) -> SeatStatus {
    let because = Because::new(
        Reason::LicenseNotFound,
        format!("there is no License {license} in this namespace: create it, or delete this Seat"),
    );
    SeatStatus {
        observed_generation: before.generation,
        state: Some(SeatState::Waiting),
        conditions: Conditions::after(before.conditions, before.generation, now)
            .ready(&because, Some(&because))
            .with(Type::Bound, false, &because)
            .list(),
        ..SeatStatus::default()
    }
}
