//! Who holds a seat and who waits.
//!
//! ```text
//!                 ┌──────────── a free seat, first in the queue ───────────┐
//!   Seat ──► Waiting ──────────────────────────────────────────────────► Bound
//!              ▲ ▲                                                          │
//!              │ └── the limit was lowered: lowest priority, then latest ───┤
//!              │                                                            │
//!   Duplicate ─┘ (the holder's other Seat went)      the Seat was deleted ──┴──► gone, and the seat is free
//! ```
//!
//! 1. At most `limit` holders are bound, always.
//! 2. One holder counts once: of several Seats one stands for the holder, the others are duplicates.
//!    The one that is bound goes on standing for the holder.
//! 3. The waiting stand in order: priority (higher first), age (older first), name.
//! 4. Nobody loses a seat because somebody was added. A lowered limit takes from the lowest priority,
//!    then from whoever was bound last.
//! 5. While the License does not grant, whoever holds keeps, and the queue stands still.
//! 6. The order in which Seats and bindings are told makes no difference; allocating again changes nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use jiff::Timestamp;

use crate::domain::license::{Seat, Uid};

/// A seat that is taken: the ledger's fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The Seat that stands for the holder.
    pub seat: Uid,
    /// Rises with each binding of a License: who was bound later has the higher number.
    pub ordinal: i64,
}

/// How one Seat stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds a seat.
    Bound,
    /// It waits at this position, the first being 1.
    Waiting {
        /// Its place in the queue.
        position: usize,
    },
    /// Another Seat stands for the same holder.
    Duplicate {
        /// That Seat's name.
        of: String,
    },
}

/// The outcome: how every Seat stands, and what changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// How each Seat stands.
    pub standings: BTreeMap<Uid, Standing>,
    /// Who is bound anew, in the order in which it happens.
    pub take: Vec<Uid>,
    /// Whose binding ends because the limit was lowered, or because the Seat is gone.
    pub free: BTreeSet<Uid>,
}

/// Allots at most `limit` seats. `held` are the bindings of today; those of Seats that are no longer there are freed.
#[must_use]
pub fn allocate(limit: u32, grants: bool, seats: &[Seat], held: &[Binding]) -> Allocation {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let ordinals: HashMap<&Uid, i64> = held.iter().map(|binding| (&binding.seat, binding.ordinal)).collect();

    let mut of_holder: BTreeMap<String, Vec<&Seat>> = BTreeMap::new();
    for seat in seats {
        of_holder.entry(seat.holder.identity()).or_default().push(seat);
    }
    for seats in of_holder.values_mut() {
        seats.sort_by_key(|seat| order(seat));
    }

    let mut keeping: Vec<&Seat> =
        of_holder.values().filter_map(|seats| standing_for(seats, &ordinals)).collect();
    keeping.sort_by_key(|seat| (Reverse(seat.priority), ordinals.get(&seat.uid), &seat.uid));
    keeping.truncate(limit);

    let mut heads: HashMap<String, &Seat> =
        keeping.iter().map(|seat| (seat.holder.identity(), *seat)).collect();
    let mut waiting: Vec<&Seat> = Vec::new();
    for (holder, seats) in &of_holder {
        if let (false, Some(first)) = (heads.contains_key(holder), seats.first()) {
            heads.insert(holder.clone(), first);
            waiting.push(first);
        }
    }
    waiting.sort_by_key(|seat| order(seat));

    let free_seats = if grants { limit - keeping.len() } else { 0 };
    let taking: Vec<&Seat> = waiting.drain(..free_seats.min(waiting.len())).collect();

    let mut allocation =
        Allocation { take: taking.iter().map(|seat| seat.uid.clone()).collect(), ..Allocation::default() };
    for seat in keeping.iter().chain(&taking) {
        allocation.standings.insert(seat.uid.clone(), Standing::Bound);
    }
    for (position, seat) in (1..).zip(&waiting) {
        allocation.standings.insert(seat.uid.clone(), Standing::Waiting { position });
    }
    for seat in seats {
        if let Some(head) = heads.get(&seat.holder.identity()).filter(|head| head.uid != seat.uid) {
            allocation.standings.insert(seat.uid.clone(), Standing::Duplicate { of: head.name.clone() });
        }
    }
    let bound = |uid: &Uid| allocation.standings.get(uid) == Some(&Standing::Bound);
    allocation.free = held.iter().map(|binding| &binding.seat).filter(|uid| !bound(uid)).cloned().collect();
    allocation
}

/// The order of the waiting.
fn order(seat: &Seat) -> (Reverse<i32>, Timestamp, String, Uid) {
    (Reverse(seat.priority), seat.created, seat.name.clone(), seat.uid.clone())
}

/// The Seat by which a holder is bound today.
fn standing_for<'a>(seats: &[&'a Seat], ordinals: &HashMap<&Uid, i64>) -> Option<&'a Seat> {
    seats
        .iter()
        .copied()
        .filter(|seat| ordinals.contains_key(&seat.uid))
        .min_by_key(|seat| ordinals.get(&seat.uid))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::license::{Holder, tests::at};

    fn seat(name: &str, holder: &str, priority: i32, created: i64) -> Seat {
        Seat {
            uid: Uid(format!("uid-{name}")),
            name: name.into(),
            holder: Holder::Email(format!("{holder}@acme.example").parse().unwrap()),
            priority,
            created: at(created),
        }
    }

    fn held(names: &[&str]) -> Vec<Binding> {
        (1..)
            .zip(names)
            .map(|(ordinal, name)| Binding { seat: Uid(format!("uid-{name}")), ordinal })
            .collect()
    }

    /// What the allocation says, readable: `ann=bound bob=1`.
    fn told(allocation: &Allocation) -> String {
        let mut words: Vec<String> = Vec::new();
        for (uid, standing) in &allocation.standings {
            let name = uid.0.trim_start_matches("uid-");
            words.push(match standing {
                Standing::Bound => format!("{name}=bound"),
                Standing::Waiting { position } => format!("{name}={position}"),
                Standing::Duplicate { of } => format!("{name}~{of}"),
            });
        }
        words.join(" ")
    }

    #[test]
    fn the_first_come_are_bound_and_the_rest_wait_in_order() {
        let seats = [
            seat("cy", "cy", 0, 3),
            seat("ann", "ann", 0, 1),
            seat("bob", "bob", 0, 2),
            seat("di", "di", 0, 4),
        ];
        assert_eq!(told(&allocate(2, true, &seats, &[])), "ann=bound bob=bound cy=1 di=2");
    }

    #[test]
    fn priority_goes_before_age_and_age_before_name() {
        let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 5, 9), seat("cy", "cy", 0, 1)];
        assert_eq!(told(&allocate(1, true, &seats, &[])), "ann=1 bob=bound cy=2");
    }

    #[test]
    fn nobody_loses_a_seat_because_somebody_more_urgent_was_added() {
        let seats = [seat("ann", "ann", 0, 5), seat("boss", "boss", 100, 1)];
        let allocation = allocate(1, true, &seats, &held(&["ann"]));
        assert_eq!(told(&allocation), "ann=bound boss=1");
        assert!(allocation.take.is_empty() && allocation.free.is_empty());
    }

    #[test]
    fn a_lowered_limit_takes_the_lowest_priority_and_then_the_latest_bound() {
        let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 0, 2), seat("cy", "cy", -1, 0)];
        let bindings = held(&["cy", "bob", "ann"]);
        assert_eq!(allocate(2, true, &seats, &bindings).free, BTreeSet::from([Uid("uid-cy".into())]));
        let allocation = allocate(1, true, &seats, &bindings);
        assert_eq!(told(&allocation), "ann=1 bob=bound cy=2");
    }

    #[test]
    fn a_raised_limit_serves_the_queue() {
        let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 0, 2), seat("cy", "cy", 0, 3)];
        let allocation = allocate(2, true, &seats, &held(&["cy"]));
        assert_eq!(told(&allocation), "ann=bound bob=1 cy=bound");
        assert_eq!(allocation.take, [Uid("uid-ann".into())]);
    }

    #[test]
    fn one_holder_with_several_seats_takes_one_place() {
        let seats = [seat("a1", "ann", 0, 1), seat("a2", "ann", 9, 2), seat("bob", "bob", 0, 3)];
        assert_eq!(told(&allocate(2, true, &seats, &[])), "a1~a2 a2=bound bob=bound");
        assert_eq!(told(&allocate(2, true, &seats, &held(&["a1"]))), "a1=bound a2~a1 bob=bound");
    }

    #[test]
    fn when_the_bound_seat_of_a_holder_goes_the_other_one_takes_over() {
        let seats = [seat("a2", "ann", 0, 2), seat("bob", "bob", 0, 1)];
        let allocation = allocate(1, true, &seats, &held(&["a1"]));
        assert_eq!(told(&allocation), "a2=1 bob=bound");
        assert_eq!(allocation.free, BTreeSet::from([Uid("uid-a1".into())]));
    }

    #[test]
    fn a_resting_license_keeps_its_holders_and_serves_nobody() {
        let seats = [seat("ann", "ann", 0, 1), seat("bob", "bob", 0, 2)];
        assert_eq!(told(&allocate(2, false, &seats, &held(&["bob"]))), "ann=1 bob=bound");
        assert_eq!(told(&allocate(0, false, &seats, &held(&["bob"]))), "ann=1 bob=2");
    }

    #[test]
    fn no_seats_means_nobody() {
        assert_eq!(told(&allocate(0, true, &[seat("ann", "ann", 0, 1)], &[])), "ann=1");
    }

    prop_compose! {
        fn world()(
            people in prop::collection::vec((0u8..6, -2i32..3, 0i64..5, any::<bool>()), 0..14),
            limit in 0u32..8,
            grants in any::<bool>(),
        ) -> (u32, bool, Vec<Seat>, Vec<Binding>) {
            let seats: Vec<Seat> = people.iter().enumerate()
                .map(|(n, (holder, priority, created, _))| seat(&format!("s{n}"), &format!("h{holder}"), *priority, *created))
                .collect();
            // The ledger binds a holder at most once.
            let mut once = BTreeSet::new();
            let names: Vec<String> = people.iter().enumerate()
                .filter(|(_, person)| person.3 && once.insert(person.0)).map(|(n, _)| format!("s{n}")).collect();
            let mut bindings = held(&names.iter().map(String::as_str).collect::<Vec<_>>());
            bindings.push(Binding { seat: Uid("uid-gone".into()), ordinal: 99 });
            (limit, grants, seats, bindings)
        }
    }

    /// The bindings after the allocation was committed.
    fn applied(allocation: &Allocation, before: &[Binding]) -> Vec<Binding> {
        let mut after: Vec<Binding> =
            before.iter().filter(|b| !allocation.free.contains(&b.seat)).cloned().collect();
        let last = before.iter().map(|b| b.ordinal).max().unwrap_or(0);
        after.extend(
            (last + 1..).zip(&allocation.take).map(|(ordinal, seat)| Binding { seat: seat.clone(), ordinal }),
        );
        after
    }

    fn bound(allocation: &Allocation) -> BTreeSet<&Uid> {
        allocation.standings.iter().filter(|(_, s)| **s == Standing::Bound).map(|(uid, _)| uid).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn never_more_than_the_limit((limit, grants, seats, bindings) in world()) {
            let allocation = allocate(limit, grants, &seats, &bindings);
            prop_assert!(bound(&allocation).len() <= limit as usize);
            prop_assert!(applied(&allocation, &bindings).len() <= limit as usize);
            let holders: BTreeSet<String> = seats.iter()
                .filter(|s| bound(&allocation).contains(&s.uid)).map(|s| s.holder.identity()).collect();
            prop_assert_eq!(holders.len(), bound(&allocation).len(), "a holder is bound twice");
        }

        #[test]
        fn permuting_the_input_changes_nothing((limit, grants, seats, bindings) in world(), turn in 0usize..14) {
            let (mut turned_seats, mut turned_bindings) = (seats.clone(), bindings.clone());
            turned_seats.rotate_left(turn % seats.len().max(1));
            turned_seats.reverse();
            turned_bindings.rotate_left(turn % bindings.len());
            prop_assert_eq!(allocate(limit, grants, &seats, &bindings), allocate(limit, grants, &turned_seats, &turned_bindings));
        }

        #[test]
        fn applying_the_result_again_changes_nothing((limit, grants, seats, bindings) in world()) {
            let first = allocate(limit, grants, &seats, &bindings);
            let second = allocate(limit, grants, &seats, &applied(&first, &bindings));
            prop_assert_eq!(&first.standings, &second.standings);
            prop_assert!(second.take.is_empty() && second.free.is_empty());
        }

        #[test]
        fn who_holds_keeps_when_somebody_is_added((limit, grants, seats, bindings) in world(), priority in -5i32..5) {
            let before = allocate(limit, grants, &seats, &bindings);
            let settled = applied(&before, &bindings);
            let mut more = seats;
            more.push(seat("new", "new", priority, -1));
            let after = allocate(limit, grants, &more, &settled);
            prop_assert!(after.free.is_empty());
            prop_assert!(bound(&before).is_subset(&bound(&after)));
        }

        #[test]
        fn no_seat_stays_empty_while_somebody_waits((limit, _, seats, bindings) in world()) {
            let allocation = allocate(limit, true, &seats, &bindings);
            let waits = allocation.standings.values().any(|s| matches!(s, Standing::Waiting { .. }));
            prop_assert!(!waits || bound(&allocation).len() == limit as usize);
        }

        #[test]
        fn every_seat_stands_somewhere_and_positions_count_from_one((limit, grants, seats, bindings) in world()) {
            let allocation = allocate(limit, grants, &seats, &bindings);
            prop_assert_eq!(allocation.standings.len(), seats.len());
            let mut positions: Vec<usize> = allocation.standings.values()
                .filter_map(|s| if let Standing::Waiting { position } = s { Some(*position) } else { None }).collect();
            positions.sort_unstable();
            prop_assert_eq!(&positions, &(1..=positions.len()).collect::<Vec<_>>());
        }
    }
}
