//! What was declared and is told by no status yet: what to look at first, where there is much to look at. Nothing is decided by it.

use std::collections::HashSet;

use kube::{Resource, core::DeserializeGuard};

use super::{Index, members::license_of};
use crate::domain::license::Key;

/// Whether its status is of an older declaration, or there is none.
fn is_untold<T: Resource>(guard: &DeserializeGuard<T>, observed: impl Fn(&T) -> Option<i64>) -> bool {
    guard.0.as_ref().is_ok_and(|object| observed(object).unwrap_or(0) < object.meta().generation.unwrap_or(0))
}

impl Index {
    /// The Licenses of which this holds, or of a Seat or UserAssignment that names them.
    pub fn untold(&self) -> HashSet<Key> {
        self.read(|s| {
            let licenses = s.licenses.items.iter().filter(|(_, license)| {
                is_untold(license, |license| license.status.as_ref().map(|status| status.observed_generation))
            });
            let seats = s.seats.shelf.items.values().filter(|seat| {
                is_untold(seat, |seat| seat.status.as_ref().map(|status| status.observed_generation))
            });
            let assignments = s.assignments.shelf.items.values().filter(|assignment| {
                is_untold(assignment, |a| a.status.as_ref().map(|status| status.observed_generation))
            });
            let named = seats.filter_map(|seat| license_of(seat));
            let named = named.chain(assignments.filter_map(|assignment| license_of(assignment)));
            licenses.map(|(key, _)| key.clone()).chain(named).collect()
        })
    }
}
