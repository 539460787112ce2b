//! Erasing who somebody was, once nothing says so any more but the ledger.
//!
//! ```text
//!   declared in the cluster ─┐
//!   holds a seat ────────────┼──► refused, with what to delete first
//!   neither ─────────────────┴──► the link between person and reference is erased; the chain stays as it is
//! ```

use jiff::Timestamp;

use crate::{
    domain::license::{Holder, Key},
    ledger::{Audit, CommitError, EraseError, Held},
    service::callers,
};

/// An object in the cluster that names the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace and name.
    pub key: Key,
}

/// Why nobody was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The person is declared.
    #[error("objects in the cluster name them")]
    Declared(Vec<Declared>),
    /// The person holds seats.
    #[error("they hold seats")]
    Holds(Vec<Held>),
    /// The ledger.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Forgets the person of these identities, and of this name in Kubernetes. Returns how many of them were known.
///
/// # Errors
/// When they are declared or hold a seat, or the ledger is away.
pub async fn forget_person(
    ledger: &impl Audit,
    person: &[Holder],
    kubernetes_user: Option<&str>,
    declared: Vec<Declared>,
    now: Timestamp,
) -> Result<usize, ForgetError> {
    if !declared.is_empty() {
        return Err(ForgetError::Declared(declared));
    }
    let as_administrator = kubernetes_user.map(callers::identity);
    let identities: Vec<String> = person.iter().map(Holder::identity).chain(as_administrator).collect();
    ledger.erase(&identities, now).await.map_err(|error| match error {
        EraseError::Holds(held) => ForgetError::Holds(held),
        EraseError::Commit(error) => ForgetError::Commit(error),
    })
}
