//! Places that activations hold by themselves, beside those that Seats hold.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{Seated, in_order};
use crate::{
    domain::{
        allocation::Standing,
        license::{License, Seat},
        terms::Provisioning,
        text::Label,
    },
    ledger::{UNKNOWN, activations::Activated},
};

/// Activations for which there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    /// Those.
    pub(super) ended: Vec<String>,
    /// How many places they hold: those of one workload's slot hold one.
    pub(super) places: usize,
    /// There are more of them.
    pub(super) more: bool,
}

/// Of the activations that began last, the very last one first, those for whom there is no place beside `bound` holders.
pub(super) fn beyond<'a>(
    license: &License,
    bound: usize,
    activated: usize,
    last: impl Iterator<Item = &'a Activated>,
) -> Beyond {
    let places = usize::try_from(license.places()).unwrap_or(usize::MAX).saturating_sub(bound);
    let beyond = activated.saturating_sub(places);
    let (mut holders, mut ended): (HashSet<&str>, Vec<String>) = (HashSet::new(), Vec::new());
    for Activated { id, holder } in last {
        if holders.contains(holder.as_str()) || holders.len() < beyond {
            holders.insert(holder);
            ended.push(id.clone());
        }
    }
    Beyond { ended, places: holders.len(), more: holders.len() < beyond }
}

/// How many places no new activation may have: they are kept for groups that do not fill their reserves, or cool. And of how many of these nobody
/// knows whose they were.
pub(super) fn kept(license: &License, seats: &[Seat], seated: &Seated) -> (u32, u32) {
    let mut bound: BTreeMap<&Label, u32> = BTreeMap::new();
    for seat in in_order(seats, &seated.allocation.bound) {
        if let Some(group) = &seat.group {
            *bound.entry(group).or_default() += 1;
        }
    }
    // Nobody could fill the reserves of a Floating License: it has no Seats.
    let groups = match license.terms.provisioning {
        Provisioning::Floating => &[][..],
        Provisioning::Named => &license.groups,
    };
    let unfilled = groups.iter().map(|group| {
        let reserved = group.seats.map_or(group.reserved, |seats| seats.min(group.reserved));
        reserved.saturating_sub(bound.get(&group.name).copied().unwrap_or(0))
    });
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let unknown = seated.cooling.iter().filter(|cooling| cooling.holder == UNKNOWN).count();
    (unfilled.fold(count(seated.cooling.len()), u32::saturating_add), count(unknown))
}

/// When the next of them gives its place back, if somebody waits for one.
pub(super) fn next_lapse(seated: &Seated) -> Option<Timestamp> {
    let mut standings = seated.allocation.standings.values();
    let waits = standings.any(|standing| matches!(standing, Standing::Waiting { .. }));
    // It is good at that very second.
    seated.first_lapse.filter(|_| waits)?.checked_add(SignedDuration::from_secs(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::license;

    fn last(ids: &[&str]) -> Vec<Activated> {
        ids.iter().map(|id| Activated { id: (*id).into(), holder: format!("device:{id}") }).collect()
    }

    #[test]
    fn who_began_last_loses_the_place_that_there_is_not_and_what_was_not_read_is_left_for_later() {
        let of = |seats, bound, activated, ids: &[&str]| {
            let Beyond { ended, more, .. } = beyond(&license(seats), bound, activated, last(ids).iter());
            (ended, more)
        };
        assert_eq!(of(4, 1, 3, &["c", "b"]), (Vec::new(), false));
        assert_eq!(of(3, 1, 3, &["c", "b"]), (vec!["c".to_owned()], false));
        assert_eq!(of(1, 1, 3, &["c", "b"]), (vec!["c".to_owned(), "b".to_owned()], true));
        assert_eq!(of(0, 1, 1, &["c"]), (vec!["c".to_owned()], false));
    }

    #[test]
    fn a_slot_that_two_pods_share_is_one_place_and_lost_by_both() {
        let mut last = last(&["d", "c", "b", "a"]);
        last[2].holder = last[0].holder.clone();
        let of = |seats, activated| beyond(&license(seats), 0, activated, last.iter());
        let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(of(2, 3), Beyond { ended: texts(&["d", "b"]), places: 1, more: false });
        assert_eq!(of(1, 3), Beyond { ended: texts(&["d", "c", "b"]), places: 2, more: false });
        assert!(of(0, 4).more, "only three holders are known");
    }
}
