//! An Authority's keys: made once, then only ever found again.
//!
//! ```text
//!   not known to the ledger:  key Secrets made, or adopted if they are there ──► key set signed ──► recorded
//!   known:                    key Secrets must be there, and be the recorded ones ──► the recorded key set
//! ```
//!
//! A key that went missing, or is another one, is never replaced: documents under the old one are out there,
//! and programs have pinned it.

use jiff::Timestamp;

use crate::{
    domain::{
        license::Uid,
        reason::{Because, Reason},
        text::Issuer,
    },
    keys::{self, KeyError, KeyPair, Signer},
    ledger::{AuthorityFacts, CommitError, Ledger, Unavailable},
};

/// Which of an Authority's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It signs the key set.
    Root,
    /// It signs documents.
    Signing,
}

/// An Authority as its object declares it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Of the Authority object.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// Its issuer.
    pub issuer: Issuer,
}

/// A place for private keys.
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
}

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError<E> {
    /// Only an edit can help.
    #[error("{}", .0.message)]
    Stalled(Because),
    /// The place for keys did not answer.
    #[error("reaching the key Secrets failed")]
    Keys(#[source] E),
    /// The ledger did not answer.
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    /// The ledger did not commit.
    #[error("committing failed")]
    Commit(#[source] CommitError),
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
}

/// The signer of `authority`, made on the first look.
///
/// # Errors
/// `Stalled` when only an edit can help; otherwise look again.
pub async fn establish_authority<K: KeyStore>(
    ledger: &impl Ledger,
    store: &K,
    authority: &Declared,
    now: Timestamp,
    entropy: impl Fn() -> [u8; 32],
) -> Result<Signer, EstablishError<K::Error>> {
    if let Some(facts) = ledger.authority(&authority.uid).await? {
        let root = recorded(store, authority, Role::Root, &facts.root).await?;
        let signing = recorded(store, authority, Role::Signing, &facts.signing).await?;
        return Ok(Signer::new(facts.issuer, &root, signing, facts.serial, facts.keys_jws)?);
    }
    let root = made(store, authority, Role::Root, &entropy).await?;
    let signing = made(store, authority, Role::Signing, &entropy).await?;
    let serial = 1;
    let issued_at = u64::try_from(now.as_second()).unwrap_or(0);
    let facts = AuthorityFacts {
        uid: authority.uid.clone(),
        name: authority.name.clone(),
        issuer: authority.issuer.clone(),
        root: root.thumbprint().to_string(),
        signing: signing.thumbprint().to_string(),
        serial,
        jwks: keys::jwks(&signing)?,
        keys_jws: keys::key_set(&root, &signing, &authority.issuer, serial, issued_at)?,
    };
    match ledger.establish(&facts, now).await {
        Ok(()) => Ok(Signer::new(facts.issuer, &root, signing, serial, facts.keys_jws)?),
        Err(CommitError::Conflict) => Err(EstablishError::Stalled(Because::new(
            Reason::IssuerTaken,
            format!(
                "another Authority has the issuer {}: delete one of the two, and give this one an issuer of its own",
                authority.issuer
            ),
        ))),
        Err(error) => Err(EstablishError::Commit(error)),
    }
}

/// The key that the ledger knows by `thumbprint`.
async fn recorded<K: KeyStore>(
    store: &K,
    authority: &Declared,
    role: Role,
    thumbprint: &str,
) -> Result<KeyPair, EstablishError<K::Error>> {
    let Some(jwk) = store.find(authority, role).await.map_err(EstablishError::Keys)? else {
        return Err(EstablishError::Stalled(Because::new(
            Reason::KeyMissing,
            format!(
                "the Secret with the {} is gone: restore it from a backup; Usher does not make another, for documents under it are out there",
                named(role, thumbprint)
            ),
        )));
    };
    match KeyPair::from_jwk(&jwk) {
        Ok(pair) if pair.thumbprint().as_str() == thumbprint => Ok(pair),
        Ok(pair) => Err(changed(role, thumbprint, &format!("it holds the key {}", pair.thumbprint()))),
        Err(error) => Err(changed(role, thumbprint, &error.to_string())),
    }
}

fn changed<E>(role: Role, thumbprint: &str, what: &str) -> EstablishError<E> {
    EstablishError::Stalled(Because::new(
        Reason::KeyChanged,
        format!(
            "the Secret of the {} was changed ({what}): restore it from a backup",
            named(role, thumbprint)
        ),
    ))
}

fn named(role: Role, thumbprint: &str) -> String {
    match role {
        Role::Root => format!("root key {thumbprint}"),
        Role::Signing => format!("signing key {thumbprint}"),
    }
}

/// The key that is there, else a new one.
async fn made<K: KeyStore>(
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
    read.map_err(|error| changed(role, "of this Authority", &error.to_string()))
}
