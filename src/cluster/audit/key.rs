//! The audit key, in the Secret `usher-audit-key` of Usher's own namespace: made once, immutable, never replaced.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use zeroize::Zeroizing;

use crate::{
    cluster::{Context, api::MANAGER, labels},
    keys::{AuditKey, KeyError, KeyPair},
};

/// The Secret.
const NAME: &str = "usher-audit-key";
const TYPE: &str = "usher.dev/key";
const ENTRY: &str = "private.jwk";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "the Secret {NAME} is gone: restore it from a backup; Usher does not make another, for checkpoints by it are out there"
    )]
    Missing,
    #[error("the Secret {NAME} was changed ({0}): restore it from a backup")]
    Unreadable(#[source] KeyError),
    #[error("{doing} failed")]
    Cluster { doing: &'static str, source: kube::Error },
    #[error("writing down a new key failed")]
    Write(#[from] serde_json::Error),
}

/// The key that there is; a new one, if nothing was `sealed` yet.
pub(super) async fn found_or_made<L>(context: &Context<L>, sealed: bool) -> Result<AuditKey, Error> {
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &context.namespace);
    let failed = |doing| move |source| Error::Cluster { doing, source };
    let found = match secrets.get_opt(NAME).await.map_err(failed("reading the audit key"))? {
        Some(found) => found,
        None if sealed => return Err(Error::Missing),
        None => {
            let fresh = KeyPair::from_seed(&Zeroizing::new(context.edge.entropy()));
            let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
            match secrets.create(&params, &secret(&fresh)?).await {
                Ok(made) => made,
                // Another replica was first: its key counts.
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    secrets.get(NAME).await.map_err(failed("reading the audit key"))?
                }
                Err(source) => return Err(Error::Cluster { doing: "keeping the audit key", source }),
            }
        }
    };
    let jwk = found.data.and_then(|mut data| data.remove(ENTRY)).map(|bytes| bytes.0).unwrap_or_default();
    let pair = KeyPair::from_jwk(&Zeroizing::new(jwk)).map_err(Error::Unreadable)?;
    Ok(AuditKey::new(pair))
}

fn secret(pair: &KeyPair) -> Result<Secret, serde_json::Error> {
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            labels: Some(labels::of_usher()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some(TYPE.into()),
        string_data: Some([(ENTRY.to_owned(), pair.to_jwk()?.to_string())].into()),
        ..Secret::default()
    })
}
