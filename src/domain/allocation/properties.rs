//! What holds in every world.

use proptest::prelude::*;

use super::{
    tests::{binding, email, group, seat},
    *,
};
use crate::domain::{license::tests::at, reason::Reason};

/// Everything that goes into a decision.
#[derive(Debug, Clone)]
struct World {
    limit: u32,
    grants: bool,
    groups: Vec<Group>,
    seats: Vec<Seat>,
    bindings: Vec<Binding>,
    cooling: Vec<Cooling>,
    activated: Vec<String>,
    elsewhere: BTreeMap<String, u32>,
}

impl World {
    fn rules(&self) -> Rules<'_> {
        Rules { limit: self.limit, grants: self.grants, groups: &self.groups, max_per_user: Some(1) }
    }

    fn allocate(&self) -> Allocation {
        let held = Held {
            bindings: &self.bindings,
            kept: &[],
            elsewhere: Some(&self.elsewhere),
            cooling: &self.cooling,
            activated: self.activated.len(),
            with_seats: &self.with_seats(),
        };
        allocate(&self.rules(), &self.seats, &held)
    }

    fn with_seats(&self) -> Vec<String> {
        let has_seat = |who: &&String| self.seats.iter().any(|seat| seat.holder.identity() == **who);
        self.activated.iter().filter(has_seat).cloned().collect()
    }

    /// After the allocation was committed.
    fn after(&self, allocation: &Allocation) -> Self {
        let mut after = self.clone();
        after.bindings.retain(|b| !allocation.free.contains(&b.seat));
        for (from, to) in &allocation.moved {
            after.bindings.iter_mut().filter(|b| b.seat == *from).for_each(|b| b.seat = to.clone());
        }
        let last = self.bindings.iter().map(|b| b.ordinal).max().unwrap_or(0);
        let holder = |uid: &Uid| self.seats.iter().find(|s| s.uid == *uid).unwrap().holder.identity();
        for (ordinal, seat) in (last + 1..).zip(&allocation.take) {
            after.bindings.push(Binding { seat: seat.clone(), holder: holder(seat), ordinal });
            after.cooling.retain(|cooling| cooling.holder != holder(seat));
            after.activated.retain(|activated| *activated != holder(seat));
        }
        after
    }

    fn members(&self, group: &Group, bound: &BTreeSet<&Uid>) -> u32 {
        let of =
            self.seats.iter().filter(|s| s.group.as_ref() == Some(&group.name) && bound.contains(&s.uid));
        u32::try_from(of.count()).unwrap()
    }
}

fn bound(allocation: &Allocation) -> BTreeSet<&Uid> {
    allocation.standings.iter().filter(|(_, s)| **s == Standing::Bound).map(|(uid, _)| uid).collect()
}

prop_compose! {
    fn world()(
        people in prop::collection::vec((0u8..6, -2i32..3, 0i64..5, any::<bool>(), prop::option::of(0u8..2), 0u8..8), 0..14),
        limit in 0u32..8,
        grants in any::<bool>(),
        sizes in prop::collection::vec((prop::option::of(0u32..4), 0u32..3), 2),
        cooling in prop::collection::vec((0u8..8, 0i64..9), 0..3),
        activated in prop::collection::btree_set(0u8..8, 0..3),
        elsewhere in prop::collection::btree_map(0u8..6, 0u32..3, 0..3),
    ) -> World {
        let holder = |n: &u8| format!("h{n}");
        let groups = (0..).zip(&sizes).map(|(n, (seats, reserved))| group(&format!("g{n}"), *seats, *reserved)).collect();
        // A holder belongs to one group, and rests or not, by whichever Seat.
        let group_of = |n: u8| people.iter().find(|p| p.0 == n).and_then(|p| p.4);
        let rests = |n: u8| people.iter().find(|p| p.0 == n).is_some_and(|p| p.5 == 0);
        let seats: Vec<Seat> = people.iter().enumerate().map(|(n, (who, priority, created, ..))| Seat {
            group: group_of(*who).map(|g| format!("g{g}").parse().unwrap()),
            rests: rests(*who).then(|| Because::new(Reason::Suspended, "rests")),
            ..seat(&format!("s{n}"), &holder(who), *priority, *created)
        }).collect();
        // The ledger binds a holder at most once; one of them has no Seat any more.
        let mut once = BTreeSet::new();
        let mut bindings: Vec<Binding> = people.iter().enumerate()
            .filter(|(_, person)| person.3 && once.insert(person.0))
            .map(|(n, person)| Binding { seat: Uid(format!("uid-s{n}")), ..binding(&holder(&person.0), i64::try_from(n).unwrap()) })
            .collect();
        bindings.push(binding("gone", 99));
        let identity = |n: &u8| email(&holder(n)).identity();
        // Whoever has a Seat that is bound holds no place beside it.
        let cools = |who: &String| cooling.iter().any(|(n, _)| identity(n) == *who);
        let bound = |who: &String| bindings.iter().any(|b| b.holder == *who);
        let activated = activated.iter().map(identity).filter(|who| !bound(who) && !cools(who)).collect();
        let cooling = cooling.iter().map(|(n, until)| Cooling { holder: email(&holder(n)).identity(), until: at(*until) }).collect();
        let elsewhere = elsewhere.iter().map(|(n, count)| (email(&holder(n)).identity(), *count)).collect();
        World { limit, grants, groups, seats, bindings, cooling, activated, elsewhere }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn never_more_than_the_limit_nor_than_a_group_has(world in world()) {
        let allocation = world.allocate();
        let bound = bound(&allocation);
        prop_assert!(bound.len() <= world.limit as usize);
        prop_assert!(world.after(&allocation).bindings.len() <= world.limit as usize);
        for group in &world.groups {
            prop_assert!(group.seats.is_none_or(|seats| world.members(group, &bound) <= seats));
        }
        let holders: BTreeSet<String> = world.seats.iter()
            .filter(|s| bound.contains(&s.uid)).map(|s| s.holder.identity()).collect();
        prop_assert_eq!(holders.len(), bound.len(), "a holder is bound twice");
        prop_assert_eq!(allocation.bound.iter().collect::<BTreeSet<_>>(), bound);
    }

    #[test]
    fn what_is_reserved_what_cools_and_what_an_activation_holds_is_given_to_nobody_else(world in world()) {
        let allocation = world.allocate();
        let after = world.after(&allocation);
        let bound = bound(&allocation);
        let outside: Vec<&Uid> = allocation.take.iter().filter(|uid| {
            let seat = world.seats.iter().find(|s| s.uid == **uid).unwrap();
            let reserved = |name: &Label| world.groups.iter().any(|g| g.name == *name && g.reserved > 0);
            let holder = seat.holder.identity();
            let reclaimed = world.activated.contains(&holder) || world.cooling.iter().any(|c| c.holder == holder);
            !reclaimed && !seat.group.as_ref().is_some_and(reserved)
        }).collect();
        let unfilled: u32 = world.groups.iter()
            .map(|g| g.seats.map_or(g.reserved, |s| s.min(g.reserved)).saturating_sub(world.members(g, &bound))).sum();
        let kept = unfilled as usize + after.cooling.len() + after.activated.len();
        prop_assert!(outside.is_empty() || bound.len() + kept <= world.limit as usize, "{outside:?} took what is kept");
    }

    #[test]
    fn permuting_the_input_changes_nothing(world in world(), turn in 0usize..14) {
        let mut turned = world.clone();
        turned.seats.rotate_left(turn % world.seats.len().max(1));
        turned.seats.reverse();
        turned.bindings.rotate_left(turn % world.bindings.len());
        turned.cooling.reverse();
        turned.groups.reverse();
        prop_assert_eq!(world.allocate(), turned.allocate());
    }

    #[test]
    fn applying_the_result_again_changes_nothing(world in world()) {
        let first = world.allocate();
        let second = world.after(&first).allocate();
        prop_assert_eq!(&first.standings, &second.standings);
        prop_assert_eq!(&first.bound, &second.bound);
        prop_assert!(second.take.is_empty() && second.free.is_empty() && second.moved.is_empty());
    }

    #[test]
    fn who_holds_keeps_when_somebody_is_added(world in world(), priority in -5i32..5, group in prop::option::of(0u8..2)) {
        let before = world.allocate();
        let mut more = world.after(&before);
        more.seats.push(Seat { group: group.map(|g| format!("g{g}").parse().unwrap()), ..seat("new", "new", priority, -1) });
        let after = more.allocate();
        prop_assert!(after.free.is_empty());
        prop_assert!(bound(&before).is_subset(&bound(&after)));
    }

    #[test]
    fn a_holder_keeps_while_any_seat_stands_for_them(world in world()) {
        let mut settled = world.after(&world.allocate());
        let holders: Vec<String> = settled.bindings.iter().map(|b| b.holder.clone()).collect();
        let bound_by: BTreeSet<Uid> = settled.bindings.iter().map(|b| b.seat.clone()).collect();
        settled.seats.retain(|seat| !bound_by.contains(&seat.uid));
        let after = settled.after(&settled.allocate());
        for holder in holders.iter().filter(|h| settled.seats.iter().any(|s| s.holder.identity() == **h)) {
            prop_assert!(after.bindings.iter().any(|b| b.holder == *holder), "{} lost the place", holder);
        }
    }

    #[test]
    fn no_seat_stays_empty_without_a_reason_while_somebody_waits(mut world in world()) {
        world.grants = true;
        let allocation = world.allocate();
        let after = world.after(&allocation);
        let bound = bound(&allocation);
        let full = bound.len() == world.limit as usize;
        for standing in allocation.standings.values() {
            if let Standing::Waiting { why, .. } = standing {
                let reason = match why {
                    Why::NoFreeSeat | Why::Cools(_) => full || bound.len() + after.cooling.len() + after.activated.len() >= world.limit as usize,
                    Why::GroupFull(name) => world.groups.iter().any(|g| g.name == *name && g.seats == Some(world.members(g, &bound))),
                    Why::Reserved => world.groups.iter().any(|g| world.members(g, &bound) < g.reserved),
                };
                prop_assert!(reason, "{why:?}");
            }
        }
    }

    #[test]
    fn every_seat_stands_somewhere_and_positions_count_from_one(world in world()) {
        let allocation = world.allocate();
        prop_assert_eq!(allocation.standings.len(), world.seats.len());
        let mut positions: Vec<usize> = allocation.standings.values()
            .filter_map(|s| if let Standing::Waiting { position, .. } = s { Some(*position) } else { None }).collect();
        positions.sort_unstable();
        prop_assert_eq!(&positions, &(1..=positions.len()).collect::<Vec<_>>());
    }
}
