//! The keys of Authorities: making, keeping and signing with them.
//!
//! ```text
//!   root key ──signs──► key set (keys.jws): which signing keys are good, a number that only rises
//!                            │
//!   signing key ──signs──► documents (license.jws), and nothing else
//! ```
//!
//! A private key is a JWK (RFC 8037) in a Secret of Usher's own namespace. It is made once, from bytes that the
//! caller drew, and leaves this room only as that JWK and as signatures.

mod audit;
pub mod key_set;
pub mod nonce;
mod published;
mod signers;
pub mod tls;
pub mod token;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use usher_license::{Claims, Jwk, Thumbprint, Typ, attach, signing_input};
use zeroize::Zeroizing;

use crate::domain::{
    license::Uid,
    reissue::Reissue,
    rotation::Key,
    text::{InvalidText, Issuer, KeyId, PublicKey},
};

pub use audit::AuditKey;
pub use published::Published;
pub use signers::Signers;

/// What is wrong with a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("it is not a private Ed25519 JWK (RFC 8037): {0}")]
    Unreadable(&'static str),
    /// Its two halves do not belong together.
    #[error("its public half `x` does not belong to its private half `d`")]
    Mismatch,
}

/// A private key with its public half.
pub struct KeyPair(SigningKey);

/// The form of a private key at rest.
#[derive(Serialize, Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: String,
    d: Zeroizing<String>,
}

impl KeyPair {
    /// The key that `seed` makes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a private JWK.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_jwk(json: &[u8]) -> Result<Self, KeyError> {
        let jwk: PrivateJwk = serde_json::from_slice(json)
            .map_err(|_| KeyError::Unreadable("it is not JSON with kty, crv, x and d"))?;
        if (jwk.kty.as_str(), jwk.crv.as_str()) != ("OKP", "Ed25519") {
            return Err(KeyError::Unreadable("kty must be OKP and crv Ed25519"));
        }
        let seed = Zeroizing::new(
            BASE64_URL_SAFE_NO_PAD
                .decode(jwk.d.as_bytes())
                .map_err(|_| KeyError::Unreadable("d is not base64url"))?,
        );
        let seed: &[u8; 32] =
            seed.as_slice().try_into().map_err(|_| KeyError::Unreadable("d is not 32 bytes"))?;
        let pair = Self::from_seed(seed);
        if pair.public_text() == jwk.x { Ok(pair) } else { Err(KeyError::Mismatch) }
    }

    /// The private JWK: a secret.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        serde_json::to_string(&PrivateJwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: self.public_text(),
            d: Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.0.as_bytes())),
        })
        .map(Zeroizing::new)
    }

    fn public_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.verifying_key().as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> Jwk {
        Jwk::from_public(self.0.verifying_key().as_bytes())
    }

    /// The RFC 7638 thumbprint: the key's name.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.public().thumbprint()
    }

    /// What the rules know of it, as the `ordinal`th key of its Authority.
    ///
    /// # Errors
    /// Never in practice: what we write we can read.
    pub fn known_as(&self, ordinal: u32) -> Result<Key, InvalidText> {
        Ok(Key::new(ordinal, self.kid()?, PublicKey::try_from(self.public_text())?))
    }

    /// Its name, as the rules know it.
    ///
    /// # Errors
    /// Never in practice: what we write we can read.
    pub fn kid(&self) -> Result<KeyId, InvalidText> {
        KeyId::try_from(self.thumbprint().to_string())
    }

    fn sign(&self, typ: Typ, payload: &impl Serialize) -> Result<String, serde_json::Error> {
        let input = signing_input(typ, &self.thumbprint(), &serde_json::to_vec(payload)?);
        Ok(attach(&input, &self.0.sign(input.as_bytes()).to_bytes()))
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({})", self.thumbprint())
    }
}

/// All that is needed to sign documents for one Authority.
#[derive(Debug)]
pub struct Signer {
    /// `iss`
    pub issuer: Issuer,
    /// The key set that the root has signed; it goes with each document.
    pub keys_jws: String,
    /// Which documents are made anew because their key was revoked.
    pub reissue: Option<Reissue>,
    signing: KeyPair,
}

impl Signer {
    /// Puts the parts together; `keys_jws` must be a key set that vouches for `signing`.
    #[must_use]
    pub fn new(issuer: Issuer, signing: KeyPair, keys_jws: String, reissue: Option<Reissue>) -> Self {
        Self { issuer, keys_jws, reissue, signing }
    }

    /// The JWK set of the keys under which a document is this Authority's: those that its root vouches for, and the one
    /// that signs.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn own_keys(&self) -> Result<String, serde_json::Error> {
        key_set::jwks_in(&self.keys_jws, &self.signing.public())
    }

    /// Whether this is a key set of the same Authority, by its root's signature.
    #[must_use]
    pub fn vouches(&self, keys_jws: &str) -> bool {
        key_set::is_of_same_root(&self.keys_jws, keys_jws, &self.issuer)
    }

    /// `kid`
    #[must_use]
    pub fn key_id(&self) -> Thumbprint {
        self.signing.thumbprint()
    }

    /// When the document for `subject` is to be made anew: at `renew_at`, sooner if its key `kid` was revoked.
    #[must_use]
    pub fn renew_at(&self, kid: &str, subject: &Uid, renew_at: Option<Timestamp>) -> Option<Timestamp> {
        let turn = self.reissue.as_ref().and_then(|reissue| reissue.turn(kid, subject));
        renew_at.into_iter().chain(turn).min()
    }

    /// Whether it signs as the other one does: then no document is to be looked at because of it.
    #[must_use]
    pub fn signs_like(&self, other: &Self) -> bool {
        self.key_id() == other.key_id() && self.issuer == other.issuer && self.reissue == other.reissue
    }

    /// Signs a document.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn document(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        self.signing.sign(Typ::License, claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_written_and_read() {
        let pair = KeyPair::from_seed(&[7; 32]);
        let read = KeyPair::from_jwk(pair.to_jwk().unwrap().as_bytes()).unwrap();
        assert_eq!(read.thumbprint(), pair.thumbprint());
    }

    #[test]
    fn a_key_whose_halves_do_not_belong_together_is_refused() {
        let json = KeyPair::from_seed(&[7; 32]).to_jwk().unwrap();
        let other = KeyPair::from_seed(&[8; 32]).public_text();
        let mixed = json.replace(&KeyPair::from_seed(&[7; 32]).public_text(), &other);
        assert_eq!(KeyPair::from_jwk(mixed.as_bytes()).unwrap_err(), KeyError::Mismatch);
    }

    #[test]
    fn what_is_not_a_private_key_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"kty":"RSA","crv":"Ed25519","x":"","d":""}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"","d":"AA"}"#,
        ] {
            assert!(matches!(KeyPair::from_jwk(text.as_bytes()), Err(KeyError::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn a_private_key_does_not_show_when_it_is_printed() {
        let pair = KeyPair::from_seed(&[7; 32]);
        assert_eq!(format!("{pair:?}"), format!("KeyPair({})", pair.thumbprint()));
    }
}
