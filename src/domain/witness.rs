//! Whether a ledger is the one that was there last, or lost, or older, or another cluster's.
//!
//! ```text
//!   each commit:   ledger (incarnation, commits, audit) ──► witness in the cluster, a little later
//!   each start:    of this cluster, ledger >= witness ──► it is the one
//!                  of this cluster, ledger <  witness ──► lost: Missing, Older or Diverged; the ledger remembers that
//!                  of another cluster ──► foreign: nothing is written
//! ```
//!
//! 1. A mark is an incarnation and a count of commits. Marks are ordered by incarnation, then by count.
//! 2. The witness follows the ledger, so it may be older. It is never newer, unless the ledger was lost or restored.
//! 3. Whoever finds a ledger lost writes that into it before anything is served out of it: what programs do meanwhile would
//!    bring it past its witness, and nobody would know any more. It stays there until an incarnation begins.
//! 4. Who makes a lost or restored ledger true again begins an incarnation that neither the ledger nor the witness had.
//! 5. A ledger that was put there by `usher ledger restore` says so itself: nobody need catch it by its count.
//! 6. Within an incarnation the audit is one chain: a ledger that has another link where the witness saw one has another history,
//!    however many commits it counts.
//! 7. Where the witness was lost too, or was older still, a nonce proves it ([`crate::domain::chain`], rule 9): the call that does so
//!    begins the incarnation, and whoever leads takes the ledger up anew.
//! 8. Until all that can be made true again after a loss is, nobody is told that they are unknown.
//! 9. A ledger belongs to the cluster whose Usher led it first, until somebody consents that another takes it over. A consent names the
//!    epoch in which it was given: once somebody has led since, it means nothing.

use std::str::FromStr;

use jiff::Timestamp;

use crate::domain::license::Uid;

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
    /// Which cluster's it is; nobody's while nobody has led.
    pub owner: Option<Owner>,
    /// It was found lost, and was not made true again since.
    pub lost: Option<Loss>,
    /// Its incarnation began after a loss, and not all that can be made true again is.
    pub rebuilding: bool,
}

/// The cluster that a ledger belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The UID of the namespace of its Usher.
    pub cluster: Uid,
    /// The epoch of whoever led last.
    pub epoch: i64,
}

impl std::fmt::Display for Owner {
    /// As a consent names it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.cluster, self.epoch)
    }
}

/// It names no owner of a ledger.
#[derive(Debug, thiserror::Error)]
#[error("must be as the message of LedgerForeign names it: UID/NUMBER")]
pub struct NoOwner;

impl FromStr for Owner {
    type Err = NoOwner;

    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let (cluster, epoch) =
            text.split_once('/').filter(|(cluster, _)| !cluster.is_empty()).ok_or(NoOwner)?;
        Ok(Self { cluster: Uid(cluster.to_owned()), epoch: epoch.parse().map_err(|_| NoOwner)? })
    }
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
    /// This one has another history than the one that was there last.
    Diverged,
}

impl Loss {
    const ALL: [Self; 5] = [Self::Missing, Self::Older, Self::Restored, Self::Proven, Self::Diverged];

    /// The word that a ledger keeps it as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Restored => "restored",
            Self::Proven => "proven",
            Self::Diverged => "diverged",
        }
    }

    /// What happened, for people.
    #[must_use]
    pub const fn said(self) -> &'static str {
        match self {
            Self::Missing => "the ledger is gone",
            Self::Older => "the ledger is older than the one that was there last",
            Self::Restored => "the ledger was restored from a backup",
            Self::Proven => "the ledger is older than a nonce that it has given",
            Self::Diverged => "the ledger has another history than the one that was there last",
        }
    }
}

/// No such word.
#[derive(Debug, thiserror::Error)]
#[error("no kind of loss: {0}")]
pub struct UnknownLoss(String);

impl FromStr for Loss {
    type Err = UnknownLoss;

    fn from_str(word: &str) -> Result<Self, UnknownLoss> {
        let found = Self::ALL.into_iter().find(|loss| loss.word() == word);
        found.ok_or_else(|| UnknownLoss(word.to_owned()))
    }
}

/// Whether a ledger is the one of this cluster, and all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// It is another cluster's: whose.
    pub foreign: Option<Owner>,
    /// It is to be made true again.
    pub loss: Option<Loss>,
}

/// Judges the ledger with this `head`, in whose audit the link that `witness` saw last has the hash `seen` (nothing, if there is no such
/// link, or none any more), as the one of `cluster`.
#[must_use]
pub fn judge(head: &Head, seen: Option<&str>, witness: Option<&Witness>, cluster: &Uid) -> Verdict {
    Verdict {
        foreign: head.owner.clone().filter(|owner| owner.cluster != *cluster),
        loss: head.lost.or_else(|| lost(head, seen, witness)),
    }
}

fn lost(head: &Head, seen: Option<&str>, witness: Option<&Witness>) -> Option<Loss> {
    let newer = witness.is_some_and(|witness| witness.mark > head.mark);
    match (newer, head.restored) {
        (true, _) if head.mark.commits == 0 => Some(Loss::Missing),
        (_, true) => Some(Loss::Restored),
        (true, false) => Some(Loss::Older),
        (false, false) => {
            witness.is_some_and(|witness| diverges(head, seen, witness)).then_some(Loss::Diverged)
        }
    }
}

/// Whether the audit is another one than the witness saw. Old links are pruned, and a new incarnation may begin a new chain: that a link is
/// not there proves nothing then.
fn diverges(head: &Head, seen: Option<&str>, witness: &Witness) -> bool {
    let Some(audit) = &witness.audit else { return false };
    let is_shorter = head.audit.as_ref().is_none_or(|own| own.sequence < audit.sequence);
    head.mark.incarnation == witness.mark.incarnation && seen.map_or(is_shorter, |hash| hash != audit.hash)
}

/// How the ledger stands, for whoever answers programs out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not judged yet.
    #[default]
    Unknown,
    /// It is this cluster's, and was not found lost.
    Good,
    /// The same, but it is being made true again after a loss: what it knows is told, and what it does not know may be true all the same.
    Rebuilding,
    /// Nothing is done with it.
    Barred(Bar),
}

impl Standing {
    /// How a ledger with this `head` stands, once it was judged, as the one of `cluster`.
    #[must_use]
    pub fn of(head: &Head, cluster: &Uid) -> Self {
        match (&head.owner, head.lost) {
            (Some(owner), _) if owner.cluster != *cluster => Self::Barred(Bar::Foreign(owner.clone())),
            (_, Some(loss)) => Self::Barred(Bar::Lost(loss)),
            (_, None) if head.rebuilding => Self::Rebuilding,
            (_, None) => Self::Good,
        }
    }

    /// Whether programs are answered.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(self, Self::Good | Self::Rebuilding)
    }
}

/// What to do when the ledger was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Recover what can be recovered, at once.
    #[default]
    Rebuild,
    /// Wait for `usher ledger rebuild`.
    Refuse,
}

/// What somebody has consented to, of exactly this ledger and witness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// That a lost ledger is rebuilt.
    pub rebuild: bool,
    /// That another cluster's ledger is taken over.
    pub adopt: bool,
}

/// Why nothing is done with a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bar {
    /// It is another cluster's.
    Foreign(Owner),
    /// It was lost.
    Lost(Loss),
}

/// What whoever would lead does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Lead: first take it over from another cluster, then make true again what was lost.
    Lead {
        /// From whom.
        adopt: Option<Owner>,
        /// What was lost.
        recover: Option<Loss>,
    },
    /// Nothing, until somebody consents.
    Wait(Bar),
}

/// What to do with a ledger of this `verdict`. A backup that somebody put there needs no other consent.
#[must_use]
pub fn next(verdict: &Verdict, on_loss: OnLoss, consent: Consent) -> Next {
    if let Some(owner) = verdict.foreign.clone().filter(|_| !consent.adopt) {
        return Next::Wait(Bar::Foreign(owner));
    }
    let may_recover = |loss: &Loss| on_loss == OnLoss::Rebuild || consent.rebuild || *loss == Loss::Restored;
    match verdict.loss {
        Some(loss) if !may_recover(&loss) => Next::Wait(Bar::Lost(loss)),
        recover => Next::Lead { adopt: verdict.foreign.clone(), recover },
    }
}

/// The incarnation that begins when a ledger of `own` is made true again after `witness`.
#[must_use]
pub fn next_incarnation(own: i64, witness: Option<&Witness>) -> i64 {
    own.max(witness.map_or(0, |witness| witness.mark.incarnation)).saturating_add(1)
}

#[cfg(test)]
mod tests;
