//! License, with all its Seats: one look.
//!
//! ```text
//!   gather (client) → validate (pure) → decide and commit (service) → apply (client) → status (client)
//! ```
//!
//! Where Usher may not touch Secrets, nothing is decided: the statuses say how it stands and why, and that is all.
//! Else Seats for the users of UserAssignments are made first, and the look begins again with them.
//!
//! What others see changes in this order, so that nobody ever sees more seats taken than there are: Secrets of those
//! who lost go (and then the look begins again), then their status says so, then new Secrets come, then their
//! status, then the License's.
//!
//! However many Seats a License has, one look removes, binds, signs and shows a part of them, and what is left is the next
//! look's, behind everybody else in the queue. The License is told its counts when all is done.

mod apply;
mod copies;
mod effective;
mod gather;
mod status;
mod validate;

use std::collections::BTreeSet;

use jiff::Timestamp;
use tracing::{debug, error, info};

use crate::{
    cluster::{
        Context,
        context::Access,
        namespace,
        queue::{Done, Task},
    },
    domain::{license::Key, reason::Reason},
    ledger::{CommitError, Facts, Ledger, Unavailable},
    service::{
        hold_license::hold_license,
        reconcile_license::{AT_MOST, ReconcileError, Wanted, reconcile_license, settle},
    },
};

use copies::Copied;
use validate::Validated;

pub(crate) use copies::FINALIZER;

/// Why a look failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("deciding failed")]
    Decide(#[from] ReconcileError),
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    #[error("settling removed Secrets failed")]
    Settle(#[from] CommitError),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
}

/// Looks at the License `key`, whether there is one or not.
pub(super) async fn reconcile<L: Ledger>(context: &Context<L>, key: &Key) -> Done {
    match look(context, key).await {
        Ok(done) => done,
        Err(
            Error::Decide(ReconcileError::Commit(CommitError::Conflict))
            | Error::Settle(CommitError::Conflict),
        ) => {
            debug!("somebody else was faster; looking again");
            Done::Again
        }
        Err(failure) => {
            error!(error = &failure as &dyn std::error::Error, "the look failed and is tried again");
            Done::Failed
        }
    }
}

async fn look<L: Ledger>(context: &Context<L>, key: &Key) -> Result<Done, Error> {
    let gathered = gather::gather(context, key);
    let facts = if gathered.license.is_none() || copies::has_finalizer(&gathered) {
        context.ledger.facts(key).await?
    } else {
        Vec::new()
    };
    context.want(key, &needed(&gathered, &facts));
    let validated = match validate::validate(&gathered) {
        Validated::Wait => return Ok(Done::Rest),
        Validated::Unreadable(because) => {
            apply::stalled(context, &gathered, &because).await?;
            return Ok(Done::Rest);
        }
        Validated::Gone => None,
        Validated::Wanted(wanted) => Some(wanted),
    };
    let now = context.edge.now();
    if validated.is_none() {
        copies::withdraw(context, &gathered, &facts, now).await?;
    }
    match (gathered.access, &validated) {
        (Access::Open, _) | (Access::Ending, None) => {}
        (Access::Unknown | Access::Ending, Some(_)) => return Ok(Done::Rest),
        (Access::Refused, Some(validated)) => return held(context, &gathered, validated, now).await,
        (Access::Unknown | Access::Refused, None) => {
            apply::orphans(context, &gathered, now).await?;
            return Ok(Done::Rest);
        }
    }
    if let Some(missing) = validated.as_ref().map(|valid| &valid.seats.missing).filter(|m| !m.is_empty()) {
        if ends(context, key).await? {
            return Ok(Done::Rest);
        }
        if apply::make_seats(context, key, missing).await? {
            return Ok(Done::Again);
        }
    }
    let wanted = validated.as_ref().map(|validated| Wanted {
        license: &validated.license,
        seats: &validated.seats.seats,
        unreadable: &gathered.unreadable_seats,
        signer: validated.signer.as_deref().ok(),
    });
    let entropy = context.edge.entropy();
    let mut outcome = reconcile_license(&context.ledger, key, wanted, AT_MOST, now, entropy).await?;
    outcome.removals.truncate(AT_MOST);
    if outcome.signed + outcome.bound.len() + outcome.freed.len() > 0 {
        info!(signed = outcome.signed, bound = outcome.bound.len(), freed = outcome.freed.len(), "committed");
    }
    context.metrics.committed(outcome.signed, outcome.bound.len(), outcome.freed.len());

    if let Some(validated) = &validated {
        // Whoever had one seat too many of the product has not now.
        if !outcome.freed.is_empty() {
            let beside = context.index.licenses_beside(key, validated.license.product.as_str());
            context.push(beside.into_iter().map(Task::License));
        }
        apply::tell_losers(context, &gathered, &validated.license, &outcome).await;
    }
    if !outcome.removals.is_empty() {
        // What lies in a namespace that goes, goes with it.
        if gathered.access == Access::Open && !ends(context, key).await? {
            apply::removals(context, key, &outcome).await?;
        }
        settle(&context.ledger, key, &outcome.removals, context.edge.now()).await?;
        // Names have come free, and the last of a former License can be forgotten.
        return Ok(Done::Again);
    }
    let Some(validated) = validated else {
        if apply::remove_seats(context, &key.namespace, &validate::made_for_nobody(&gathered)).await?
            || outcome.more
        {
            return Ok(Done::Again);
        }
        apply::orphans(context, &gathered, now).await?;
        return Ok(Done::Rest);
    };
    // What was signed before and is missing was removed by hand, or goes with its namespace.
    if outcome.signed == 0 && apply::is_missing(context, &validated, &outcome) && ends(context, key).await? {
        return Ok(Done::Rest);
    }
    // Nobody gains while there is a loss to show.
    if apply::remove_seats(context, &key.namespace, &validated.seats.unwanted).await?
        || apply::losses(context, &gathered, &validated, &outcome, now).await?
    {
        return Ok(Done::Again);
    }
    let foreign = apply::secrets(context, &validated, &outcome).await?;
    if apply::gains(context, &gathered, &validated, &outcome, &foreign, now).await? || outcome.more {
        return Ok(Done::Again);
    }
    apply::assignments(context, &gathered, &validated, &outcome, now).await?;
    let uid = &validated.license.uid;
    let copied = copies::show(context, &gathered, uid, outcome.documents.get(uid), now).await?;
    let hindered = match &copied {
        Copied::Pending => return Ok(Done::Rest),
        Copied::Hindered(because) => Some(because),
        Copied::Done => None,
    };
    apply::license(context, &gathered, &validated, &outcome, &foreign, hindered, now).await?;

    let taken = !foreign.is_empty() || hindered.is_some_and(|b| b.reason == Reason::SecretNameTaken);
    Ok(match (!taken, outcome.next_look) {
        // Nobody tells us when a Secret that is not ours goes.
        (false, _) => Done::At(apply::look_again_for_foreign(now)),
        (true, Some(at)) => Done::At(at),
        (true, None) => Done::Rest,
    })
}

/// The namespaces with whose Secrets this look may have to do.
fn needed(gathered: &gather::Gathered, facts: &[Facts]) -> BTreeSet<String> {
    let known = gathered.license.is_some() || !facts.is_empty();
    let own = known.then(|| gathered.key.namespace.clone());
    let held = facts.iter().flat_map(|facts| &facts.copies).map(|claim| claim.secret.namespace.clone());
    own.into_iter()
        .chain(held)
        .chain(copies::wanted(gathered).into_iter().map(|copy| copy.namespace))
        .collect()
}

async fn ends<L>(context: &Context<L>, key: &Key) -> Result<bool, Error> {
    let ending = namespace::is_ending(context, &key.namespace).await;
    ending.map_err(|source| Error::Cluster { doing: "reading a namespace", source })
}

/// Secrets are out of reach: everything is shown as it stands, and nothing is decided.
async fn held<L: Ledger>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    validated: &validate::Valid,
    now: Timestamp,
) -> Result<Done, Error> {
    let outcome = hold_license(&context.ledger, &validated.license, &validated.seats.seats, now).await?;
    let foreign = BTreeSet::new();
    if apply::losses(context, gathered, validated, &outcome, now).await?
        || apply::gains(context, gathered, validated, &outcome, &foreign, now).await?
    {
        return Ok(Done::Again);
    }
    apply::assignments(context, gathered, validated, &outcome, now).await?;
    apply::license(context, gathered, validated, &outcome, &foreign, None, now).await?;
    Ok(outcome.next_look.map_or(Done::Rest, Done::At))
}
