//! An Authority's keys, for a replica that does not lead: it makes and turns none, and serves what the leader has committed.

use crate::{
    domain::rotation::Key,
    keys::Signer,
    ledger::{Authorities, AuthorityFacts},
    service::{
        establish_authority::{Declared, EstablishError},
        key_store::{KeyStore, Role, recorded},
    },
};

/// An Authority as the leader has left it.
#[derive(Debug)]
pub struct Followed {
    /// What the ledger knows.
    pub facts: AuthorityFacts,
    /// Who signs: nobody, while no key signs, or it is not where it should be (which the leader tells).
    pub signer: Option<Signer>,
}

impl Followed {
    /// Whether there is nothing more to find at this version: somebody signs, or no key does.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.signer.is_some() || !self.facts.keys.iter().any(Key::signs)
    }
}

/// How `authority` stands, if that is other than at its `version`.
///
/// # Errors
/// When the ledger or the place for keys does not answer.
pub async fn follow_authority<L: Authorities, K: KeyStore>(
    ledger: &L,
    store: &K,
    authority: &Declared,
    version: Option<i64>,
) -> Result<Option<Followed>, EstablishError<K::Error>> {
    let Some(facts) = ledger.authority(&authority.uid).await? else { return Ok(None) };
    if Some(facts.version) == version {
        return Ok(None);
    }
    let mut signer = None;
    if let (Some(key), Some(keys_jws)) = (facts.keys.iter().find(|key| key.signs()), &facts.keys_jws) {
        let found = recorded(store, authority, Role::Signing(key.ordinal), &key.kid).await?;
        signer = found.ok().map(|pair| Signer::new(facts.issuer.clone(), pair, keys_jws.clone(), None));
    }
    Ok(Some(Followed { facts, signer }))
}
