//! Who holds a seat and who waits.
//!
//! ```text
//!                 ┌──────────── a free seat, first in the queue ───────────┐
//!   Seat ──► Waiting ──────────────────────────────────────────────────► Bound ──► moves to the holder's other Seat
//!             ▲ ▲ ▲ ▲                                                      │
//!             │ │ │ └── a limit was lowered: lowest priority, then latest ─┤
//!             │ │ └ Resting (suspended, …)   Barred (holds enough elsewhere)│
//!             │ └── the holder's other Seat went: Duplicate                │
//!             └─────────── cools (`reassignAfter`) ◄── the Seats went ─────┘
//! ```
//!
//! 1. At most `limit` holders are bound, always; of a group at most its `seats`.
//! 2. One holder counts once: of several Seats one stands for the holder, the others are duplicates. The one that is bound goes
//!    on standing; when it goes and another one is there, the holder keeps the seat and the other one stands.
//! 3. The waiting stand in order: those who fill a reserve of their group first, then priority (higher first), age
//!    (older first; it is told in whole seconds), place in the assignments, name.
//! 4. Reserves that are not filled stay empty.
//! 5. Nobody loses a seat because somebody was added. A lowered limit takes from those outside reserves, then from the lowest
//!    priority, then from whoever was bound last.
//! 6. A seat that was freed cools: it is given to nobody but its former holder until its time has come.
//!    So is a place that an activation holds: whoever has it is given their Seat, and nobody else.
//! 7. Who rests, or holds enough seats of the product elsewhere, keeps what they hold and is not in the queue.
//! 8. While the License does not grant, whoever holds keeps, and the queue stands still.
//! 9. So many may be given seats at once that others would have to wait for it: then some are bound later, in the same order.
//! 10. The order in which Seats and bindings are told makes no difference; allocating again changes nothing.

#[cfg(test)]
mod properties;
mod queue;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use jiff::Timestamp;

use crate::domain::{
    license::{Group, Seat, Uid},
    reason::Because,
    terms::Client,
    text::Label,
};

/// A seat that is taken: the ledger's fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The Seat that stands for the holder.
    pub seat: Uid,
    /// Who holds it: [`crate::domain::license::Holder::identity`].
    pub holder: String,
    /// Rises with each binding of a License: who was bound later has the higher number.
    pub ordinal: i64,
}

/// A seat that was freed and is not given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    /// Who held it.
    pub holder: String,
    /// Until when it cools.
    pub until: Timestamp,
}

/// What the License says about its seats.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// How many may be bound at once.
    pub limit: u32,
    /// Whether the waiting may be given free seats.
    pub grants: bool,
    /// Parts of the contract.
    pub groups: &'a [Group],
    /// How many Licenses of the product one person may hold seats of.
    pub max_per_user: Option<u32>,
}

/// Who holds what already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held<'a> {
    /// The bindings of today; those of Seats that are no longer there are freed.
    pub bindings: &'a [Binding],
    /// Bindings that stay as they are because their Seats cannot be read, each with the name of its Seat.
    pub kept: &'a [(Binding, String)],
    /// How many seats of the product a holder has under other Licenses of the namespace.
    pub elsewhere: Option<&'a BTreeMap<String, u32>>,
    /// Seats that cool.
    pub cooling: &'a [Cooling],
    /// How many places are held by activations whose holders have no binding: these are given to nobody but them.
    pub activated: usize,
    /// Of these holders, those who have Seats.
    pub with_seats: &'a [String],
}

/// Why somebody waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// All seats are taken.
    NoFreeSeat,
    /// All seats of the group are taken.
    GroupFull(Label),
    /// What is free is kept for groups that have not filled their reserves.
    Reserved,
    /// A seat was freed, and cools until then.
    Cools(Timestamp),
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
        /// Why it has no seat.
        why: Why,
    },
    /// It asks for nothing now.
    Resting(Because),
    /// Its holder has so many seats of the product under other Licenses.
    Barred {
        /// How many.
        elsewhere: u32,
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
    /// Bindings whose holder goes on holding by another Seat: from, to.
    pub moved: Vec<(Uid, Uid)>,
    /// Whose binding ends because the limit was lowered, or because the Seat is gone.
    pub free: BTreeSet<Uid>,
    /// Who is bound, in the order in which they were.
    pub bound: Vec<Uid>,
}

impl Allocation {
    /// Leaves of those who are bound anew the first `most`. The others stand nowhere yet: allocating again gives them their seats.
    /// Returns whether there are such.
    pub fn bind_at_most(&mut self, most: usize) -> bool {
        let later: HashSet<Uid> = self.take.split_off(most.min(self.take.len())).into_iter().collect();
        self.bound.retain(|seat| !later.contains(seat));
        self.standings.retain(|seat, _| !later.contains(seat));
        !later.is_empty()
    }
}

/// One holder, and the Seat that stands for them.
struct Candidate<'a> {
    holder: String,
    seat: &'a Seat,
    /// The one that would stand if none were bound: the first in the order of the waiting.
    first: &'a Seat,
    /// By which they are bound today.
    binding: Option<&'a Binding>,
}

impl Candidate<'_> {
    /// Whoever loses a seat asks like everybody else.
    fn lose(self) -> Self {
        Self { seat: self.first, ..self }
    }

    fn group(&self) -> Option<&Label> {
        self.seat.group.as_ref()
    }

    /// Who comes first here is the last to lose a seat.
    fn firmness(&self) -> (Reverse<i32>, Option<i64>) {
        (Reverse(self.seat.priority), self.binding.map(|binding| binding.ordinal))
    }
}

/// Allots seats.
#[must_use]
pub fn allocate(rules: &Rules<'_>, seats: &[Seat], held: &Held<'_>) -> Allocation {
    let limit = usize::try_from(rules.limit).unwrap_or(usize::MAX).saturating_sub(held.kept.len());
    let (mut keeping, mut asking): (Vec<_>, Vec<_>) =
        candidates(seats, held).into_iter().partition(|candidate| candidate.binding.is_some());
    keeping.sort_by_key(Candidate::firmness);
    let mut lost = beyond_groups(rules.groups, &mut keeping);
    lost.extend(beyond_limit(rules.groups, limit, &mut keeping));
    asking.extend(lost.into_iter().map(Candidate::lose));

    let mut allocation = Allocation::default();
    let mut queued = Vec::new();
    for candidate in asking {
        match out_of_queue(rules, held, &candidate) {
            Some(standing) => drop(allocation.standings.insert(candidate.seat.uid.clone(), standing)),
            None => queued.push(candidate),
        }
    }
    keeping.sort_by_key(|candidate| candidate.binding.map(|binding| binding.ordinal));
    let taken = queue::serve(rules, limit, &keeping, queued, held, &mut allocation.standings);

    for candidate in &keeping {
        let (seat, binding) = (&candidate.seat.uid, candidate.binding.map(|binding| &binding.seat));
        allocation
            .moved
            .extend(binding.filter(|from| *from != seat).map(|from| (from.clone(), seat.clone())));
    }
    allocation.take = taken.iter().map(|candidate| candidate.seat.uid.clone()).collect();
    for candidate in keeping.iter().chain(&taken) {
        allocation.bound.push(candidate.seat.uid.clone());
        allocation.standings.insert(candidate.seat.uid.clone(), Standing::Bound);
    }
    let keep: HashSet<&str> = keeping.iter().map(|candidate| candidate.holder.as_str()).collect();
    let lost = held.bindings.iter().filter(|binding| !keep.contains(binding.holder.as_str()));
    allocation.free = lost.map(|binding| binding.seat.clone()).collect();
    duplicates(seats, held, &mut allocation);
    allocation
}

/// One candidate a holder: by the Seat that is bound, else by the first in the order of the waiting.
fn candidates<'a>(seats: &'a [Seat], held: &Held<'a>) -> Vec<Candidate<'a>> {
    let bindings: HashMap<&str, &Binding> = held.bindings.iter().map(|b| (b.holder.as_str(), b)).collect();
    let elsewhere: HashSet<&str> = held.kept.iter().map(|(binding, _)| binding.holder.as_str()).collect();
    let mut of_holder: BTreeMap<String, Vec<&Seat>> = BTreeMap::new();
    for seat in seats {
        of_holder.entry(seat.holder.identity()).or_default().push(seat);
    }
    of_holder.retain(|holder, _| !elsewhere.contains(holder.as_str()));
    let candidate = |(holder, seats): (String, Vec<&'a Seat>)| {
        let binding = bindings.get(holder.as_str()).copied();
        let bound = seats.iter().find(|seat| binding.is_some_and(|binding| binding.seat == seat.uid));
        let first = *seats.iter().min_by_key(|seat| queue::order(seat))?;
        Some(Candidate { holder, seat: bound.copied().unwrap_or(first), first, binding })
    };
    of_holder.into_iter().filter_map(candidate).collect()
}

/// Takes out of `keeping`, firmest first, whoever is too many in their group.
fn beyond_groups<'a>(groups: &[Group], keeping: &mut Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
    let mut counts: HashMap<Label, u32> = HashMap::new();
    let most = |name: &Label| groups.iter().find(|group| group.name == *name).and_then(|group| group.seats);
    keeping
        .extract_if(.., |candidate| {
            let Some(group) = candidate.seat.group.clone() else { return false };
            let most = most(&group);
            let count = counts.entry(group).or_default();
            *count += 1;
            most.is_some_and(|most| *count > most)
        })
        .collect()
}

/// Takes out of `keeping` whoever is beyond the limit: those outside reserves first, then the least firm.
fn beyond_limit<'a>(groups: &[Group], limit: usize, keeping: &mut Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
    let mut reserves: HashMap<&Label, u32> =
        groups.iter().map(|group| (&group.name, group.reserved)).collect();
    let mut outside = |candidate: &Candidate<'_>| match candidate.group().and_then(|g| reserves.get_mut(g)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    let mut ranked: Vec<(bool, Candidate<'a>)> =
        keeping.drain(..).map(|candidate| (outside(&candidate), candidate)).collect();
    ranked.sort_by_key(|(outside, candidate)| (*outside, candidate.firmness()));
    let lost = ranked.split_off(limit.min(ranked.len()));
    keeping.extend(ranked.into_iter().map(|(_, candidate)| candidate));
    lost.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How somebody stands who holds nothing and is not in the queue.
fn out_of_queue(rules: &Rules<'_>, held: &Held<'_>, candidate: &Candidate<'_>) -> Option<Standing> {
    if let Some(because) = &candidate.seat.rests {
        return Some(Standing::Resting(because.clone()));
    }
    let most = rules.max_per_user.filter(|_| candidate.seat.holder.client() == Client::Users)?;
    let elsewhere = held.elsewhere?.get(&candidate.holder).copied().unwrap_or(0);
    (elsewhere >= most).then_some(Standing::Barred { elsewhere })
}

/// Whoever does not stand yet is one of several Seats of a holder.
fn duplicates(seats: &[Seat], held: &Held<'_>, allocation: &mut Allocation) {
    let kept = held.kept.iter().map(|(binding, name)| (binding.holder.clone(), name.clone()));
    let standing = seats.iter().filter(|seat| allocation.standings.contains_key(&seat.uid));
    let heads: HashMap<String, String> =
        standing.map(|seat| (seat.holder.identity(), seat.name.clone())).chain(kept).collect();
    for seat in seats {
        if let (false, Some(of)) =
            (allocation.standings.contains_key(&seat.uid), heads.get(&seat.holder.identity()))
        {
            allocation.standings.insert(seat.uid.clone(), Standing::Duplicate { of: of.clone() });
        }
    }
}
