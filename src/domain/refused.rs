//! Refusals, as the audit is told of them: they are counted, so that a flood of them is no flood of entries.
//!
//! ```text
//!   refused ──► the first of its caller with its code since the minute began? ──► told at once
//!                 │ no: counted                                                      │
//!                 ▼                                                                  ▼
//!   the minute is over ──► of each caller and code, how many more; then another minute begins with the next refusal
//! ```
//!
//! 1. Callers are told apart while there are few: whoever comes after [`KNOWN`] of those with a good credential, or after [`STRANGERS`] of those
//!    without one, is counted by the code alone. So strangers crowd out no caller, and a minute is some 150 entries at most, whoever comes.
//! 2. What is no request at all, and what was put off because something is away, is not told: nobody was denied anything.
//! 3. A clock that went back ends the minute.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::refusal::Code;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// So many callers and codes of those whose credential was good are told apart in a minute.
const KNOWN: usize = 48;
/// The same, of those who had none that is good.
const STRANGERS: usize = 16;

/// Who was refused: a salted hash, which tells one caller from another and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller(pub [u8; 32]);

/// What the audit is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The first of a caller with a code, by the name of the call.
    First(&'static str, Code, Caller),
    /// How many more there were in that minute; of no caller, of all who were not told apart.
    More(Code, Option<Caller>, u64),
}

/// Whether a code means that somebody was denied something, and whether they had a credential that is good.
#[must_use]
pub const fn has_credential(code: Code) -> Option<bool> {
    match code {
        Code::NotFound
        | Code::MethodNotAllowed
        | Code::RequestInvalid
        | Code::MediaTypeUnsupported
        | Code::RequestTooLarge
        | Code::RequestTimeout
        | Code::HeadersTooLarge
        | Code::Unavailable
        | Code::Overloaded
        | Code::ClusterUnreachable
        | Code::LedgerMissing
        | Code::LedgerForeign => None,
        Code::Unauthorized
        | Code::ProofMissing
        | Code::ProofInvalid
        | Code::ProofStale
        | Code::AudienceWrong
        | Code::RateLimited => Some(false),
        _ => Some(true),
    }
}

/// The refusals of a minute.
#[derive(Debug, Default)]
pub struct Tally {
    began: Option<Timestamp>,
    apart: BTreeMap<(Code, Caller), u64>,
    together: BTreeMap<Code, u64>,
    first: Vec<Told>,
}

impl Tally {
    /// Notes that `call` was refused to `caller` at `now`.
    pub fn note(&mut self, call: &'static str, code: Code, caller: Caller, now: Timestamp) {
        let Some(is_known) = has_credential(code) else { return };
        self.began.get_or_insert(now);
        if let Some(count) = self.apart.get_mut(&(code, caller)) {
            *count = count.saturating_add(1);
            return;
        }
        let most = if is_known { KNOWN } else { STRANGERS };
        let alike = self.apart.keys().filter(|(other, _)| has_credential(*other) == Some(is_known));
        if alike.count() >= most {
            let count = self.together.entry(code).or_default();
            *count = count.saturating_add(1);
            return;
        }
        self.apart.insert((code, caller), 0);
        self.first.push(Told::First(call, code, caller));
    }

    /// What is to be told at `now`, once.
    pub fn take(&mut self, now: Timestamp) -> Vec<Told> {
        let over = |began: Timestamp| now < began || now.duration_since(began) >= MINUTE;
        if self.began.is_some_and(over) { self.take_all() } else { std::mem::take(&mut self.first) }
    }

    /// The same, as if the minute were over.
    pub fn take_all(&mut self) -> Vec<Told> {
        let Self { apart, together, first, .. } = std::mem::take(self);
        let apart = apart.into_iter().map(|((code, caller), more)| Told::More(code, Some(caller), more));
        let together = together.into_iter().map(|(code, more)| Told::More(code, None, more));
        let more = apart.chain(together).filter(|told| !matches!(told, Told::More(_, _, 0)));
        first.into_iter().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    const FULL: Code = Code::SeatsExhausted;

    fn caller(number: u16) -> Caller {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Caller(bytes)
    }

    #[test]
    fn of_a_caller_and_a_code_the_first_in_a_minute_is_told_at_once_and_then_how_many_more() {
        let (mut tally, ann, bob) = (Tally::default(), caller(1), caller(2));
        tally.note("activate", FULL, ann, at(100));
        assert_eq!(tally.take(at(100)), [Told::First("activate", FULL, ann)]);
        for second in [101, 120, 159] {
            tally.note("activate", FULL, ann, at(second));
        }
        tally.note("activate", FULL, bob, at(120));
        tally.note("refresh", Code::LicenseSuspended, ann, at(130));
        let firsts = tally.take(at(159));
        assert_eq!(
            firsts,
            [Told::First("activate", FULL, bob), Told::First("refresh", Code::LicenseSuspended, ann)]
        );
        assert_eq!(tally.take(at(160)), [Told::More(FULL, Some(ann), 3)]);
        assert_eq!(tally.take(at(300)), [], "silence tells nothing");
        tally.note("activate", FULL, ann, at(300));
        assert_eq!(tally.take(at(300)), [Told::First("activate", FULL, ann)], "another minute");
    }

    #[test]
    fn a_flood_is_counted_and_strangers_crowd_out_nobody() {
        let mut tally = Tally::default();
        for number in 0..10_000 {
            tally.note("refresh", Code::Unauthorized, caller(number), at(100));
        }
        tally.note("activate", FULL, caller(1), at(101));
        for number in 0..10_000 {
            tally.note("activate", FULL, caller(number), at(102));
        }
        let told = tally.take(at(160));
        let firsts = told.iter().filter(|told| matches!(told, Told::First(..))).count();
        assert_eq!(firsts, KNOWN + STRANGERS);
        let strangers = Told::More(Code::Unauthorized, None, 10_000 - u64::try_from(STRANGERS).unwrap());
        let known = Told::More(FULL, None, 10_000 - u64::try_from(KNOWN).unwrap());
        assert!(told.contains(&strangers) && told.contains(&known), "{told:?}");
        assert_eq!(told.len(), firsts + 3, "and caller 1, once more");
    }

    #[test]
    fn what_denies_nobody_anything_is_not_told() {
        let mut tally = Tally::default();
        for code in [Code::NotFound, Code::RequestInvalid, Code::Unavailable, Code::LedgerMissing] {
            tally.note("other", code, caller(1), at(100));
        }
        assert_eq!(tally.take_all(), []);
    }

    #[test]
    fn a_clock_that_went_back_ends_the_minute() {
        let mut tally = Tally::default();
        for _ in 0..2 {
            tally.note("activate", FULL, caller(1), at(10_000));
        }
        let told = [Told::First("activate", FULL, caller(1)), Told::More(FULL, Some(caller(1)), 1)];
        assert_eq!(tally.take(at(100)), told);
    }
}
