//! Public keys that signatures are checked with, found by their names. Holding some does not mean trusting them.

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Error, quoted},
    json::Strict,
    jwk::{Jwk, PublishedKey, Thumbprint, Wire},
    jws::bounded,
};

/// A JWK set (RFC 7517 §5) as an authority publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// The keys under which documents may be found.
    pub keys: Vec<PublishedKey>,
}

/// Public keys, each named by its thumbprint.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    kid: Thumbprint,
    key: VerifyingKey,
    exp: Option<u64>,
}

impl Keys {
    /// Reads a JWK set. Keys for other uses and of other kinds are ignored, as RFC 7517 §5 says; a key under a name that is not
    /// its thumbprint, a private key and an unusable point are refused.
    ///
    /// # Errors
    /// `oversized`, `malformed`, `duplicate-member`, `too-deep`, `kid-mismatch`.
    pub fn from_jwks(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Read {
            keys: Vec<Value>,
        }
        bounded("jwks", json)?;
        let Read { keys } = Strict::check("jwks", json)?.read()?;
        Self::read("jwks", keys)
    }

    pub(crate) fn read(what: &'static str, jwks: Vec<Value>) -> Result<Self, Error> {
        let mut keys: Vec<Key> = Vec::new();
        for jwk in jwks.into_iter().filter(is_for_us) {
            let key = Key::read(what, jwk)?;
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(Error::malformed(
                    what,
                    format_args!("it has the key {} twice", quoted(key.kid.as_str())),
                ));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// The names of the keys.
    pub fn thumbprints(&self) -> impl Iterator<Item = &Thumbprint> {
        self.0.iter().map(|key| &key.kid)
    }

    pub(crate) fn all_have_exp(&self) -> bool {
        self.0.iter().all(|key| key.exp.is_some())
    }

    /// Refuses a set of which nothing could be verified at `now`.
    pub(crate) fn require_usable(&self, what: &'static str, now: u64) -> Result<(), Error> {
        let usable = self.0.iter().any(|key| key.require_current(now, 0).is_ok());
        if usable { Ok(()) } else { Err(Error::NoUsableKey { what, now }) }
    }

    pub(crate) fn find(&self, kid: &str) -> Result<&Key, Error> {
        self.0
            .iter()
            .find(|key| key.kid.as_str() == kid)
            .ok_or_else(|| Error::UnknownKey { kid: quoted(kid) })
    }
}

impl Key {
    fn read(what: &'static str, jwk: Value) -> Result<Self, Error> {
        let wire: Wire = serde_json::from_value(jwk).map_err(|error| Error::malformed(what, error))?;
        let exp = wire.exp;
        Self::new(&Jwk::try_from(wire)?, exp)
    }

    pub(crate) fn new(jwk: &Jwk, exp: Option<u64>) -> Result<Self, Error> {
        let key = VerifyingKey::from_bytes(jwk.public())
            .map_err(|_| Error::malformed("jwk", "`x` is not a point of the curve"))?;
        if key.is_weak() {
            return Err(Error::malformed("jwk", "`x` is a point of small order, for which anybody can sign"));
        }
        Ok(Self { kid: jwk.thumbprint(), key, exp })
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// From its not-after on a key is not used, however good the signature.
    pub(crate) fn require_current(&self, now: u64, leeway: u64) -> Result<(), Error> {
        match self.exp {
            Some(exp) if now >= exp.saturating_add(leeway) => {
                Err(Error::KeyExpired { kid: self.kid.as_str().to_owned(), exp, now })
            }
            _ => Ok(()),
        }
    }
}

/// An Ed25519 key that is published for signatures.
fn is_for_us(jwk: &Value) -> bool {
    let member = |name| jwk.get(name).map(|value| value.as_str().unwrap_or_default());
    member("kty") == Some("OKP")
        && member("crv") == Some("Ed25519")
        && matches!(member("use"), None | Some("sig"))
        && matches!(member("alg"), None | Some("EdDSA" | "Ed25519"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::MAX_BYTES;

    #[test]
    fn a_jwk_set_with_one_byte_too_many_is_not_read() {
        let mut set = br#"{"keys":[]}"#.to_vec();
        set.resize(MAX_BYTES, b' ');
        assert!(Keys::from_jwks(&set).is_ok());
        set.push(b' ');
        let refusal = Keys::from_jwks(&set).expect_err("a refusal");
        assert_eq!(refusal, Error::Oversized { what: "jwks", limit: MAX_BYTES, found: MAX_BYTES + 1 });
    }
}
