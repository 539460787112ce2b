//! A key of Usher's own, in a Secret of its own namespace: made once, immutable, never replaced. Whoever works by it goes on with the one that was found, and
//! says so if the Secret is another one since.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client};
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::{
    cluster::{labels, metrics::Metrics, once},
    keys::KeyError,
    service::edge::Edge,
};

const TYPE: &str = "usher.dev/key";
const ENTRY: &str = "private.jwk";

/// Which key, and what depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    /// The name of its Secret.
    pub(super) secret: &'static str,
    /// Why another one cannot take its place.
    pub(super) because: &'static str,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "the Secret {} is gone: restore it from a backup; Usher does not make another, for {}", .0.secret, .0.because
    )]
    Missing(Which),
    #[error("the Secret {} was changed ({source}): restore it from a backup", .which.secret)]
    Unreadable { which: Which, source: KeyError },
    #[error("the Secret {} holds another key: restore it from a backup; {}", .0.secret, .0.because)]
    Other(Which),
    #[error("{doing} {} failed", .which.secret)]
    Cluster { doing: &'static str, which: Which, source: kube::Error },
    #[error("writing down a new key failed")]
    Write(#[from] serde_json::Error),
}

/// The JWK that there is; the one that `fresh` makes, if nothing depends on the key yet (`may_make`).
pub(super) async fn found_or_made(
    client: &Client,
    namespace: &str,
    which: Which,
    may_make: bool,
    fresh: impl FnOnce() -> Result<Zeroizing<String>, serde_json::Error>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |doing, source| Error::Cluster { doing, which, source };
    let fresh = || {
        if !may_make {
            return Err(Error::Missing(which));
        }
        Ok(once::secret(which.secret, TYPE, labels::of_usher(), [(ENTRY, fresh()?.as_str())]))
    };
    let found = once::found_or_made(&secrets, which.secret, failed, fresh).await?;
    let jwk = found.data.and_then(|mut data| data.remove(ENTRY)).map(|bytes| bytes.0).unwrap_or_default();
    Ok(Zeroizing::new(jwk))
}

/// The JWK that there is.
pub(super) async fn found(
    client: &Client,
    namespace: &str,
    which: Which,
) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = secrets.get_opt(which.secret).await;
    let found = found.map_err(|source| Error::Cluster { doing: "reading", which, source })?;
    Ok(found.map(|secret| Zeroizing::new(jwk(&secret.data.unwrap_or_default()).to_vec())))
}

/// What became of the Secret of a key that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Whole,
    Gone,
    Other,
}

/// How often it is looked whether the key that is at work is still in its Secret.
const LOOK: Duration = Duration::from_secs(10);

/// Says it when the Secret `name` does not hold the key any more by which this process works and goes on working, and when it does again;
/// `next` is what comes of it at the next start. It ends when it is dropped.
pub(super) async fn follow(
    secrets: &Api<Secret>,
    name: &'static str,
    next: &str,
    (edge, metrics): (&dyn Edge, &Metrics),
    holds: impl Fn(&BTreeMap<String, ByteString>) -> bool,
) -> Infallible {
    let mut known = Stands::Whole;
    loop {
        edge.wait(LOOK).await;
        let now = match secrets.get_opt(name).await {
            Ok(Some(found)) if holds(found.data.as_ref().unwrap_or(&BTreeMap::new())) => Stands::Whole,
            Ok(Some(_)) => Stands::Other,
            Ok(None) => Stands::Gone,
            // Nobody knows, and it is looked again.
            Err(_) => continue,
        };
        if now != known {
            match now {
                Stands::Whole => info!(secret = name, "the key that is at work is in its Secret again"),
                Stands::Gone => error!(
                    secret = name,
                    "the key that is at work is gone from the cluster, and goes on: {next}"
                ),
                Stands::Other => error!(
                    secret = name,
                    "another key than the one that is at work is in its Secret, and is not used: {next}"
                ),
            }
            metrics.own_key(name, now == Stands::Whole);
            known = now;
        }
    }
}

/// The JWK in a Secret of a key.
pub(super) fn jwk(data: &BTreeMap<String, ByteString>) -> &[u8] {
    data.get(ENTRY).map_or(&[], |bytes| &bytes.0)
}
