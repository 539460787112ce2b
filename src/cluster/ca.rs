//! The CA of Usher's own listeners: its key in the Secret `usher-ca`, its certificate for everybody in the
//! ConfigMap `usher-ca`, both in Usher's namespace.

use std::{collections::BTreeMap, convert::Infallible};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

pub use crate::cluster::pair::Error;
use crate::{
    cluster::{
        api::MANAGER,
        metrics::Metrics,
        own_key,
        pair::{self, CERTIFICATE, KEY, Which},
    },
    keys::tls::Pem,
    service::edge::Edge,
};

const NAME: &str = "usher-ca";
const CA: Which = Which { secret: NAME, anew: "hand out the new ConfigMap usher-ca" };

/// The CA that is kept in `namespace`; `fresh` becomes it if there is none yet. Its certificate is published.
///
/// # Errors
/// When the API server does not answer, or the Secret was changed.
pub async fn keep(client: &Client, namespace: &str, fresh: Pem) -> Result<Pem, Error> {
    let failed = |doing| move |source| Error::Cluster { doing, name: "the ConfigMap usher-ca", source };
    let ca = pair::found_or_made(client, namespace, CA, || Ok::<_, Error>(fresh)).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let published = maps.get_opt(NAME).await.map_err(failed("reading"))?;
    let current = published.and_then(|map| map.data).and_then(|mut data| data.remove("ca.crt"));
    if current.as_ref() != Some(&ca.certificate) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"ca.crt": ca.certificate}});
        maps.patch(NAME, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map))
            .await
            .map_err(failed("publishing"))?;
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
