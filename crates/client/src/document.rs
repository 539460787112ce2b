//! What the document says now: whether the program may run, and when to ask for a newer one. Pure.

use usher_license::{Claims, License, MAX_LEEWAY_SECONDS, State, Thumbprint, Trust, Verified, verify};

use crate::{error::Error, state::Activation};

/// Whom an installation believes, and for what: its program carries this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The thumbprint of the Authority's root key.
    pub root: Thumbprint,
    /// The Authority's issuer.
    pub issuer: String,
    /// The product.
    pub product: String,
}

impl Trusted {
    /// Verifies the document of an activation at the time `now`, in Unix seconds, and that it is about this activation, on this device.
    ///
    /// A document is good from the moment at which the server signs it, and so comes too early for every clock that is behind the server's:
    /// up to [`MAX_LEEWAY_SECONDS`] are borne with.
    ///
    /// # Errors
    /// What `usher-license` refuses, and a document of something else.
    pub fn verify(&self, activation: &Activation, now: u64) -> Result<License<Verified>, Error> {
        let trust = Trust::pinned(&self.root, activation.keys.as_bytes(), &self.issuer, &self.product, now)?;
        let trust = trust.with_leeway(MAX_LEEWAY_SECONDS);
        let license = verify(activation.document.as_bytes(), &trust, now)?;
        let claims = license.claims();
        let device = claims.device.as_ref().map(|device| device.id.as_str());
        if device != Some(&activation.device) || claims.activation.as_deref() != Some(&activation.id) {
            return Err(Error::Answer("the document is about another installation".to_owned()));
        }
        Ok(license)
    }
}

/// How a verified document stands. Times are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All is well until then.
    Good {
        /// `lease.until`
        until: u64,
    },
    /// The server has not been reached for a whole lease: run, warn, and say when it ends.
    Grace {
        /// `exp`
        ends: u64,
    },
    /// It is over. Nothing may run.
    Over,
}

/// How this document stands at `now`.
#[must_use]
pub fn standing(claims: &Claims, now: u64) -> Standing {
    if now >= claims.exp || claims.state != State::Active {
        Standing::Over
    } else if now >= claims.lease.until {
        Standing::Grace { ends: claims.exp }
    } else {
        Standing::Good { until: claims.lease.until }
    }
}

/// The shortest and the longest time between two attempts when the server cannot be reached, in seconds. A minute: so soon
/// after the network returns is the document new.
const BACKOFF: (u64, u64) = (2, 60);

/// The least between two successful attempts, in seconds: who has a clock that is days ahead would ask without a pause.
const PAUSE: u64 = 10;

/// The most of what a server asks to be left alone that is heeded, in seconds: whoever answers once in its place must not end a license.
const MAX_RETRY_AFTER: u64 = 900;

/// How long to wait after `failures` attempts in a row of which the last one failed, in seconds: as long as the server asked for
/// ([`Error::Unreachable`]), else up to a minute. `drawn` at random for each failure, it spreads those who lost the server at one moment.
#[must_use]
pub fn backoff(failures: u32, retry_after: Option<u64>, drawn: u64) -> u64 {
    let (shortest, longest) = BACKOFF;
    let wait = shortest.saturating_pow(failures).clamp(shortest, longest);
    let wait = wait.div_ceil(2).saturating_add(drawn % (wait / 2 + 1));
    let asked = retry_after.unwrap_or(0).min(MAX_RETRY_AFTER);
    wait.max(asked.saturating_add(drawn % (asked / 4 + 1)))
}

/// When to ask for a newer document: at `renew_at`; and if the last attempt, at `last`, failed, after the [`backoff`] that followed.
#[must_use]
pub fn next_attempt(claims: &Claims, last: u64, backoff: Option<u64>) -> u64 {
    last.saturating_add(backoff.unwrap_or(PAUSE)).max(claims.lease.renew_at)
}

#[cfg(test)]
mod tests {
    use usher_license::{Lease, LicenseRef, Limits, Schema};

    use super::*;

    fn claims() -> Claims {
        Claims {
            iss: "https://usher.acme.example/a/default".into(),
            sub: "activation/a".into(),
            aud: "cad".into(),
            jti: "1".into(),
            iat: 0,
            nbf: 0,
            exp: 300,
            schema: Schema::V1,
            state: State::Active,
            license: LicenseRef {
                namespace: "design".into(),
                name: "cad".into(),
                uid: "u".into(),
                customer: "acme".into(),
                edition: None,
            },
            holder: None,
            features: Vec::new(),
            limits: Limits::default(),
            lease: Lease { until: 200, renew_at: 100 },
            device: None,
            activation: Some("a".into()),
        }
    }

    #[test]
    fn a_document_is_good_to_its_lease_warns_to_its_end_and_is_over_then() {
        let at = |now| standing(&claims(), now);
        assert_eq!([at(0), at(199)], [Standing::Good { until: 200 }; 2]);
        assert_eq!([at(200), at(299)], [Standing::Grace { ends: 300 }; 2]);
        assert_eq!([at(300), at(u64::MAX)], [Standing::Over; 2]);
    }

    #[test]
    fn who_cannot_reach_the_server_asks_again_within_a_minute_and_never_before_it_is_time() {
        let after = |failures| backoff(failures, None, 0)..=backoff(failures, None, backoff_spread(failures));
        assert_eq!([1, 2, 5, 6].map(after), [1..=2, 2..=4, 16..=32, 30..=60]);
        assert_eq!([40, 64, 70, u32::MAX].map(after), [30..=60, 30..=60, 30..=60, 30..=60]);
        assert_eq!(next_attempt(&claims(), 1_000, None), 1_010);
        assert_eq!(next_attempt(&claims(), 1_000, Some(7)), 1_007);
        assert_eq!(next_attempt(&claims(), 10, None), 100);
        assert_eq!(next_attempt(&claims(), 10, Some(2)), 100);
    }

    /// What draws the longest wait.
    fn backoff_spread(failures: u32) -> u64 {
        (0..=60).max_by_key(|drawn| backoff(failures, None, *drawn)).unwrap()
    }

    #[test]
    fn who_is_asked_to_come_later_comes_no_sooner_and_not_all_at_once_and_within_a_quarter_of_an_hour() {
        let after = |asked| (0..1_000).map(move |drawn| backoff(1, Some(asked), drawn));
        assert_eq!((after(40).min(), after(40).max()), (Some(40), Some(50)));
        assert_eq!((after(0).min(), after(0).max()), (Some(1), Some(2)));
        assert_eq!(after(u64::MAX).min(), Some(MAX_RETRY_AFTER));
        assert!(after(u64::MAX).max() <= Some(MAX_RETRY_AFTER + MAX_RETRY_AFTER / 4));
    }
}
