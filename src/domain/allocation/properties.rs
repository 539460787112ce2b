//! What holds in every world.

use proptest::prelude::*;

use super::{
    tests::{binding, email, group, seat},
    *,
};
use crate::domain::{
    license::{Holder, tests::at},
    reason::Reason,
};

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
    max_per_user: Option<u32>,
    elsewhere: BTreeMap<String, u32>,
    /// Of Seats that cannot be read.
    kept: Vec<(Binding, String)>,
}

impl World {
    fn rules(&self) -> Rules<'_> {
        Rules {
            limit: self.limit,
            grants: self.grants,
            groups: &self.groups,
            max_per_user: self.max_per_user,
        }
    }

    fn allocate(&self) -> Allocation {
        let held = Held {
            bindings: &self.bindings,
            kept: &self.kept,
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

    /// What is left of the limit beside Seats that cannot be read.
    fn places(&self) -> usize {
        (self.limit as usize).saturating_sub(self.kept.len())
    }

    fn seat(&self, uid: &Uid) -> &Seat {
        self.seats.iter().find(|seat| seat.uid == *uid).unwrap()
    }

    /// What is reserved for the group of a Seat, as far as it can ever be filled.
    fn reserve(&self, seat: &Seat) -> u32 {
        let group = self.groups.iter().find(|group| Some(&group.name) == seat.group.as_ref());
        group.map_or(0, |group| group.seats.map_or(group.reserved, |seats| seats.min(group.reserved)))
    }

    /// Whether a place cools for them, or their own activation holds it.
    fn reclaims(&self, seat: &Seat) -> bool {
        let holder = seat.holder.identity();
        self.activated.contains(&holder) || self.cooling.iter().any(|cooling| cooling.holder == holder)
    }

    fn members(&self, group: &Group, bound: &BTreeSet<&Uid>) -> u32 {
        let of =
            self.seats.iter().filter(|s| s.group.as_ref() == Some(&group.name) && bound.contains(&s.uid));
        u32::try_from(of.count()).unwrap()
    }
}

/// Who waits, first to last.
fn queue(allocation: &Allocation) -> Vec<&Uid> {
    let waiting = allocation.standings.iter().filter_map(|(uid, standing)| match standing {
        Standing::Waiting { position, .. } => Some((*position, uid)),
        _ => None,
    });
    waiting.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What the design says of the waiting, reserves aside: priority, age, name.
fn order(seat: &Seat) -> (Reverse<i32>, Timestamp, &str) {
    (Reverse(seat.priority), seat.created, &seat.name)
}

/// Of these people one is a machine: it may be licensed as often as one likes.
fn holder(n: u8) -> Holder {
    match n {
        5 => Holder::Device { id: "9f86".parse().unwrap(), name: None },
        n => email(&format!("h{n}")),
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
        most in (prop::option::of(1u32..4), prop::collection::btree_map(0u8..6, 0u32..4, 0..5)),
        unreadable in prop::collection::btree_set(0u8..8, 0..3),
    ) -> World {
        let groups = (0..).zip(&sizes).map(|(n, (seats, reserved))| group(&format!("g{n}"), *seats, *reserved)).collect();
        // A holder belongs to one group, and rests or not, by whichever Seat.
        let group_of = |n: u8| people.iter().find(|p| p.0 == n).and_then(|p| p.4);
        let rests = |n: u8| people.iter().find(|p| p.0 == n).is_some_and(|p| p.5 == 0);
        let seats: Vec<Seat> = people.iter().enumerate().map(|(n, (who, priority, created, ..))| Seat {
            holder: holder(*who),
            group: group_of(*who).map(|g| format!("g{g}").parse().unwrap()),
            rests: rests(*who).then(|| Because::new(Reason::Suspended, "rests")),
            ..seat(&format!("s{n}"), "nobody", *priority, *created)
        }).collect();
        let identity = |n: &u8| holder(*n).identity();
        let bound_by = |seat: String, n: u8, ordinal: usize| Binding { seat: Uid(seat), holder: holder(n).identity(), ordinal: i64::try_from(ordinal).unwrap() };
        let kept: Vec<(Binding, String)> = unreadable.iter().map(|n| (bound_by(format!("uid-odd{n}"), *n, 50 + usize::from(*n)), format!("odd{n}"))).collect();
        // The ledger binds a holder at most once; one of them has no Seat any more.
        let mut once = unreadable;
        let mut bindings: Vec<Binding> = people.iter().enumerate()
            .filter(|(_, person)| person.3 && once.insert(person.0))
            .map(|(n, person)| bound_by(format!("uid-s{n}"), person.0, n))
            .collect();
        bindings.push(binding("gone", 99));
        // Whoever has a Seat that is bound holds no place beside it.
        let cools = |who: &String| cooling.iter().any(|(n, _)| identity(n) == *who);
        let bound = |who: &String| bindings.iter().chain(kept.iter().map(|(binding, _)| binding)).any(|b| b.holder == *who);
        let activated = activated.iter().map(identity).filter(|who| !bound(who) && !cools(who)).collect();
        let cooling = cooling.iter().map(|(n, until)| Cooling { holder: identity(n), until: at(*until) }).collect();
        let (max_per_user, elsewhere) = most;
        let elsewhere = elsewhere.iter().map(|(n, count)| (identity(n), *count)).collect();
        World { limit, grants, groups, seats, bindings, cooling, activated, max_per_user, elsewhere, kept }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn never_more_than_the_limit_nor_than_a_group_has(world in world()) {
        let allocation = world.allocate();
        let bound = bound(&allocation);
        prop_assert!(bound.len() <= world.places());
        prop_assert!(world.after(&allocation).bindings.len() <= world.places());
        for group in &world.groups {
            prop_assert!(group.seats.is_none_or(|seats| world.members(group, &bound) <= seats));
        }
        let holders: BTreeSet<String> = world.seats.iter()
            .filter(|s| bound.contains(&s.uid)).map(|s| s.holder.identity()).collect();
        prop_assert_eq!(holders.len(), bound.len(), "a holder is bound twice");
        prop_assert!(world.kept.iter().all(|(kept, _)| !holders.contains(&kept.holder)), "and by a Seat that cannot be read");
        prop_assert_eq!(allocation.bound.iter().collect::<BTreeSet<_>>(), bound);
    }

    #[test]
    fn what_is_reserved_what_cools_and_what_an_activation_holds_is_given_to_nobody_else(world in world()) {
        let allocation = world.allocate();
        let after = world.after(&allocation);
        let bound = bound(&allocation);
        let outside: Vec<&Uid> = allocation.take.iter().filter(|uid| {
            let seat = world.seat(uid);
            !world.reclaims(seat) && world.reserve(seat) == 0
        }).collect();
        let unfilled: u32 = world.groups.iter()
            .map(|g| g.seats.map_or(g.reserved, |s| s.min(g.reserved)).saturating_sub(world.members(g, &bound))).sum();
        let kept = unfilled as usize + after.cooling.len() + after.activated.len();
        prop_assert!(outside.is_empty() || bound.len() + kept <= world.places(), "{outside:?} took what is kept");
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
        let full = bound.len() == world.places();
        for standing in allocation.standings.values() {
            if let Standing::Waiting { why, .. } = standing {
                let reason = match why {
                    Why::NoFreeSeat | Why::Cools(_) => full || bound.len() + after.cooling.len() + after.activated.len() >= world.places(),
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

    #[test]
    fn the_waiting_stand_by_unfilled_reserves_then_by_priority_age_and_name(world in world()) {
        let allocation = world.allocate();
        let bound = bound(&allocation);
        let mut left: BTreeMap<&Label, u32> = world.groups.iter()
            .map(|g| (&g.name, g.seats.map_or(g.reserved, |s| s.min(g.reserved)).saturating_sub(world.members(g, &bound)))).collect();
        let mut waiting: Vec<&Seat> = queue(&allocation).into_iter().map(|uid| world.seat(uid)).collect();
        waiting.sort_by_key(|seat| order(seat));
        let (fill, rest): (Vec<&Seat>, Vec<&Seat>) = waiting.into_iter().partition(|seat| {
            let left = seat.group.as_ref().and_then(|group| left.get_mut(group)).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        });
        prop_assert_eq!(queue(&allocation), fill.into_iter().chain(rest).map(|seat| &seat.uid).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_is_given_a_seat_before_somebody_who_stands_before_them(world in world()) {
        let allocation = world.allocate();
        let taken = allocation.take.iter().map(|uid| world.seat(uid));
        for taken in taken.filter(|seat| !world.reclaims(seat)) {
            for (uid, standing) in &allocation.standings {
                let Standing::Waiting { why, .. } = standing else { continue };
                let waits = world.seat(uid);
                let one_group = taken.group == waits.group;
                let aside = !one_group && (world.reserve(taken) > 0 || matches!(why, Why::GroupFull(_)));
                prop_assert!(aside || order(taken) < order(waits), "{} went before {}", taken.name, waits.name);
            }
        }
    }

    #[test]
    fn a_lowered_limit_takes_from_those_outside_reserves_then_by_priority_then_who_was_bound_last(
        world in world(), lower in 0u32..8,
    ) {
        let mut settled = world.after(&world.allocate());
        let (bindings, before) = (settled.bindings.clone(), settled.bindings.len());
        settled.limit = settled.limit.min(lower);
        let allocation = settled.allocate();
        let ordinal = |uid: &Uid| bindings.iter().find(|binding| binding.seat == *uid).unwrap().ordinal;
        let firm = |uid: &Uid| (Reverse(settled.seat(uid).priority), ordinal(uid));
        let held: Vec<&Uid> = bindings.iter().map(|binding| &binding.seat).collect();
        let (lost, kept): (Vec<&Uid>, Vec<&Uid>) = held.into_iter().partition(|uid| allocation.free.contains(*uid));
        prop_assert_eq!(kept.len(), before.min(settled.places()), "no more are taken than must be");
        // The firmest of a group fill its reserve, as long as there is room for all reserves at once.
        let within = |uid: &Uid| {
            let seat = settled.seat(uid);
            let firmer = |other: &&Binding| settled.seat(&other.seat).group == seat.group && firm(&other.seat) < firm(uid);
            bindings.iter().filter(firmer).count() < settled.reserve(seat) as usize
        };
        for lost in &lost {
            for kept in &kept {
                let rank = |uid: &Uid| (!within(uid), firm(uid));
                prop_assert!(rank(kept) < rank(lost), "{kept} was kept and {lost} lost");
            }
        }
    }

    #[test]
    fn nobody_is_given_a_seat_who_has_as_many_of_the_product_elsewhere_as_one_may_have(world in world()) {
        let allocation = world.allocate();
        let barred = |seat: &Seat| {
            let elsewhere = world.elsewhere.get(&seat.holder.identity()).copied().unwrap_or(0);
            seat.holder.client() == Client::Users && world.max_per_user.is_some_and(|most| elsewhere >= most)
        };
        for uid in &allocation.take {
            prop_assert!(!barred(world.seat(uid)), "{uid} has enough elsewhere");
        }
        for (uid, standing) in &allocation.standings {
            match standing {
                Standing::Waiting { .. } => prop_assert!(!barred(world.seat(uid)), "{uid} waits for what never comes"),
                Standing::Barred { .. } => prop_assert!(barred(world.seat(uid)), "{uid} is barred for nothing"),
                _ => {}
            }
        }
        // Who holds keeps, wherever else they hold.
        let held = world.after(&allocation);
        let more = World { elsewhere: world.seats.iter().map(|seat| (seat.holder.identity(), 9)).collect(), ..held };
        let more = more.allocate();
        prop_assert_eq!(bound(&allocation), bound(&more));
    }

    #[test]
    fn who_holds_by_a_seat_that_cannot_be_read_keeps_it_and_takes_no_other(world in world()) {
        let allocation = world.allocate();
        for (kept, name) in &world.kept {
            prop_assert!(!allocation.free.contains(&kept.seat));
            for seat in world.seats.iter().filter(|seat| seat.holder.identity() == kept.holder) {
                prop_assert_eq!(&allocation.standings[&seat.uid], &Standing::Duplicate { of: name.clone() });
            }
        }
    }
}
