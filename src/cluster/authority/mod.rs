//! Authority: its keys, and what is published of them.
//!
//! ```text
//!   gather → establish (service) → apply: ConfigMap, HTTPS → shown (service) → status → the Licenses under it
//! ```

mod follow;
mod missing;
mod publish;
mod status;
pub(super) mod store;

use std::sync::Arc;

use jiff::SignedDuration;
use kube::{Resource as _, ResourceExt as _};
use tracing::{debug, error};

pub(super) use follow::follow;
pub(super) use missing::say_missing;

use crate::{
    cluster::{
        Context,
        api::{Authority, REVOKE_KEYS, ROTATE_KEY, paused, schedule},
        queue::{Done, Task},
        unreadable,
    },
    domain::{
        license::{Key, Uid},
        reason::{Because, Reason},
    },
    ledger::{KeepError, Ledger},
    service::establish_authority::{Declared, EstablishError, Established, establish_authority, shown},
};

/// The most keys that are named for revocation at once.
const MOST_REVOKED: usize = 64;

/// Why a look failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("making or finding the keys failed")]
    Establish(#[source] EstablishError<kube::Error>),
    #[error("recording what became of keys failed")]
    Keep(#[from] KeepError),
    #[error("publishing the keys failed")]
    Form(#[from] serde_json::Error),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
}

/// Looks at the Authority `name`, whether there is one or not.
pub(super) async fn reconcile<L: Ledger>(context: &Context<L>, name: &str) -> Done {
    match look(context, name).await {
        Ok(done) => done,
        Err(Error::Establish(EstablishError::Conflict) | Error::Keep(KeepError::Conflict)) => {
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

async fn look<L: Ledger>(context: &Context<L>, name: &str) -> Result<Done, Error> {
    let found = context.index.authority(name);
    let living = found.as_deref().filter(|found| found.meta().deletion_timestamp.is_none());
    let Some(guard) = living else {
        gone(context, name).await?;
        return Ok(Done::Rest);
    };
    // An Authority that cannot be read says so, and waits for its next edit. Under it nothing is signed, and nothing is taken away.
    let authority = match &guard.0 {
        Ok(authority) => authority,
        Err(invalid) => {
            if context.signing(name).is_none() {
                let message = format!("the Authority cannot be read: {}; correct it", invalid.error);
                context.set_signing(name, None, Some(Err(Because::new(Reason::InvalidSpec, message))));
            }
            let doing = "saying that an Authority cannot be read";
            let said = unreadable::say::<Authority, _>(context, &Key::new("", name), None).await;
            said.map_err(|source| Error::Cluster { doing, source })?;
            context.push(context.index.licenses_under(name).into_iter().map(Task::License));
            return Ok(Done::Rest);
        }
    };
    let declaration = (authority.uid(), authority.metadata.generation);
    match established(context, name, authority).await? {
        Ok(established) => show(context, name, authority, declaration, established).await,
        Err(because) => {
            context.published.withdraw(name);
            if !paused(&authority.metadata) {
                status::stalled(context, authority, &because).await?;
            }
            context.set_signing(name, Some(declaration), Some(Err(because)));
            Ok(Done::Rest)
        }
    }
}

async fn gone<L: Ledger>(context: &Context<L>, name: &str) -> Result<(), Error> {
    context.published.withdraw(name);
    forget_gone(context).await?;
    context.set_signing(name, None, None);
    // Its issuer is free now: somebody may have waited for it.
    let others = context.index.authorities().into_iter().map(|other| other.name_any());
    context.push(others.filter(|other| matches!(context.signing(other), Some(Err(_)))).map(Task::Authority));
    Ok(())
}

/// How the Authority stands, or why nothing is known of it.
async fn established<L: Ledger>(
    context: &Context<L>,
    name: &str,
    authority: &Authority,
) -> Result<Result<Established, Because>, Error> {
    let declared = declared(name, authority);
    let store = store::Secrets::new(&context.client, &context.namespace);
    let entropy = || context.edge.entropy();
    let former = context.signing(name).and_then(Result::ok);
    let establish = async || {
        let (former, now) = (former.as_deref(), context.edge.now());
        establish_authority(&context.ledger, &store, &declared, former, now, entropy).await
    };
    let mut established = establish().await;
    if matches!(&established, Err(EstablishError::Stalled(because)) if [Reason::IssuerTaken, Reason::KeyTaken].contains(&because.reason))
    {
        // Perhaps by one that was deleted between two looks, such as its own predecessor.
        forget_gone(context).await?;
        established = establish().await;
    }
    match established {
        Ok(established) => Ok(Ok(established)),
        Err(EstablishError::Stalled(because)) => Ok(Err(because)),
        Err(error) => Err(Error::Establish(error)),
    }
}

fn declared(name: &str, authority: &Authority) -> Declared {
    let spec = &authority.spec;
    let (every, overlap) = schedule(spec.rotation.as_ref(), spec.root.is_some());
    let annotation = |name: &str| authority.annotations().get(name).filter(|value| !value.is_empty());
    let revoke = annotation(REVOKE_KEYS).into_iter().flat_map(|kids| kids.split(','));
    Declared {
        uid: Uid(authority.uid().unwrap_or_default()),
        name: name.to_owned(),
        issuer: spec.issuer.clone(),
        root: spec.root.clone(),
        every,
        overlap,
        wish: annotation(ROTATE_KEY).cloned(),
        revoke: revoke.map(|kid| kid.trim().to_owned()).take(MOST_REVOKED).collect(),
        paused: paused(&authority.metadata),
    }
}

/// How long until a name that somebody else has is tried again.
const TAKEN_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// Publishes, tells, and lets the Licenses have the signer.
async fn show<L: Ledger>(
    context: &Context<L>,
    name: &str,
    authority: &Authority,
    declaration: (Option<String>, Option<i64>),
    mut established: Established,
) -> Result<Done, Error> {
    let published = publish::Published::of(&established.facts, authority.spec.root.is_some())?;
    let mut seen = false;
    let mut taken = None;
    if !paused(&authority.metadata) {
        taken = publish::apply(context, name, &published).await?;
    }
    context.published.publish(name, &established.facts.issuer, &published.jwks);
    // Nobody tells us when a ConfigMap that is not ours goes.
    let again = taken.as_ref().and_then(|_| context.edge.now().checked_add(TAKEN_AGAIN).ok());
    if !paused(&authority.metadata) {
        seen = taken.is_none() && shown(&context.ledger, &established.facts, context.edge.now()).await?;
        for because in &established.news {
            match because.reason {
                Reason::KeyRevoked => context.events.tell(authority, because).await,
                _ => context.events.note(authority, because).await,
            }
        }
        if !seen {
            established.trouble = taken.or(established.trouble);
            status::write(context, authority, &established).await?;
        }
    }
    let next = again.into_iter().chain(established.next_look).min();
    context.set_signing(name, Some(declaration), Some(established.signer.map(Arc::new)));
    Ok(match next {
        // When its overlap ends is known now.
        _ if seen => Done::Again,
        Some(at) => Done::At(at),
        None => Done::Rest,
    })
}

/// Remembers which Authorities are no longer there.
async fn forget_gone<L: Ledger>(context: &Context<L>) -> Result<(), Error> {
    let known = context.index.authorities();
    let known: Vec<Uid> = known.iter().filter_map(|a| a.meta().uid.clone()).map(Uid).collect();
    Ok(context.ledger.retain_authorities(&known, context.edge.now()).await?)
}
