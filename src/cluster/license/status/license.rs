//! What a License says of itself.

use jiff::Timestamp;

use super::{Before, no_secret};
use crate::{
    cluster::{
        api::{
            AskingDevice, Conditions, LicenseStatus, SeatCounts, SecretName, SessionCounts, Type, seconds,
        },
        license::{troubles::Troubles, validate},
    },
    domain::{
        allocation::Standing,
        license::{License, Phase},
        reason::{Because, Reason},
        terms::{ClonePolicy, Enforcement, Provisioning},
    },
    ledger::{activations::asking::Asking, sessions::OpenSessions},
    service::reconcile_license::{Beyond, Outcome},
};

pub(in crate::cluster::license) fn of_license(
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &Troubles,
    before: &Before<'_>,
    now: Timestamp,
) -> LicenseStatus {
    let license = &validated.license;
    let counts = counts(license, outcome);
    let ready = license_ready(license, outcome, counts);
    let next = "set spec.secret.name to another name, or delete that Secret";
    let withheld = troubles.withheld.get(&license.uid);
    let withheld = withheld.map(|withheld| no_secret(withheld, license.secret.as_str(), next));
    let next = "rename the License, or delete that Secret";
    let no_keys = troubles.withheld.get(&license.keys_subject());
    let no_keys = no_keys.map(|withheld| no_secret(withheld, &license.keys_secret(), next));
    let stalled = validated.signer.as_ref().err().or(outcome.refused.as_ref());
    let stalled = stalled.or(withheld.as_ref()).or(no_keys.as_ref()).or(troubles.held_back.as_ref());
    let stalled = stalled.or(troubles.copy.as_ref());
    let document = outcome.documents.get(&license.uid).filter(|_| withheld.is_none());
    let conditions = Conditions::after(before.conditions, before.generation, now);
    let conditions = match stalled {
        // The Authority sees to that itself: nobody needs to edit the License.
        Some(because) if because.reason == Reason::AuthorityNotReady => {
            conditions.with(Type::Ready, false, because)
        }
        other => conditions.ready(&ready, other),
    };
    let conditions = match over_limit(license, outcome) {
        Some(because) => conditions.with(Type::OverLimit, true, &because),
        None => conditions,
    };
    let conditions = match clone_seen(license, outcome) {
        Some(because) => conditions.with(Type::CloneSeen, true, &because),
        None => conditions,
    };
    let conditions = match device_asked(license, outcome) {
        Some(because) => conditions.with(Type::DeviceAsked, true, &because),
        None => conditions,
    };
    LicenseStatus {
        observed_generation: before.generation,
        asking: outcome.asking.iter().map(asking).collect(),
        seats: counts,
        sessions: sessions(outcome),
        effective: validated.effective.clone(),
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
    let bound = count(|standing| *standing == Standing::Bound);
    SeatCounts {
        limit: i64::from(license.seats),
        cooling: i64::try_from(outcome.cooling).unwrap_or(i64::MAX),
        activated: i64::try_from(outcome.activated).unwrap_or(i64::MAX),
        bound: bound.saturating_add(i64::try_from(outcome.kept).unwrap_or(i64::MAX)),
        waiting: count(|standing| matches!(standing, Standing::Waiting { .. })),
    }
}

/// Of a License that nobody opens sessions of, nothing is said.
fn sessions(outcome: &Outcome) -> Option<SessionCounts> {
    let OpenSessions { open, over, .. } = outcome.sessions;
    (open > 0).then(|| SessionCounts { open: open.into(), over: over.into() })
}

fn asking(asking: &Asking) -> AskingDevice {
    AskingDevice { id: asking.device.clone(), name: asking.name.clone(), asked_at: seconds(asking.at) }
}

/// Whoever approves devices wants to know which, and what to write. What their clients call them is in the status alone.
fn device_asked(license: &License, outcome: &Outcome) -> Option<Because> {
    let last = outcome.asking.first()?;
    let more = match outcome.asking.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "device {}{more} asked to be activated, and no Seat names it (status.asking says what it is called): apply a Seat with spec {{licenseRef: {{name: {}}}, \
         holder: {{device: {{id: {:?}}}}}}}",
        last.device,
        license.key.name,
        last.device.as_str()
    );
    Some(Because::new(Reason::DeviceAsked, message))
}

/// Whoever runs the copies wants to know which; devices and people have no name here.
fn clone_seen(license: &License, outcome: &Outcome) -> Option<Because> {
    let first = outcome.forked.first()?;
    let more = match outcome.forked.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let next = match license.terms.clones.policy {
        ClonePolicy::Refuse | ClonePolicy::Replace => {
            "deactivate it, or activate its device again".to_owned()
        }
        ClonePolicy::Quarantine => format!(
            "neither is renewed before its last document has ended or somebody decides: deactivate it, activate its device again, or POST /v1/activations/{first}/resolve"
        ),
    };
    let message =
        format!("two copies of activation {first}{more} are out there: a nonce was used twice; {next}");
    Some(Because::new(Reason::CloneSeen, message))
}

/// Whoever sold the License wants to know.
fn over_limit(license: &License, outcome: &Outcome) -> Option<Because> {
    let held = outcome.standings.values().filter(|standing| **standing == Standing::Bound).count();
    let seats = usize::try_from(license.seats).unwrap_or(usize::MAX);
    let (of_seats, others): (Vec<&Beyond>, Vec<&Beyond>) =
        outcome.over.values().partition(|beyond| **beyond == Beyond::Seats);
    let over = of_seats.len().max((held + outcome.activated).saturating_sub(seats));
    let why = match license.enforcement {
        Enforcement::Advise => "enforcement is Advise".to_owned(),
        Enforcement::Enforce => format!("overage allows {} percent", license.overage_percent),
    };
    let taken = (over > 0).then(|| format!("{over} more than the {} seats are taken", license.seats));
    let beyond = (!others.is_empty())
        .then(|| format!("{} seats are held beyond a group's seats or maxPerUser", others.len()));
    let raise = if others.is_empty() { "spec.seats" } else { "what is too low" };
    let said: Vec<String> = taken.into_iter().chain(beyond).collect();
    (!said.is_empty()).then(|| {
        let message = format!("{}, for {why}: raise {raise}, or free some", said.join(" and "));
        Because::new(Reason::OverLimit, message)
    })
}

fn license_ready(license: &License, outcome: &Outcome, counts: SeatCounts) -> Because {
    let seats = match license.terms.provisioning {
        Provisioning::Floating => {
            format!("floating, {} of {} places are taken by activations", counts.activated, counts.limit)
        }
        Provisioning::Named if counts.activated > 0 => format!(
            "{} of {} seats are bound and {} taken by activations, {} waiting",
            counts.bound, counts.limit, counts.activated, counts.waiting
        ),
        Provisioning::Named if counts.cooling > 0 => format!(
            "{} of {} seats are bound, {} waiting, {} cooling",
            counts.bound, counts.limit, counts.waiting, counts.cooling
        ),
        Provisioning::Named => {
            format!("{} of {} seats are bound, {} waiting", counts.bound, counts.limit, counts.waiting)
        }
    };
    let until = license.validity.until.map(seconds).unwrap_or_default();
    match outcome.phase.unwrap_or(Phase::Active) {
        Phase::Active if !outcome.over.is_empty() => {
            Because::new(Reason::OverLimit, format!("{seats}: {} too many", outcome.over.len()))
        }
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
