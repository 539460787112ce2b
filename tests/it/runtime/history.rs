//! What programs wrote down of what they were answered, and whether it can be true.
//!
//! An entry is one request, however often it was sent: it begins before it is first sent, and ends after it was answered. When the
//! server did it is somewhere between. What is certain: a place or a session is held from the end of the request that took it
//! to the beginning of the one that gives it back; what is possible: from beginning to end.

use std::collections::{BTreeMap, BTreeSet};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Place,
    Session,
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This is held from now on.
    Took(Kind, String),
    /// It is held no more.
    GaveBack(Kind, String),
    /// All of them are taken.
    Exhausted(Kind),
    /// The activation's nonce was used, and that is its next one.
    Went { activation: String, used: String, next: String },
    /// The activation's nonce was used before, by another request.
    Forked { activation: String, used: String },
    /// Anything else.
    Other(String),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub begun: u64,
    pub ended: u64,
    pub answer: Answer,
}

/// From when until when something is held, for certain and possibly.
struct Held {
    kind: Kind,
    certain: (u64, u64),
    possible: (u64, u64),
}

fn all_held(history: &[Entry]) -> Result<Vec<Held>, String> {
    let mut given: BTreeMap<(Kind, &str), &Entry> = BTreeMap::new();
    let mut taken: BTreeMap<(Kind, &str), &Entry> = BTreeMap::new();
    for entry in history {
        let (known, of) = match &entry.answer {
            Answer::Took(kind, id) => (&mut taken, (*kind, id.as_str())),
            Answer::GaveBack(kind, id) => (&mut given, (*kind, id.as_str())),
            _ => continue,
        };
        if known.insert(of, entry).is_some() {
            return Err(format!("{of:?} twice"));
        }
    }
    let held = taken.iter().map(|(of, took)| {
        let (from, to) = given.get(of).map_or((u64::MAX, u64::MAX), |gave| (gave.begun, gave.ended));
        Held { kind: of.0, certain: (took.ended, from), possible: (took.begun, to) }
    });
    Ok(held.collect())
}

/// Whether at no instant more are held for certain than there are.
fn limit_holds(held: &[Held], kind: Kind, limit: usize) -> Result<(), String> {
    let of_kind = || held.iter().filter(|held| held.kind == kind);
    for one in of_kind() {
        // The most are held when one is taken.
        let at = one.certain.0;
        let count = of_kind().filter(|held| held.certain.0 <= at && at < held.certain.1).count();
        if count > limit {
            return Err(format!("{count} of {kind:?} are held at {at}, {limit} at most"));
        }
    }
    Ok(())
}

/// Whether there was an instant at which all may have been taken.
fn was_full(held: &[Held], kind: Kind, limit: usize, (begun, ended): (u64, u64)) -> bool {
    let of_kind = || held.iter().filter(|held| held.kind == kind);
    let starts = of_kind().map(|held| held.possible.0).filter(|at| (begun..=ended).contains(at));
    std::iter::once(begun)
        .chain(starts)
        .any(|at| of_kind().filter(|held| held.possible.0 <= at && at <= held.possible.1).count() >= limit)
}

/// Whether each chain is one: no nonce went twice, and what went is what had come before.
fn chains_hold(history: &[Entry]) -> Result<(), String> {
    let mut used = BTreeSet::new();
    let mut next: BTreeMap<&str, &str> = BTreeMap::new();
    let mut in_order: Vec<&Entry> = history.iter().collect();
    in_order.sort_by_key(|entry| entry.ended);
    for entry in in_order {
        let Answer::Went { activation, used: nonce, next: following } = &entry.answer else { continue };
        if !used.insert(nonce) {
            return Err(format!("{nonce} went twice"));
        }
        if next.insert(activation, following).is_some_and(|expected| expected != nonce) {
            return Err(format!("{activation} went on from {nonce}, which it had not been given last"));
        }
    }
    Ok(())
}

/// Whether whoever was taken for a copy was one: another request with the nonce may have gone before.
fn forks_are_true(history: &[Entry]) -> Result<(), String> {
    let mut went: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for entry in history {
        if let Answer::Went { activation, used, .. } = &entry.answer {
            went.insert((activation, used), entry.begun);
        }
    }
    for entry in history {
        let Answer::Forked { activation, used } = &entry.answer else { continue };
        if went.get(&(activation.as_str(), used.as_str())).is_none_or(|begun| *begun > entry.ended) {
            return Err(format!("nobody else had used the nonce of {entry:?}"));
        }
    }
    Ok(())
}

/// Whether the history is one of a server that keeps `limits` and loses nothing that it has answered.
pub fn check(history: &[Entry], limits: &BTreeMap<Kind, usize>) -> Result<(), String> {
    if let Some(entry) = history.iter().find(|entry| matches!(entry.answer, Answer::Other(_))) {
        return Err(format!("nobody did anything to deserve {entry:?}"));
    }
    let held = all_held(history)?;
    for (kind, limit) in limits {
        limit_holds(&held, *kind, *limit)?;
        for entry in history.iter().filter(|entry| entry.answer == Answer::Exhausted(*kind)) {
            if !was_full(&held, *kind, *limit, (entry.begun, entry.ended)) {
                return Err(format!("{kind:?} was refused although one was free: {entry:?}"));
            }
        }
    }
    forks_are_true(history)?;
    chains_hold(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(begun: u64, ended: u64, id: &str) -> Entry {
        Entry { begun, ended, answer: Answer::Took(Kind::Place, id.into()) }
    }

    fn gave(begun: u64, ended: u64, id: &str) -> Entry {
        Entry { begun, ended, answer: Answer::GaveBack(Kind::Place, id.into()) }
    }

    fn refused(begun: u64, ended: u64) -> Entry {
        Entry { begun, ended, answer: Answer::Exhausted(Kind::Place) }
    }

    fn went(at: u64, used: &str, next: &str) -> Entry {
        let answer = Answer::Went { activation: "a".into(), used: used.into(), next: next.into() };
        Entry { begun: at, ended: at, answer }
    }

    fn check(history: &[Entry]) -> Result<(), String> {
        super::check(history, &BTreeMap::from([(Kind::Place, 1)]))
    }

    fn is_forged(history: &[Entry], sentence: &str) {
        let said = check(history).unwrap_err();
        assert!(said.contains(sentence), "{said}");
    }

    #[test]
    fn a_place_is_held_by_one_after_the_other() {
        check(&[took(0, 1, "a"), gave(2, 3, "a"), took(4, 5, "b")]).unwrap();
        // It may have been given back before it was taken again.
        check(&[took(0, 1, "a"), gave(2, 5, "a"), took(3, 4, "b")]).unwrap();
        is_forged(&[took(0, 1, "a"), took(4, 5, "b"), gave(6, 7, "a")], "2 of Place are held at 5");
        is_forged(&[took(0, 1, "a"), took(4, 5, "a")], "twice");
    }

    #[test]
    fn a_refusal_is_true_if_all_may_have_been_taken() {
        check(&[took(0, 1, "a"), refused(2, 3)]).unwrap();
        check(&[refused(0, 3), took(2, 4, "a")]).unwrap();
        is_forged(&[refused(0, 1), took(2, 4, "a")], "although one was free");
        is_forged(&[took(0, 1, "a"), gave(2, 3, "a"), refused(4, 5)], "although one was free");
    }

    #[test]
    fn a_chain_goes_on_from_what_was_given_last() {
        check(&[went(1, "n0", "n1"), went(2, "n1", "n2")]).unwrap();
        is_forged(&[went(1, "n0", "n1"), went(2, "n0", "n2")], "n0 went twice");
        is_forged(&[went(1, "n0", "n1"), went(2, "n7", "n8")], "which it had not been given last");
    }

    #[test]
    fn a_copy_is_one_if_another_may_have_gone_before() {
        let forked = |begun, ended| {
            let answer = Answer::Forked { activation: "a".into(), used: "n0".into() };
            Entry { begun, ended, answer }
        };
        check(&[went(2, "n0", "n1"), forked(1, 3)]).unwrap();
        is_forged(&[went(2, "n0", "n1"), forked(0, 1)], "nobody else had used the nonce");
        is_forged(&[went(2, "n1", "n2"), forked(1, 3)], "nobody else had used the nonce");
    }

    #[test]
    fn nobody_is_refused_for_nothing() {
        let answer = Answer::Other("409 nonce-used".into());
        is_forged(&[Entry { begun: 0, ended: 1, answer }], "nonce-used");
    }
}
