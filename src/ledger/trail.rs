//! The ports to the audit.

use std::future::Future;

use jiff::Timestamp;

use crate::{
    domain::license::{Key, Uid},
    ledger::{CommitError, Unavailable, audit},
};

/// The port to the audit, for whoever only reads it.
pub trait Trail: Send + Sync + 'static {
    /// At most `limit` links of the audit chain after `sequence`, in order.
    fn audit(
        &self,
        sequence: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<audit::Link>, Unavailable>> + Send;

    /// The last link.
    fn last_link(&self) -> impl Future<Output = Result<Option<audit::Link>, Unavailable>> + Send;

    /// At most `limit` checkpoints of links after `sequence`, in order.
    fn checkpoints(
        &self,
        sequence: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<audit::Checkpoint>, Unavailable>> + Send;

    /// The last `limit` checkpoints, in order.
    fn last_checkpoints(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<audit::Checkpoint>, Unavailable>> + Send;

    /// Whom a reference of the audit means; nobody, once they were erased.
    fn person(&self, reference: &str) -> impl Future<Output = Result<Option<String>, Unavailable>> + Send;
}

/// The port to the audit, for whoever keeps it. Other entries are written with what they tell of.
pub trait Audit: Trail {
    /// Keeps a checkpoint. `Conflict` when the chain has no such link, or the link has one already.
    fn seal(&self, checkpoint: &audit::Checkpoint) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Tells the audit that the key `to` seals from now on, instead of `from`: thumbprints.
    fn rekey(
        &self,
        from: &str,
        to: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Makes the last checkpoint made before `before` the anchor, unless it is already; never that of the last link,
    /// which stays. Tells the audit. Returns whether the anchor moved. From then on [`Audit::sweep`] removes what lies before.
    fn prune(
        &self,
        before: Timestamp,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// Removes at most `limit` links and checkpoints before the anchor. Returns how many.
    fn sweep(&self, limit: u32) -> impl Future<Output = Result<u64, CommitError>> + Send;

    /// Erases who these identities are, unless one of them holds a seat, and tells the audit, without a name. Returns
    /// how many of them were known. What is erased is overwritten on the disk.
    fn erase(
        &self,
        identities: &[String],
        at: Timestamp,
    ) -> impl Future<Output = Result<usize, EraseError>> + Send;
}

/// Why nobody was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// They hold seats.
    #[error("they hold a seat")]
    Holds(Vec<Held>),
    /// The ledger.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A seat that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The License's namespace and name.
    pub license: Key,
    /// The Seat.
    pub seat: Uid,
}
