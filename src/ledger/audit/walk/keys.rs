//! Whose turn it is to seal.
//!
//! ```text
//!   first checkpoint: K1 ──► … by K1 … ──► entry rekey {K1, K2} ──► … by K2 … ──► end
//!                            K1 vouches for what it sealed; K2 for all of it, for each checkpoint stands on the whole chain
//! ```

use std::collections::BTreeSet;

use serde::Serialize;
use usher_license::Thumbprint;

use super::{Finding, Report};

/// The key changed, and the chain says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The entry that says so.
    pub sequence: i64,
    /// The key that sealed until then.
    pub from: Thumbprint,
    /// The key that seals from then on.
    pub to: Thumbprint,
}

/// The keys of a chain.
#[derive(Debug, Default)]
pub(super) struct Keys {
    now: Option<Thumbprint>,
    /// All whose turn it was, and all that the chain names as such.
    known: BTreeSet<Thumbprint>,
    /// The one that whoever looks trusts.
    trusted: Option<Thumbprint>,
    /// Those that signed what was kept outside.
    outside: BTreeSet<Thumbprint>,
    turns: Vec<Turn>,
    vouched: i64,
}

impl Keys {
    pub(super) fn new(trusted: Option<Thumbprint>) -> Self {
        Self { trusted, ..Self::default() }
    }

    pub(super) fn kept_outside(&mut self, key: &Thumbprint) {
        self.outside.insert(key.clone());
    }

    /// The chain says that the key changes.
    pub(super) fn turn(&mut self, turn: Turn) -> Result<(), Finding> {
        let was_its = self.take(turn.sequence, &turn.from);
        self.known.insert(turn.to.clone());
        self.now = Some(turn.to.clone());
        self.turns.push(turn);
        was_its
    }

    /// Whether `key` may seal now.
    pub(super) fn is_turn_of(&self, key: &Thumbprint) -> bool {
        self.now.as_ref().is_none_or(|now| now == key)
    }

    /// The chain passes through a checkpoint by `key`. If it was not its turn that is said once, and it goes on from there.
    pub(super) fn sealed(&mut self, sequence: i64, key: &Thumbprint) -> Result<(), Finding> {
        self.take(sequence, key)?;
        let vouches = match &self.trusted {
            Some(trusted) => trusted == key,
            None => self.outside.contains(key),
        };
        if vouches {
            self.vouched = sequence;
        }
        Ok(())
    }

    fn take(&mut self, sequence: i64, key: &Thumbprint) -> Result<(), Finding> {
        let former = self.now.replace(key.clone()).filter(|former| former != key);
        let Some(from) = former else {
            self.known.insert(key.clone());
            return Ok(());
        };
        Err(Finding::KeyChanged { sequence, from, to: key.clone() })
    }

    /// Whether what `key` signed may be the audit's.
    pub(super) fn knows(&self, key: &Thumbprint) -> bool {
        self.trusted.as_ref().is_none_or(|trusted| trusted == key) || self.known.contains(key)
    }

    pub(super) fn tell(self, report: &mut Report) {
        let Self { now, known, trusted, .. } = self;
        if let Some(trusted) = trusted.clone().filter(|trusted| report.sealed > 0 && !known.contains(trusted))
        {
            report.tell(Finding::Untrusted { trusted, key: now.clone() });
        }
        report.vouched = self.vouched;
        report.key = now.or(trusted);
        report.turns = self.turns;
    }
}
