//! The audit: once a minute its head is sealed, if it has grown, and shown to whoever wants to keep it.
//!
//! ```text
//!   each minute: sealed (service, ledger) → the log → ConfigMap usher-audit
//!   once a day:  pruned, in small steps; and with it the activations that ended long ago
//! ```
//!
//! 1. The checkpoint is in the ledger before anybody sees it, so a cluster that is ahead of the ledger proves a loss.
//! 2. Then the ConfigMap is left as it is: what it holds is the evidence. Everything else in it is repaired.
//! 3. The key is made once; another one takes its place only by a consent (`rekey`).
//! 4. Nothing is written when nothing changed.

mod key;
mod published;
mod rekey;

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use tracing::{error, info};

use crate::{
    cluster::Context,
    ledger::{CommitError, Ledger, Unavailable, audit::Checkpoint},
    service::{
        keep_audit::{self, SealError, prune_audit, unsealed},
        prune_activations::{PruneError, prune_activations},
    },
};

pub use key::SECRET;
pub use published::{CHECKPOINTS, KEY, NAME};
pub use rekey::REKEY;

/// How often the audit is sealed: what is newer may be changed unseen by whoever owns the file.
const EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How often the audit is pruned. Each time is an entry, so that it is not every minute.
const PRUNED_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How many links are removed in one transaction: others wait for it.
const STEP: u32 = 200;

/// Why the audit was not sealed, or its checkpoints not shown. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("reading the audit failed")]
    Read(#[from] Unavailable),
    #[error("writing down that the key is another one failed")]
    Rekey(#[source] CommitError),
    #[error("pruning the audit failed")]
    Prune(#[source] CommitError),
    #[error("pruning the activations failed")]
    Activations(#[from] PruneError),
    #[error(transparent)]
    Key(#[from] key::Error),
    #[error(transparent)]
    Published(#[from] published::Error),
}

/// Keeps the audit, until it is dropped. What was sealed longer than `retention` ago is given up.
pub(super) async fn keep<L: Ledger>(context: &Context<L>, retention: SignedDuration) -> Infallible {
    let mut prune_at = context.edge.now();
    loop {
        context.edge.wait_until(after(context.edge.now(), EVERY)).await;
        let now = context.edge.now();
        if let Err(failure) = seal(context, now).await {
            context.metrics.audit_failed();
            error!(error = &failure as &dyn std::error::Error, "the audit is not sealed; it is tried again");
        }
        if prune_at <= now {
            match prune(context, retention, now).await {
                Ok(()) => prune_at = after(now, PRUNED_EVERY),
                Err(failure) => error!(error = &failure as &dyn std::error::Error, "it is tried again"),
            }
        }
    }
}

fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

async fn seal<L: Ledger>(context: &Context<L>, now: Timestamp) -> Result<(), Error> {
    let Some(head) = context.ledger.last_link().await? else { return Ok(()) };
    let last = context.ledger.last_checkpoints(1).await?.pop();
    let told = |sealed: i64, at: i64| context.metrics.audited(head.sequence, sealed, at);
    told(last.as_ref().map_or(0, |last| last.sequence), last.as_ref().map_or(0, |last| last.at));
    let sealed = seal_tail(context, now).await;
    // What is sealed already is shown all the same.
    let shown = published::publish(context).await;
    if let Some(sealed) = sealed? {
        told(sealed.sequence, sealed.at);
    }
    Ok(shown?)
}

async fn seal_tail<L: Ledger>(context: &Context<L>, now: Timestamp) -> Result<Option<Checkpoint>, Error> {
    // Once more if the key has just become another one: that is an entry, too.
    for _ in 0..2 {
        let Some(tail) = unsealed(&context.ledger).await? else { break };
        let Some(key) = rekey::whose_turn(context, &tail, now).await? else { continue };
        let sealed = keep_audit::seal(&context.ledger, tail, &key, now).await?;
        context.metrics.sealed();
        info!(sequence = sealed.sequence, hash = sealed.hash, checkpoint = sealed.jws, "the audit is sealed");
        return Ok(Some(sealed));
    }
    Ok(None)
}

async fn prune<L: Ledger>(
    context: &Context<L>,
    retention: SignedDuration,
    now: Timestamp,
) -> Result<(), Error> {
    if prune_audit(&context.ledger, retention, now).await.map_err(Error::Prune)? {
        info!("the audit is pruned: entries that are older than they are kept are removed");
    }
    while context.ledger.sweep(STEP).await.map_err(Error::Prune)? > 0 {}
    let activations = prune_activations(&context.ledger, now).await?;
    if activations > 0 {
        info!(activations, "activations are forgotten that ended long ago");
    }
    Ok(())
}
