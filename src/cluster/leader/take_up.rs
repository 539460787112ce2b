//! What a new leader does first: it sees whether the ledger is the one that was there last, and makes it its own.
//!
//! ```text
//!   witness and ledger ──judge──► the same one ────────────────────────────────────────────► epoch ──► work
//!                            └──► lost: every Authority says LedgerMissing
//!                                   ├─ Rebuild, or restored by hand ──► epoch ──► incarnation ──► work
//!                                   └─ Refuse: nothing happens ──► `usher ledger rebuild` ──► as above
//! ```

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};

use crate::{
    cluster::{
        Context, authority,
        witness::{self, Found, Keeper},
    },
    domain::{
        reason::{Because, Reason},
        witness::{Loss, judge},
    },
    ledger::{CommitError, Ledger, Unavailable},
};

/// How often a consent is looked for.
const CONSENT: Duration = Duration::from_secs(2);

/// What to do when the ledger was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Recover what can be recovered, at once.
    #[default]
    Rebuild,
    /// Wait for `usher ledger rebuild`.
    Refuse,
}

/// Why the lead was not taken up.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum Error {
    #[error(transparent)]
    Witness(#[from] witness::Error),
    #[error("the ledger cannot be read")]
    Read(#[from] Unavailable),
    #[error("the ledger cannot be written")]
    Commit(#[from] CommitError),
    #[error("saying that the ledger is missing failed")]
    Say(#[source] kube::Error),
}

/// Makes this replica's epoch; from then on no other's commits count. Returns who keeps the witness.
pub(in crate::cluster) async fn take_up<L: Ledger>(
    context: &Arc<Context<L>>,
    on_loss: OnLoss,
) -> Result<Keeper<L>, Error> {
    let mut found = witness::read(context).await?;
    let head = context.ledger.head().await?;
    let loss = judge(&head, found.as_ref().map(|found| &found.witness));
    if let Some(loss) = loss {
        say(context, loss, on_loss).await?;
        if on_loss == OnLoss::Refuse && loss != Loss::Restored {
            found = consent(context, found).await?;
        }
    }
    let epoch = context.ledger.lead().await?;
    if let Some(loss) = loss {
        let now = context.edge.now();
        context.ledger.recover(loss, found.as_ref().map(|found| &found.witness), now).await?;
    }
    let head = context.ledger.head().await?;
    info!(epoch, incarnation = head.mark.incarnation, "took the lead");
    context.begin_term(head);
    let mut keeper = Keeper::new(context.clone(), found);
    keeper.catch_up().await?;
    Ok(keeper)
}

async fn say<L>(context: &Context<L>, loss: Loss, on_loss: OnLoss) -> Result<(), Error> {
    let next = match (on_loss, loss) {
        (OnLoss::Refuse, Loss::Missing | Loss::Older) => {
            "nothing is decided or written until you restore a newer backup (usher ledger restore) or run: usher ledger rebuild"
        }
        _ => "it is rebuilt from what is declared and from the documents in Secrets",
    };
    let because = Because::new(Reason::LedgerMissing, format!("{}: {next}", loss.said()));
    warn!("{}", because.message);
    authority::say_missing(context, &because).await.map_err(Error::Say)
}

/// Returns when somebody has consented to a rebuild.
async fn consent<L>(context: &Context<L>, mut found: Option<Found>) -> Result<Option<Found>, Error> {
    while !found.as_ref().is_some_and(Found::has_consent) {
        context.edge.wait(CONSENT).await;
        found = witness::read(context).await?;
    }
    info!("somebody wants the ledger rebuilt");
    Ok(found)
}
