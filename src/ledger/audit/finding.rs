//! What a walk can find, each in a sentence that says what it means.

use std::fmt;

use jiff::Timestamp;
use usher_license::Thumbprint;

/// Something that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An entry does not follow the one before it.
    Changed {
        /// Where.
        sequence: i64,
    },
    /// Entries are gone from the middle or the beginning.
    Missing {
        /// The first of them.
        from: i64,
        /// The last of them.
        to: i64,
    },
    /// An entry stands where another belongs.
    Moved {
        /// Where it stands.
        sequence: i64,
    },
    /// An entry was put between two.
    Inserted {
        /// Where.
        sequence: i64,
    },
    /// The chain is one, but not the one that was sealed.
    Rewritten {
        /// Up to here it is the same.
        after: i64,
        /// Here it is another.
        sequence: i64,
        /// When that was sealed, in seconds since 1970-01-01 UTC.
        at: i64,
        /// Whether the checkpoint is from outside of the ledger.
        outside: bool,
    },
    /// The end is gone.
    Truncated {
        /// The last entry that is left.
        head: i64,
        /// The last one that was sealed.
        sequence: i64,
        /// When, in seconds since 1970-01-01 UTC.
        at: i64,
        /// Whether the checkpoint is from outside of the ledger.
        outside: bool,
    },
    /// A checkpoint of the ledger is not one that the audit key signed.
    Forged {
        /// Of which entry.
        sequence: i64,
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint from outside is not one that the audit key signed.
    ForgedOutside {
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint of the ledger does not follow the one before it.
    CheckpointMissing {
        /// Of which entry.
        before: i64,
        /// The one before it, of which entry.
        after: Option<i64>,
    },
    /// The ledger lacks a checkpoint that was given out, or holds another one.
    CheckpointReplaced {
        /// Of which entry.
        sequence: i64,
    },
    /// A checkpoint from outside is of another chain altogether.
    OtherChain {
        /// Of which entry there.
        sequence: i64,
        /// When it was made, in seconds since 1970-01-01 UTC.
        at: i64,
    },
    /// Another key seals from here on, and the chain does not say that it was to.
    KeyChanged {
        /// Here.
        sequence: i64,
        /// The key whose turn it was.
        from: Thumbprint,
        /// The one that took its place.
        to: Thumbprint,
    },
    /// The key that is trusted has sealed nothing, and the chain does not know it.
    Untrusted {
        /// The key that is trusted.
        trusted: Thumbprint,
        /// The one that seals.
        key: Option<Thumbprint>,
    },
    /// The beginning is gone, and the chain does not say that it was pruned.
    NotPruned {
        /// The last of the entries that are gone.
        through: i64,
    },
}

impl Finding {
    /// A checkpoint from outside is by a key that the audit does not know.
    pub(super) fn by_nobody(key: &Thumbprint) -> Self {
        Self::ForgedOutside { why: format!("it is by the key {key}, which the audit does not know") }
    }

    /// The word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed",
            Self::Missing { .. } => "missing",
            Self::Moved { .. } => "moved",
            Self::Inserted { .. } => "inserted",
            Self::Rewritten { .. } => "rewritten",
            Self::Truncated { .. } => "truncated",
            Self::Forged { .. } | Self::ForgedOutside { .. } => "forged-checkpoint",
            Self::CheckpointMissing { .. } => "missing-checkpoint",
            Self::CheckpointReplaced { .. } => "replaced-checkpoint",
            Self::OtherChain { .. } => "other-chain",
            Self::KeyChanged { .. } => "changed-key",
            Self::Untrusted { .. } => "untrusted-key",
            Self::NotPruned { .. } => "not-pruned",
        }
    }

    /// The entry that it is about, where it is about one.
    #[must_use]
    pub const fn sequence(&self) -> Option<i64> {
        match self {
            Self::Changed { sequence }
            | Self::Missing { from: sequence, .. }
            | Self::Moved { sequence }
            | Self::Inserted { sequence }
            | Self::Rewritten { sequence, .. }
            | Self::Truncated { sequence, .. }
            | Self::Forged { sequence, .. }
            | Self::CheckpointMissing { before: sequence, .. }
            | Self::CheckpointReplaced { sequence }
            | Self::OtherChain { sequence, .. }
            | Self::KeyChanged { sequence, .. }
            | Self::NotPruned { through: sequence } => Some(*sequence),
            Self::ForgedOutside { .. } | Self::Untrusted { .. } => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { sequence } => {
                write!(f, "entry {sequence} was changed: it does not follow the one before it")
            }
            Self::Missing { from, to } if from == to => write!(f, "entry {from} is missing: it was removed"),
            Self::Missing { from, to } => write!(f, "entries {from} to {to} are missing: they were removed"),
            Self::Moved { sequence } => {
                write!(f, "entry {sequence} stands at the place of another one: entries were reordered")
            }
            Self::Inserted { sequence } => {
                write!(f, "entry {sequence} was inserted: the one that belongs there stands after it")
            }
            Self::Rewritten { after, sequence, at, outside } => write!(
                f,
                "the chain does not pass through the checkpoint of entry {sequence} of {}, kept {}: an entry after \
                 {after} was changed, and every hash after it computed anew",
                Instant(*at),
                place(*outside)
            ),
            Self::Truncated { head, sequence, at, outside } => write!(
                f,
                "the chain ends at entry {head}, but entry {sequence} has a checkpoint of {}, kept {}: the entries after \
                 {head} were removed, or this ledger is an older copy",
                Instant(*at),
                place(*outside)
            ),
            Self::Forged { sequence, why } => {
                write!(
                    f,
                    "the ledger's checkpoint of entry {sequence} is not as the audit key signed it: {why}"
                )
            }
            Self::ForgedOutside { why } => {
                write!(f, "a checkpoint from outside is not as the audit key signed it: {why}")
            }
            Self::CheckpointMissing { before, after: Some(after) } => write!(
                f,
                "a checkpoint between entries {after} and {before} is missing in the ledger: it was removed"
            ),
            Self::CheckpointMissing { before, after: None } => {
                write!(f, "a checkpoint before entry {before} is missing in the ledger: it was removed")
            }
            Self::CheckpointReplaced { sequence } => {
                write!(
                    f,
                    "the checkpoint of entry {sequence} that was given out is not in the ledger: it was replaced or removed"
                )
            }
            Self::OtherChain { sequence, at } => write!(
                f,
                "the checkpoint of entry {sequence} of {} is of another chain: the ledger was replaced by another one",
                Instant(*at)
            ),
            Self::KeyChanged { sequence, from, to } => write!(
                f,
                "the key changed at entry {sequence}, from {from} to {to}, and no entry says that it was to: whoever put another \
                 key there can have made anew whatever the former one had not sealed"
            ),
            Self::Untrusted { trusted, key } => {
                write!(f, "the key {trusted} that you trust has sealed nothing here, and no entry names it")?;
                key.as_ref().map_or(Ok(()), |key| write!(f, ": the checkpoints are by {key}"))
            }
            Self::NotPruned { through } => write!(
                f,
                "the entries up to {through} are gone, and no entry says that they were pruned: they were removed"
            ),
        }
    }
}

const fn place(outside: bool) -> &'static str {
    if outside { "outside of the ledger" } else { "in the ledger" }
}

/// Seconds, as people read them.
struct Instant(i64);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "the second {}", self.0),
        }
    }
}
