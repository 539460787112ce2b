//! The ConfigMap `usher-witness` in Usher's namespace: what the cluster remembers of the ledger.
//!
//! It is written at once when a binding changed, at most five times a second; otherwise at most every 10 s; and never
//! when nothing changed. A write names the version that was read, so that of two who lead, or believe so, none sets it
//! back. It is an object without our label: nothing is looked at because of it.

use std::{collections::BTreeMap, fmt::Display, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use tracing::{error, warn};

use crate::{
    cluster::{Context, api::MANAGER},
    domain::witness::{AuditHead, Loss, Mark, Witness},
    ledger::{Ledger, Unavailable},
};

/// Its name.
pub const NAME: &str = "usher-witness";
/// On it: the consent of `usher ledger rebuild`, for exactly the witness that it names.
pub const REBUILD: &str = "usher.dev/rebuild";

const INCARNATION: &str = "incarnation";
const COMMITS: &str = "commits";
const AUDIT_SEQUENCE: &str = "audit-sequence";
const AUDIT_HASH: &str = "audit-hash";

/// How long a change that binds nobody may go unwitnessed.
const LAZY: Duration = Duration::from_secs(10);
/// How long after a write the next one may come.
const PACE: Duration = Duration::from_millis(200);
/// How often it is tried to be first, against somebody who writes at the same time.
const TRIES: usize = 4;

/// Why the witness cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
    #[error("reading how far the ledger has come failed")]
    Ledger(#[from] Unavailable),
    #[error(
        "ConfigMap {NAME} has no whole number {0}: delete it if you are sure that the ledger is the one that was there last"
    )]
    Unreadable(&'static str),
    #[error("another ledger is ahead of this one: is another usher at work in this cluster?")]
    Overtaken,
    #[error("a nonce has proved that the ledger was restored")]
    Risen,
}

/// What a consent to a rebuild must say.
#[must_use]
pub fn consent(incarnation: impl Display, commits: impl Display) -> String {
    format!("{incarnation}/{commits}")
}

/// The witness as it was found, and the object.
pub(super) struct Found {
    pub(super) witness: Witness,
    map: ConfigMap,
}

impl Found {
    /// Somebody has seen what is lost, and wants it rebuilt.
    pub(super) fn has_consent(&self) -> bool {
        let Mark { incarnation, commits } = self.witness.mark;
        self.map.annotations().get(REBUILD).is_some_and(|said| *said == consent(incarnation, commits))
    }
}

/// Reads the witness, if there is one.
pub(super) async fn read<L>(context: &Context<L>) -> Result<Option<Found>, Error> {
    let found = api(context).get_opt(NAME).await;
    let found = found.map_err(|source| Error::Cluster { doing: "reading the witness", source })?;
    found.map(|map| Ok(Found { witness: parse(map.data.as_ref())?, map })).transpose()
}

fn api<L>(context: &Context<L>) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), &context.namespace)
}

fn parse(data: Option<&BTreeMap<String, String>>) -> Result<Witness, Error> {
    let text = |name: &str| data.and_then(|data| data.get(name));
    let number = |name: &'static str| {
        text(name).and_then(|text| text.parse::<i64>().ok()).ok_or(Error::Unreadable(name))
    };
    let audit = match text(AUDIT_HASH) {
        Some(hash) => Some(AuditHead { sequence: number(AUDIT_SEQUENCE)?, hash: hash.clone() }),
        None => None,
    };
    Ok(Witness { mark: Mark { incarnation: number(INCARNATION)?, commits: number(COMMITS)? }, audit })
}

fn data(witness: &Witness) -> BTreeMap<String, String> {
    let Mark { incarnation, commits } = witness.mark;
    let audit = witness.audit.as_ref();
    [(INCARNATION, Some(incarnation.to_string())), (COMMITS, Some(commits.to_string()))]
        .into_iter()
        .chain([
            (AUDIT_SEQUENCE, audit.map(|audit| audit.sequence.to_string())),
            (AUDIT_HASH, audit.map(|audit| audit.hash.clone())),
        ])
        .filter_map(|(name, text)| Some((name.to_owned(), text?)))
        .collect()
}

/// Keeps the witness up with the ledger.
pub(super) struct Keeper<L> {
    context: Arc<Context<L>>,
    found: Option<Found>,
}

impl<L: Ledger> Keeper<L> {
    /// Goes on from what was found.
    pub(super) const fn new(context: Arc<Context<L>>, found: Option<Found>) -> Self {
        Self { context, found }
    }

    /// Remembers the ledger as it is, if nothing is remembered: else there would be nothing to consent to.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        if self.found.is_some() {
            return Ok(());
        }
        let head = self.context.ledger.head().await?;
        let now = Witness { mark: head.mark, audit: head.audit };
        match self.write(&now).await {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Cluster { doing: "writing the witness", source }),
        }
    }

    /// Writes what the ledger says, if the witness does not say it.
    pub(super) async fn catch_up(&mut self) -> Result<(), Error> {
        for _ in 0..TRIES {
            let head = self.context.ledger.head().await?;
            let now = Witness { mark: head.mark, audit: head.audit };
            match &self.found {
                Some(found) if found.witness == now => return Ok(()),
                Some(found) if found.witness.mark > now.mark => {
                    // Put in the place of the former one while we were at work.
                    self.context.ledger.condemn(Loss::Older, now.mark.incarnation).await?;
                    return Err(Error::Overtaken);
                }
                None if now.mark.commits == 0 => return Ok(()),
                _ => {}
            }
            match self.write(&now).await {
                Ok(map) => {
                    self.found = Some(Found { witness: now, map });
                    return Ok(());
                }
                // Somebody wrote it, or deleted it: see.
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {
                    self.found = read(&self.context).await?;
                }
                Err(source) => return Err(Error::Cluster { doing: "writing the witness", source }),
            }
        }
        Ok(())
    }

    async fn write(&self, witness: &Witness) -> Result<ConfigMap, kube::Error> {
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let Some(found) = &self.found else {
            let map = ConfigMap {
                metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() },
                data: Some(data(witness)),
                ..ConfigMap::default()
            };
            return api(&self.context).create(&params, &map).await;
        };
        let mut map = ConfigMap { data: Some(data(witness)), ..found.map.clone() };
        map.annotations_mut().remove(REBUILD);
        api(&self.context).replace(NAME, &params, &map).await
    }

    /// Whether the ledger has begun another incarnation than the one that was taken up.
    fn is_risen(&self) -> bool {
        let taken_up = self.context.incarnation().0;
        self.found.as_ref().is_some_and(|found| found.witness.mark.incarnation > taken_up)
    }

    /// Follows the ledger until it is dropped, or another ledger is ahead, or another incarnation of it has begun.
    pub(super) async fn follow(&mut self) -> Error {
        loop {
            match self.catch_up().await {
                Ok(()) if self.is_risen() => return Error::Risen,
                Ok(()) => {}
                Err(error @ (Error::Overtaken | Error::Unreadable(_))) => {
                    error!(%error, "the witness cannot be kept");
                    return error;
                }
                Err(failure) => {
                    warn!(error = &failure as &dyn std::error::Error, "the witness is written later");
                }
            }
            self.context.edge.wait(PACE).await;
            tokio::select! {
                () = self.context.binding_changed.notified() => {}
                () = self.context.edge.wait(LAZY) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_somebody_broke_is_said() {
        let mark = Mark { incarnation: 2, commits: 40 };
        for audit in [None, Some(AuditHead { sequence: 7, hash: "f00d".into() })] {
            let witness = Witness { mark, audit };
            assert_eq!(parse(Some(&data(&witness))).unwrap(), witness);
        }
        let mut broken = data(&Witness { mark, audit: None });
        broken.insert(COMMITS.into(), "many".into());
        let said = parse(Some(&broken)).unwrap_err().to_string();
        assert!(said.contains("no whole number commits"), "{said}");
        assert!(parse(None).is_err());
    }
}
