//! The queue: who of those who ask is given what is free.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use jiff::Timestamp;

use crate::domain::{
    allocation::{Candidate, Cooling, Held, Rules, Standing, Why},
    license::{Group, Seat, Uid},
    text::Label,
};

/// The order of the waiting.
pub(super) fn order(seat: &Seat) -> (Reverse<i32>, Timestamp, usize, String, Uid) {
    (Reverse(seat.priority), seat.created, seat.place, seat.name.clone(), seat.uid.clone())
}

/// What is free, and for whom.
struct Room<'a> {
    /// Seats that nobody holds and that do not cool.
    free: usize,
    groups: HashMap<&'a Label, Part<'a>>,
}

/// What is free of a group.
struct Part<'a> {
    group: &'a Group,
    bound: u32,
}

impl Part<'_> {
    fn is_full(&self) -> bool {
        self.group.seats.is_some_and(|seats| self.bound >= seats)
    }

    /// What of its reserve is not filled. A reserve beyond its own seats can never be filled and keeps nothing.
    fn unfilled(&self) -> usize {
        let most = self.group.seats.map_or(self.group.reserved, |seats| seats.min(self.group.reserved));
        usize::try_from(most.saturating_sub(self.bound)).unwrap_or(usize::MAX)
    }
}

impl<'a> Room<'a> {
    fn new(rules: &Rules<'a>, free: usize, keeping: &[Candidate<'_>]) -> Self {
        let groups = rules.groups.iter().map(|group| (&group.name, Part { group, bound: 0 })).collect();
        let mut room = Self { free, groups };
        keeping.iter().for_each(|candidate| room.enter(candidate));
        room
    }

    fn part(&self, candidate: &Candidate<'_>) -> Option<&Part<'a>> {
        self.groups.get(candidate.group()?)
    }

    /// Counts `candidate` to their group.
    fn enter(&mut self, candidate: &Candidate<'_>) {
        if let Some(part) = candidate.group().and_then(|group| self.groups.get_mut(group)) {
            part.bound = part.bound.saturating_add(1);
        }
    }

    fn is_full_for(&self, candidate: &Candidate<'_>) -> bool {
        self.part(candidate).is_some_and(Part::is_full)
    }

    fn fills_a_reserve(&self, candidate: &Candidate<'_>) -> bool {
        self.part(candidate).is_some_and(|part| part.unfilled() > 0)
    }

    /// What is free for anybody.
    fn general(&self) -> usize {
        let kept = self.groups.values().map(Part::unfilled).fold(0, usize::saturating_add);
        self.free.saturating_sub(kept)
    }

    /// Takes those out of `queue` who may have a seat, in order.
    fn serve<'c>(
        &mut self,
        queue: &mut Vec<Candidate<'c>>,
        may: impl Fn(&Self, &Candidate<'_>) -> bool,
    ) -> Vec<Candidate<'c>> {
        let served = queue.extract_if(.., |candidate| {
            let takes = self.free > 0 && !self.is_full_for(candidate) && may(self, candidate);
            if takes {
                self.free -= 1;
                self.enter(candidate);
            }
            takes
        });
        served.collect()
    }
}

/// Gives what is free to those who ask, and says how the others wait. Returns whoever is bound now, in order.
pub(super) fn serve<'a>(
    rules: &Rules<'_>,
    limit: usize,
    keeping: &[Candidate<'_>],
    mut queue: Vec<Candidate<'a>>,
    held: &Held<'_>,
    standings: &mut BTreeMap<Uid, Standing>,
) -> Vec<Candidate<'a>> {
    queue.sort_by_key(|candidate| order(candidate.seat));
    let untaken = limit.saturating_sub(keeping.len());
    let (mut taken, mut cooling) = (Vec::new(), held.cooling.to_vec());
    let mut activated: HashSet<&str> = held.with_seats.iter().map(String::as_str).collect();
    let without_seats = held.activated.saturating_sub(activated.len());
    let mut room = Room::new(rules, untaken, keeping);
    if rules.grants {
        let cools: HashSet<&str> = cooling.iter().map(|cooling| cooling.holder.as_str()).collect();
        let mine = |holder: &str| cools.contains(holder) || activated.contains(holder);
        taken = room.serve(&mut queue, |_, candidate| mine(&candidate.holder));
        let back: HashSet<&str> = taken.iter().map(|candidate| candidate.holder.as_str()).collect();
        cooling.retain(|cooling| !back.contains(cooling.holder.as_str()));
        activated.retain(|holder| !back.contains(holder));
    }
    let activated = without_seats + activated.len();
    room.free = room.free.saturating_sub(cooling.len() + activated);
    if rules.grants {
        taken.extend(room.serve(&mut queue, Room::fills_a_reserve));
        taken.extend(room.serve(&mut queue, |room, _| room.general() > 0));
    }
    // What cools is given to nobody, but only so much of it as there would be.
    cooling.sort_by_key(|cooling| cooling.until);
    cooling.truncate(untaken.saturating_sub(taken.len() + activated));
    wait(rules, &room, &queue, &cooling, standings);
    taken
}

/// How those stand who go without.
fn wait(
    rules: &Rules<'_>,
    room: &Room<'_>,
    queue: &[Candidate<'_>],
    cooling: &[Cooling],
    standings: &mut BTreeMap<Uid, Standing>,
) {
    let mut reserves: HashMap<&Label, usize> =
        room.groups.iter().map(|(name, part)| (*name, part.unfilled())).collect();
    let (first, rest): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) = queue.iter().partition(|candidate| {
        let left = candidate.group().and_then(|group| reserves.get_mut(group)).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    });
    let mut next_to_cool = cooling.iter();
    for (position, candidate) in (1..).zip(first.into_iter().chain(rest)) {
        let why = match candidate.group() {
            Some(group) if room.is_full_for(candidate) => Why::GroupFull(group.clone()),
            _ if rules.grants && room.free > 0 => Why::Reserved,
            _ if rules.grants => {
                next_to_cool.next().map_or(Why::NoFreeSeat, |cooling| Why::Cools(cooling.until))
            }
            _ => Why::NoFreeSeat,
        };
        standings.insert(candidate.seat.uid.clone(), Standing::Waiting { position, why });
    }
}
