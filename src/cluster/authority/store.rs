//! Private keys in Secrets of Usher's own namespace, made once, immutable; and key sets that somebody brought there.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use zeroize::Zeroizing;

use crate::{
    cluster::{index::Slim, labels, once},
    service::{
        establish_authority::Declared,
        key_store::{KeyStore, Role},
    },
};

/// The type of a key's Secret.
pub(in crate::cluster) const TYPE: &str = "usher.dev/key";
const ENTRY: &str = "private.jwk";
/// In a ConfigMap, ours or one that somebody brought.
pub(super) const KEY_SET: &str = "keys.jws";

/// What the index keeps of a key: who looks after it.
pub(in crate::cluster) fn slim(secret: &Secret) -> Slim<Secret> {
    Slim::new(&secret.metadata, labels::authority_of(&secret.metadata), String::new())
}

pub(super) struct Secrets {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
}

impl Secrets {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client.clone(), namespace),
        }
    }
}

/// `usher-root-NAME`, `usher-signing-NAME`, `usher-signing-NAME.2` and so on: no Authority has a dot in its name.
fn name(authority: &Declared, role: Role) -> String {
    match role {
        Role::Root => format!("usher-root-{}", authority.name),
        Role::Signing(0 | 1) => format!("usher-signing-{}", authority.name),
        Role::Signing(ordinal) => format!("usher-signing-{}.{ordinal}", authority.name),
    }
}

impl KeyStore for Secrets {
    type Error = kube::Error;

    async fn find(
        &self,
        authority: &Declared,
        role: Role,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, kube::Error> {
        let Some(secret) = self.secrets.get_opt(&name(authority, role)).await? else { return Ok(None) };
        // A Secret without the entry holds something that is not our key: said as such, not made again.
        let jwk =
            secret.data.and_then(|mut data| data.remove(ENTRY)).map(|bytes| bytes.0).unwrap_or_default();
        Ok(Some(Zeroizing::new(jwk)))
    }

    async fn keep_new(&self, authority: &Declared, role: Role, jwk: &str) -> Result<(), kube::Error> {
        let labels = labels::of_authority(&authority.name);
        let secret = once::secret(&name(authority, role), TYPE, labels, [(ENTRY, jwk)]);
        once::make(&self.secrets, &secret).await.map(drop)
    }

    async fn published_key_set(&self, authority: &Declared) -> Result<Option<Vec<u8>>, kube::Error> {
        self.key_set(&labels::published_of(&authority.name)).await
    }

    async fn signed_key_set(&self, authority: &Declared) -> Result<Option<Vec<u8>>, kube::Error> {
        self.key_set(&format!("{}{}", labels::KEY_SET_OF, authority.name)).await
    }
}

impl Secrets {
    async fn key_set(&self, config_map: &str) -> Result<Option<Vec<u8>>, kube::Error> {
        let found = self.config_maps.get_opt(config_map).await?;
        let entry = found.and_then(|map| map.data).and_then(|mut data| data.remove(KEY_SET));
        // A file that was put in with its last line's end.
        Ok(entry.map(|text| text.trim_end().as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_one_authority_is_named_like_one_of_another() {
        let named = |name: &str, role| {
            let issuer = "https://usher.acme.example".parse().unwrap();
            let uid = crate::domain::license::Uid("uid".into());
            let declared = Declared {
                uid,
                name: name.into(),
                issuer,
                root: None,
                every: None,
                overlap: jiff::SignedDuration::ZERO,
                wish: None,
                revoke: Vec::new(),
                paused: false,
            };
            super::name(&declared, role)
        };
        assert_eq!(named("a", Role::Signing(1)), "usher-signing-a", "as the first slice named it");
        assert_eq!(named("a", Role::Signing(2)), "usher-signing-a.2");
        assert_ne!(named("a-2", Role::Signing(1)), named("a", Role::Signing(2)));
    }
}
