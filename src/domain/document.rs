//! What a signed document grants, how long it is good, and when it is made anew.
//!
//! ```text
//!  iat                     renew_at          lease.until                    exp
//!   │── 50–65 % of the lease ──┤                  │                          │
//!   │───────────────── ttl ───────────────────────┤──── offlineGrace ────────┤   (both end with the validity)
//! ```
//!
//! 1. `exp` is the last instant at which any verifier may accept the document: never after the end of validity.
//! 2. A client that has not asked again by `lease.until` warns; it works on until `exp`.
//! 3. Renewal comes at a point of the lease that is fixed by a hash of the object's UID, so that the
//!    documents of many objects made at once spread.
//! 4. A document whose lease ends with the validity is not renewed: a renewal could not give more.
//! 5. A document that was made by a clock that ran ahead is made anew once the clock is right: nobody could use it before its time.
//! 6. Otherwise a document is made anew exactly when what it says changes.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::domain::{
    duration::Ttl,
    license::{License, Phase, Uid, Validity},
    terms::{Lease, Offline},
};

/// What a document says of the License's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It grants its features.
    Active,
    /// It grants nothing until the License is resumed.
    Suspended,
    /// It grants nothing any more.
    Expired,
}

impl From<Phase> for State {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::NotYetValid | Phase::Active | Phase::Overdue => Self::Active,
            Phase::Suspended => Self::Suspended,
            Phase::Expired => Self::Expired,
        }
    }
}

/// The instants of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// `iat`
    pub issued_at: Timestamp,
    /// `nbf`
    pub not_before: Timestamp,
    /// `exp`
    pub expires_at: Timestamp,
    /// `lease.until`
    pub lease_until: Timestamp,
    /// `lease.renew_at`; absent where a renewal could not give more.
    pub renew_at: Option<Timestamp>,
}

/// Where `Contract` names no end that lies ahead, documents are good for a day.
const CONTRACT_WITHOUT_END: i64 = 86_400;

/// The instants of a document for the object `uid` under `license`, made at `now`.
#[must_use]
pub fn times(license: &License, uid: &Uid, now: Timestamp) -> Times {
    let Validity { from, until, .. } = license.validity;
    let issued_at = whole_second(now);
    let not_before = from.map_or(issued_at, |from| from.max(issued_at));
    let end = license.validity.hard_end();
    let capped = |at: Timestamp| end.map_or(at, |end| at.min(end));
    let Lease { ttl, offline_grace } = lease(license);
    let ttl_end = match ttl {
        Ttl::Seconds(seconds) => later(not_before, seconds),
        Ttl::Contract => until
            .filter(|until| *until > not_before)
            .unwrap_or_else(|| later(not_before, CONTRACT_WITHOUT_END)),
    };
    let lease_until = capped(ttl_end);
    Times {
        issued_at,
        not_before,
        expires_at: capped(later(ttl_end, offline_grace)),
        lease_until,
        renew_at: end.is_none_or(|end| lease_until < end).then(|| renewal(not_before, lease_until, uid)),
    }
}

/// How long the documents of `license` are good.
#[must_use]
pub fn lease(license: &License) -> Lease {
    match license.offline {
        Offline::Allowed => license.terms.lease,
        Offline::Forbidden => Lease { offline_grace: 0, ..license.terms.lease },
    }
}

/// A point between 50 and 65 % of the lease, fixed by the UID.
fn renewal(start: Timestamp, lease_until: Timestamp, uid: &Uid) -> Timestamp {
    let lease = lease_until.as_second() - start.as_second();
    let hash = Sha256::digest(uid.0.as_bytes());
    let spread = hash.iter().take(4).fold(0i64, |number, byte| number * 256 + i64::from(*byte)) % 1_501;
    later(start, lease.saturating_mul(5_000 + spread) / 10_000)
}

/// What an existing document was made of.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    /// The digest of what it says.
    pub digest: &'a str,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it is to be renewed.
    pub renew_at: Option<Timestamp>,
}

/// How far ahead of the clock a document may have been made: clocks are corrected by seconds all the time.
const AHEAD: i64 = 5 * 60;

/// Why a document is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// There is none.
    New,
    /// It would say something else.
    Changed,
    /// Its time has come.
    Renewal,
}

/// Whether a document that says what `digest` digests is to be made at `now`.
#[must_use]
pub fn due(current: Option<Current<'_>>, digest: &str, now: Timestamp) -> Option<Due> {
    match current {
        None => Some(Due::New),
        Some(current) if current.digest != digest || current.issued_at > later(now, AHEAD) => {
            Some(Due::Changed)
        }
        Some(current) if current.renew_at.is_some_and(|at| now >= at) => Some(Due::Renewal),
        Some(_) => None,
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        license::tests::{at, license},
        terms::Afterwards,
    };

    fn uid(text: &str) -> Uid {
        Uid(text.into())
    }

    #[test]
    fn a_document_is_good_for_its_ttl_and_its_grace() {
        let times = times(&license(1), &uid("a"), at(1_000));
        assert_eq!(times.issued_at, at(1_000));
        assert_eq!(times.not_before, at(1_000));
        assert_eq!(times.lease_until, at(1_000 + 86_400));
        assert_eq!(times.expires_at, at(1_000 + 86_400 + 259_200));
    }

    #[test]
    fn a_license_that_forbids_to_be_offline_has_documents_that_end_with_their_lease() {
        let mut license = license(1);
        license.offline = Offline::Forbidden;
        let times = times(&license, &uid("a"), at(1_000));
        assert_eq!((times.lease_until, times.expires_at), (at(87_400), at(87_400)));
    }

    #[test]
    fn nothing_is_good_after_the_end_of_validity() {
        let mut license = license(1);
        license.validity.until = Some(at(1_000 + 86_400 + 60));
        let times = times(&license, &uid("a"), at(1_000));
        assert_eq!(times.lease_until, at(1_000 + 86_400));
        assert_eq!(times.expires_at, at(1_000 + 86_400 + 60));
        assert!(times.renew_at.is_some());
    }

    #[test]
    fn a_lease_that_ends_with_the_validity_is_not_renewed() {
        let mut license = license(1);
        license.validity.until = Some(at(1_000 + 500));
        let times = times(&license, &uid("a"), at(1_000));
        assert_eq!((times.lease_until, times.expires_at, times.renew_at), (at(1_500), at(1_500), None));
    }

    #[test]
    fn a_warned_end_does_not_bound_documents() {
        let mut license = license(1);
        license.validity = Validity { from: None, until: Some(at(1_500)), afterwards: Afterwards::Warn };
        assert_eq!(times(&license, &uid("a"), at(1_000)).expires_at, at(1_000 + 86_400 + 259_200));
    }

    #[test]
    fn a_contract_lasts_to_the_end_of_validity() {
        let mut license = license(1);
        license.terms.lease.ttl = Ttl::Contract;
        license.validity.until = Some(at(9_000_000));
        let times = times(&license, &uid("a"), at(1_000));
        assert_eq!(
            (times.lease_until, times.expires_at, times.renew_at),
            (at(9_000_000), at(9_000_000), None)
        );
    }

    #[test]
    fn a_contract_without_an_end_ahead_lasts_a_day_at_a_time() {
        let mut license = license(1);
        license.terms.lease.ttl = Ttl::Contract;
        for until in [None, Some(at(999)), Some(at(1_000))] {
            license.validity = Validity { from: None, until, afterwards: Afterwards::Warn };
            let times = times(&license, &uid("a"), at(1_000));
            assert_eq!(times.lease_until, at(1_000 + 86_400), "{until:?}");
            assert_eq!(times.expires_at, at(1_000 + 86_400 + 259_200), "{until:?}");
        }
    }

    #[test]
    fn a_license_that_begins_later_has_a_document_that_begins_later() {
        let mut license = license(1);
        license.validity.from = Some(at(50_000));
        let times = times(&license, &uid("a"), at(1_000));
        assert_eq!(
            (times.issued_at, times.not_before, times.lease_until),
            (at(1_000), at(50_000), at(136_400))
        );
        assert!(times.renew_at.unwrap() > at(50_000));
    }

    #[test]
    fn a_document_is_made_when_there_is_none_when_it_changes_and_when_its_time_has_come() {
        let current = Current { digest: "d", issued_at: at(0), renew_at: Some(at(10)) };
        assert_eq!(due(None, "d", at(0)), Some(Due::New));
        assert_eq!(due(Some(current), "e", at(0)), Some(Due::Changed));
        assert_eq!(due(Some(current), "d", at(9)), None);
        assert_eq!(due(Some(current), "d", at(10)), Some(Due::Renewal));
        assert_eq!(due(Some(Current { renew_at: None, ..current }), "d", at(10)), None);
    }

    #[test]
    fn a_document_of_a_clock_that_ran_ahead_is_made_anew_once_the_clock_is_right() {
        let years = 5 * 366 * 86_400;
        let current = Current { digest: "d", issued_at: at(years), renew_at: Some(at(years + 10)) };
        assert_eq!(due(Some(current), "d", at(years)), None);
        assert_eq!(due(Some(current), "d", at(0)), Some(Due::Changed));
        assert_eq!(due(Some(Current { renew_at: None, ..current }), "d", at(0)), Some(Due::Changed));
        assert_eq!(due(Some(Current { issued_at: at(300), ..current }), "d", at(0)), None, "clocks differ");
    }

    #[test]
    fn the_point_of_renewal_is_fixed_by_the_uid_for_good() {
        let renew_at = |name: &str| times(&license(1), &uid(name), at(0)).renew_at.unwrap().as_second();
        assert_eq!((renew_at("a"), renew_at("b")), (48_980, 43_217));
    }

    #[test]
    fn a_thousand_renewals_spread_over_the_window() {
        let instants: std::collections::BTreeSet<i64> = (0..1_000)
            .filter_map(|n| times(&license(1), &uid(&format!("uid-{n}")), at(0)).renew_at)
            .map(Timestamp::as_second)
            .collect();
        assert!(instants.len() > 500, "{} instants", instants.len());
        assert!(instants.first().unwrap() >= &43_200 && instants.last().unwrap() <= &56_160);
    }

    proptest! {
        #[test]
        fn instants_are_ordered_and_end_with_the_validity(
            ttl in 300i64..31_536_000, grace in 0i64..31_536_000, from in prop::option::of(0i64..4_000_000),
            until in prop::option::of(0i64..40_000_000), warn in any::<bool>(), now in 0i64..5_000_000, name in "[a-z]{1,8}",
        ) {
            let mut license = license(1);
            license.terms.lease = Lease { ttl: Ttl::Seconds(ttl), offline_grace: grace };
            let afterwards = if warn { Afterwards::Warn } else { Afterwards::Stop };
            license.validity = Validity { from: from.map(at), until: until.map(at), afterwards };
            prop_assume!(from.is_none() || until.is_none() || from < until);
            let times = times(&license, &uid(&name), at(now));
            prop_assert!(times.lease_until <= times.expires_at);
            prop_assert!(license.validity.hard_end().is_none_or(|end| times.expires_at <= end));
            prop_assert!(times.not_before >= times.issued_at);
            if let Some(renew_at) = times.renew_at {
                let (begin, lease) = (times.not_before.as_second(), times.lease_until.as_second() - times.not_before.as_second());
                prop_assert!((begin + lease / 2..=begin + lease * 65 / 100).contains(&renew_at.as_second()));
            }
        }

        #[test]
        fn renewals_towards_the_end_of_validity_are_few(until in 1_000i64..1_000_000, name in "[a-z]{1,8}") {
            let mut license = license(1);
            license.terms.lease = Lease { ttl: Ttl::Seconds(86_400), offline_grace: 0 };
            license.validity.until = Some(at(until));
            let (mut now, mut made) = (at(0), 1);
            while let Some(renew_at) = times(&license, &uid(&name), now).renew_at {
                prop_assert!(renew_at > now);
                (now, made) = (renew_at, made + 1);
                prop_assert!(made <= 2 + until / 43_200);
            }
        }
    }
}
