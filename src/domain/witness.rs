//! Whether a ledger is the one that was there last, or lost, or older.
//!
//! ```text
//!   each commit:   ledger (incarnation, commits) ──► witness in the cluster, a little later
//!   each start:    ledger >= witness ──► it is the one            ledger < witness ──► Lost: Missing or Older
//! ```
//!
//! 1. A mark is an incarnation and a count of commits. Marks are ordered by incarnation, then by count.
//! 2. The witness follows the ledger, so it may be older. It is never newer, unless the ledger was lost or restored.
//! 3. Who makes a lost or restored ledger true again begins an incarnation that neither the ledger nor the witness had.
//! 4. A ledger that was put there by `usher ledger restore` says so itself: nobody need catch it by its count.
//! 5. Where the witness was lost too, or was older still, a nonce proves it ([`crate::domain::chain`], rule 9): the call that does so
//!    begins the incarnation, and whoever leads takes the ledger up anew.

use jiff::Timestamp;

/// How far a ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Rises when the ledger was lost or restored.
    pub incarnation: i64,
    /// Rises with each commit.
    pub commits: i64,
}

/// The last link of an audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number.
    pub sequence: i64,
    /// Its hash, in hex.
    pub hash: String,
}

/// What the ledger says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How far it has come.
    pub mark: Mark,
    /// The last link of its audit; absent while there is none.
    pub audit: Option<AuditHead>,
    /// When its incarnation began; what was made later was never in an earlier one.
    pub since: Timestamp,
    /// It was put there from a backup, and nobody has led since.
    pub restored: bool,
}

/// What the cluster remembers of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// How far it had come.
    pub mark: Mark,
    /// The last link of its audit then.
    pub audit: Option<AuditHead>,
}

/// What became of the ledger that was there last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Loss {
    /// It is gone: this one is empty.
    Missing,
    /// This one has less in it than the one that was there last.
    Older,
    /// This one was restored from a backup.
    Restored,
    /// Somebody has a nonce that this one has not given yet.
    Proven,
}

impl Loss {
    /// What happened, for people.
    #[must_use]
    pub const fn said(self) -> &'static str {
        match self {
            Self::Missing => "the ledger is gone",
            Self::Older => "the ledger is older than the one that was there last",
            Self::Restored => "the ledger was restored from a backup",
            Self::Proven => "the ledger is older than a nonce that it has given",
        }
    }
}

/// Whether the ledger is to be made true again, and why.
#[must_use]
pub fn judge(head: &Head, witness: Option<&Witness>) -> Option<Loss> {
    let newer = witness.is_some_and(|witness| witness.mark > head.mark);
    match (newer, head.restored) {
        (true, _) if head.mark.commits == 0 => Some(Loss::Missing),
        (_, true) => Some(Loss::Restored),
        (true, false) => Some(Loss::Older),
        (false, false) => None,
    }
}

/// The incarnation that begins when a ledger of `own` is made true again after `witness`.
#[must_use]
pub fn next_incarnation(own: i64, witness: Option<&Witness>) -> i64 {
    own.max(witness.map_or(0, |witness| witness.mark.incarnation)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    fn mark(incarnation: i64, commits: i64) -> Mark {
        Mark { incarnation, commits }
    }

    fn head(incarnation: i64, commits: i64) -> Head {
        Head { mark: mark(incarnation, commits), audit: None, since: at(0), restored: false }
    }

    fn witness(incarnation: i64, commits: i64) -> Witness {
        Witness { mark: mark(incarnation, commits), audit: None }
    }

    #[test]
    fn a_ledger_that_is_as_far_as_its_witness_or_further_is_the_one() {
        for (head, seen) in
            [(head(1, 0), None), (head(1, 7), Some(witness(1, 7))), (head(1, 9), Some(witness(1, 7)))]
        {
            assert_eq!(judge(&head, seen.as_ref()), None);
        }
        assert_eq!(judge(&head(2, 1), Some(&witness(1, 900))), None, "a new incarnation has few commits");
    }

    #[test]
    fn an_empty_ledger_beside_a_witness_is_missing_and_a_short_one_is_older() {
        assert_eq!(judge(&head(1, 0), Some(&witness(1, 7))), Some(Loss::Missing));
        assert_eq!(judge(&head(1, 6), Some(&witness(1, 7))), Some(Loss::Older));
        assert_eq!(judge(&head(1, 900), Some(&witness(2, 1))), Some(Loss::Older), "of a former incarnation");
    }

    #[test]
    fn a_restored_ledger_is_one_even_if_nothing_happened_since_the_backup() {
        let restored = Head { restored: true, ..head(1, 7) };
        assert_eq!(judge(&restored, Some(&witness(1, 7))), Some(Loss::Restored));
        assert_eq!(judge(&restored, None), Some(Loss::Restored));
    }

    #[test]
    fn the_next_incarnation_is_one_that_nobody_had() {
        assert_eq!(next_incarnation(1, Some(&witness(4, 9))), 5);
        assert_eq!(next_incarnation(3, None), 4);
    }
}
