//! The last checkpoints and the public key, in the ConfigMap `usher-audit` of Usher's own namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use usher_license::{CheckpointClaims, Thumbprint};

use crate::{
    cluster::{Context, config_maps, labels},
    domain::license::Key,
    ledger::{Ledger, Unavailable, audit::Checkpoint},
    service::verify_audit::verify_audit,
};

/// The ConfigMap.
pub const NAME: &str = "usher-audit";
/// Its entry with the public key, a JWK.
pub const KEY: &str = "audit.jwk";
/// Its entry with the checkpoints, one a line, the last one last.
pub const CHECKPOINTS: &str = "checkpoints.jws";

/// How many checkpoints are shown: an hour and more of a busy ledger, in 20 KiB.
const SHOWN: u32 = 64;

/// Why the checkpoints are not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "the ConfigMap {NAME} holds a checkpoint of entry {0} that the ledger does not pass: the ledger is an older copy, or was \
         changed or replaced. It is left as it is, as evidence: see `usher audit verify`; once you have a copy of it, delete it, and \
         checkpoints are shown again"
    )]
    Ahead(u64),
    #[error("the ConfigMap {NAME} is not ours and is left alone: delete it, and checkpoints are shown there")]
    Taken,
    #[error("reading the audit failed")]
    Read(#[from] Unavailable),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
    #[error("writing down the key failed")]
    Write(#[from] serde_json::Error),
}

/// Shows the last checkpoints, if they are not shown already.
pub(super) async fn publish<L: Ledger>(context: &Context<L>) -> Result<(), Error> {
    let recent = context.ledger.last_checkpoints(SHOWN).await?;
    let Some(claims) = recent.last().and_then(|last| claims(&last.jws, None)) else { return Ok(()) };
    let labels = labels::of_usher();
    let data: BTreeMap<String, String> = [
        (KEY, serde_json::to_string(&claims.key)?),
        (CHECKPOINTS, recent.iter().map(|checkpoint| format!("{}\n", checkpoint.jws)).collect()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    let key = Key::new(&context.namespace, NAME);
    if context.index.config_map(&key).is_some_and(|seen| seen.digest == config_maps::digest(&labels, &data)) {
        return Ok(());
    }
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.namespace);
    let failed = |doing| move |source| Error::Cluster { doing, source };
    let there = maps.get_opt(NAME).await.map_err(failed("reading the published checkpoints"))?;
    let shown = there.and_then(|map| map.data).and_then(|mut data| data.remove(CHECKPOINTS));
    require_passed(context, &claims, shown.as_deref().unwrap_or_default()).await?;
    let written = config_maps::apply(&maps, &key, &labels, &data).await;
    let written = written.map_err(failed("publishing the checkpoints"))?.ok_or(Error::Taken)?;
    context.index.note_config_map(config_maps::slim(written));
    Ok(())
}

fn claims(jws: &str, key: Option<&Thumbprint>) -> Option<CheckpointClaims> {
    match key {
        None => usher_license::Checkpoint::read_unproven(jws.as_bytes())
            .ok()
            .map(|read| read.unproven_claims().clone()),
        Some(key) => {
            usher_license::Checkpoint::verify(jws.as_bytes(), key).ok().map(|read| read.claims().clone())
        }
    }
}

/// What is shown already must be the ledger's own: else it is evidence. Lines that the audit key did not sign are none.
async fn require_passed<L: Ledger>(
    context: &Context<L>,
    ours: &CheckpointClaims,
    shown: &str,
) -> Result<(), Error> {
    let key = ours.key.thumbprint();
    let shown = shown.lines().filter_map(|jws| Some((jws, claims(jws, Some(&key))?)));
    // Each names the one before it, so that the last one stands for all.
    let Some((jws, last)) = shown.max_by_key(|(_, claims)| claims.sequence) else { return Ok(()) };
    let sequence = i64::try_from(last.sequence).unwrap_or(i64::MAX);
    let kept = context.ledger.checkpoints(sequence.saturating_sub(1), 1).await?;
    let passed = |kept: &Checkpoint| kept.jws == jws || (kept.anchor && kept.sequence > sequence);
    if last.chain == ours.chain && kept.first().is_some_and(passed) {
        return Ok(());
    }
    // Unless the ledger was lost, and its audit says so.
    let walked = verify_audit(&context.ledger, &[jws.to_owned()], Some(key)).await?;
    if walked.is_whole() { Ok(()) } else { Err(Error::Ahead(last.sequence)) }
}
