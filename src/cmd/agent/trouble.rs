//! Why there is no newer document, and when to ask for one again.

use usher_client::{Error, Problem, backoff, next_attempt};
use usher_license::Claims;

/// Why there is none.
pub(super) enum Why {
    /// The server says no.
    Refused(Problem),
    /// The server was not reached, or cannot serve now.
    Away(String),
    /// Something is to be mended here: a disk, the clock, the server's address.
    Broken(String),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::Away(why) | Self::Broken(why) => why.fmt(f),
        }
    }
}

/// What the last attempts in a row came to.
pub(super) struct Trouble {
    pub(super) why: Why,
    failures: u32,
    /// How long to wait, in seconds.
    pub(super) wait: u64,
}

impl Trouble {
    /// What `former` is after one failure more. `drawn` is random.
    pub(super) fn after(former: Option<Self>, error: Error, drawn: u64) -> Self {
        let (why, retry_after) = match error {
            Error::Refused(problem) => (Why::Refused(problem), None),
            Error::Unreachable { retry_after, .. } => (Why::Away(error.to_string()), retry_after),
            Error::Answer(_) | Error::Document(_) | Error::State(_) | Error::Usage(_) => {
                (Why::Broken(error.to_string()), None)
            }
        };
        Self::again(former, why, retry_after, drawn)
    }

    /// The same, of what the agent itself could not do.
    pub(super) fn here(former: Option<Self>, why: String, drawn: u64) -> Self {
        Self::again(former, Why::Broken(why), None, drawn)
    }

    fn again(former: Option<Self>, why: Why, retry_after: Option<u64>, drawn: u64) -> Self {
        let failures = former.as_ref().map_or(0, |former| former.failures).saturating_add(1);
        let wait = backoff(failures, retry_after, drawn);
        // What is refused for good stays so when the server is away.
        let why = match (former, why) {
            (Some(former), Why::Away(_) | Why::Broken(_)) if former.is_final() => former.why,
            (_, why) => why,
        };
        Self { why, failures, wait }
    }

    /// Whether nobody is signed in any more who could go on.
    pub(super) fn is_of_login(&self) -> bool {
        matches!(&self.why, Why::Refused(problem) if problem.is_of_login())
    }

    fn is_final(&self) -> bool {
        matches!(&self.why, Why::Refused(problem) if problem.is_final())
    }
}

/// When to ask by itself, after having asked at `last`: never, where that is of no use.
pub(super) fn attempt(trouble: Option<&Trouble>, claims: &Claims, last: u64) -> u64 {
    match trouble {
        Some(trouble) if trouble.is_final() => u64::MAX,
        trouble => next_attempt(claims, last, trouble.map(|trouble| trouble.wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::agent::documents::tests::claims;

    fn refused(code: &str) -> Error {
        let problem =
            serde_json::json!({"code": code, "title": "t", "detail": "It was used.", "next": "Ask."});
        Error::Refused(serde_json::from_value(problem).unwrap())
    }

    fn away(retry_after: Option<u64>) -> Error {
        Error::Unreachable { why: "no route".into(), retry_after }
    }

    #[test]
    fn who_is_told_that_another_goes_on_does_not_forget_it_when_the_network_goes() {
        let copy = Trouble::after(None, refused("nonce-used"), 0);
        assert!(copy.is_final());
        let still = Trouble::after(Some(copy), away(None), 0);
        assert!(still.is_final() && matches!(still.why, Why::Refused(_)));
        let other = Trouble::after(Some(still), refused("license-suspended"), 0);
        assert!(!other.is_final());
        assert!(matches!(Trouble::after(Some(other), away(None), 0).why, Why::Away(_)));
    }

    #[test]
    fn who_is_asked_to_come_later_comes_later() {
        let first = Trouble::after(None, away(Some(40)), 0);
        assert_eq!(first.wait, 40);
        assert_eq!(attempt(Some(&first), &claims(), 1_000), 1_040);
        assert_eq!(Trouble::after(Some(first), away(None), 0).wait, 2);
    }

    #[test]
    fn who_is_refused_for_good_asks_no_more_and_who_may_be_let_go_on_asks_again() {
        for (code, at) in [
            ("nonce-used", u64::MAX),
            ("activation-superseded", u64::MAX),
            ("activation-ended", u64::MAX),
            ("license-suspended", 1_001),
            ("activation-quarantined", 1_001),
            ("pod-active", 1_001),
            ("signed-out", 1_001),
        ] {
            assert_eq!(
                attempt(Some(&Trouble::after(None, refused(code), 0)), &claims(), 1_000),
                at,
                "{code}"
            );
        }
        assert_eq!(attempt(None, &claims(), 1_000), 1_010);
    }
}
