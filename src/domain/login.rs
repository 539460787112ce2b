//! A device on which somebody is signed in, and its device tokens.
//!
//! ```text
//!   t0 ──use──► t1 ──use──► t2 …      the last one is good; the one before it until the last one is used, for its reply may be lost
//!    │    └───► t1' (t0 again)         then both successors are good until one of the two is used
//!    └─ shown when t2 was given: it may be a repetition that came late, within a minute; then somebody has a copy ──► the login ends, for all
//! ```
//!
//! 1. Each use of a device token gives its successor. Used again before that was used, it gives another: whichever of the two arrived goes on.
//! 2. Whatever else of the family is shown was used, or was overtaken: two have the tokens, and nobody can say who is the right one. Only the
//!    token that was good until the last use is given nothing for a minute ([`HELD_UP`]), and ends nothing: networks deliver twice, and late. Whoever
//!    waits for an answer is told to come again, so a thief who was faster is found out a minute later.
//! 3. A login ends 30 days after it was last used, and after 90 days in any case.
//! 4. When a device token is used, the provider is asked again whether the person is still there, if it has given something to ask with
//!    and was not asked within the last minute. Programs come every ten minutes ([`ACCESS`]), so that asks each time of those who come as they
//!    should, holds up a program gone wild, and lets a leaver go on for eleven minutes at most ([`LEAVER`]).
//! 5. In a browser somebody is signed in for as long as they sit there: it ends half an hour after it was last used, and after a working day in any
//!    case. It has no tokens.

use jiff::{SignedDuration, Timestamp};

/// How long an access token is good, in seconds: so long may a person go on who was signed out nowhere but at the provider.
pub const ACCESS: i64 = 600;
/// So many seconds a provider is not asked again about one login.
pub const PAUSE: i64 = 60;
/// So long may a person go on whom their provider does not let in any more, if that can be asked again.
pub const LEAVER: i64 = ACCESS + PAUSE;
/// After so many seconds without use a login ends.
pub const IDLE: i64 = 30 * 24 * 3_600;
/// After so many seconds it ends in any case.
pub const LIFE: i64 = 90 * 24 * 3_600;
/// For so many seconds a repetition may be under way: by then proxies and clients have given up.
pub const HELD_UP: i64 = 60;
/// In a browser: after so many seconds without use, for the next at the desk may be somebody else.
pub const BROWSER_IDLE: i64 = 30 * 60;
/// In a browser: after so many seconds in any case, which is a working day.
pub const BROWSER_LIFE: i64 = 8 * 3_600;
/// In a browser use is written down once in so many seconds.
pub const BROWSER_NOTED: i64 = 60;
/// How long a code is good, in seconds: a program on this machine waits for it.
pub const CODE: i64 = 60;
/// How long somebody may take to sign in, in seconds: passwords are looked for, second factors fetched.
pub const PATIENCE: i64 = 600;

/// What a device token of a login's family is, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The last one, or the one that was given in its place before: nobody has used either.
    Current,
    /// The one before, whose successors nobody has used.
    Previous,
    /// The one before that, so soon that it may be a repetition.
    Late,
    /// One that was used, or overtaken.
    Stale,
}

/// The device tokens of a login that are known, by their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens<'a> {
    /// The last one.
    pub current: &'a str,
    /// The one that was given in its place before.
    pub sibling: Option<&'a str>,
    /// The one before.
    pub previous: Option<&'a str>,
    /// The one before that, and the last instant at which it may be a repetition.
    pub late: Option<(&'a str, Timestamp)>,
}

/// What `token` is now, of a login that has these.
#[must_use]
pub fn shown(token: &str, tokens: Tokens<'_>, now: Timestamp) -> Shown {
    if token == tokens.current || tokens.sibling == Some(token) {
        Shown::Current
    } else if tokens.previous == Some(token) {
        Shown::Previous
    } else if tokens.late.is_some_and(|(late, until)| late == token && now <= until) {
        Shown::Late
    } else {
        Shown::Stale
    }
}

/// Whether the provider is to be asked again that was asked then. What lies ahead was written by a clock that has been turned back since.
#[must_use]
pub fn is_to_be_asked(asked_at: Timestamp, now: Timestamp) -> bool {
    !(asked_at..after(asked_at, PAUSE)).contains(&now)
}

/// The first instant at which a login is over that began at `since` and is used now.
#[must_use]
pub fn ends_at(since: Timestamp, now: Timestamp) -> Timestamp {
    after(now, IDLE).min(after(since, LIFE))
}

/// The same, in a browser.
#[must_use]
pub fn browser_ends_at(since: Timestamp, now: Timestamp) -> Timestamp {
    after(now, BROWSER_IDLE).min(after(since, BROWSER_LIFE))
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
    fn the_last_tokens_and_the_one_before_are_good_the_one_before_that_may_be_late_and_no_other() {
        let tokens =
            Tokens { current: "t3", sibling: None, previous: Some("t2"), late: Some(("t1", at(100))) };
        let is = |token, now| shown(token, tokens, at(now));
        assert_eq!((is("t3", 0), is("t2", 0)), (Shown::Current, Shown::Previous));
        assert_eq!((is("t1", 100), is("t1", 101), is("t0", 0)), (Shown::Late, Shown::Stale, Shown::Stale));
        let tokens = Tokens { sibling: Some("t3'"), late: None, ..tokens };
        let is = |token| shown(token, tokens, at(0));
        assert_eq!((is("t3"), is("t3'"), is("t1")), (Shown::Current, Shown::Current, Shown::Stale));
    }

    #[test]
    fn a_provider_is_asked_again_after_a_minute_and_by_a_clock_that_was_turned_back() {
        for (now, asked) in [(100, false), (159, false), (160, true), (99, true)] {
            assert_eq!(is_to_be_asked(at(100), at(now)), asked, "{now}");
        }
    }

    #[test]
    fn a_login_ends_a_month_after_its_last_use_and_after_three_in_any_case() {
        assert_eq!(ends_at(at(0), at(5)), at(5 + IDLE));
        assert_eq!(ends_at(at(0), at(LIFE - IDLE)), at(LIFE));
        assert_eq!(ends_at(at(0), at(LIFE - 1)), at(LIFE));
        assert_eq!(ends_at(at(0), Timestamp::MAX), at(LIFE));
    }

    #[test]
    fn in_a_browser_it_ends_after_half_an_hour_without_use_and_after_a_working_day_in_any_case() {
        assert_eq!(browser_ends_at(at(0), at(5)), at(5 + BROWSER_IDLE));
        assert_eq!(browser_ends_at(at(0), at(BROWSER_LIFE - 1)), at(BROWSER_LIFE));
        assert_eq!(browser_ends_at(at(0), Timestamp::MAX), at(BROWSER_LIFE));
    }
}
