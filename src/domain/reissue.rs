//! After a key was revoked: every document under it is made anew, each in its turn.
//!
//! ```text
//!   begin ├──── document ──── document ──── … ────┤ begin + documents / PER_SECOND
//! ```
//!
//! A turn is fixed by a hash of the object's UID, so the documents of one License are not all made at once either, nobody
//! keeps a list, and each look finds the same. A process that starts in the middle begins anew with what is left.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::domain::{license::Uid, text::KeyId};

/// How many documents are made anew each second, on average. Each is a transaction, a Secret and a status: this leaves the
/// API server its everyday work, and 5,000 documents are done in under two minutes.
pub const PER_SECOND: u32 = 50;

/// Which documents are made anew, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reissue {
    keys: BTreeSet<KeyId>,
    begin: Timestamp,
    millis: u64,
}

impl Reissue {
    /// `documents` under these keys, from `now` on.
    #[must_use]
    pub fn begin(keys: BTreeSet<KeyId>, documents: u64, now: Timestamp) -> Self {
        Self { keys, begin: now, millis: documents.saturating_mul(1_000) / u64::from(PER_SECOND) }
    }

    /// Whether it is about these keys.
    #[must_use]
    pub fn is_of(&self, keys: &BTreeSet<KeyId>) -> bool {
        self.keys == *keys
    }

    /// When the document for `subject` under the key `kid` is to be made anew; absent if that key is good.
    #[must_use]
    pub fn turn(&self, kid: &str, subject: &Uid) -> Option<Timestamp> {
        if !self.keys.iter().any(|key| key.as_str() == kid) {
            return None;
        }
        let hash = Sha256::digest(subject.0.as_bytes());
        let spread = hash.iter().take(6).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        let after = i64::try_from(spread % (self.millis + 1)).unwrap_or(i64::MAX);
        Some(self.begin.checked_add(SignedDuration::from_millis(after)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    fn kid(character: char) -> KeyId {
        character.to_string().repeat(43).parse().unwrap()
    }

    fn turns(documents: u64) -> Vec<i64> {
        let reissue = Reissue::begin([kid('A')].into(), documents, at(1_000));
        let turn = |n| reissue.turn(kid('A').as_str(), &Uid(format!("uid-{n}"))).unwrap();
        (0..documents).map(|n| turn(n).as_second() - 1_000).collect()
    }

    #[test]
    fn documents_under_a_good_key_stay() {
        let reissue = Reissue::begin([kid('A')].into(), 1, at(1_000));
        assert_eq!(reissue.turn(kid('E').as_str(), &Uid("uid".into())), None);
        assert!(reissue.turn(kid('A').as_str(), &Uid("uid".into())).is_some());
        assert!(reissue.is_of(&[kid('A')].into()) && !reissue.is_of(&[kid('E')].into()));
    }

    #[test]
    fn ten_thousand_documents_are_made_anew_at_an_even_rate_and_all_in_time() {
        let turns = turns(10_000);
        let seconds = 10_000 / i64::from(PER_SECOND);
        assert!(turns.iter().all(|turn| (0..=seconds).contains(turn)));
        for second in (0..seconds).step_by(10) {
            let in_ten = turns.iter().filter(|turn| (second..second + 10).contains(*turn)).count();
            // An even spread has a deviation of some 22 of the 500 of ten seconds.
            assert!((350..650).contains(&in_ten), "{in_ten} from second {second} on");
        }
    }

    #[test]
    fn few_documents_are_made_anew_at_once() {
        assert_eq!(turns(2), [0, 0]);
    }
}
