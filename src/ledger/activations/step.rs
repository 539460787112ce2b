//! What is recorded at once: all of it, or nothing.

use jiff::Timestamp;

use super::Activation;
use crate::{
    domain::{
        chain::{Chain, Position},
        license::{Key, Uid},
    },
    ledger::{
        people::Pin,
        sessions::{Use, Used},
    },
};

/// A chain that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The activation.
    pub id: String,
    /// The version that this was decided upon.
    pub version: i64,
    /// The chain from now on.
    pub chain: Chain,
    /// The answer to the call, if it has one to be recorded.
    pub answer: Option<String>,
    /// It was superseded, and that counts as a recovery.
    pub recovery: bool,
    /// Of a workload: the pod that has it from now on, if that is another one.
    pub pod: Option<Uid>,
}

impl Advance {
    /// Nothing but another chain.
    #[must_use]
    pub fn new(id: String, version: i64, chain: Chain) -> Self {
        Self { id, version, chain, answer: None, recovery: false, pod: None }
    }
}

/// A document that an activation is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// `jti`
    pub serial: String,
    /// `kid`
    pub key_id: String,
    /// `exp`
    pub until: Timestamp,
}

/// All that one call changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The License.
    pub license: Uid,
    /// Its namespace and name.
    pub key: Key,
    /// The turn that places were counted in; nothing if none is taken or given back. Chains whose documents have ended lapse with it.
    pub turn: Option<i64>,
    /// A chain that goes on.
    pub advance: Option<Advance>,
    /// Others that end with it: those of pods that are gone.
    pub also: Vec<Advance>,
    /// An activation that begins.
    pub begin: Option<Activation>,
    /// The activation key by which it begins, if that counts.
    pub by_key: Option<String>,
    /// A seat that is pinned to whoever begins it.
    pub pin: Option<Pin>,
    /// A fork that was seen: the activation, and where.
    pub fork: Option<(String, Position)>,
    /// The activation whose forks are looked into and need no warning any more.
    pub resolve: Option<String>,
    /// The document that is given.
    pub given: Option<Given>,
    /// What is done to a session.
    pub session: Option<Use>,
    /// The activation that was heard of. Nothing is decided by that, so it changes no version.
    pub heard: Option<String>,
    /// The administrator or holder who had it done: [`crate::domain::license::Holder::identity`] or its like, of which the audit gets a reference.
    pub by: Option<String>,
    /// The incarnation that begins, if a nonce proves that the ledger was restored and nobody has noticed.
    pub incarnation: Option<u32>,
    /// When.
    pub at: Timestamp,
    /// From which references to persons are made; never stored.
    pub entropy: [u8; 32],
}

impl Step {
    /// No step yet.
    #[must_use]
    pub fn new(license: Uid, key: Key, at: Timestamp, entropy: [u8; 32]) -> Self {
        Self {
            license,
            key,
            turn: None,
            advance: None,
            also: Vec::new(),
            begin: None,
            by_key: None,
            pin: None,
            fork: None,
            resolve: None,
            given: None,
            session: None,
            heard: None,
            by: None,
            incarnation: None,
            at,
            entropy,
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// A fork was recorded that was not known before.
    pub new_fork: bool,
    /// An incarnation of the ledger has begun.
    pub new_incarnation: bool,
    /// What became of the session.
    pub session: Option<Used>,
}

/// Which activations are kept: the others are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Of those that have not ended, whose document was good at this instant or after it.
    pub silent_since: Timestamp,
    /// Of those that have, which did so, or whose document was good, at this instant or after it.
    pub ended_since: Timestamp,
    /// Of those that have and count as recoveries, besides, which did so at this instant or after it.
    pub recovered_since: Timestamp,
}
