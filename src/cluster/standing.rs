//! How the ledger stands: whether it is this cluster's, and the one that was there last.
//!
//! Every replica judges it before it answers a program, whoever leads: what programs do would bring a ledger that is older than its
//! witness past it. What is found lost is written into the ledger, so that no restart and no other replica takes it for good. A
//! ledger of another cluster is left as it is.
//!
//! A cluster is known by the UID of the namespace of its Usher. Whoever wants another cluster's ledger taken over annotates that
//! namespace, which only administrators of the cluster may (`usher ledger adopt`).

use std::{convert::Infallible, error::Error as StdError, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use tracing::{error, info, warn};

use crate::{
    cluster::{
        Context,
        witness::{self, Found},
    },
    domain::{
        license::Uid,
        reason::{Because, Reason},
        witness::{Bar, Consent, Head, Loss, Standing, Verdict, Witness, judge},
    },
    ledger::{Ledger, Unavailable},
};

/// On the namespace of Usher: the consent that the ledger that it names is taken over from another cluster.
pub const ADOPT: &str = "usher.dev/adopt-ledger";

/// How often the ledger is asked how it stands.
const PACE: Duration = Duration::from_secs(2);
/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why the ledger cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("reading the namespace of Usher failed")]
    Namespace(#[source] kube::Error),
    #[error(transparent)]
    Witness(#[from] witness::Error),
    #[error("reading how the ledger stands failed")]
    Read(#[from] Unavailable),
}

/// The ledger, its witness, and what somebody has consented to.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) cluster: Uid,
    pub(super) witness: Option<Found>,
    pub(super) consent: Consent,
    head: Head,
}

/// Judges the ledger as it is now.
pub(super) async fn find<L: Ledger>(context: &Context<L>) -> Result<Judged, Error> {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let own = namespaces.get(&context.namespace).await.map_err(Error::Namespace)?;
    let cluster = Uid(own.uid().unwrap_or_default());
    // The witness first: it follows the ledger.
    let witness = witness::read(context).await?;
    let seen = link_seen(&context.ledger, witness.as_ref().map(|found| &found.witness)).await?;
    let head = context.ledger.head().await?;
    let verdict = judge(&head, seen.as_deref(), witness.as_ref().map(|found| &found.witness), &cluster);
    let named = own.annotations().get(ADOPT);
    let consent = Consent {
        rebuild: witness.as_ref().is_some_and(Found::has_consent),
        adopt: verdict.foreign.as_ref().is_some_and(|owner| named == Some(&owner.to_string())),
    };
    Ok(Judged { verdict, cluster, witness, consent, head })
}

/// The hash of the link that the witness saw last, as the ledger has it.
async fn link_seen<L: Ledger>(ledger: &L, witness: Option<&Witness>) -> Result<Option<String>, Unavailable> {
    let Some(audit) = witness.and_then(|witness| witness.audit.as_ref()) else { return Ok(None) };
    let links = ledger.audit(audit.sequence.saturating_sub(1), 1).await?;
    Ok(links.into_iter().find(|link| link.sequence == audit.sequence).map(|link| link.hash))
}

impl Judged {
    /// Writes into a ledger of ours that it is lost, if it is.
    pub(super) async fn keep<L: Ledger>(&self, context: &Context<L>) -> Result<(), Unavailable> {
        match self.verdict {
            Verdict { foreign: None, loss: Some(loss) } if self.head.lost.is_none() => {
                context.ledger.condemn(loss, self.head.mark.incarnation).await
            }
            _ => Ok(()),
        }
    }
}

/// What is said of a ledger with which nothing is done, and what to do.
pub(super) fn because(bar: &Bar) -> Because {
    match bar {
        Bar::Foreign(owner) => Because::new(
            Reason::LedgerForeign,
            format!(
                "the ledger belongs to another cluster: nothing is decided or written until you give this Usher its own \
                 (--ledger), or, if that cluster is gone or must not use it any more, run: usher ledger adopt {owner}"
            ),
        ),
        Bar::Lost(loss) => Because::new(
            Reason::LedgerMissing,
            format!(
                "{}: nothing is decided or written until you restore a newer backup (usher ledger restore) or run: usher \
                 ledger rebuild",
                loss.said()
            ),
        ),
    }
}

/// What is said of a ledger that is rebuilt.
pub(super) fn is_rebuilt(loss: Loss) -> Because {
    let message =
        format!("{}: it is rebuilt from what is declared and from the documents in Secrets", loss.said());
    Because::new(Reason::LedgerMissing, message)
}

/// Judges the ledger, lets programs be answered out of it, and follows how it stands. It ends when it is dropped.
pub(super) async fn follow<L: Ledger>(context: Arc<Context<L>>) -> Infallible {
    let cluster = loop {
        match begin(&context).await {
            Ok(cluster) => break cluster,
            Err(failure) => {
                let error = &failure as &dyn StdError;
                error!(error, "the ledger cannot be judged, and no program is answered");
            }
        }
        context.edge.wait(AGAIN).await;
    };
    loop {
        match context.ledger.head().await {
            Ok(head) => note(&context, &Standing::of(&head, &cluster)),
            Err(error) => warn!(error = &error as &dyn StdError, "the ledger does not say how it stands"),
        }
        context.edge.wait(PACE).await;
    }
}

async fn begin<L: Ledger>(context: &Context<L>) -> Result<Uid, Error> {
    let judged = find(context).await?;
    judged.keep(context).await?;
    context.ledger.serve(&judged.cluster);
    Ok(judged.cluster)
}

/// From now on the ledger stands so.
pub(super) fn note<L>(context: &Context<L>, standing: &Standing) {
    let changed = context.standing.send_if_modified(|now| {
        let changed = now != standing;
        now.clone_from(standing);
        changed
    });
    match standing {
        Standing::Barred(bar) if changed => warn!("no program is answered: {}", because(bar).message),
        Standing::Good if changed => info!("programs are answered out of the ledger"),
        Standing::Rebuilding if changed => {
            info!("programs are answered out of the ledger, which is being rebuilt");
        }
        _ => {}
    }
}

/// Returns when programs are answered out of the ledger.
pub(super) async fn serves<L>(context: &Context<L>) {
    // It is never closed while we are there.
    drop(context.standing.subscribe().wait_for(Standing::serves).await);
}
