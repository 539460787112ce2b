//! What there is when a look begins: what the ledger knows, what the keys say, where the root is.

use super::{Declared, EstablishError, Look, says};
use crate::{
    domain::{reason::Because, text::KeyId},
    keys::{KeyPair, key_set::unproven_root},
    ledger::{Authorities, AuthorityFacts},
    service::{
        adopt_keys::{adopt_keys, catch_up},
        key_store::{KeyStore, Role, made, recorded},
    },
};

/// Where the root key is found.
pub(super) enum RootKey {
    Here(KeyPair),
    Outside,
    /// Only a person can help.
    Lost(Because),
}

impl<L: Authorities, K: KeyStore> Look<'_, L, K> {
    /// What the ledger knows of it, or of its predecessor of the same name and issuer.
    pub(super) async fn known(&self) -> Result<Option<AuthorityFacts>, EstablishError<K::Error>> {
        let Declared { uid, name, issuer, .. } = self.authority;
        if let Some(facts) = self.ledger.authority(uid).await? {
            return Ok(Some(facts));
        }
        let back = self.ledger.take_back(uid, name, issuer, self.now).await;
        if back.map_err(|error| says::refused::<K::Error>(self.authority, error))? {
            Ok(self.ledger.authority(uid).await?)
        } else {
            Ok(None)
        }
    }

    /// What the ledger knows. On the `first` look of a process, perhaps a backup of it, which the published set is ahead of.
    pub(super) async fn caught_up(
        &self,
        known: &AuthorityFacts,
        first: bool,
    ) -> Result<AuthorityFacts, EstablishError<K::Error>> {
        let mut facts = known.clone();
        if first {
            catch_up(self.store, self.authority, &mut facts, self.now).await?;
        }
        Ok(facts)
    }

    /// What is to be known of it: what its keys say, if they are there.
    pub(super) async fn unknown(&self, root: KeyId) -> Result<AuthorityFacts, EstablishError<K::Error>> {
        let Declared { uid, name, issuer, wish, .. } = self.authority;
        let mut facts = AuthorityFacts {
            uid: uid.clone(),
            name: name.clone(),
            issuer: issuer.clone(),
            root,
            version: 0,
            serial: 0,
            keys_jws: None,
            // What was wished for before there was any key is fulfilled by the first.
            rotated_for: wish.clone(),
            keys: Vec::new(),
        };
        adopt_keys(self.store, self.authority, &mut facts, self.now).await?;
        for key in std::mem::take(&mut facts.keys) {
            // Those of one that had this name and another issuer stay its own.
            if !self.ledger.owner(&key.kid).await?.is_some_and(|owner| owner.gone) {
                facts.keys.push(key);
            }
        }
        Ok(facts)
    }

    pub(super) async fn root(
        &self,
        known: Option<&AuthorityFacts>,
        entropy: &impl Fn() -> [u8; 32],
    ) -> Result<RootKey, EstablishError<K::Error>> {
        match (&self.authority.root, known) {
            (Some(root), Some(facts)) if *root != facts.root => {
                Ok(RootKey::Lost(says::root_changed(root, facts)))
            }
            (Some(_), _) => Ok(RootKey::Outside),
            (None, Some(facts)) => self.recorded_root(&facts.root).await,
            (None, None) => match self.published_root().await? {
                // It had keys, and this ledger has lost what it knew of them.
                Some(root) => self.recorded_root(&root).await,
                None => Ok(RootKey::Here(made(self.store, self.authority, Role::Root, entropy).await?)),
            },
        }
    }

    async fn recorded_root(&self, root: &KeyId) -> Result<RootKey, EstablishError<K::Error>> {
        let found = recorded(self.store, self.authority, Role::Root, root).await?;
        Ok(found.map_or_else(RootKey::Lost, RootKey::Here))
    }

    /// The root whose key set is published already.
    async fn published_root(&self) -> Result<Option<KeyId>, EstablishError<K::Error>> {
        let published = self.store.published_key_set(self.authority).await.map_err(EstablishError::Keys)?;
        let published = published.and_then(|set| String::from_utf8(set).ok());
        Ok(published.and_then(|set| unproven_root(&set, &self.authority.issuer)))
    }
}
