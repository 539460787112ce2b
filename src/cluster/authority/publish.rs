//! What everybody may see of an Authority's keys: the ConfigMap `usher-authority-NAME` in Usher's namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{Error, store::KEY_SET};
use crate::{
    cluster::{Context, config_maps, labels},
    domain::{
        license::Key,
        reason::{Because, Reason},
        rotation,
    },
    keys::key_set::{self, Request},
    ledger::AuthorityFacts,
};

/// What is published.
pub(super) struct Published {
    /// For JOSE libraries.
    pub(super) jwks: String,
    data: BTreeMap<String, String>,
}

impl Published {
    /// What is to be seen of `facts`. A signed set with a revoked key in it is not; what a root outside has to sign is.
    pub(super) fn of(facts: &AuthorityFacts, root_is_outside: bool) -> Result<Self, serde_json::Error> {
        let AuthorityFacts { issuer, serial, keys_jws, keys, .. } = facts;
        let jwks = key_set::jwks(keys)?;
        let mut data = BTreeMap::from([("jwks.json".to_owned(), jwks.clone())]);
        if let Some(keys_jws) = keys_jws {
            data.extend(key_set::root_in(keys_jws).map(|root| ("root.jwk".to_owned(), root)));
            if rotation::may_be_shown(keys) {
                data.insert(KEY_SET.to_owned(), keys_jws.clone());
            }
        }
        if root_is_outside && !rotation::is_vouched(keys) {
            data.insert("request.json".to_owned(), Request::of(issuer, *serial, keys).to_json()?);
        }
        Ok(Self { jwks, data })
    }
}

/// Makes the ConfigMap say what it should, and nothing else; or says why it does not.
pub(super) async fn apply<L>(
    context: &Context<L>,
    authority: &str,
    published: &Published,
) -> Result<Option<Because>, Error> {
    let key = Key::new(&context.namespace, labels::published_of(authority));
    let (labels, data) = (labels::of_authority(authority), &published.data);
    if context.index.config_map(&key).is_some_and(|seen| seen.digest == config_maps::digest(&labels, data)) {
        return Ok(None);
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &key.namespace);
    let written = config_maps::apply(&api, &key, &labels, data).await;
    let written = written.map_err(|source| Error::Cluster { doing: "publishing the keys", source })?;
    let Some(written) = written else {
        return Ok(Some(Because::new(
            Reason::ConfigMapNameTaken,
            format!(
                "ConfigMap {key} is not ours and is left alone: delete it, and the keys are published there"
            ),
        )));
    };
    context.index.note_config_map(config_maps::slim(written));
    Ok(None)
}
