//! A device on which somebody is signed in, and its device tokens.
//!
//! ```text
//!   t0 ──use──► t1 ──use──► t2 …      the last one is good; the one before it until the last one is used, for its reply may be lost
//!    │
//!    └─ shown when t2 was given: somebody has a copy ──► the login ends, for all
//! ```
//!
//! 1. Each use of a device token gives its successor, and takes the place of a successor that nobody used.
//! 2. Whatever else of the family is shown was used, or was overtaken: two have the tokens, and nobody can say who is the right one.
//! 3. A login ends 30 days after it was last used, and after 90 days in any case.

use jiff::{SignedDuration, Timestamp};

/// How long an access token is good, in seconds: so long may a person go on who was signed out nowhere but at the provider.
pub const ACCESS: i64 = 600;
/// After so many seconds without use a login ends.
pub const IDLE: i64 = 30 * 24 * 3_600;
/// After so many seconds it ends in any case.
pub const LIFE: i64 = 90 * 24 * 3_600;
/// How long a code is good, in seconds: a program on this machine waits for it.
pub const CODE: i64 = 60;
/// How long somebody may take to sign in, in seconds: passwords are looked for, second factors fetched.
pub const PATIENCE: i64 = 600;

/// What a device token of a login's family is, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The last one.
    Current,
    /// The one before, whose successor nobody has used.
    Previous,
    /// One that was used, or overtaken.
    Stale,
}

/// What `token` is, of a login that has these.
#[must_use]
pub fn shown(token: &str, current: &str, previous: Option<&str>) -> Shown {
    if token == current {
        Shown::Current
    } else if previous == Some(token) {
        Shown::Previous
    } else {
        Shown::Stale
    }
}

/// The first instant at which a login is over that began at `since` and is used now.
#[must_use]
pub fn ends_at(since: Timestamp, now: Timestamp) -> Timestamp {
    after(now, IDLE).min(after(since, LIFE))
}

/// `seconds` after `at`.
#[must_use]
pub fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    #[test]
    fn the_last_token_and_the_one_before_it_are_good_and_no_other() {
        assert_eq!(shown("t2", "t2", Some("t1")), Shown::Current);
        assert_eq!(shown("t1", "t2", Some("t1")), Shown::Previous);
        assert_eq!(shown("t0", "t2", Some("t1")), Shown::Stale);
        assert_eq!(shown("t0", "t1", None), Shown::Stale);
    }

    #[test]
    fn a_login_ends_a_month_after_its_last_use_and_after_three_in_any_case() {
        assert_eq!(ends_at(at(0), at(5)), at(5 + IDLE));
        assert_eq!(ends_at(at(0), at(LIFE - IDLE)), at(LIFE));
        assert_eq!(ends_at(at(0), at(LIFE - 1)), at(LIFE));
        assert_eq!(ends_at(at(0), Timestamp::MAX), at(LIFE));
    }
}
