//! A key of Usher's own, in a Secret of its own namespace: made once, immutable, never replaced.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use zeroize::Zeroizing;

use crate::{
    cluster::{api::MANAGER, labels},
    keys::KeyError,
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
    let failed = |doing| move |source| Error::Cluster { doing, which, source };
    let found = match secrets.get_opt(which.secret).await.map_err(failed("reading"))? {
        Some(found) => found,
        None if !may_make => return Err(Error::Missing(which)),
        None => {
            let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
            match secrets.create(&params, &secret(which.secret, &fresh()?)).await {
                Ok(made) => made,
                // Another replica was first: its key counts.
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    secrets.get(which.secret).await.map_err(failed("reading"))?
                }
                Err(source) => return Err(failed("keeping")(source)),
            }
        }
    };
    let jwk = found.data.and_then(|mut data| data.remove(ENTRY)).map(|bytes| bytes.0).unwrap_or_default();
    Ok(Zeroizing::new(jwk))
}

fn secret(name: &str, jwk: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(labels::of_usher()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some(TYPE.into()),
        string_data: Some([(ENTRY.to_owned(), jwk.to_owned())].into()),
        ..Secret::default()
    }
}
