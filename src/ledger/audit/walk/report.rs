//! What a walk came to.

use usher_license::Thumbprint;

use super::{Checkpoint, Finding, Turn};

/// How many findings are told; the rest are counted.
pub(super) const TOLD: usize = 20;

/// What a walk came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in order; at most twenty.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: usize,
    /// The chain was pruned up to this one.
    pub anchor: Option<Checkpoint>,
    /// How many entries were read.
    pub entries: u64,
    /// The last entry.
    pub head: i64,
    /// The last entry that a checkpoint seals.
    pub sealed: i64,
    /// The last entry that a checkpoint by a key seals which is trusted, or which signed what was kept outside.
    pub vouched: i64,
    /// How many checkpoints of the ledger it passed.
    pub checkpoints: u64,
    /// How many checkpoints from outside it passed.
    pub outside: u64,
    /// How many checkpoints from outside are of what was lost before the ledger was recovered.
    pub lost: u64,
    /// The key whose turn it is at the end.
    pub key: Option<Thumbprint>,
    /// Where the key changed, as the chain says.
    pub turns: Vec<Turn>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn tell(&mut self, finding: Finding) {
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}
