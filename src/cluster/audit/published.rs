//! The last checkpoints and the public key, in the ConfigMap `usher-audit` of Usher's own namespace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use usher_license::{CheckpointClaims, Jwk, Thumbprint};

use super::rekey::{Consent, REKEY};
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
    #[error(
        "the ConfigMap {NAME} shows checkpoints by the key {shown}, and those of the ledger are by {ours}, to which nobody consented: the \
         key was replaced, or the ledger. It is left as it is, as evidence: see `usher audit verify`; once you have a copy of it, delete \
         it, and checkpoints are shown again"
    )]
    OtherKey { shown: Thumbprint, ours: Thumbprint },
    #[error("the ConfigMap {NAME} is not ours and is left alone: delete it, and checkpoints are shown there")]
    Taken,
    #[error("reading the audit failed")]
    Read(#[from] Unavailable),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
    #[error("writing down the key failed")]
    Write(#[from] serde_json::Error),
}

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The key that it names, by which the last of the checkpoints was.
    pub(super) key: Option<Thumbprint>,
    checkpoints: String,
    /// What somebody consented to.
    pub(super) consent: Option<Consent>,
    /// The version of the object.
    pub(super) version: Option<String>,
}

/// What is shown now.
pub(super) async fn shown<L>(context: &Context<L>) -> Result<Shown, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.namespace);
    let found = maps.get_opt(NAME).await;
    let doing = "reading the published checkpoints";
    let Some(map) = found.map_err(|source| Error::Cluster { doing, source })? else {
        return Ok(Shown::default());
    };
    let consent = map.annotations().get(REKEY).and_then(|text| Consent::read(text));
    let version = map.resource_version();
    let mut data = map.data.unwrap_or_default();
    let key = data.get(KEY).and_then(|json| serde_json::from_str::<Jwk>(json).ok());
    Ok(Shown {
        key: key.map(|key| key.thumbprint()),
        checkpoints: data.remove(CHECKPOINTS).unwrap_or_default(),
        consent,
        version,
    })
}

/// Shows the last checkpoints, if they are not shown already.
pub(super) async fn publish<L: Ledger>(context: &Context<L>) -> Result<(), Error> {
    let recent = context.ledger.last_checkpoints(SHOWN).await?;
    let read: Vec<CheckpointClaims> =
        recent.iter().filter_map(|checkpoint| claims(&checkpoint.jws)).collect();
    let Some(last) = read.last() else { return Ok(()) };
    let labels = labels::of_usher();
    let data: BTreeMap<String, String> = [
        (KEY, serde_json::to_string(&last.key)?),
        (CHECKPOINTS, recent.iter().map(|checkpoint| format!("{}\n", checkpoint.jws)).collect()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    let key = Key::new(&context.namespace, NAME);
    if context.index.config_map(&key).is_some_and(|seen| seen.digest == config_maps::digest(&labels, &data)) {
        return Ok(());
    }
    let shown = shown(context).await?;
    require_consent(&shown, &last.key.thumbprint())?;
    require_passed(context, &read, &shown).await?;
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.namespace);
    let failed = |doing| move |source| Error::Cluster { doing, source };
    let written = config_maps::apply(&maps, &key, &labels, &data).await;
    let mut written = written.map_err(failed("publishing the checkpoints"))?.ok_or(Error::Taken)?;
    if written.annotations().contains_key(REKEY) {
        // The key of which it was is not shown any more, or is there: it would be for another time.
        let patch = json!({"metadata": {"uid": written.metadata.uid, "annotations": {REKEY: null}}});
        let taken_off = maps.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
        written = taken_off.map_err(failed("taking off the consent"))?;
    }
    context.index.note_config_map(config_maps::slim(written));
    Ok(())
}

fn claims(jws: &str) -> Option<CheckpointClaims> {
    let read = usher_license::Checkpoint::read_unproven(jws.as_bytes()).ok()?;
    Some(read.unproven_claims().clone())
}

/// Whoever verifies takes the key from here: it becomes another one only by a consent, and then the one that was made for it.
fn require_consent(shown: &Shown, ours: &Thumbprint) -> Result<(), Error> {
    let Some(key) = shown.key.as_ref().filter(|key| *key != ours) else { return Ok(()) };
    let consented = Consent { from: key.clone(), to: Some(ours.clone()) };
    if shown.consent.as_ref() == Some(&consented) {
        return Ok(());
    }
    Err(Error::OtherKey { shown: key.clone(), ours: ours.clone() })
}

/// What is shown already must be the ledger's own: else it is evidence. Lines that no audit key signed are none.
async fn require_passed<L: Ledger>(
    context: &Context<L>,
    ours: &[CheckpointClaims],
    shown: &Shown,
) -> Result<(), Error> {
    let mut keys: BTreeSet<Thumbprint> = ours.iter().map(|claims| claims.key.thumbprint()).collect();
    keys.extend(shown.key.clone());
    let read = shown.checkpoints.lines().filter_map(|jws| Some((jws, claims(jws)?)));
    let signed = read.filter(|(_, claims)| keys.contains(&claims.key.thumbprint()));
    // Each names the one before it, so that the last one stands for all.
    let Some((jws, last)) = signed.max_by_key(|(_, claims)| claims.sequence) else { return Ok(()) };
    let sequence = i64::try_from(last.sequence).unwrap_or(i64::MAX);
    let kept = context.ledger.checkpoints(sequence.saturating_sub(1), 1).await?;
    let passed = |kept: &Checkpoint| kept.jws == jws || (kept.anchor && kept.sequence > sequence);
    if ours.last().is_some_and(|ours| ours.chain == last.chain) && kept.first().is_some_and(passed) {
        return Ok(());
    }
    // Unless the ledger was lost, and its audit says so.
    let walked = verify_audit(&context.ledger, &[jws.to_owned()], None).await?;
    if walked.is_whole() { Ok(()) } else { Err(Error::Ahead(last.sequence)) }
}
