//! Public Ed25519 keys as JSON Web Keys (RFC 7517, RFC 8037), and their names.
//!
//! A key's name is its RFC 7638 thumbprint: the SHA-256 of its required members in lexical order. It depends on nothing but
//! the key, so a `kid` cannot be given to two keys, and who pins a thumbprint has pinned the key.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, quoted};

/// The RFC 7638 SHA-256 thumbprint of a key, in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint(String);

impl Thumbprint {
    /// The 43 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Thumbprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        decode_32("thumbprint", text).map(|_| Self(text.to_owned()))
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A public Ed25519 key: `{"kty": "OKP", "crv": "Ed25519", "x": "…"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Jwk {
    public: [u8; 32],
}

impl Jwk {
    /// The key with these bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub const fn from_public(public: &[u8; 32]) -> Self {
        Self { public: *public }
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Its RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let required =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(self.public));
        Thumbprint(URL_SAFE_NO_PAD.encode(Sha256::digest(required)))
    }
}

/// A signing key as an authority publishes it, in its key set and its JWK set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Wire")]
pub struct PublishedKey {
    /// The key; its `kid` is its thumbprint.
    pub jwk: Jwk,
    /// Its not-after in Unix seconds: from then on nothing signed under it is accepted. At or after the last `exp` under it.
    pub exp: u64,
}

/// A JWK as it is written.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Wire {
    kty: String,
    crv: String,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<u64>,
    /// The private half, which has no business here.
    #[serde(skip_serializing)]
    d: Option<IgnoredAny>,
}

impl From<Jwk> for Wire {
    fn from(jwk: Jwk) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(jwk.public),
            kid: None,
            usage: None,
            alg: None,
            exp: None,
            d: None,
        }
    }
}

impl From<PublishedKey> for Wire {
    fn from(key: PublishedKey) -> Self {
        Self {
            kid: Some(key.jwk.thumbprint().0),
            usage: Some("sig".to_owned()),
            alg: Some("EdDSA".to_owned()),
            exp: Some(key.exp),
            ..Self::from(key.jwk)
        }
    }
}

impl TryFrom<Wire> for Jwk {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Self, Error> {
        if wire.d.is_some() {
            return Err(Error::malformed("jwk", "it holds a private key, the member `d`"));
        }
        if wire.kty != "OKP" || wire.crv != "Ed25519" {
            let found = format_args!("kty {} and crv {}", quoted(&wire.kty), quoted(&wire.crv)).to_string();
            return Err(Error::malformed(
                "jwk",
                format_args!("expected kty `OKP` and crv `Ed25519`, found {found}"),
            ));
        }
        let jwk = Self { public: decode_32("jwk", &wire.x)? };
        let thumbprint = jwk.thumbprint();
        match wire.kid {
            Some(kid) if kid != thumbprint.0 => {
                Err(Error::KidMismatch { expected: thumbprint.0, found: quoted(&kid) })
            }
            _ => Ok(jwk),
        }
    }
}

fn decode_32(what: &'static str, text: &str) -> Result<[u8; 32], Error> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| Error::malformed(what, error))?;
    let found = bytes.len();
    bytes
        .try_into()
        .map_err(|_| Error::malformed(what, format_args!("expected 32 bytes in base64url, found {found}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.2 and A.3.
    const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn code(jwk: &str) -> &'static str {
        let wire: Wire = serde_json::from_str(jwk).expect("a JWK");
        Jwk::try_from(wire).expect_err("a refusal").code()
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let jwk: Jwk = serde_json::from_str(JWK).expect("a JWK");
        assert_eq!(jwk.thumbprint().as_str(), THUMBPRINT);
        assert_eq!(serde_json::to_string(&jwk).expect("JSON"), JWK);
    }

    #[test]
    fn a_kid_that_is_not_the_thumbprint_is_refused() {
        assert_eq!(code(&JWK.replace(r#""crv""#, r#""kid":"ours","crv""#)), "kid-mismatch");
    }

    #[test]
    fn a_private_key_is_refused_where_a_public_one_belongs() {
        assert_eq!(
            code(&JWK.replace(r#""crv""#, r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","crv""#)),
            "malformed"
        );
    }

    #[test]
    fn keys_of_other_curves_and_lengths_are_refused() {
        assert_eq!(code(&JWK.replace("Ed25519", "X25519")), "malformed");
        assert_eq!(code(&JWK.replace("11qY", "")), "malformed");
        assert_eq!(code(&JWK.replace("HURo", "HURp")), "malformed", "trailing bits");
    }

    #[test]
    fn a_thumbprint_is_32_bytes_of_canonical_base64url() {
        assert!(THUMBPRINT.parse::<Thumbprint>().is_ok());
        assert!("kPrK".parse::<Thumbprint>().is_err());
        assert!(format!("{THUMBPRINT}=").parse::<Thumbprint>().is_err());
    }
}
