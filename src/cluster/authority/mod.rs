//! Authority: its keys, and what is published of them.
//!
//! ```text
//!   gather → establish (service) → apply: ConfigMap, HTTPS, status → the Licenses under it are looked at
//! ```

mod store;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Resource as _, ResourceExt as _};
use tracing::error;

use crate::{
    cluster::{
        Context,
        api::{Authority, AuthorityStatus, Conditions, KeyStatus, Type, paused},
        config_maps, labels,
        queue::{Done, Task},
        status::write,
    },
    domain::{
        license::{Key, Uid},
        reason::{Because, Reason},
    },
    keys::Signer,
    ledger::{CommitError, Ledger, Unavailable},
    service::establish_authority::{Declared, EstablishError, establish_authority},
};

/// Why a look failed. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("making or finding the keys failed")]
    Establish(#[source] EstablishError<kube::Error>),
    #[error("forgetting Authorities that are gone failed")]
    Retain(#[from] CommitError),
    #[error("reading the recorded keys failed")]
    Read(#[from] Unavailable),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
}

/// Looks at the Authority `name`, whether there is one or not.
pub(super) async fn reconcile<L: Ledger>(context: &Context<L>, name: &str) -> Done {
    match look(context, name).await {
        Ok(()) => Done::Rest,
        Err(failure) => {
            error!(error = &failure as &dyn std::error::Error, "the look failed and is tried again");
            Done::Failed
        }
    }
}

async fn look<L: Ledger>(context: &Context<L>, name: &str) -> Result<(), Error> {
    let found = context.index.authority(name);
    let living = found.as_deref().filter(|found| found.meta().deletion_timestamp.is_none());
    let Some(guard) = living else {
        context.published.withdraw(name);
        forget_gone(context).await?;
        context.set_signing(name, None);
        // Its issuer is free now: somebody may have waited for it.
        let others = context.index.authorities().into_iter().map(|other| other.name_any());
        context
            .push(others.filter(|other| matches!(context.signing(other), Some(Err(_)))).map(Task::Authority));
        return Ok(());
    };
    // An Authority that cannot be read waits for its next edit, and goes on signing if it did.
    let authority = match &guard.0 {
        Ok(authority) => authority,
        Err(invalid) if context.signing(name).is_none() => {
            let message = format!("the Authority cannot be read: {}; correct it", invalid.error);
            context.set_signing(name, Some(Err(Because::new(Reason::InvalidSpec, message))));
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    let declared = Declared {
        uid: Uid(authority.uid().unwrap_or_default()),
        name: name.to_owned(),
        issuer: authority.spec.issuer.clone(),
    };
    let store = store::Secrets::new(&context.client, &context.namespace);
    let entropy = || context.edge.entropy();
    let establish =
        async || establish_authority(&context.ledger, &store, &declared, context.edge.now(), entropy).await;
    let mut established = establish().await;
    if matches!(&established, Err(EstablishError::Stalled(because)) if because.reason == Reason::IssuerTaken)
    {
        // Perhaps by one that was deleted between two looks, such as its own predecessor.
        forget_gone(context).await?;
        established = establish().await;
    }
    let signer = match established {
        Ok(signer) => Ok(Arc::new(signer)),
        Err(EstablishError::Stalled(because)) => Err(because),
        Err(error) => return Err(Error::Establish(error)),
    };
    match &signer {
        // Left as it is, it goes on signing with the keys that it has.
        Ok(signer) if paused(&authority.metadata) => {
            context.published.publish(name, &signer.issuer, &signer.jwks);
        }
        Ok(signer) => {
            publish(context, name, signer).await?;
            context.published.publish(name, &signer.issuer, &signer.jwks);
        }
        // Without its private key it signs no more; what it has signed is good, and can be verified.
        Err(_) => match context.ledger.authority(&declared.uid).await? {
            Some(facts) => context.published.publish(name, &facts.issuer, &facts.jwks),
            None => context.published.withdraw(name),
        },
    }
    if !paused(&authority.metadata) {
        write_status(context, authority, signer.as_deref()).await?;
    }
    context.set_signing(name, Some(signer));
    Ok(())
}

/// Forgets the Authorities that are no longer there.
async fn forget_gone<L: Ledger>(context: &Context<L>) -> Result<(), Error> {
    let known = context.index.authorities();
    let known: Vec<Uid> = known.iter().filter_map(|a| a.meta().uid.clone()).map(Uid).collect();
    Ok(context.ledger.retain_authorities(&known, context.edge.now()).await?)
}

fn data(signer: &Signer) -> BTreeMap<String, String> {
    [("jwks.json", &signer.jwks), ("keys.jws", &signer.keys_jws), ("root.jwk", &signer.root_jwk)]
        .map(|(name, text)| (name.to_owned(), text.clone()))
        .into()
}

/// The ConfigMap `usher-authority-NAME` in Usher's namespace.
async fn publish<L>(context: &Context<L>, authority: &str, signer: &Signer) -> Result<(), Error> {
    let key = Key::new(&context.namespace, format!("usher-authority-{authority}"));
    let (labels, data) = (labels::of_authority(authority), data(signer));
    if context.index.config_map(&key).is_some_and(|seen| seen.digest == config_maps::digest(&labels, &data)) {
        return Ok(());
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &key.namespace);
    let written = config_maps::apply(&api, &key, &labels, &data).await;
    let written = written.map_err(|source| Error::Cluster { doing: "publishing the keys", source })?;
    context.index.note_config_map(config_maps::slim(written));
    Ok(())
}

async fn write_status<L>(
    context: &Context<L>,
    authority: &Authority,
    signer: Result<&Signer, &Because>,
) -> Result<(), Error> {
    let former = authority.status.clone().unwrap_or_default();
    let generation = authority.metadata.generation.unwrap_or(0);
    let conditions = Conditions::after(&former.conditions, generation, context.edge.now());
    let ready = Because::new(
        Reason::Published,
        format!(
            "signs documents; its keys are in ConfigMap {}/usher-authority-{}",
            context.namespace,
            authority.name_any()
        ),
    );
    let status = AuthorityStatus {
        observed_generation: generation,
        root: signer.ok().map(|signer| signer.root.to_string()).or(former.root),
        keys: signer.map_or(former.keys, |signer| vec![KeyStatus { kid: signer.key_id().to_string() }]),
        key_set: signer
            .ok()
            .map(|signer| i64::try_from(signer.serial).unwrap_or(i64::MAX))
            .or(former.key_set),
        conditions: conditions.ready(&ready, signer.err()).list(),
    };
    if authority.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<Authority> = Api::all(context.client.clone());
    let written = write(&api, authority, &status).await;
    let written =
        written.map_err(|source| Error::Cluster { doing: "writing the status of an Authority", source })?;
    if let Some(written) = written {
        context.index.note_authority(written);
        context.events.of_change(authority, Type::Ready, &former.conditions, &status.conditions).await;
    }
    Ok(())
}
