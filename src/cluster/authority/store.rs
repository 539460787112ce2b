//! Private keys in Secrets of Usher's own namespace: made once, immutable.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use zeroize::Zeroizing;

use crate::{
    cluster::{api::MANAGER, labels},
    service::establish_authority::{Declared, KeyStore, Role},
};

const TYPE: &str = "usher.dev/key";
const ENTRY: &str = "private.jwk";

pub(super) struct Secrets(Api<Secret>);

impl Secrets {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self(Api::namespaced(client.clone(), namespace))
    }
}

/// `usher-root-NAME` and `usher-signing-NAME`.
fn name(authority: &Declared, role: Role) -> String {
    match role {
        Role::Root => format!("usher-root-{}", authority.name),
        Role::Signing => format!("usher-signing-{}", authority.name),
    }
}

impl KeyStore for Secrets {
    type Error = kube::Error;

    async fn find(
        &self,
        authority: &Declared,
        role: Role,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, kube::Error> {
        let Some(secret) = self.0.get_opt(&name(authority, role)).await? else { return Ok(None) };
        // A Secret without the entry holds something that is not our key: said as such, not made again.
        let jwk =
            secret.data.and_then(|mut data| data.remove(ENTRY)).map(|bytes| bytes.0).unwrap_or_default();
        Ok(Some(Zeroizing::new(jwk)))
    }

    async fn keep_new(&self, authority: &Declared, role: Role, jwk: &str) -> Result<(), kube::Error> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name(authority, role)),
                labels: Some(labels::of_authority(&authority.name)),
                ..ObjectMeta::default()
            },
            immutable: Some(true),
            type_: Some(TYPE.into()),
            string_data: Some([(ENTRY.to_owned(), jwk.to_owned())].into()),
            ..Secret::default()
        };
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        match self.0.create(&params, &secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
