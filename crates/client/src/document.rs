//! What the document says now: whether the program may run, and when to ask for a newer one. Pure.

use usher_license::{Claims, License, State, Thumbprint, Trust, Verified, verify};

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
    /// # Errors
    /// What `usher-license` refuses, and a document of something else.
    pub fn verify(&self, activation: &Activation, now: u64) -> Result<License<Verified>, Error> {
        let trust = Trust::pinned(&self.root, activation.keys.as_bytes(), &self.issuer, &self.product, now)?;
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

/// When to ask for a newer document: at `renew_at`, and after `failures` attempts in a row that did not reach the server, the last one at
/// `last`, again within a minute.
#[must_use]
pub fn next_attempt(claims: &Claims, failures: u32, last: u64) -> u64 {
    let (shortest, longest) = BACKOFF;
    let wait = match failures {
        0 => PAUSE,
        failures => shortest.checked_shl(failures - 1).unwrap_or(longest).clamp(shortest, longest),
    };
    last.saturating_add(wait).max(claims.lease.renew_at)
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
        let after = |failures| next_attempt(&claims(), failures, 1_000);
        assert_eq!(
            [1, 2, 5, 6, 40, 70, u32::MAX].map(after),
            [1_002, 1_004, 1_032, 1_060, 1_060, 1_060, 1_060]
        );
        assert_eq!(after(0), 1_010);
        assert_eq!(next_attempt(&claims(), 0, 10), 100);
        assert_eq!(next_attempt(&claims(), 1, 10), 100);
    }
}
