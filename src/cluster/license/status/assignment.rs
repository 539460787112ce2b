//! What a UserAssignment says of itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Before, license_stalled};
use crate::{
    cluster::{
        api::{Conditions, UserAssignmentSpec, UserAssignmentStatus, UserCounts, WaitingUser},
        license::{members::Members, validate},
    },
    domain::{
        allocation::Standing,
        assignment::Assignment,
        license::Holder,
        reason::{Because, Reason},
        terms::{Provisioning, SignIn},
    },
    service::reconcile_license::Outcome,
};

/// So many of those who wait are told.
const TOLD_WAITING: usize = 50;

/// How each holder stands, and by which Seat.
pub(in crate::cluster::license) struct Stands<'a>(BTreeMap<String, (&'a str, &'a Standing)>);

impl<'a> Stands<'a> {
    pub(in crate::cluster::license) fn new(validated: &'a validate::Valid, outcome: &'a Outcome) -> Self {
        let standing = validated.seats.seats.iter().filter_map(|seat| {
            let standing = outcome.standings.get(&seat.uid)?;
            let stands = !matches!(standing, Standing::Duplicate { .. });
            stands.then(|| (seat.holder.identity(), (seat.name.as_str(), standing)))
        });
        Self(standing.collect())
    }
}

pub(in crate::cluster::license) fn of_assignment(
    validated: &validate::Valid,
    assignment: &Assignment,
    spec: &UserAssignmentSpec,
    outcome: &Outcome,
    (stands, members): (&Stands<'_>, &Members),
    before: &Before<'_>,
    now: Timestamp,
) -> UserAssignmentStatus {
    let holders: BTreeSet<String> = assignment.users.iter().map(Holder::identity).collect();
    let standing = || holders.iter().filter_map(|holder| stands.0.get(holder));
    let mut waiting: Vec<(usize, &str)> = standing()
        .filter_map(|(seat, standing)| match standing {
            Standing::Waiting { position, .. } => Some((*position, *seat)),
            _ => None,
        })
        .collect();
    waiting.sort_unstable();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let users = UserCounts {
        assigned: count(holders.len()),
        bound: count(standing().filter(|(_, standing)| **standing == Standing::Bound).count()),
        waiting: count(waiting.len()),
    };
    let told = waiting.into_iter().take(TOLD_WAITING);
    let ready = ready(validated, assignment, spec, users);
    let stalled = stalled(validated, assignment, outcome).or_else(|| missing(spec, members));
    UserAssignmentStatus {
        observed_generation: before.generation,
        users,
        waiting: told
            .map(|(position, seat)| WaitingUser { seat: seat.to_owned(), position: count(position) })
            .collect(),
        conditions: Conditions::after(before.conditions, before.generation, now)
            .ready(&ready, stalled.as_ref())
            .list(),
    }
}

fn ready(
    validated: &validate::Valid,
    assignment: &Assignment,
    spec: &UserAssignmentSpec,
    users: UserCounts,
) -> Because {
    let name = &validated.license.key.name;
    if assignment.suspended {
        let message = format!(
            "{} users rest: whom nothing else names keeps a seat and is granted nothing",
            users.assigned
        );
        return Because::new(Reason::Suspended, message);
    }
    let mut message = format!(
        "{} of {} users hold a seat of License {name}, {} wait",
        users.bound, users.assigned, users.waiting
    );
    match validated.license.sign_in {
        _ if spec.groups.is_empty() => {}
        SignIn::None => {
            message.push_str(&format!("; its groups admit nobody: set signIn of License {name} to Members"));
        }
        SignIn::Members | SignIn::Verified => {
            message.push_str("; members of its groups follow as they sign in");
        }
    }
    Because::new(Reason::Assigned, message)
}

fn stalled(validated: &validate::Valid, assignment: &Assignment, outcome: &Outcome) -> Option<Because> {
    let name = &validated.license.key.name;
    if let Some(because) = validated.signer.as_ref().err().or(outcome.refused.as_ref()) {
        return Some(license_stalled(name, because));
    }
    if validated.license.terms.provisioning == Provisioning::Floating {
        let message = format!(
            "License {name} of spec.licenseRef is Floating, and its places are taken by devices and workloads: {} users are given nothing; make another UserAssignment, for a License that is Named",
            assignment.users.len()
        );
        return Some(Because::new(Reason::LicenseFloating, message));
    }
    let group = assignment.group.as_ref().filter(|group| validated.license.group(group).is_none())?;
    Some(Because::new(
        Reason::GroupNotFound,
        format!("License {name} has no group {group}: add it to its spec.groups, or correct spec.group"),
    ))
}

/// Why one of its groups admits nobody.
fn missing(spec: &UserAssignmentSpec, members: &Members) -> Option<Because> {
    spec.groups.iter().find_map(|group| members.missing.get(&group.provider)).cloned()
}

/// The status of a UserAssignment whose License is not there.
pub(in crate::cluster::license) fn of_orphaned_assignment(
    license: &str,
    spec: &UserAssignmentSpec,
    before: &Before<'_>,
    now: Timestamp,
) -> UserAssignmentStatus {
    let because = Because::new(
        Reason::LicenseNotFound,
        format!(
            "spec.licenseRef names License {license}, and there is none in this namespace: create it, or delete this UserAssignment"
        ),
    );
    UserAssignmentStatus {
        observed_generation: before.generation,
        users: UserCounts {
            assigned: i64::try_from(spec.users.len()).unwrap_or(i64::MAX),
            bound: 0,
            waiting: 0,
        },
        waiting: Vec::new(),
        conditions: Conditions::after(before.conditions, before.generation, now)
            .ready(&because, Some(&because))
            .list(),
    }
}
