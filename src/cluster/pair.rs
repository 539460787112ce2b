//! A certificate with its key, in a Secret of Usher's own namespace: made once, immutable, never replaced. Whoever deletes it has another one at
//! the next start.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use zeroize::Zeroizing;

use crate::{
    cluster::{labels, once},
    keys::tls::Pem,
};

pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";

/// Which one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which {
    /// The name of its Secret.
    pub(super) secret: &'static str,
    /// What is to be done once there is another one.
    pub(super) anew: &'static str,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do it.
    #[error("{doing} {name} failed")]
    Cluster {
        /// What was being done.
        doing: &'static str,
        /// To what.
        name: &'static str,
        /// What it said.
        source: kube::Error,
    },
    /// The Secret holds something else.
    #[error(
        "the Secret {secret} has no {entry}: restore it from a backup, or delete it, restart Usher and {anew}"
    )]
    Incomplete {
        /// Its name.
        secret: &'static str,
        /// What it lacks.
        entry: &'static str,
        /// What is to be done once there is another one.
        anew: &'static str,
    },
}

/// The pair that is kept in `namespace`; the one that `fresh` makes becomes it if there is none yet.
pub(super) async fn found_or_made<E: From<Error>>(
    client: &Client,
    namespace: &str,
    Which { secret: name, anew }: Which,
    fresh: impl FnOnce() -> Result<Pem, E>,
) -> Result<Pem, E> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |doing, source| E::from(Error::Cluster { doing, name, source });
    let fresh = || -> Result<Secret, E> {
        let Pem { certificate, key } = fresh()?;
        let entries = [(CERTIFICATE, certificate.as_str()), (KEY, key.as_str())];
        Ok(once::secret(name, "kubernetes.io/tls", labels::of_usher(), entries))
    };
    let found = once::found_or_made(&secrets, name, failed, fresh).await?;
    let text = |entry: &'static str| {
        let lacks = Error::Incomplete { secret: name, entry, anew };
        let bytes = found.data.as_ref().and_then(|data| data.get(entry));
        bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()).ok_or(lacks)
    };
    Ok(Pem { certificate: text(CERTIFICATE)?, key: Zeroizing::new(text(KEY)?) })
}
