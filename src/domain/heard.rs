//! When an installation was last heard of: for people who look for what nobody uses. Nothing is decided by it.
//!
//! Whatever uses a nonce is on record anyway. Heartbeats come in thousands and change nothing, so of one installation one in a quarter
//! of an hour is recorded: idle is what was not heard of for days, and 100,000 installations come to some 100 rows a second at worst, which
//! share the transactions of all other calls.

use jiff::{SignedDuration, Timestamp};

/// How old what is on record may be before a heartbeat is recorded.
const STALE: SignedDuration = SignedDuration::from_mins(15);

/// Whether it is to be recorded at `now` that something was heard, if it last was at `heard_at`. A clock that went back is no news.
#[must_use]
pub fn is_news(heard_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(heard_at) >= STALE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    #[test]
    fn of_the_heartbeats_of_a_quarter_of_an_hour_one_is_recorded() {
        for (now, news) in [(0, false), (999, false), (1_899, false), (1_900, true), (90_000, true)] {
            assert_eq!(is_news(at(1_000), at(now)), news, "{now}");
        }
    }
}
