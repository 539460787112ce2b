//! What a new leader does first: it sees whether the ledger is the one that was there last, and makes it its own.
//!
//! ```text
//!   witness and ledger ──judge──► the same one ────────────────────────────────────────────► epoch ──► work
//!                            ├──► lost: the ledger remembers it, every Authority says LedgerMissing
//!                            │      ├─ Rebuild, or restored by hand ──► epoch ──► incarnation ──► work
//!                            │      └─ Refuse: nothing happens ──► `usher ledger rebuild` ──► as above
//!                            └──► another cluster's: every Authority says LedgerForeign
//!                                   └─ nothing happens ──► `usher ledger adopt` ──► as above
//! ```

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};

use crate::{
    cluster::{
        Context, authority,
        standing::{self, Judged, because, is_rebuilt},
        witness::{self, Keeper},
    },
    domain::{
        reason::Because,
        witness::{Bar, Loss, Next, OnLoss, Owner, Standing, next},
    },
    ledger::{Claim, CommitError, Ledger, Unavailable},
};

/// How often a consent is looked for.
const CONSENT: Duration = Duration::from_secs(2);

/// Why the lead was not taken up.
#[derive(Debug, thiserror::Error)]
pub(in crate::cluster) enum Error {
    #[error(transparent)]
    Judge(#[from] standing::Error),
    #[error(transparent)]
    Witness(#[from] witness::Error),
    #[error("the ledger cannot be read")]
    Read(#[from] Unavailable),
    #[error("the ledger cannot be written")]
    Commit(#[from] CommitError),
    #[error("saying how the ledger stands failed")]
    Say(#[source] kube::Error),
}

impl Error {
    /// Whether trying again may help: what does not answer may do so, and what has changed meanwhile is judged anew.
    pub(in crate::cluster) fn may_pass(&self) -> bool {
        match self {
            Self::Judge(standing::Error::Witness(error)) | Self::Witness(error) => match error {
                witness::Error::Cluster { .. } | witness::Error::Ledger(_) => true,
                witness::Error::Unreadable(_) | witness::Error::Overtaken | witness::Error::Risen => false,
            },
            Self::Judge(standing::Error::Namespace(_) | standing::Error::Read(_))
            | Self::Read(_)
            | Self::Say(_) => true,
            Self::Commit(error) => match error {
                CommitError::Unavailable(_)
                | CommitError::Conflict
                | CommitError::Deposed
                | CommitError::Barred(_) => true,
                CommitError::Limit(_) | CommitError::KeySilent => false,
            },
        }
    }
}

/// Makes this replica's epoch; from then on no other's commits count. Returns who keeps the witness.
pub(in crate::cluster) async fn take_up<L: Ledger>(
    context: &Arc<Context<L>>,
    on_loss: OnLoss,
) -> Result<Keeper<L>, Error> {
    let (judged, adopt, recover) = consented(context, on_loss).await?;
    if let Some(loss) = recover {
        judged.keep(context).await?;
        say(context, &is_rebuilt(loss)).await?;
    }
    let now = context.edge.now();
    let claim = Claim { cluster: judged.cluster.clone(), adopt, token: context.edge.entropy(), at: now };
    let epoch = context.ledger.lead(&claim).await?;
    if let Some(loss) = recover {
        let witness = judged.witness.as_ref().map(|found| &found.witness);
        context.ledger.recover(loss, witness, now).await?;
    }
    let head = context.ledger.head().await?;
    info!(epoch, incarnation = head.mark.incarnation, "took the lead");
    standing::note(context, &Standing::of(&head, &judged.cluster));
    context.begin_term(head);
    let mut keeper = Keeper::new(context.clone(), judged.witness);
    keeper.catch_up().await?;
    Ok(keeper)
}

/// Returns when there is nothing against leading, or somebody has consented.
async fn consented<L: Ledger>(
    context: &Arc<Context<L>>,
    on_loss: OnLoss,
) -> Result<(Judged, Option<Owner>, Option<Loss>), Error> {
    let mut said = None;
    loop {
        let judged = standing::find(context).await?;
        let bar = match next(&judged.verdict, on_loss, judged.consent) {
            Next::Lead { adopt, recover } => return Ok((judged, adopt, recover)),
            Next::Wait(bar) => bar,
        };
        judged.keep(context).await?;
        if said.as_ref() != Some(&bar) {
            say(context, &because(&bar)).await?;
            said = Some(bar.clone());
        }
        if let (Bar::Lost(_), None) = (bar, &judged.witness) {
            Keeper::new(context.clone(), None).begin().await?;
        }
        context.edge.wait(CONSENT).await;
    }
}

async fn say<L>(context: &Context<L>, because: &Because) -> Result<(), Error> {
    warn!("{}", because.message);
    authority::say_missing(context, because).await.map_err(Error::Say)
}
