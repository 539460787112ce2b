//! The facts of Authorities: which keys they have, and what became of each.
//!
//! A key belongs to the Authority that made it, for good. That it signs nothing after its time is held in the
//! transaction that issues: a document under a key that does not sign (any more) is a conflict.

use std::future::Future;

use jiff::Timestamp;

use crate::{
    domain::{
        license::Uid,
        rotation::Key,
        text::{Issuer, KeyId},
    },
    ledger::Unavailable,
};

/// What the ledger knows of an Authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFacts {
    /// Of the Authority object.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// Its issuer, which no other Authority has.
    pub issuer: Issuer,
    /// The thumbprint of its root key, which no other Authority has.
    pub root: KeyId,
    /// Its version: a change names the one that it was decided upon.
    pub version: i64,
    /// The number of the key set that is wanted.
    pub serial: u64,
    /// The key set that the root has signed; absent until it has.
    pub keys_jws: Option<String>,
    /// The last wish for a successor that was acted upon.
    pub rotated_for: Option<String>,
    /// Its keys, oldest first.
    pub keys: Vec<Key>,
}

/// How far the documents under revoked keys have been made anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reissuing {
    /// How many there were when the keys were revoked.
    pub total: u64,
    /// How many are left.
    pub left: u64,
}

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The UID of the Authority.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// It is gone.
    pub gone: bool,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Another Authority has the issuer.
    #[error("another authority has this issuer")]
    IssuerTaken,
    /// Another Authority has this key.
    #[error("another authority has the key {0}")]
    KeyTaken(KeyId),
    /// Somebody else changed the same thing first: look again.
    #[error("the facts have changed since they were read")]
    Conflict,
    /// The database did not do it.
    #[error("the ledger is unavailable")]
    Unavailable(#[from] Unavailable),
}

/// The port to the facts of Authorities.
pub trait Authorities: Send + Sync {
    /// What is known of an Authority.
    fn authority(
        &self,
        uid: &Uid,
    ) -> impl Future<Output = Result<Option<AuthorityFacts>, Unavailable>> + Send;

    /// An Authority that is gone comes back under its name and issuer, as another object. Returns whether there was one.
    fn take_back(
        &self,
        uid: &Uid,
        name: &str,
        issuer: &Issuer,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, KeepError>> + Send;

    /// Commits what became of an Authority: `after` instead of `before`, which is absent for a new one. The last `exp` under
    /// a key only ever rises; a key stops signing only if that is still what `before` says.
    fn keep_authority(
        &self,
        before: Option<&AuthorityFacts>,
        after: &AuthorityFacts,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), KeepError>> + Send;

    /// Whose a key is, of all that are or were known.
    fn owner(&self, key: &KeyId) -> impl Future<Output = Result<Option<Owner>, Unavailable>> + Send;

    /// How far the documents under this Authority's revoked keys have been made anew.
    fn reissuing(&self, uid: &Uid) -> impl Future<Output = Result<Reissuing, Unavailable>> + Send;

    /// The Authorities that are not among `known` are gone, so that their issuers are free again.
    fn retain_authorities(
        &self,
        known: &[Uid],
        at: Timestamp,
    ) -> impl Future<Output = Result<(), KeepError>> + Send;
}
