//! A checkpoint of Usher's audit: a signed statement of how far the chain had grown, and to which hash.
//!
//! A compact JWS, `typ: usher-audit+jwt`, signed by the audit key, whose thumbprint is the `kid`. Payload: [`CheckpointClaims`].
//! Whoever keeps one outside of the ledger can tell later whether the chain still passes through it.
//!
//! As a key set does, a checkpoint carries its key, so that an auditor pins 43 characters: the key is taken only if its
//! thumbprint is the pinned one, and then it must have signed the very checkpoint that carries it.
//!
//! **Order of checks**: shape → header → key (`unknown-key`) → signature → claims.

use std::marker::PhantomData;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    encode::Typ,
    error::{Error, quoted},
    json::Strict,
    jwk::{Jwk, Thumbprint, Wire},
    jws::Jws,
    keys::Key,
    license::{Unproven, Verified},
};

/// How many characters a SHA-256 hash has in hex.
const HASH_CHARS: usize = 64;

/// The payload of a checkpoint, as the audit key signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointClaims {
    /// Which chain: the hash of its first link, in hex.
    pub chain: String,
    /// The link that was the last one.
    pub sequence: u64,
    /// Its hash, in hex.
    pub hash: String,
    /// When the checkpoint was made, Unix seconds.
    pub iat: u64,
    /// The [`digest`](Checkpoint::digest) of the checkpoint before it; `None` for the first of a chain.
    pub previous: Option<String>,
    /// The audit key.
    pub key: Jwk,
}

/// A checkpoint, signed by the key that it names.
///
/// | state | what is known of the key |
/// |---|---|
/// | [`Verified`] | it is the pinned one |
/// | [`Unproven`] | nothing: anybody can make a key and sign with it |
#[derive(Clone, Debug)]
pub struct Checkpoint<S> {
    claims: CheckpointClaims,
    digest: String,
    trust: PhantomData<S>,
}

impl<S> Checkpoint<S> {
    /// The SHA-256 of the JWS in base64url: how the next checkpoint names this one.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Checkpoint<Verified> {
    /// Verifies a checkpoint under the pinned `key`.
    ///
    /// # Errors
    /// In this order: `oversized`, `malformed`, `duplicate-member`, `too-deep`, `forbidden-header`, `wrong-type`,
    /// `wrong-algorithm`; `unknown-key`; `bad-signature`; `malformed`.
    pub fn verify(bytes: &[u8], key: &Thumbprint) -> Result<Self, Error> {
        read(bytes, Some(key))
    }

    /// What the audit key signed.
    #[must_use]
    pub const fn claims(&self) -> &CheckpointClaims {
        &self.claims
    }
}

impl Checkpoint<Unproven> {
    /// Reads a checkpoint under whatever key it names.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`], but for a key that is not the pinned one.
    pub fn read_unproven(bytes: &[u8]) -> Result<Self, Error> {
        read(bytes, None)
    }

    /// What it says.
    #[must_use]
    pub const fn unproven_claims(&self) -> &CheckpointClaims {
        &self.claims
    }
}

fn read<S>(bytes: &[u8], pinned: Option<&Thumbprint>) -> Result<Checkpoint<S>, Error> {
    #[derive(Deserialize)]
    struct Payload {
        chain: String,
        sequence: u64,
        hash: String,
        iat: u64,
        previous: Option<String>,
        key: Wire,
    }
    let jws = Jws::parse(bytes, Typ::Checkpoint)?;
    let payload: Payload = Strict::check("checkpoint", jws.unverified_payload())?.read()?;
    let key = Jwk::try_from(payload.key)?;
    let thumbprint = key.thumbprint();
    for found in [jws.unverified_kid(), thumbprint.as_str()] {
        if pinned.unwrap_or(&thumbprint).as_str() != found {
            return Err(Error::UnknownKey { kid: quoted(found) });
        }
    }
    jws.check_signature(Key::new(&key, None)?.verifying_key())?;

    let Payload { chain, sequence, hash, iat, previous, .. } = payload;
    for hash in [&chain, &hash] {
        if hash.len() != HASH_CHARS || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            let why = format_args!("expected a SHA-256 hash in hex, found {}", quoted(hash)).to_string();
            return Err(Error::malformed("checkpoint", why));
        }
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
    let claims = CheckpointClaims { chain, sequence, hash, iat, previous, key };
    Ok(Checkpoint { claims, digest, trust: PhantomData })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::encode::{attach, signing_input};

    fn jwk(key: &SigningKey) -> Jwk {
        Jwk::from_public(key.verifying_key().as_bytes())
    }

    fn claims(key: &SigningKey) -> CheckpointClaims {
        CheckpointClaims {
            chain: "0a".repeat(32),
            sequence: 7,
            hash: "1b".repeat(32),
            iat: 1_800_000_000,
            previous: None,
            key: jwk(key),
        }
    }

    fn signed(typ: Typ, claims: &CheckpointClaims, by: &SigningKey) -> String {
        let input = signing_input(typ, &jwk(by).thumbprint(), &serde_json::to_vec(claims).expect("JSON"));
        attach(&input, &by.sign(input.as_bytes()).to_bytes())
    }

    fn code(jws: &str, pinned: &SigningKey) -> &'static str {
        Checkpoint::verify(jws.as_bytes(), &jwk(pinned).thumbprint()).expect_err("a refusal").code()
    }

    #[test]
    fn a_checkpoint_verifies_under_its_key_and_under_no_other() {
        let (ours, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let jws = signed(Typ::Checkpoint, &claims(&ours), &ours);
        let verified = Checkpoint::verify(jws.as_bytes(), &jwk(&ours).thumbprint()).expect("good");
        assert_eq!(verified.claims(), &claims(&ours));
        assert_eq!(code(&jws, &other), "unknown-key");
        // It names our key, and somebody else signed it.
        assert_eq!(code(&signed(Typ::Checkpoint, &claims(&ours), &other), &ours), "unknown-key");
        let unproven = Checkpoint::read_unproven(jws.as_bytes()).expect("good");
        assert_eq!((unproven.unproven_claims(), unproven.digest()), (&claims(&ours), verified.digest()));
    }

    #[test]
    fn a_document_of_another_kind_is_no_checkpoint() {
        let key = SigningKey::from_bytes(&[1; 32]);
        for typ in [Typ::License, Typ::KeySet] {
            assert_eq!(code(&signed(typ, &claims(&key), &key), &key), "wrong-type");
        }
    }

    #[test]
    fn what_was_changed_after_it_was_signed_is_refused() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let jws = signed(Typ::Checkpoint, &claims(&key), &key);
        let other = signed(Typ::Checkpoint, &CheckpointClaims { sequence: 8, ..claims(&key) }, &key);
        let (payload, signature) = (other.split('.').nth(1).expect("three"), jws.split('.').nth(2));
        let mixed =
            format!("{}.{payload}.{}", jws.split('.').next().expect("three"), signature.expect("three"));
        assert_eq!(code(&mixed, &key), "bad-signature");
    }

    #[test]
    fn a_hash_that_is_none_is_refused() {
        let key = SigningKey::from_bytes(&[1; 32]);
        for hash in [String::new(), "1B".repeat(32), "1b".repeat(33)] {
            let broken = CheckpointClaims { hash, ..claims(&key) };
            assert_eq!(code(&signed(Typ::Checkpoint, &broken, &key), &key), "malformed");
        }
    }
}
