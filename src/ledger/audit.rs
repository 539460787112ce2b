//! The audit chain.
//!
//! ```text
//!   link n-1 ──hash──► link n: SHA-256(hash n-1 ‖ n ‖ instant ‖ entries) ──hash──► link n+1
//! ```
//!
//! 1. Each commit is one link, in the same transaction as what it tells of: what was done is in the audit,
//!    and what is in the audit was done.
//! 2. The entries are made from the change itself, so that no caller can forget one.
//! 3. A person appears as a reference, never by name: a hash of the name with random bytes that are stored
//!    nowhere. Erasing the row that links the two erases the person, and the chain still verifies.
//! 4. Whoever owns the file can make another chain. So a checkpoint of the head is signed now and then and put where
//!    the file's owner does not write ([`Checkpoint`]); [`walk`] tells whether a chain passes through its checkpoints.
//!    The key is never another one unless the chain itself says so ([`Entry::Rekey`]).
//! 5. Old links go as a whole prefix that ends at a checkpoint, the *anchor*, and the chain says so itself
//!    ([`Entry::Prune`]): a prefix that merely went missing shows.

mod finding;
mod told;
pub mod walk;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::{hex, witness::Loss};

pub use finding::Finding;
pub(super) use told::{entries, of_authority, of_refusals};

/// One fact of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Entry {
    /// How many seats a License has was told for the first time, or changed.
    Limit {
        /// The License's namespace and name.
        license: String,
        /// So many holders may be bound at once.
        seats: u32,
    },
    /// A seat was taken.
    Bind {
        /// The License's namespace and name.
        license: String,
        /// The Seat.
        seat: String,
        /// The reference of its holder.
        holder: String,
    },
    /// A seat was freed.
    Free {
        /// The License's namespace and name.
        license: String,
        /// The Seat.
        seat: String,
    },
    /// A holder goes on holding by another Seat.
    Move {
        /// The License's namespace and name.
        license: String,
        /// The Seat that stood for the holder.
        seat: String,
        /// The Seat that stands for them now.
        to: String,
    },
    /// A document was signed.
    Issue {
        /// The License's namespace and name.
        license: String,
        /// The License or Seat that it is about.
        subject: String,
        /// `jti`
        serial: String,
        /// `kid`
        key: String,
        /// `exp`
        until: i64,
    },
    /// An activation key was made; the former one of its name, if there was one, ended.
    ActivationKey {
        /// The License's namespace and name.
        license: String,
        /// The key's name.
        key: String,
    },
    /// An installation was activated, and given its first document.
    Activate {
        /// The License's namespace and name.
        license: String,
        /// The activation.
        activation: String,
        /// The reference of its holder.
        holder: String,
        /// `jti` of the document.
        serial: String,
    },
    /// A seat that is held by an address is a person's from now on: the first whom their provider proved to have it.
    Pin {
        /// The License's namespace and name.
        license: String,
        /// The Seat.
        seat: String,
        /// The reference of its holder.
        holder: String,
    },
    /// An activation ended.
    Deactivate {
        /// The License's namespace and name.
        license: String,
        /// The activation.
        activation: String,
        /// Why.
        why: Said,
        /// The reference of who ended it, if it was not its own program: an administrator, or its holder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// An administrator closed a session.
    CloseSession {
        /// The License's namespace and name.
        license: String,
        /// The session.
        session: String,
        /// The reference of the administrator.
        by: String,
    },
    /// A nonce was used twice: there are two copies of the activation's state.
    Fork {
        /// The License's namespace and name.
        license: String,
        /// The activation.
        activation: String,
        /// The position in its chain that was used twice.
        position: String,
    },
    /// Somebody has looked into the copies of an activation: whoever has the last nonce goes on.
    Resolve {
        /// The License's namespace and name.
        license: String,
        /// The activation.
        activation: String,
        /// The reference of the administrator, or of whoever holds the seat.
        by: String,
    },
    /// A call was refused, or somebody was not signed in: the first of this caller with this code in a minute.
    Refuse {
        /// The name of the call; `signIn` of whoever was not signed in.
        call: String,
        /// The code.
        code: String,
        /// The reference of the caller. Nobody knows whom it means; the same reference is the same caller.
        by: String,
        /// The namespace and name of the License that it was about, if the call says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        license: Option<String>,
        /// The activation that it was about, if it was about one that is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activation: Option<String>,
    },
    /// More calls were refused in that minute.
    RefuseMore {
        /// The code.
        code: String,
        /// The reference of the caller; absent for all callers who were too many to be told apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// How many.
        more: u64,
    },
    /// A License is gone.
    Forget {
        /// The License's namespace and name.
        license: String,
        /// Its UID.
        uid: String,
    },
    /// An Authority made its keys.
    Establish {
        /// Its name.
        authority: String,
        /// Its issuer.
        issuer: String,
        /// The thumbprint of its root key.
        root: String,
    },
    /// A signing key was made, or came into another state.
    Key {
        /// The Authority's name.
        authority: String,
        /// The key's thumbprint.
        key: String,
        /// Its state from now on.
        state: String,
    },
    /// A root vouched for a set of keys.
    KeySet {
        /// The Authority's name.
        authority: String,
        /// The number of the set.
        serial: u64,
    },
    /// An Authority that was gone is back, with its keys.
    Return {
        /// Its name.
        authority: String,
        /// Its issuer.
        issuer: String,
    },
    /// An Authority is gone.
    Retire {
        /// Its name.
        authority: String,
        /// Its issuer.
        issuer: String,
    },
    /// The entries up to this one were older than they are kept, and are removed.
    Prune {
        /// The last of them, which a checkpoint seals.
        through: i64,
    },
    /// Somebody was erased. Who, the audit cannot tell any more.
    Erase {
        /// How many identities they had.
        identities: usize,
    },
    /// The ledger was lost or restored, and a new incarnation begins.
    Recover {
        /// What became of the former one.
        loss: Loss,
        /// The new incarnation.
        incarnation: i64,
        /// The last link of the audit that the cluster remembers.
        witnessed: Option<i64>,
        /// The hash of that link.
        hash: Option<String>,
    },
    /// The ledger was another cluster's, and is this one's from now on.
    TakeOver {
        /// The UID of the namespace of the Usher that had it.
        from: String,
        /// That of the Usher that has it.
        by: String,
    },
    /// The audit key was lost, and somebody consented to another one: it seals this entry, and what follows.
    Rekey {
        /// The thumbprint of the key that sealed until then.
        from: String,
        /// That of the key that seals from now on.
        to: String,
    },
    /// A document that was signed before the ledger was lost was found again.
    Adopt {
        /// The License's namespace and name.
        license: String,
        /// The License or Seat that it is about.
        subject: String,
        /// `jti`
        serial: String,
        /// `kid`
        key: String,
        /// `exp`
        until: i64,
    },
}

/// Why an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// By who may.
    Deactivated,
    /// The device was activated again.
    Superseded,
    /// Its seat or its License is gone.
    Withdrawn,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Counts from 1 without gaps.
    pub sequence: i64,
    /// When, in seconds since 1970-01-01 UTC.
    pub at: i64,
    /// The entries, as JSON.
    pub entries: String,
    /// In hex.
    pub hash: String,
}

impl Link {
    /// The link after `previous` (its sequence and hash; the first link follows `None`).
    #[must_use]
    pub fn after(previous: Option<(i64, &str)>, at: i64, entries: String) -> Self {
        let (last, hash) = previous.unwrap_or((0, ""));
        let sequence = last + 1;
        let mut digest = Sha256::new();
        digest.update(hash.as_bytes());
        digest.update(sequence.to_be_bytes());
        digest.update(at.to_be_bytes());
        digest.update(entries.as_bytes());
        Self { sequence, at, entries, hash: hex(&digest.finalize()) }
    }

    /// Whether this link follows `previous`.
    #[must_use]
    pub fn follows(&self, previous: Option<(i64, &str)>) -> bool {
        *self == Self::after(previous, self.at, self.entries.clone())
    }
}

/// A signed statement that the chain had this head, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The link that was the last one.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub at: i64,
    /// What was signed: [`usher_license::Checkpoint`].
    pub jws: String,
    /// Whether the links up to this one were pruned.
    pub anchor: bool,
}

/// A new reference to a person.
pub(super) fn reference(entropy: &[u8; 32], identity: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(entropy);
    digest.update(identity.as_bytes());
    hex(digest.finalize().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_verifies_until_anything_in_it_is_changed() {
        let first = Link::after(None, 10, "[]".into());
        let second = Link::after(Some((1, &first.hash)), 11, "[1]".into());
        assert!(first.follows(None) && second.follows(Some((1, &first.hash))));
        for changed in [
            Link { at: 12, ..second.clone() },
            Link { entries: "[2]".into(), ..second.clone() },
            Link { sequence: 3, ..second.clone() },
            Link { hash: first.hash.clone(), ..second.clone() },
        ] {
            assert!(!changed.follows(Some((1, &first.hash))), "{changed:?}");
        }
        assert!(!second.follows(None));
    }

    #[test]
    fn a_reference_tells_nothing_without_the_bytes_that_made_it() {
        assert_ne!(
            reference(&[1; 32], "email:ann@acme.example"),
            reference(&[2; 32], "email:ann@acme.example")
        );
        assert_eq!(reference(&[1; 32], "x").len(), 32);
    }
}
