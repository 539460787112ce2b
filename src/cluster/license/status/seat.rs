//! What a Seat says of itself.

use jiff::Timestamp;

use super::{Before, license_stalled, no_secret};
use crate::{
    cluster::{
        api::{Conditions, SeatState, SeatStatus, SecretName, Type, WaitingStatus, seconds},
        license::{troubles::Troubles, validate},
    },
    domain::{
        allocation::{Standing, Why},
        features,
        license::{Key, License, Phase, Seat},
        reason::{Because, Reason},
        text::Label,
    },
    service::{
        issue::grants_as,
        reconcile_license::{Beyond, Outcome, seat_secret},
    },
};

/// Positions are told to the first so many.
const TOLD_POSITIONS: usize = 100;

pub(in crate::cluster::license) fn of_seat(
    validated: &validate::Valid,
    seat: &Seat,
    outcome: &Outcome,
    troubles: &Troubles,
    before: &Before<'_>,
    now: Timestamp,
) -> SeatStatus {
    let phase = outcome.phase.unwrap_or(Phase::Active);
    let nowhere = Standing::Waiting { position: 0, why: Why::NoFreeSeat };
    let standing = outcome.standings.get(&seat.uid).unwrap_or(&nowhere);
    let secret = seat_secret(&seat.name);
    let next = "delete that Secret, or delete this Seat and make one of another name";
    let withheld = troubles.withheld.get(&seat.uid).filter(|_| *standing == Standing::Bound);
    let withheld = withheld.map(|withheld| no_secret(withheld, &secret, next));
    let document = outcome.documents.get(&seat.uid).filter(|_| withheld.is_none());
    let because = goes_on_granting(validated, seat, standing, outcome, phase)
        .unwrap_or_else(|| because(validated, seat, standing, outcome, phase));
    let stalled = if needs_an_edit(because.reason) { Some(because.clone()) } else { withheld };
    SeatStatus {
        observed_generation: before.generation,
        state: Some(state(seat, standing, phase)),
        waiting: match standing {
            Standing::Waiting { position, .. } if (1..=TOLD_POSITIONS).contains(position) => {
                Some(WaitingStatus { position: i64::try_from(*position).unwrap_or(i64::MAX) })
            }
            _ => None,
        },
        secret: document.map(|_| SecretName { name: secret }),
        expires_at: document.map(|document| seconds(document.expires_at)),
        conditions: Conditions::after(before.conditions, before.generation, now)
            .ready(&because, stalled.as_ref())
            .with(Type::Bound, *standing == Standing::Bound, &because)
            .list(),
    }
}

/// Whether nothing goes on without an edit, of the Seat or of what it depends on.
fn needs_an_edit(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::LicenseStalled | Reason::LicenseFloating | Reason::HolderNotAllowed | Reason::GroupNotFound
    )
}

fn state(seat: &Seat, standing: &Standing, phase: Phase) -> SeatState {
    match (standing, phase) {
        (Standing::Bound, Phase::Expired) => SeatState::Expired,
        (Standing::Bound, Phase::Suspended) => SeatState::Suspended,
        (Standing::Bound | Standing::Resting(_), _) if features::suspended(seat) => SeatState::Suspended,
        (Standing::Bound, _) => SeatState::Bound,
        (Standing::Waiting { why: Why::Cools(_), .. }, _) => SeatState::Cooling,
        (Standing::Waiting { .. } | Standing::Resting(_) | Standing::Barred { .. }, _) => SeatState::Waiting,
        (Standing::Duplicate { .. }, _) => SeatState::Duplicate,
    }
}

/// It is to be granted nothing any more, and nobody can sign that.
fn goes_on_granting(
    validated: &validate::Valid,
    seat: &Seat,
    standing: &Standing,
    outcome: &Outcome,
    phase: Phase,
) -> Option<Because> {
    let because = validated.signer.as_ref().err().or(outcome.refused.as_ref())?;
    let ended = matches!(state(seat, standing, phase), SeatState::Suspended | SeatState::Expired);
    let document = outcome.documents.get(&seat.uid).filter(|_| ended)?;
    grants_as(document)?;
    Some(Because::new(
        Reason::LicenseStalled,
        format!(
            "is to be granted nothing, but its document could not be changed and is good until {}: {}",
            seconds(document.expires_at),
            because.message
        ),
    ))
}

fn because(
    validated: &validate::Valid,
    seat: &Seat,
    standing: &Standing,
    outcome: &Outcome,
    phase: Phase,
) -> Because {
    let License { key, product, max_per_user, .. } = &validated.license;
    let name = &key.name;
    match standing {
        Standing::Bound => bound(&validated.license, seat, outcome, phase),
        Standing::Waiting { why, .. } => waiting(validated, why, outcome, phase),
        Standing::Resting(because) => because.clone(),
        Standing::Barred { elsewhere } => Because::new(
            Reason::MaxPerUser,
            format!(
                "its holder has {elsewhere} seats of {product} under other Licenses of this namespace, and License {name} allows {} in all: free one of them, or raise its spec.maxPerUser",
                max_per_user.unwrap_or_default()
            ),
        ),
        Standing::Duplicate { of } => Because::new(
            Reason::Duplicate,
            format!("Seat {of} stands for the same holder: one seat is enough, delete this one"),
        ),
    }
}

fn bound(license: &License, seat: &Seat, outcome: &Outcome, phase: Phase) -> Because {
    let (name, over) = (&license.key.name, outcome.over.get(&seat.uid));
    match phase {
        Phase::Expired => Because::new(
            Reason::Expired,
            format!("holds a seat of License {name}, which has expired: its document grants nothing"),
        ),
        Phase::Suspended => Because::new(
            Reason::Suspended,
            format!(
                "holds a seat of License {name}, which is suspended: its document grants nothing until it is resumed"
            ),
        ),
        Phase::NotYetValid | Phase::Active | Phase::Overdue => match &seat.rests {
            Some(because) => because.clone(),
            None if outcome.contested.contains(&seat.holder.identity()) => holder_changed(license, seat),
            None if over.is_some() => {
                let beyond = match over {
                    Some(Beyond::Group(group)) => {
                        let seats = license.group(group).and_then(|group| group.seats).unwrap_or_default();
                        format!("the {seats} of its group {group}")
                    }
                    Some(Beyond::MaxPerUser) => format!(
                        "the {} of {} that its holder may have",
                        license.max_per_user.unwrap_or_default(),
                        license.product
                    ),
                    Some(Beyond::Seats) | None => format!("the {} that it has", license.seats),
                };
                let message = format!("holds a seat of License {name} beyond {beyond}");
                Because::new(Reason::OverLimit, message)
            }
            None => Because::new(Reason::Bound, format!("holds a seat of License {name}")),
        },
    }
}

/// Who the two are is said nowhere: their address is in the spec, and an administrator knows whose it is.
fn holder_changed(license: &License, seat: &Seat) -> Because {
    let Key { namespace, name: of } = &license.key;
    let name = &seat.name;
    Because::new(
        Reason::HolderChanged,
        format!(
            "holds a seat of License {of} for whoever came first with its holder's address; somebody else comes with that address now, and waits. To give \
             them the seat, run: kubectl delete seat {name} -n {namespace} (and make it again, if nothing else does); to leave it, make them a Seat \
             whose holder.user.identity is theirs (GET /v1/me says it)"
        ),
    )
}

fn waiting(validated: &validate::Valid, why: &Why, outcome: &Outcome, phase: Phase) -> Because {
    let License { key, seats, .. } = &validated.license;
    let name = &key.name;
    if phase == Phase::Suspended {
        return Because::new(
            Reason::Suspended,
            format!("License {name} is suspended: its queue stands still"),
        );
    }
    if phase == Phase::Expired {
        return Because::new(Reason::Expired, format!("License {name} has expired: nobody is given a seat"));
    }
    if let Some(because) = validated.signer.as_ref().err().or(outcome.refused.as_ref()) {
        return license_stalled(name, because);
    }
    match why {
        Why::NoFreeSeat => Because::new(
            Reason::NoFreeSeat,
            format!(
                "License {name} has no free seat, of {seats}: raise its spec.seats, or delete a Seat that is bound"
            ),
        ),
        Why::GroupFull(group) => Because::new(
            Reason::GroupFull,
            format!(
                "group {group} of License {name} has no free seat, of {}: raise its seats, or free one of them",
                group_seats(&validated.license, group)
            ),
        ),
        Why::Reserved => Because::new(
            Reason::Reserved,
            format!(
                "what is free of the {seats} seats of License {name} is reserved for groups: raise spec.seats, or lower their reserved"
            ),
        ),
        Why::Cools(until) => Because::new(
            Reason::Cooling,
            format!(
                "the next seat of License {name} was freed, and is given from {} on (spec.reassignAfter)",
                seconds(*until)
            ),
        ),
    }
}

fn group_seats(license: &License, group: &Label) -> u32 {
    license.group(group).and_then(|group| group.seats).unwrap_or(license.seats)
}

/// The status of a Seat whose License is not there.
pub(in crate::cluster::license) fn of_orphan(
    license: &str,
    before: &Before<'_>,
    now: Timestamp,
) -> SeatStatus {
    let because = Because::new(
        Reason::LicenseNotFound,
        format!(
            "spec.licenseRef names License {license}, and there is none in this namespace: create it, or delete this Seat"
        ),
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
