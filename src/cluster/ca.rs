//! The CA of Usher's own listeners: its key in the Secret `usher-ca`, its certificate for everybody in the
//! ConfigMap `usher-ca`, both in Usher's namespace.

use std::{collections::BTreeMap, convert::Infallible};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    cluster::{api::MANAGER, labels, metrics::Metrics, own_key},
    keys::tls::Pem,
    service::edge::Edge,
};

const NAME: &str = "usher-ca";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do it.
    #[error("{doing} failed")]
    Cluster {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: kube::Error,
    },
    /// The Secret holds something else.
    #[error(
        "Secret {NAME} has no {0}: restore it from a backup, or delete it and hand out the new ConfigMap {NAME}"
    )]
    Incomplete(&'static str),
}

/// The CA that is kept in `namespace`; `fresh` becomes it if there is none yet. Its certificate is published.
///
/// # Errors
/// When the API server does not answer, or the Secret was changed.
pub async fn keep(client: &Client, namespace: &str, fresh: &Pem) -> Result<Pem, Error> {
    let failed = |doing| move |source| Error::Cluster { doing, source };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = match secrets.get_opt(NAME).await.map_err(failed("reading the CA"))? {
        Some(found) => found,
        None => match secrets.create(&PostParams::default(), &secret(fresh)).await {
            Ok(made) => made,
            // Another replica was first: its CA counts.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                secrets.get(NAME).await.map_err(failed("reading the CA"))?
            }
            Err(source) => return Err(Error::Cluster { doing: "keeping the CA", source }),
        },
    };
    let text = |name: &'static str| {
        let bytes = found.data.as_ref().and_then(|data| data.get(name)).ok_or(Error::Incomplete(name))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| Error::Incomplete(name))
    };
    let ca = Pem { certificate: text(CERTIFICATE)?, key: Zeroizing::new(text(KEY)?) };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let published = maps.get_opt(NAME).await.map_err(failed("reading the published CA"))?;
    let current = published.and_then(|map| map.data).and_then(|mut data| data.remove("ca.crt"));
    if current.as_ref() != Some(&ca.certificate) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"ca.crt": ca.certificate}});
        maps.patch(NAME, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map))
            .await
            .map_err(failed("publishing the CA"))?;
    }
    Ok(ca)
}

/// Says it when the Secret is another one than `ca`, by which this process works and goes on working. It ends when it is dropped.
pub async fn follow(
    client: &Client,
    namespace: &str,
    ca: &Pem,
    edge: &dyn Edge,
    metrics: &Metrics,
) -> Infallible {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let next = "restore it from a backup, or start every replica anew and hand out the new ConfigMap usher-ca; at the next start the CA is \
                the one that is there, or a new one";
    let holds = |data: &BTreeMap<String, ByteString>| {
        let is = |name: &str, text: &str| data.get(name).is_some_and(|bytes| bytes.0 == text.as_bytes());
        is(CERTIFICATE, &ca.certificate) && is(KEY, &ca.key)
    };
    own_key::follow(&secrets, NAME, next, (edge, metrics), holds).await
}

fn secret(ca: &Pem) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            labels: Some(labels::of_usher()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some("kubernetes.io/tls".into()),
        string_data: Some(
            [(CERTIFICATE.into(), ca.certificate.clone()), (KEY.into(), ca.key.to_string())].into(),
        ),
        ..Secret::default()
    }
}
