//! The place for private keys: each is made once, and found again ever after.

use crate::{
    domain::{
        reason::{Because, Reason},
        text::KeyId,
    },
    keys::{KeyError, KeyPair},
    service::establish_authority::{Declared, EstablishError},
};

/// Which of an Authority's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It signs the key set.
    Root,
    /// It signs documents; the first is 1.
    Signing(u32),
}

/// A place for private keys, and for what a root that is kept outside has signed.
pub trait KeyStore: Sync {
    /// What goes wrong with it.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The private JWK of `authority` in `role`, if there is one.
    fn find(
        &self,
        authority: &Declared,
        role: Role,
    ) -> impl Future<Output = Result<Option<zeroize::Zeroizing<Vec<u8>>>, Self::Error>> + Send;

    /// Keeps a new private JWK, unless there is one already. The one that is there afterwards counts: `find` it.
    fn keep_new(
        &self,
        authority: &Declared,
        role: Role,
        jwk: &str,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The key set that is published of `authority`, if there is one.
    fn published_key_set(
        &self,
        authority: &Declared,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> + Send;

    /// The key set that somebody brought from the root of `authority`, if there is one.
    fn signed_key_set(
        &self,
        authority: &Declared,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> + Send;
}

/// The key that the ledger knows by `kid`, or why it is not there.
pub(super) async fn recorded<K: KeyStore>(
    store: &K,
    authority: &Declared,
    role: Role,
    kid: &KeyId,
) -> Result<Result<KeyPair, Because>, EstablishError<K::Error>> {
    let Some(jwk) = store.find(authority, role).await.map_err(EstablishError::Keys)? else {
        return Ok(Err(missing(authority, role, kid)));
    };
    Ok(match KeyPair::from_jwk(&jwk) {
        Ok(pair) if pair.thumbprint().as_str() == kid.as_str() => Ok(pair),
        Ok(pair) => Err(changed(role, kid.as_str(), &format!("it holds the key {}", pair.thumbprint()))),
        Err(error) => Err(changed(role, kid.as_str(), &error.to_string())),
    })
}

/// The key that is there, else a new one.
pub(super) async fn made<K: KeyStore>(
    store: &K,
    authority: &Declared,
    role: Role,
    entropy: &impl Fn() -> [u8; 32],
) -> Result<KeyPair, EstablishError<K::Error>> {
    let mut found = store.find(authority, role).await.map_err(EstablishError::Keys)?;
    if found.is_none() {
        let fresh = KeyPair::from_seed(&zeroize::Zeroizing::new(entropy()));
        store.keep_new(authority, role, &fresh.to_jwk()?).await.map_err(EstablishError::Keys)?;
        found = store.find(authority, role).await.map_err(EstablishError::Keys)?;
    }
    let read = found
        .as_deref()
        .map_or(Err(KeyError::Unreadable("it was deleted just now")), |jwk| KeyPair::from_jwk(jwk));
    read.map_err(|error| EstablishError::Stalled(changed(role, "of this Authority", &error.to_string())))
}

fn missing(authority: &Declared, role: Role, kid: &KeyId) -> Because {
    let key = named(role, kid.as_str());
    let otherwise = match role {
        Role::Root => "Usher does not make another, for programs have pinned it".to_owned(),
        Role::Signing(_) => format!(
            "Usher does not make another, for documents under it are out there; if it is lost for good: usher revoke-key {} {kid}",
            authority.name
        ),
    };
    Because::new(
        Reason::KeyMissing,
        format!("the Secret with the {key} is gone: restore it from a backup; {otherwise}"),
    )
}

fn changed(role: Role, kid: &str, what: &str) -> Because {
    Because::new(
        Reason::KeyChanged,
        format!("the Secret of the {} was changed ({what}): restore it from a backup", named(role, kid)),
    )
}

fn named(role: Role, kid: &str) -> String {
    match role {
        Role::Root => format!("root key {kid}"),
        Role::Signing(_) => format!("signing key {kid}"),
    }
}
