//! The Seats of a License: those that people made, and those that Usher makes for the users of UserAssignments.
//!
//! ```text
//!   UserAssignments, ──► who is assigned ──► a Seat `u-<hash>` each: made if missing, mended if edited, removed if nobody names them
//!   who has signed in
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    cluster::{
        api::{self, HolderSpec, UserSpec},
        labels,
        license::{gather::Gathered, members::Members},
    },
    domain::{
        assignment::{Assigned, Assignment, assigned, seat_name},
        license::{Group, Holder, License, Seat, Uid},
        membership::Member,
        reason::{Because, Reason},
        terms::Provisioning,
        text::Label,
    },
};

/// A Seat that Usher makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster::license) struct Made {
    pub(in crate::cluster::license) name: String,
    pub(in crate::cluster::license) spec: api::SeatSpec,
    /// For what it is: UserAssignments, or the License itself.
    pub(in crate::cluster::license) owners: Vec<Owner>,
    /// The place of its holder among all who are assigned: Seats are made in this order.
    place: usize,
}

/// For what Usher makes a Seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster::license) struct Owner {
    pub(in crate::cluster::license) kind: &'static str,
    pub(in crate::cluster::license) name: String,
    pub(in crate::cluster::license) uid: Uid,
}

/// The Seats, for the rules and for the cluster.
#[derive(Debug, Default)]
pub(in crate::cluster::license) struct Seats {
    /// Those that count.
    pub(in crate::cluster::license) seats: Vec<Seat>,
    /// Those that stay as they stand, with their names: nobody can read them, or who has them made, or what that gives them.
    pub(in crate::cluster::license) held: BTreeMap<Uid, String>,
    /// Those that Usher has to make or to mend.
    pub(in crate::cluster::license) missing: Vec<Made>,
    /// Those that Usher made and nobody needs any more, by name and UID.
    pub(in crate::cluster::license) unwanted: Vec<(String, Uid)>,
}

/// While it is not known what the Edition says (`resolved`), and whom a UserAssignment names, no Seat is made or removed.
pub(super) fn seats(
    gathered: &Gathered,
    license: &License,
    assignments: &[Assignment],
    resolved: bool,
) -> Seats {
    let assigned = assigned(assignments);
    let there: Vec<&api::Seat> =
        gathered.readable_seats().filter(|seat| seat.metadata.deletion_timestamp.is_none()).collect();
    let made = made(license, assignments, &assigned);
    let kept: HashSet<String> = gathered.members.kept.iter().map(|(holder, _)| holder.identity()).collect();
    let is_unwanted = |seat: &api::Seat| {
        let known = resolved && !gathered.unreadable_assignments && !gathered.members.unknown;
        let kept = || seat.spec.holder.holder().is_some_and(|holder| kept.contains(&holder.identity()));
        is_made(seat) && known && !made.contains_key(&seat.name_any()) && !kept()
    };
    let is_held = |seat: &api::Seat| {
        let holder = seat.spec.holder.holder().map(|holder| holder.identity());
        let named = holder.is_some_and(|holder| assigned.contains_key(&holder) || kept.contains(&holder));
        is_made(seat) && gathered.unreadable_assignments && !named
    };
    let by_hand: BTreeSet<String> = there
        .iter()
        .filter(|seat| !is_made(seat))
        .filter_map(|seat| Some(seat.spec.holder.holder()?.identity()))
        .collect();
    let all_members = gathered.members.counting.iter().chain(&gathered.members.kept);
    let members: HashMap<String, &Member> =
        all_members.map(|(holder, member)| (holder.identity(), member)).collect();
    let counting = there.iter().filter(|seat| !is_unwanted(seat) && !is_held(seat)).filter_map(|seat| {
        let holder = seat.spec.holder.holder()?;
        let assigned = assigned.get(&holder.identity());
        let by_hand = by_hand.contains(&holder.identity());
        Some(Seat {
            uid: Uid(seat.uid()?),
            name: seat.name_any(),
            priority: seat.spec.priority,
            created: seat.creation_timestamp().map_or(Timestamp::MAX, |time| time.0),
            place: assigned.filter(|_| is_made(seat)).map_or(0, |assigned| assigned.place),
            group: assigned
                .and_then(|assigned| assigned.group.cloned())
                .or_else(|| matched(license, members.get(&holder.identity())?)),
            rests: rests(license, &holder, assigned, by_hand),
            holder,
        })
    });
    let unwanted = there.iter().filter(|seat| is_unwanted(seat));
    let by_name: HashMap<&str, &api::Seat> =
        gathered.readable_seats().filter_map(|seat| Some((seat.metadata.name.as_deref()?, seat))).collect();
    let unreadable: HashSet<&str> = gathered.unreadable_seats.values().map(String::as_str).collect();
    let is_there = |made: &Made| match by_name.get(made.name.as_str()) {
        Some(seat) => is_as_made(seat, made),
        None => unreadable.contains(made.name.as_str()),
    };
    let mut missing: Vec<Made> = made.values().filter(|made| resolved && !is_there(made)).cloned().collect();
    missing.sort_by_key(|made| made.place);
    let held = there.iter().filter(|seat| is_held(seat));
    let held = held.filter_map(|seat| Some((Uid(seat.uid()?), seat.name_any())));
    Seats {
        held: gathered.unreadable_seats.clone().into_iter().chain(held).collect(),
        seats: counting.collect(),
        unwanted: unwanted.filter_map(|seat| Some((seat.name_any(), Uid(seat.uid()?)))).collect(),
        missing,
    }
}

/// The Seats of a License that is not there: what Usher made goes.
pub(in crate::cluster::license) fn made_for_nobody(gathered: &Gathered) -> Vec<(String, Uid)> {
    let made =
        gathered.readable_seats().filter(|seat| is_made(seat) && seat.metadata.deletion_timestamp.is_none());
    made.filter_map(|seat| Some((seat.name_any(), Uid(seat.uid()?)))).collect()
}

/// Whether Usher made it.
pub(in crate::cluster::license) fn is_made(seat: &api::Seat) -> bool {
    let labels = seat.labels();
    labels.get(labels::MANAGED_BY).is_some_and(|by| by == labels::USHER)
        && labels.contains_key(labels::LICENSE)
}

/// The Seats that Usher is to make, by name.
fn made(
    license: &License,
    assignments: &[Assignment],
    assigned: &BTreeMap<String, Assigned<'_>>,
) -> BTreeMap<String, Made> {
    let Ok(license_ref) = license.key.name.parse::<Label>() else { return BTreeMap::new() };
    if license.terms.provisioning == Provisioning::Floating {
        return BTreeMap::new();
    }
    let made = |assigned: &Assigned<'_>| {
        let owners = assigned.by.iter().filter_map(|at| assignments.get(*at));
        Some(Made {
            name: seat_name(&license.uid, assigned.holder),
            spec: api::SeatSpec {
                license_ref: api::Reference { name: license_ref.clone() },
                holder: HolderSpec::of_person(assigned.holder)?,
                priority: assigned.priority,
            },
            place: assigned.place,
            owners: owners.map(|assignment| owner(license, assignment)).collect(),
        })
    };
    assigned.values().filter_map(made).map(|made| (made.name.clone(), made)).collect()
}

fn owner(license: &License, assignment: &Assignment) -> Owner {
    let kind = if assignment.uid == license.uid { "License" } else { "UserAssignment" };
    Owner { kind, name: assignment.name.clone(), uid: assignment.uid.clone() }
}

/// The first group of the License that takes this member.
fn matched(license: &License, member: &Member) -> Option<Label> {
    let takes = |group: &&Group| {
        group.matches_at.as_ref().is_none_or(|provider| *provider == member.provider)
            && group.matches.iter().any(|name| member.groups.contains(name))
    };
    license.groups.iter().find(takes).map(|group| group.name.clone())
}

/// Whether there is nothing to make or to mend. What has the name and is not ours is left alone.
fn is_as_made(seat: &api::Seat, made: &Made) -> bool {
    let owners: BTreeSet<&str> = seat.owner_references().iter().map(|owner| owner.uid.as_str()).collect();
    let wanted: BTreeSet<&str> = made.owners.iter().map(|owner| owner.uid.0.as_str()).collect();
    !is_made(seat)
        || seat.metadata.deletion_timestamp.is_some()
        || (seat.spec == made.spec && owners == wanted)
}

/// Why a Seat asks for nothing now.
fn rests(
    license: &License,
    holder: &Holder,
    assigned: Option<&Assigned<'_>>,
    by_hand: bool,
) -> Option<Because> {
    let name = &license.key.name;
    if license.terms.provisioning == Provisioning::Floating {
        return Some(Because::new(
            Reason::LicenseFloating,
            format!(
                "License {name} is Floating, its seats are taken by activations: delete this Seat, or make a Named License for its holder"
            ),
        ));
    }
    if license.terms.client.is_some_and(|client| client != holder.client()) {
        return Some(Because::new(
            Reason::HolderNotAllowed,
            format!(
                "License {name} is for {} only: delete this Seat",
                license.terms.client.unwrap_or_default().as_str()
            ),
        ));
    }
    let assigned = assigned?;
    if assigned.suspended && !by_hand {
        return Some(Because::new(
            Reason::Suspended,
            "every UserAssignment that names its holder is suspended: its document grants nothing until one is resumed",
        ));
    }
    let group = assigned.group.filter(|group| license.group(group).is_none())?;
    Some(Because::new(
        Reason::GroupNotFound,
        format!(
            "License {name} has no group {group}: add it to spec.groups, or correct the UserAssignment's spec.group"
        ),
    ))
}

/// Whoever has asked for a License that gives seats to everybody with an address that counts: an assignment of its own.
pub(super) fn who_asked(license: &License, members: &Members) -> Option<Assignment> {
    let users: Vec<Holder> = members.who_asked().cloned().collect();
    (!users.is_empty()).then(|| Assignment {
        uid: license.uid.clone(),
        name: license.key.name.clone(),
        created: Timestamp::MAX,
        priority: 0,
        users,
        group: None,
        suspended: false,
    })
}

/// What a UserAssignment says.
pub(super) fn assignment(object: &api::UserAssignment, members: &Members) -> Option<Assignment> {
    let members = members.of(&object.spec.groups).cloned();
    Some(Assignment {
        uid: Uid(object.uid()?),
        name: object.name_any(),
        created: object.creation_timestamp().map_or(Timestamp::MAX, |time| time.0),
        priority: object.spec.priority,
        users: object.spec.users.iter().filter_map(UserSpec::holder).chain(members).collect(),
        group: object.spec.group.clone(),
        suspended: object.spec.suspended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        license::tests::{at, license},
        standing::Person,
    };

    #[test]
    fn a_group_takes_people_of_the_provider_that_it_names_and_of_any_if_it_names_none() {
        let group = |name: &str, at: Option<&str>| Group {
            name: name.parse().unwrap(),
            seats: None,
            reserved: 0,
            features: None,
            matches: vec!["interns".parse().unwrap()],
            matches_at: at.map(|provider| provider.parse().unwrap()),
        };
        let of = |provider: &str, name: &str| Member {
            person: Person {
                issuer: "https://idp.acme.example/".parse().unwrap(),
                subject: "1".parse().unwrap(),
                email: None,
            },
            provider: provider.parse().unwrap(),
            groups: [name.parse().unwrap()].into(),
            proven_at: at(0),
            holds: None,
            anothers: false,
            asked: false,
        };
        let mut license = license(1);
        license.groups = vec![group("own", Some("acme"))];
        let taken = |license: &License, provider, name| {
            matched(license, &of(provider, name)).map(|group| group.to_string())
        };
        assert_eq!(taken(&license, "acme", "interns").as_deref(), Some("own"));
        assert_eq!(taken(&license, "acme", "others"), None);
        assert_eq!(taken(&license, "partner", "interns"), None);
        license.groups.push(group("all", None));
        assert_eq!(taken(&license, "partner", "interns").as_deref(), Some("all"));
        assert_eq!(taken(&license, "acme", "interns").as_deref(), Some("own"));
    }
}
