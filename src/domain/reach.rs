//! Whether whoever leads still reaches the ledger, and could commit there.
//!
//! ```text
//!   asked at t, answered ──► reached as of t            nothing since t, for `GIVE_UP` ──► cut off: another one may lead
//! ```
//!
//! 1. An answer counts from when it was asked for: nobody knows when it was given.
//! 2. Whoever is cut off gives the lead up, and does not try for it again before the ledger has answered.

use std::time::Duration;

/// How long a leader goes on without an answer of the ledger: longer than a database takes to restart, and less than people take to notice.
pub const GIVE_UP: Duration = Duration::from_secs(15);
/// How long after an answer it asks again.
pub const PAUSE: Duration = Duration::from_secs(3);

/// Since when nothing was heard. Instants are of a clock that is never turned.
#[derive(Debug, Clone, Copy)]
pub struct Reach(Duration);

impl Reach {
    /// Reached as of `now`.
    #[must_use]
    pub const fn begin(now: Duration) -> Self {
        Self(now)
    }

    /// What was asked at `asked` was answered.
    pub fn answered(&mut self, asked: Duration) {
        self.0 = self.0.max(asked);
    }

    /// How long an answer may still take; nothing, once the ledger is cut off.
    #[must_use]
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.0.saturating_add(GIVE_UP).checked_sub(now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_hears_nothing_for_so_long_is_cut_off_and_not_before() {
        let mut reach = Reach::begin(s(100));
        assert_eq!(reach.left(s(100)), Some(GIVE_UP));
        reach.answered(s(103));
        assert_eq!(reach.left(s(117)), Some(s(1)));
        assert_eq!(reach.left(s(118)), None);
        assert_eq!(reach.left(s(200)), None);
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked_for_and_a_late_one_takes_nothing_back() {
        let mut reach = Reach::begin(s(0));
        reach.answered(s(9));
        reach.answered(s(3));
        assert_eq!(reach.left(s(10)), Some(s(14)));
    }
}
