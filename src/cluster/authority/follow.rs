//! The Authorities, while another replica leads: their keys are served here as well, as that one has committed them.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use kube::ResourceExt as _;
use tracing::warn;

use super::{declared, publish, store};
use crate::{
    cluster::{Context, standing},
    domain::license::Uid,
    ledger::Ledger,
    service::{establish_authority::EstablishError, follow_authority::follow_authority},
};

/// How often the ledger is asked: a key that was revoked is out of use everywhere after so long.
const PACE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("reading what became of the keys failed")]
    Follow(#[from] EstablishError<kube::Error>),
    #[error("publishing the keys failed")]
    Form(#[from] serde_json::Error),
}

/// Follows until it is dropped.
pub(in crate::cluster) async fn follow<L: Ledger>(context: &Context<L>) -> Infallible {
    let mut known: HashMap<String, (Uid, i64)> = HashMap::new();
    loop {
        standing::serves(context).await;
        let names: HashSet<String> =
            context.index.authorities().into_iter().map(|authority| authority.name_any()).collect();
        for gone in known.extract_if(|name, _| !names.contains(name)) {
            context.published.withdraw(&gone.0);
            context.signers.set(&gone.0, None);
        }
        for name in names {
            if let Err(failure) = look(context, &name, &mut known).await {
                let error = &failure as &dyn std::error::Error;
                warn!(error, authority = name, "the keys are served as they were, and are looked at again");
            }
        }
        tokio::select! {
            () = context.key_turned.notified() => {}
            () = context.edge.wait(PACE) => {}
        }
    }
}

async fn look<L: Ledger>(
    context: &Context<L>,
    name: &str,
    known: &mut HashMap<String, (Uid, i64)>,
) -> Result<(), Error> {
    let Some(found) = context.index.authority(name) else { return Ok(()) };
    let Ok(authority) = &found.0 else { return Ok(()) };
    let declared = declared(name, authority);
    let version = known.get(name).filter(|(uid, _)| *uid == declared.uid).map(|(_, version)| *version);
    let store = store::Secrets::new(&context.client, &context.namespace);
    let Some(now) = follow_authority(&context.ledger, &store, &declared, version).await? else {
        return Ok(());
    };
    let published = publish::Published::of(&now.facts, declared.root.is_some())?;
    context.published.publish(name, &now.facts.issuer, &published.jwks);
    // A key that should sign and is not where it should be is looked for again.
    if now.is_whole() {
        known.insert(name.to_owned(), (declared.uid, now.facts.version));
    }
    context.signers.set(name, now.signer.map(Arc::new));
    Ok(())
}
