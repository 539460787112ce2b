//! The key set (`keys.jws`): the keys that an authority's root vouches for.
//!
//! A compact JWS, `typ: usher-keys+jwt`, signed by the root key, whose thumbprint is the `kid`. Payload: [`KeySetClaims`].
//!
//! ```text
//! root thumbprint, pinned in your program ──► the root JWK in the payload ──► the set's signature ──► its keys ──► documents
//! ```
//! The set carries the root key, so that a program pins 43 characters and nothing more. That key is taken only if its
//! thumbprint is the pinned one, and then it must have signed the very set that carries it.
//!
//! **Going back.** Whoever can replace the file could replay an older set that still has a revoked key. The serial only rises:
//! a program that can store a number keeps the highest seen and calls [`KeySet::require_serial`]; one that cannot is protected
//! by the keys' not-after alone.
//!
//! **Order of checks**: shape → header → root (`wrong-root`) → signature → claims (`wrong-issuer`, keys). To find the root key
//! the payload must be parsed before the signature is proven; nothing else of it is used before.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    encode::Typ,
    error::{Error, quoted},
    json::Strict,
    jwk::{Jwk, PublishedKey, Thumbprint, Wire},
    jws::Jws,
    keys::{Key, Keys},
    license::{Unproven, Verified},
};

/// The payload of a key set, as the root signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySetClaims {
    /// The authority.
    pub iss: String,
    /// When the set was made, Unix seconds.
    pub iat: u64,
    /// A number that is higher than that of every earlier set.
    pub serial: u64,
    /// The root key.
    pub root: Jwk,
    /// The signing keys.
    pub keys: Vec<PublishedKey>,
}

/// A key set, signed by the root key that it names.
///
/// | state | what is known of the root |
/// |---|---|
/// | [`Verified`] | it is the pinned one |
/// | [`Unproven`] | nothing: anybody can make a root and sign with it |
#[derive(Clone, Debug)]
pub struct KeySet<S> {
    root: Thumbprint,
    iss: String,
    iat: u64,
    serial: u64,
    keys: Keys,
    trust: PhantomData<S>,
}

impl KeySet<Verified> {
    /// Verifies a key set under the pinned `root`, for the authority `issuer`.
    ///
    /// # Errors
    /// In this order: `oversized`, `malformed`, `duplicate-member`, `too-deep`, `forbidden-header`, `wrong-type`,
    /// `wrong-algorithm`; `wrong-root`; `bad-signature`; `malformed`, `kid-mismatch`; `wrong-issuer`.
    pub fn verify(bytes: &[u8], root: &Thumbprint, issuer: &str) -> Result<Self, Error> {
        let set = read(bytes, Some(root))?;
        if set.iss != issuer {
            return Err(Error::WrongIssuer { expected: issuer.to_owned(), found: quoted(&set.iss) });
        }
        Ok(set)
    }

    /// Refuses a set that is older than one seen before.
    ///
    /// # Errors
    /// `old-key-set`.
    pub fn require_serial(self, minimum: u64) -> Result<Self, Error> {
        if self.serial < minimum {
            return Err(Error::OldKeySet { minimum, found: self.serial });
        }
        Ok(self)
    }

    /// The authority's root key.
    #[must_use]
    pub const fn root(&self) -> &Thumbprint {
        &self.root
    }

    /// The authority.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.iss
    }

    /// When the set was made, Unix seconds.
    #[must_use]
    pub const fn issued_at(&self) -> u64 {
        self.iat
    }

    /// The number that only rises.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// The keys that the root vouches for.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn into_parts(self) -> (String, Keys) {
        (self.iss, self.keys)
    }
}

impl KeySet<Unproven> {
    /// Reads a key set under whatever root it names, for [`check_signature`](crate::check_signature) and for looking at it.
    ///
    /// # Errors
    /// As [`KeySet::verify`], but for `wrong-root` and `wrong-issuer`.
    pub fn read_unproven(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes, None)
    }

    /// The root key that it names.
    #[must_use]
    pub const fn unproven_root(&self) -> &Thumbprint {
        &self.root
    }

    /// The authority that it names.
    #[must_use]
    pub fn unproven_issuer(&self) -> &str {
        &self.iss
    }

    /// The serial that it names.
    #[must_use]
    pub const fn unproven_serial(&self) -> u64 {
        self.serial
    }

    /// Its keys.
    #[must_use]
    pub const fn unproven_keys(&self) -> &Keys {
        &self.keys
    }
}

fn read<S>(bytes: &[u8], pinned: Option<&Thumbprint>) -> Result<KeySet<S>, Error> {
    #[derive(Deserialize)]
    struct Payload {
        iss: String,
        iat: u64,
        serial: u64,
        root: Wire,
        keys: Vec<Value>,
    }
    let jws = Jws::parse(bytes, Typ::KeySet)?;
    let payload: Payload = Strict::check("key set", jws.unverified_payload())?.read()?;
    let root_jwk = Jwk::try_from(payload.root)?;
    let root = root_jwk.thumbprint();
    require_root(pinned.unwrap_or(&root), jws.unverified_kid())?;
    require_root(pinned.unwrap_or(&root), root.as_str())?;
    jws.check_signature(Key::new(&root_jwk, None)?.verifying_key())?;

    let keys = Keys::read("key set", payload.keys)?;
    if !keys.all_have_exp() {
        return Err(Error::malformed("key set", "a key has no `exp`"));
    }
    Ok(KeySet { root, iss: payload.iss, iat: payload.iat, serial: payload.serial, keys, trust: PhantomData })
}

fn require_root(expected: &Thumbprint, found: &str) -> Result<(), Error> {
    if expected.as_str() == found {
        return Ok(());
    }
    Err(Error::WrongRoot { expected: expected.as_str().to_owned(), found: quoted(found) })
}
