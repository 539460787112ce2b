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
//! look's, behind everybody else in the queue. The License is told its counts when all is done. What cannot be written
//! stops nothing else; see [`troubles`] for what becomes of it.

mod apply;
mod copies;
mod effective;
mod gather;
mod members;
mod recover;
mod status;
mod troubles;
mod validate;

use jiff::{SignedDuration, Timestamp};
use tracing::{debug, error, info};

use crate::{
    cluster::{
        Context, namespace,
        queue::{Done, Task},
        rights::Access,
    },
    domain::license::Key,
    ledger::{CommitError, Facts, Ledger, Unavailable},
    service::{
        hold_license::hold_license,
        reconcile_license::{AT_MOST, Outcome, ReconcileError, Wanted, reconcile_license, settle},
    },
};

use copies::Copied;
use recover::{Recovered, recover, sweep};
use troubles::Troubles;
use validate::Validated;

pub(crate) use copies::FINALIZER;

/// How long until Authorities that nobody has looked at yet may have been looked at.
const SOON: SignedDuration = SignedDuration::from_secs(1);

/// Why a look failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("deciding failed")]
    Decide(#[from] ReconcileError),
    #[error("settling removed Secrets, or recovering what was lost, failed")]
    Settle(#[from] CommitError),
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    #[error("keeping the activation keys failed")]
    Keys(#[source] CommitError),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
}

/// Looks at the License `key`, whether there is one or not.
pub(super) async fn reconcile<L: Ledger>(context: &Context<L>, key: &Key) -> Done {
    match look(context, key).await {
        Ok(done) => done,
        Err(
            Error::Decide(ReconcileError::Commit(CommitError::Conflict))
            | Error::Settle(CommitError::Conflict)
            | Error::Keys(CommitError::Conflict),
        ) => {
            debug!("somebody else was faster; looking again");
            Done::Again
        }
        Err(Error::Cluster { source: kube::Error::Api(status), doing }) if status.code == 409 => {
            debug!("{doing}: it was changed meanwhile; looking again");
            Done::At(context.edge.now())
        }
        Err(failure) => {
            error!(error = &failure as &dyn std::error::Error, "the look failed and is tried again");
            Done::Failed
        }
    }
}

async fn look<L: Ledger>(context: &Context<L>, key: &Key) -> Result<Done, Error> {
    // First: what becomes of its namespace brings us back.
    if context.index.license(key).is_some() && context.rights.need(key, &key.namespace) {
        context.push([Task::Namespace(key.namespace.clone())]);
    }
    let mut gathered = gather::gather(context, key);
    // After a start thousands wait for the same list of Secrets: none of them asks the ledger meanwhile.
    if gathered.readable().is_some() && gathered.access == Access::Unknown {
        return Ok(Done::Rest);
    }
    gathered.members = members::members(context, &gathered).await?;
    let done = look_at(context, &gathered).await?;
    // Whoever is not proven again by then gives their seat to the next.
    Ok(gathered.members.until.map_or(done, |until| done.by(until)))
}

async fn look_at<L: Ledger>(context: &Context<L>, gathered: &gather::Gathered) -> Result<Done, Error> {
    let key = &gathered.key;
    let facts = context.ledger.facts(key).await?;
    let mut namespaces = copies::namespaces(gathered, &facts);
    // Of a License that went with its ledger there may be something left.
    namespaces.extend(gathered.seats.first().filter(|_| context.was_lost()).map(|_| key.namespace.clone()));
    context.want(key, &namespaces);
    let validated = match validate::validate(gathered) {
        Validated::Wait => return Ok(Done::Rest),
        Validated::Paused => {
            context.note_looked(key);
            context.rebuild.note(key);
            return Ok(Done::Rest);
        }
        Validated::Unreadable(because) => {
            context.note_looked(key);
            context.rebuild.note(key);
            apply::stalled(context, gathered, &because).await?;
            return Ok(Done::Rest);
        }
        Validated::Gone => {
            context.note_looked(key);
            context.rebuild.note(key);
            None
        }
        Validated::Wanted(wanted) => Some(wanted),
    };
    let (mut troubles, now) = (Troubles::default(), context.edge.now());
    if let Some(validated) = &validated
        && let Some(done) = recovered(context, gathered, validated, &facts).await?
    {
        return Ok(done);
    }
    let uid = validated.as_ref().map(|validated| &validated.license.uid);
    if copies::withdraw(context, gathered, &facts, uid, &mut troubles, now).await? {
        return Ok(Done::Again);
    }
    match (gathered.access, &validated) {
        (Access::Open, _) | (Access::Ending, None) => {}
        (Access::Unknown, Some(_)) => return Ok(Done::Rest),
        (Access::Ending, Some(_)) => {
            context.rebuild.note(key);
            return Ok(Done::Rest);
        }
        (Access::Refused, Some(validated)) => {
            context.rebuild.note(key);
            let outcome = hold_license(&facts, &validated.license, &validated.seats.seats, now);
            return show(context, gathered, validated, &outcome, troubles, now).await;
        }
        (Access::Unknown | Access::Refused, None) => {
            apply::orphans(context, gathered, &mut troubles, now).await;
            return troubles.end(now, None);
        }
    }
    if let Some(validated) = &validated
        && let Some(done) = make_seats(context, key, validated, &mut troubles).await?
    {
        return Ok(done);
    }
    let outcome = decide(context, gathered, &facts, validated.as_deref(), now).await?;
    context.rebuild.note(key);
    if remove(context, gathered, &outcome, &mut troubles).await? {
        // Names have come free, and the last of a former License can be forgotten.
        return Ok(Done::Again);
    }
    let Some(validated) = validated else {
        return gone(context, gathered, &outcome, troubles, now).await;
    };
    // What was signed before and is missing was removed by hand, or goes with its namespace.
    if outcome.signed == 0 && apply::is_missing(context, &validated, &outcome) && ends(context, key).await? {
        return Ok(Done::Rest);
    }
    if gathered.access == Access::Open {
        apply::strays(context, gathered, &outcome, &mut troubles).await;
    }
    if apply::remove_seats(context, &key.namespace, &validated.seats.unwanted, &mut troubles).await {
        return Ok(Done::Again);
    }
    show(context, gathered, &validated, &outcome, troubles, now).await
}

/// Sees to it that the facts are true. Returns how the look ends if they were not.
async fn recovered<L: Ledger>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    validated: &validate::Valid,
    facts: &[Facts],
) -> Result<Option<Done>, Error> {
    Ok(match recover(context, gathered, validated, facts).await? {
        Recovered::True => None,
        Recovered::Now => Some(Done::Again),
        Recovered::Not(because) => {
            if let Some(because) = because {
                apply::stalled(context, gathered, &because).await?;
            }
            Some(Done::Rest)
        }
    })
}

/// Makes the Seats that are missing for assigned users. Returns how the look ends if there were any.
async fn make_seats<L>(
    context: &Context<L>,
    key: &Key,
    validated: &validate::Valid,
    troubles: &mut Troubles,
) -> Result<Option<Done>, Error> {
    let missing = &validated.seats.missing;
    if missing.is_empty() {
        return Ok(None);
    }
    if ends(context, key).await? {
        return Ok(Some(Done::Rest));
    }
    Ok(apply::make_seats(context, key, missing, troubles).await.then_some(Done::Again))
}

/// Decides upon `facts`, commits, and tells those whom nothing else will tell.
async fn decide<L: Ledger>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    facts: &[Facts],
    validated: Option<&validate::Valid>,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let wanted = validated.map(|validated| Wanted {
        license: &validated.license,
        seats: &validated.seats.seats,
        unreadable: &validated.seats.held,
        signer: validated.keys.as_deref(),
        may_grant: validated.signer.is_ok(),
    });
    let (key, entropy) = (&gathered.key, context.edge.entropy());
    let outcome = reconcile_license(&context.ledger, key, facts, wanted, AT_MOST, now, entropy).await?;
    if outcome.signed + outcome.bound.len() + outcome.freed.len() > 0 {
        info!(signed = outcome.signed, bound = outcome.bound.len(), freed = outcome.freed.len(), "committed");
    }
    if outcome.bound.len() + outcome.freed.len() > 0 {
        context.binding_changed.notify_one();
    }
    context.metrics.committed(outcome.signed, outcome.bound.len(), outcome.freed.len());
    let awaited = validated.map(|validated| apply::awaited(validated, &outcome)).unwrap_or_default();
    context.awaited.wait(key, awaited);
    if let Some(validated) = validated {
        // Whoever had one seat too many of the product has not now.
        if !outcome.freed.is_empty() {
            let beside = context.index.licenses_beside(key, validated.license.product.as_str());
            context.push(beside.into_iter().map(Task::License));
        }
        apply::tell_losers(context, gathered, &validated.license, &outcome).await;
    }
    Ok(outcome)
}

/// Removes the Secrets of those who lost. Returns whether any is gone.
async fn remove<L: Ledger>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    outcome: &Outcome,
    troubles: &mut Troubles,
) -> Result<bool, Error> {
    if outcome.removals.is_empty() {
        return Ok(false);
    }
    let key = &gathered.key;
    let gone = if gathered.access == Access::Open && !ends(context, key).await? {
        apply::removals(context, key, outcome, troubles).await
    } else {
        // What lies in a namespace that goes, goes with it.
        outcome.removals.iter().take(AT_MOST).cloned().collect()
    };
    settle(&context.ledger, key, &gone, context.edge.now()).await?;
    let names: Vec<Key> = gone.iter().map(|removal| Key::new(&key.namespace, &removal.name)).collect();
    context.released(&names);
    Ok(!gone.is_empty())
}

/// There is no License: the Seats that were made under it go, and whoever names it is told.
async fn gone<L>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    outcome: &Outcome,
    mut troubles: Troubles,
    now: Timestamp,
) -> Result<Done, Error> {
    let unwanted = validate::made_for_nobody(gathered);
    if apply::remove_seats(context, &gathered.key.namespace, &unwanted, &mut troubles).await || outcome.more {
        return Ok(Done::Again);
    }
    let mut all_known = true;
    if gathered.access == Access::Open {
        apply::strays(context, gathered, outcome, &mut troubles).await;
        all_known = sweep(context, &gathered.key, &mut troubles).await?;
    }
    apply::orphans(context, gathered, &mut troubles, now).await;
    let next = (!all_known).then(|| now.checked_add(SOON).unwrap_or(Timestamp::MAX));
    troubles.end(now, next)
}

/// Removals are made: losses, then Secrets, then gains, then what speaks of all of them.
async fn show<L: Ledger>(
    context: &Context<L>,
    gathered: &gather::Gathered,
    validated: &validate::Valid,
    outcome: &Outcome,
    mut troubles: Troubles,
    now: Timestamp,
) -> Result<Done, Error> {
    // Nobody gains while there is a loss to show.
    if apply::losses(context, gathered, validated, outcome, &mut troubles, now).await {
        return Ok(Done::Again);
    }
    if gathered.access == Access::Open {
        apply::secrets(context, validated, outcome, &mut troubles).await;
        apply::activation_keys(context, validated, outcome, &mut troubles).await?;
    }
    if apply::gains(context, gathered, validated, outcome, &mut troubles, now).await || outcome.more {
        return Ok(Done::Again);
    }
    apply::assignments(context, gathered, validated, outcome, &mut troubles, now).await;
    if gathered.access == Access::Open {
        match copies::show(context, gathered, &validated.license, outcome, &mut troubles, now).await? {
            Copied::Done => {}
            Copied::Finalized => return Ok(Done::Again),
            Copied::Unknown => return troubles.end(now, outcome.next_look),
        }
    }
    apply::license(context, gathered, validated, outcome, &mut troubles, now).await;
    let used = outcome.sessions_end(now).map(|end| context.summaries.next(&gathered.key, end, now));
    troubles.end(now, outcome.next_look.into_iter().chain(used).min())
}

async fn ends<L>(context: &Context<L>, key: &Key) -> Result<bool, Error> {
    let ending = namespace::is_ending(context, &key.namespace).await;
    ending.map_err(|source| Error::Cluster { doing: "reading a namespace", source })
}
