//! Places that activations hold by themselves, beside those that Seats hold.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Seated, in_order};
use crate::{
    domain::{
        allocation::Standing,
        license::{License, Seat},
        text::Label,
    },
    ledger::{Activated, Facts},
};

/// Those whose last document has not ended.
pub(super) fn holding(facts: Option<&Facts>, now: Timestamp) -> Vec<Activated> {
    let all = facts.into_iter().flat_map(|facts| &facts.activated);
    all.filter(|activated| activated.expires_at >= now).cloned().collect()
}

/// Takes out of `activated` those for whom there is no place beside `bound` holders: who began last goes first. Returns them.
pub(super) fn beyond(license: &License, bound: usize, activated: &mut Vec<Activated>) -> Vec<String> {
    let places = usize::try_from(license.places()).unwrap_or(usize::MAX).saturating_sub(bound);
    let lost = activated.split_off(places.min(activated.len()));
    lost.into_iter().map(|activated| activated.id).collect()
}

/// How many places no new activation may have: they are kept for groups that do not fill their reserves, or cool.
pub(super) fn kept(license: &License, seats: &[Seat], seated: &Seated) -> u32 {
    let mut bound: BTreeMap<&Label, u32> = BTreeMap::new();
    for seat in in_order(seats, &seated.allocation.bound) {
        if let Some(group) = &seat.group {
            *bound.entry(group).or_default() += 1;
        }
    }
    let unfilled = license.groups.iter().map(|group| {
        let reserved = group.seats.map_or(group.reserved, |seats| seats.min(group.reserved));
        reserved.saturating_sub(bound.get(&group.name).copied().unwrap_or(0))
    });
    let cooling = u32::try_from(seated.cooling.len()).unwrap_or(u32::MAX);
    unfilled.fold(cooling, u32::saturating_add)
}

/// When the next of them gives its place back, if somebody waits for one.
pub(super) fn next_lapse(seated: &Seated) -> Option<Timestamp> {
    let mut standings = seated.allocation.standings.values();
    let waits = standings.any(|standing| matches!(standing, Standing::Waiting { .. }));
    let first = seated.activated.iter().map(|activated| activated.expires_at).min().filter(|_| waits)?;
    // It is good at that very second.
    first.checked_add(SignedDuration::from_secs(1)).ok()
}
