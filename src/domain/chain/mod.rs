//! The nonce chain: one activation, one living copy of its state.
//!
//! ```text
//!                    the head, used: state, refresh                    refresh with the head; a place is free
//!                            ┌───┐                    ┌──────────────────────────────────────────┐
//!   activate, recover,       │   ▼                    ▼                                          │
//!   replace, rebuild ──────► Active ◄──────── resolve ──── Quarantined ──── `exp` passed ────► Lapsed
//!                            │ │ └───── fork, if the policy is Quarantine ─────▲                ▲ │
//!                            │ └─────────────────────────── `exp` passed ───────────────────────┘ │
//!                            ▼                                                                    ▼
//!                          Ended ◄──────── deactivate, superseded by recover, withdrawn ──────────┘
//! ```
//!
//! **The chain.** `Activated(n0) ──use n0──► n1 ──use n1──► n2 …`: one head per activation, and each head is used once. A
//! [`Position`] is an incarnation of the ledger and a sequence; the nonce is that position with a tag that only Usher can
//! make ([`crate::keys::nonce`]).
//!
//! 1. *Used*, *never issued* and *issued after the backup that was restored* are told apart without history: by the tag, by
//!    the head, and by [`Chain::floors`].
//! 2. The order is: who calls (the caller's part), the tag, the sequence. A wrong tag has no effect. The head goes. The call
//!    before, word for word (key, operation, request, caller), is given its recorded answer. Anything older is a fork.
//! 3. Only a success advances. What is refused leaves the chain as it is.
//! 4. A lost reply is not a clone, and neither is a late copy of a request: whose position and key are among the
//!    [`RECENT`] last calls is refused, and not taken for a fork. So is `POST /v1/activations` repeated ([`repeated`]).
//! 5. The client writes the pending request (nonce, key) and syncs it, then sends; writes and syncs the answer, then uses it;
//!    one lock over both. It repeats a request unchanged until it succeeds, also after a refusal that may pass: an
//!    earlier copy may still be under way, and may find what the later one did not. When the activation is not known, it activates with
//!    that nonce, its key and the last document. Whoever does so is never refused as a copy.
//! 6. A fork is recorded once per activation and position (the ledger's unique insert) and only from a caller with valid
//!    credentials. Then, by [`ClonePolicy`]: *Refuse*, and whoever has the head goes on; *Quarantine*, and nobody is renewed
//!    until [`resolve`] (after which older copies are refused and stop nobody), or until the last document has ended; *Replace*, and the caller is given an activation of its own
//!    if there is a place.
//! 7. [`recover`]: who has lost the state activates the same device again. That supersedes the old activation and takes no
//!    second place; it is counted. A superseded activation that speaks again is a fork.
//! 8. A copy that stays silent dies with its document's `exp`: an activation whose last document has ended
//!    lapses, and its place is free for others ([`expire`]). Ending needs no nonce ([`end`]), so no place is ever
//!    stuck; it counts as a transfer ([`limits`]).
//! 9. A valid position above the head, or of a former incarnation and below no floor, proves that the ledger was restored: the
//!    chain goes on from there in a new incarnation, and a floor rises to there. A floor covers what lies below it in its incarnation, and of
//!    earlier incarnations what comes after fewer calls: so each lost position wins at most once, and a late copy of
//!    a request never wins over what its client has done since. Who used what lies below a floor and is not remembered, nobody knows: within
//!    [`RECENT`] calls it is refused, and no fork. An activation that the ledger lost is rebuilt from its last document
//!    ([`rebuild`]). The ledger's incarnation is that of its highest head, and rises by itself when it finds itself
//!    older than its witness ([`crate::domain::witness`]).
//! 10. Proof of possession is the caller's part: it is shown before any of this.
//!
//! What is not caught: copies that share one living state, and offline copies until `exp`.
//!
//! Pure: time, randomness and counts are arguments, and the outcome is a value to commit. Two calls with one head
//! are decided one after the other by the ledger's transaction: the second one is decided upon the chain that the first one left.

mod life;
pub mod limits;
mod present;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{document::Times, refusal::Refusal, terms::ClonePolicy};

pub use life::{Recovery, activate, as_of, end, expire, rebuild, recover, repeated, resolve};
pub use present::{check, copied, present};

/// How many calls back a late copy of a request is still known. HTTP gives a request up after minutes, so a copy that is more
/// than this many calls late is none; and each costs a row of the ledger about 100 bytes.
pub const RECENT: usize = 8;

/// How many former incarnations are known apart; what is older is not taken for lost. Each is a restore of the ledger.
pub const LIVES: usize = 8;

/// A place in the chain: later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which life of the ledger: it rises with each restore.
    pub incarnation: u32,
    /// Rises with each use, over all incarnations.
    pub sequence: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.sequence)
    }
}

/// What a nonce turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// We did not issue it for this activation.
    NotOurs,
    /// We did.
    Genuine(Position),
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        BASE64_URL_SAFE_NO_PAD.encode(digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("it is not the base64url of 32 bytes")
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(*self))
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// An activation.
    Activate,
    /// How the activation stands; advances the chain.
    State,
    /// A new document.
    Refresh,
}

/// One request, as far as it tells requests apart: who asks what, and by which key. All are hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What is asked for.
    pub operation: Operation,
    /// The idempotency key: at least 128 random bits, drawn for this request.
    pub key: Digest,
    /// The request itself.
    pub request: Digest,
    /// The credential.
    pub caller: Digest,
}

/// The call whose answer is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCall {
    /// The position that it used; absent for the call that made the activation.
    pub used: Option<Position>,
    /// The call.
    pub call: Call,
}

/// A call before the last one: its answer is no longer known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierCall {
    /// The position that it used.
    pub used: Position,
    /// Its key.
    pub key: Digest,
}

/// Why an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Somebody who may has ended it.
    Deactivated,
    /// The device was activated again.
    Superseded,
    /// Its seat or its License is gone.
    Withdrawn,
}

/// Where an activation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It is renewed.
    Active,
    /// A fork was seen: it is not renewed until somebody decides, or its last document has ended.
    Quarantined,
    /// Its last document has ended, and its place is free for others.
    Lapsed,
    /// It is over.
    Ended(Why),
}

/// The chain of one activation: what the ledger keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Where it is in its life.
    pub state: State,
    /// The one position that may be used next.
    pub head: Position,
    /// For each former incarnation, oldest first: the highest position that was used, or was the head when it ended.
    pub floors: Vec<Position>,
    /// The call that made the activation.
    pub made_by: Call,
    /// The call whose answer is recorded beside the chain, word for word.
    pub last: LastCall,
    /// Those before it, oldest first.
    pub earlier: Vec<EarlierCall>,
    /// The head when somebody resolved a fork: what lies below it was judged then.
    pub resolved_at: Option<Position>,
    /// The last instant at which any document of this activation, or of one in whose place it came, is good. It never moves back.
    pub expires_at: Timestamp,
}

impl Chain {
    /// Whether it counts against the limits. Told by its state alone and by no clock: a place that was given to somebody else
    /// because a document had ended stays given when the clock goes back.
    #[must_use]
    pub const fn holds_place(&self) -> bool {
        matches!(self.state, State::Active | State::Quarantined)
    }
}

/// What a call meets.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The ledger's incarnation.
    pub incarnation: u32,
    /// What becomes of clones.
    pub policy: ClonePolicy,
    /// The time.
    pub now: Timestamp,
    /// The document's instants, if it were made now.
    pub times: Times,
    /// Whether the License grants documents now.
    pub grants: Result<(), Refusal>,
    /// Whether there is a place for one more ([`limits::place`]). Asked only of those that hold none: whoever knows
    /// by [`Chain::holds_place`] that it will not be asked need not count.
    pub place: Result<(), Refusal>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done: commit the chain with the answer to this call, then reply.
    Go {
        /// The chain from now on; the next nonce is its head.
        after: Chain,
        /// It proves that the ledger was restored, or is a part of one that was lost in between.
        restored: bool,
    },
    /// It was done before: the recorded answer again, byte for byte.
    Again,
    /// Something else goes on with this state.
    Fork {
        /// Where: recorded once per activation and position.
        at: Position,
        /// The chain from now on.
        after: Chain,
        /// The caller is to be given an activation of its own, if [`activate`] allows; else refused.
        replace: bool,
        /// What to answer.
        refusal: Refusal,
    },
    /// It is refused, and nothing has changed.
    Refused(Refusal),
}
