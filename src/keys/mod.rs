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
mod published;
pub mod tls;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use usher_license::{Claims, Jwk, Jwks, KeySetClaims, PublishedKey, Thumbprint, Typ, attach, signing_input};
use zeroize::Zeroizing;

use crate::domain::text::Issuer;

pub use audit::AuditKey;
pub use published::Published;

/// The not-after of a signing key that no rotation has ended: 9999-12-31T23:59:59Z.
const WITHOUT_END: u64 = 253_402_300_799;

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

/// Signs the key set that vouches for `signing` under `root`.
///
/// # Errors
/// Never in practice: the form is fixed.
pub fn key_set(
    root: &KeyPair,
    signing: &KeyPair,
    issuer: &Issuer,
    serial: u64,
    issued_at: u64,
) -> Result<String, serde_json::Error> {
    root.sign(
        Typ::KeySet,
        &KeySetClaims {
            iss: issuer.to_string(),
            iat: issued_at,
            serial,
            root: root.public(),
            keys: vec![published(signing)],
        },
    )
}

/// The JWK set (RFC 7517) that publishes `signing`.
///
/// # Errors
/// Never in practice: the form is fixed.
pub fn jwks(signing: &KeyPair) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Jwks { keys: vec![published(signing)] })
}

fn published(signing: &KeyPair) -> PublishedKey {
    PublishedKey { jwk: signing.public(), exp: WITHOUT_END }
}

/// All that is needed to sign documents for one Authority, and to publish its keys.
#[derive(Debug)]
pub struct Signer {
    /// `iss`
    pub issuer: Issuer,
    /// The thumbprint of the root.
    pub root: Thumbprint,
    /// The root's public JWK.
    pub root_jwk: String,
    /// The key set, signed by the root.
    pub keys_jws: String,
    /// The number of the key set.
    pub serial: u64,
    /// The JWK set, for JOSE libraries.
    pub jwks: String,
    signing: KeyPair,
}

impl Signer {
    /// Puts the parts together; `keys_jws` must be the key set that `root` signed for `signing`.
    ///
    /// # Errors
    /// Never in practice: the forms are fixed.
    pub fn new(
        issuer: Issuer,
        root: &KeyPair,
        signing: KeyPair,
        serial: u64,
        keys_jws: String,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            issuer,
            root: root.thumbprint(),
            root_jwk: serde_json::to_string(&root.public())?,
            keys_jws,
            serial,
            jwks: jwks(&signing)?,
            signing,
        })
    }

    /// `kid`
    #[must_use]
    pub fn key_id(&self) -> Thumbprint {
        self.signing.thumbprint()
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
    use usher_license::KeySet;

    use super::*;

    fn issuer() -> Issuer {
        "https://usher.acme.example/a/default".parse().unwrap()
    }

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

    #[test]
    fn the_key_set_verifies_under_its_root_and_under_no_other() {
        let (root, signing) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let set = key_set(&root, &signing, &issuer(), 1, 1_000).unwrap();
        let verified = KeySet::verify(set.as_bytes(), &root.thumbprint(), issuer().as_str()).unwrap();
        assert_eq!(verified.keys().thumbprints().collect::<Vec<_>>(), [&signing.thumbprint()]);
        assert!(KeySet::verify(set.as_bytes(), &signing.thumbprint(), issuer().as_str()).is_err());
    }
}
