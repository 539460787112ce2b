//! Whom assignments name, and the Seats that stand for them.
//!
//! ```text
//!   UserAssignments of one License ──► one entry a holder: priority, group, whether all of them rest
//!        "Ann" and "ann" are one          │
//!                                          └──► the Seat `u-<hash>` that Usher makes, while any of them names the holder
//! ```
//!
//! 1. Several assignments add up: whoever is named twice has one entry, with the highest priority, and with the group of the
//!    most urgent assignment that has one (then the oldest, then by name).
//!    They stand in the order in which they are listed, the most urgent assignment first.
//! 2. A holder rests only while every assignment that names them is suspended.
//! 3. The name of the Seat is a hash over the License's UID and the holder: it tells nobody's name, and cannot be tested against a list of
//!    addresses by somebody who does not know the UID.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::{
    license::{Holder, Uid},
    text::Label,
};

/// A UserAssignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Of the object.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Higher goes first.
    pub priority: i32,
    /// Whom it names.
    pub users: Vec<Holder>,
    /// The group to which they count.
    pub group: Option<Label>,
    /// Whether it rests.
    pub suspended: bool,
}

/// What all assignments together say of one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned<'a> {
    /// Who.
    pub holder: &'a Holder,
    /// The highest priority.
    pub priority: i32,
    /// Their place among all who are named, from 1: the most urgent assignment first, in its own order.
    pub place: usize,
    /// The group to which they count.
    pub group: Option<&'a Label>,
    /// Whether every assignment that names them is suspended.
    pub suspended: bool,
    /// The assignments that name them, by their place in the list.
    pub by: Vec<usize>,
}

/// Everybody whom `assignments` name, by [`Holder::identity`]. The order in which they are told makes no difference but for `by`.
#[must_use]
pub fn assigned(assignments: &[Assignment]) -> BTreeMap<String, Assigned<'_>> {
    let mut urgent: Vec<usize> = (0..assignments.len()).collect();
    urgent.sort_by_key(|at| {
        assignments.get(*at).map(|a| (std::cmp::Reverse(a.priority), a.created, &a.name, &a.uid))
    });
    let mut all: BTreeMap<String, Assigned<'_>> = BTreeMap::new();
    for at in urgent {
        let Some(assignment) = assignments.get(at) else { continue };
        for holder in &assignment.users {
            let place = all.len() + 1;
            let entry = all.entry(holder.identity()).or_insert_with(|| Assigned {
                holder,
                priority: assignment.priority,
                place,
                group: None,
                suspended: true,
                by: Vec::new(),
            });
            entry.group = entry.group.or(assignment.group.as_ref());
            entry.suspended &= assignment.suspended;
            if entry.by.last() != Some(&at) {
                entry.by.push(at);
            }
        }
    }
    all
}

/// What the names of Seats begin with that Usher makes.
const MADE: &str = "u-";

/// The name of the Seat that Usher makes for `holder` under the License `license`.
#[must_use]
pub fn seat_name(license: &Uid, holder: &Holder) -> String {
    let mut digest = Sha256::new();
    digest.update(license.0.as_bytes());
    digest.update([0]);
    digest.update(holder.identity().as_bytes());
    let hash = digest.finalize();
    hash.iter().take(10).fold(MADE.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    fn assignment(name: &str, priority: i32, users: &[&str]) -> Assignment {
        Assignment {
            uid: Uid(format!("uid-{name}")),
            name: name.into(),
            created: at(0),
            priority,
            users: users.iter().map(|user| email(user)).collect(),
            group: None,
            suspended: false,
        }
    }

    fn email(user: &str) -> Holder {
        Holder::Email(format!("{user}@acme.example").parse().unwrap())
    }

    #[test]
    fn whoever_is_named_twice_is_one_with_the_highest_priority() {
        let all = [assignment("a", 1, &["ann", "Ann", "bob"]), assignment("b", 5, &["ANN"])];
        let assigned = assigned(&all);
        let said: Vec<_> =
            assigned.values().map(|a| (a.holder.clone(), a.priority, a.place, a.by.clone())).collect();
        assert_eq!(said, [(email("ann"), 5, 1, vec![1, 0]), (email("bob"), 1, 2, vec![0])]);
    }

    #[test]
    fn the_group_is_that_of_the_most_urgent_assignment_that_has_one() {
        let with_group = |name: &str, priority: i32, group: &str| Assignment {
            group: Some(group.parse().unwrap()),
            ..assignment(name, priority, &["ann"])
        };
        let group = |all: &[Assignment]| {
            assigned(all).into_values().next().and_then(|a| a.group.map(ToString::to_string))
        };
        let none = assignment("none", 9, &["ann"]);
        let (low, high) = (with_group("low", 0, "interns"), with_group("high", 5, "staff"));
        assert_eq!(group(&[low.clone(), none.clone(), high.clone()]).as_deref(), Some("staff"));
        assert_eq!(group(&[high, low.clone()]).as_deref(), Some("staff"));
        let older = Assignment { created: at(-5), ..with_group("old", 0, "first") };
        assert_eq!(group(&[low, older]).as_deref(), Some("first"));
        assert_eq!(group(&[none]), None);
    }

    #[test]
    fn a_holder_rests_only_while_everybody_who_names_them_is_suspended() {
        let mut all = [assignment("a", 0, &["ann", "bob"]), assignment("b", 0, &["ann"])];
        all[0].suspended = true;
        let rests = |all: &[Assignment]| assigned(all).into_values().map(|a| a.suspended).collect::<Vec<_>>();
        assert_eq!(rests(&all), [false, true]);
        all[1].suspended = true;
        assert_eq!(rests(&all), [true, true]);
    }

    #[test]
    fn the_name_of_a_made_seat_is_fixed_and_tells_nobodys_name() {
        let name = |license: &str, user: &str| seat_name(&Uid(license.into()), &email(user));
        assert_eq!(name("l", "ann"), "u-643ead4c8a609465e3cb");
        assert_eq!(name("l", "ann"), name("l", "ANN"));
        assert_ne!(name("l", "ann"), name("l", "bob"));
        assert_ne!(
            name("l", "ann"),
            name("m", "ann"),
            "who does not know the UID cannot test a list of names"
        );
    }
}
