//! Of which Licenses something may still be lost, after the ledger was.
//!
//! ```text
//!   taken up after a loss ──► every License is looked at ──► all were ──► the ledger says that it is rebuilt
//!                              (nobody is told that they are unknown)      (who is unknown now, is told so)
//! ```
//!
//! A License counts as looked at when what there was to recover of it is recovered and programs are answered by what it says; or when nothing
//! can be recovered of it as it stands: it is gone, paused, cannot be read, nobody signs for it, or its Secrets are out of reach.
//! A look that failed is made again.

use std::{
    collections::HashSet,
    convert::Infallible,
    error::Error as StdError,
    future::pending,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::{
    cluster::{Context, standing},
    domain::{license::Key, witness::Standing},
    ledger::Ledger,
};

/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The Licenses that are still to be looked at.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    left: Mutex<Option<HashSet<Key>>>,
    done: Notify,
}

impl Rebuild {
    /// These are to be looked at, if the ledger is being rebuilt.
    pub(super) fn begin(&self, licenses: Option<HashSet<Key>>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = licenses;
    }

    /// All that can be known of the License is known.
    pub(super) fn note(&self, license: &Key) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.as_mut().is_some_and(|left| left.remove(license) && left.is_empty()) {
            self.done.notify_one();
        }
    }

    /// Returns when none is left, if there is anything to rebuild; else never.
    async fn done(&self) {
        let is_done = || {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(HashSet::is_empty)
        };
        while !is_done() {
            self.done.notified().await;
        }
    }
}

/// Writes down that the ledger is rebuilt, once it is. It ends when it is dropped.
pub(super) async fn finish<L: Ledger>(context: &Context<L>) -> Infallible {
    context.rebuild.done().await;
    let (incarnation, _) = context.incarnation();
    let is_rebuilt = loop {
        match context.ledger.rebuilt(incarnation).await {
            Ok(is_rebuilt) => break is_rebuilt,
            Err(error) => {
                warn!(error = &error as &dyn StdError, "that the ledger is rebuilt is written down later");
            }
        }
        context.edge.wait(AGAIN).await;
    };
    // Else a later loss was proven meanwhile: this lead ends.
    if is_rebuilt {
        info!("the ledger is rebuilt");
        standing::note(context, &Standing::Good);
    }
    pending().await
}
