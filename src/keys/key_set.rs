//! Key sets: what a root signs, what is published, and what is taken from a root that is kept outside.
//!
//! ```text
//!   the keys of an Authority ──wanted──► request.json ──root──► keys.jws ──accepted──► published, with each document
//!                            └─────────► jwks.json
//! ```
//!
//! A set that comes from outside is taken only if the pinned root signed it, for this issuer, and word for word as it
//! was asked for: a root that signed something else was asked by somebody else.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use usher_license::{Jwk, Jwks, KeySet, KeySetClaims, PublishedKey, Typ};

use crate::{
    domain::{
        rotation::{Key, WITHOUT_END},
        text::{Issuer, KeyId, PublicKey},
    },
    keys::KeyPair,
};

/// What a root is asked to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The Authority.
    pub iss: Issuer,
    /// The number of the set; it only rises.
    pub serial: u64,
    /// The keys that the root is to vouch for.
    pub keys: Vec<RequestedKey>,
}

/// A key that a root is asked to vouch for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedKey {
    /// Its thumbprint.
    pub kid: KeyId,
    /// Its public half.
    pub x: PublicKey,
    /// Its not-after, in Unix seconds.
    pub exp: u64,
}

/// Why nothing was signed, or a set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The request is not one.
    #[error("it is not a request for a key set, the entry request.json of an Authority's ConfigMap: {0}")]
    Request(serde_json::Error),
    /// The request names a key by another's name.
    #[error("the key {0} has another thumbprint: somebody changed the request")]
    Kid(KeyId),
    /// Another root, another issuer, or no key set.
    #[error(transparent)]
    Refused(#[from] usher_license::Error),
    /// It is another set than the one that is wanted.
    #[error("it has the number {found}, and number {wanted} is to be signed")]
    Number {
        /// The number that it has.
        found: u64,
        /// The number that is wanted.
        wanted: u64,
    },
    /// It vouches for other keys.
    #[error("it vouches for other keys than those of request.json")]
    Keys,
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
}

fn jwk(public: &PublicKey) -> Jwk {
    let mut bytes = [0; 32];
    // Text that passed the rule is 32 bytes.
    let _ = BASE64_URL_SAFE_NO_PAD.decode_slice(public.as_str(), &mut bytes);
    Jwk::from_public(&bytes)
}

impl Request {
    /// What the root of `issuer` is to sign for the wanted ones of `keys`.
    #[must_use]
    pub fn of(issuer: &Issuer, serial: u64, keys: &[Key]) -> Self {
        let wanted = keys.iter().filter_map(|key| {
            Some(RequestedKey { kid: key.kid.clone(), x: key.public.clone(), exp: key.wanted? })
        });
        Self { iss: issuer.clone(), serial, keys: wanted.collect() }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// When it is none, or a key in it is not what its name says.
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let request: Self = serde_json::from_slice(json).map_err(KeySetError::Request)?;
        for key in &request.keys {
            if jwk(&key.x).thumbprint().as_str() != key.kid.as_str() {
                return Err(KeySetError::Kid(key.kid.clone()));
            }
        }
        Ok(request)
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Signs it: the key set.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn sign(&self, root: &KeyPair, issued_at: u64) -> Result<String, serde_json::Error> {
        let keys = self.keys.iter().map(|key| PublishedKey { jwk: jwk(&key.x), exp: key.exp }).collect();
        let (iss, serial, public) = (self.iss.to_string(), self.serial, root.public());
        root.sign(Typ::KeySet, &KeySetClaims { iss, iat: issued_at, serial, root: public, keys })
    }

    /// Takes `keys_jws` from outside if `root` signed this very request.
    ///
    /// # Errors
    /// When the set is another one.
    pub fn accept(&self, root: &KeyId, keys_jws: &[u8]) -> Result<String, KeySetError> {
        let set = KeySet::verify(keys_jws, &root.as_str().parse()?, self.iss.as_str())?;
        if set.serial() != self.serial {
            return Err(KeySetError::Number { found: set.serial(), wanted: self.serial });
        }
        let text = String::from_utf8_lossy(keys_jws).into_owned();
        if keys_in(&text) == self.keys { Ok(text) } else { Err(KeySetError::Keys) }
    }
}

/// The payload of a key set, unverified.
fn unverified_payload(keys_jws: &str) -> Option<Value> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(keys_jws.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// The keys of a set that was verified.
#[must_use]
pub fn keys_in(keys_jws: &str) -> Vec<RequestedKey> {
    let keys = unverified_payload(keys_jws).and_then(|mut payload| Some(payload.get_mut("keys")?.take()));
    keys.and_then(|keys| serde_json::from_value(keys).ok()).unwrap_or_default()
}

/// The root key in a set that was verified, as a JWK.
#[must_use]
pub fn root_in(keys_jws: &str) -> Option<String> {
    let root: Jwk = serde_json::from_value(unverified_payload(keys_jws)?.get_mut("root")?.take()).ok()?;
    serde_json::to_string(&root).ok()
}

/// The root that has signed the key set `found` for `issuer`; nobody says that it is ours.
#[must_use]
pub fn unproven_root(found: &str, issuer: &Issuer) -> Option<KeyId> {
    let root: Jwk = serde_json::from_str(&root_in(found)?).ok()?;
    KeySet::verify(found.as_bytes(), &root.thumbprint(), issuer.as_str()).ok()?;
    root.thumbprint().to_string().parse().ok()
}

/// Whether `found` is a key set that the root of `own`, which was verified, has signed for `issuer`.
#[must_use]
pub fn is_of_same_root(own: &str, found: &str, issuer: &Issuer) -> bool {
    let root: Option<Jwk> = root_in(own).and_then(|root| serde_json::from_str(&root).ok());
    root.is_some_and(|root| KeySet::verify(found.as_bytes(), &root.thumbprint(), issuer.as_str()).is_ok())
}

/// The JWK set of the keys in `own`, which was verified, and of `signing`.
///
/// # Errors
/// Never in practice: the form is fixed.
pub fn jwks_in(own: &str, signing: &Jwk) -> Result<String, serde_json::Error> {
    let vouched = keys_in(own).into_iter().map(|key| PublishedKey { jwk: jwk(&key.x), exp: key.exp });
    let mut keys: Vec<PublishedKey> = vouched.collect();
    if keys.iter().all(|key| key.jwk.thumbprint() != signing.thumbprint()) {
        keys.push(PublishedKey { jwk: *signing, exp: WITHOUT_END });
    }
    serde_json::to_string(&Jwks { keys })
}

/// The JWK set (RFC 7517) that publishes those of `keys` whose documents are to be accepted.
///
/// # Errors
/// Never in practice: the form is fixed.
pub fn jwks(keys: &[Key]) -> Result<String, serde_json::Error> {
    let published = keys.iter().filter(|key| key.is_published());
    let keys =
        published.filter_map(|key| Some(PublishedKey { jwk: jwk(&key.public), exp: key.not_after()? }));
    serde_json::to_string(&Jwks { keys: keys.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rotation::{State, WITHOUT_END};

    fn issuer() -> Issuer {
        "https://usher.acme.example/a/default".parse().unwrap()
    }

    fn root() -> KeyPair {
        KeyPair::from_seed(&[1; 32])
    }

    fn request(serial: u64) -> Request {
        let keys = [(1, 500), (2, WITHOUT_END)].map(|(ordinal, exp)| {
            let key =
                KeyPair::from_seed(&[u8::try_from(ordinal).unwrap() + 1; 32]).known_as(ordinal).unwrap();
            Key { wanted: Some(exp), ..key }
        });
        Request::of(&issuer(), serial, &keys)
    }

    #[test]
    fn what_the_root_signed_as_asked_is_taken() {
        let asked = request(3);
        let carried = Request::read(asked.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(carried, asked);
        let set = carried.sign(&root(), 1_000).unwrap();
        assert_eq!(asked.accept(&root().kid().unwrap(), set.as_bytes()).unwrap(), set);
        let verified = KeySet::verify(set.as_bytes(), &root().thumbprint(), issuer().as_str()).unwrap();
        assert_eq!(verified.keys().thumbprints().count(), 2);
        assert_eq!(keys_in(&set), asked.keys);
        let public = serde_json::to_string(&root().public()).unwrap();
        assert_eq!(root_in(&set).as_deref(), Some(public.as_str()));
    }

    #[test]
    fn a_set_that_is_older_of_another_root_or_issuer_or_of_other_keys_is_not_taken() {
        let (asked, pinned) = (request(3), root().kid().unwrap());
        let refusal = |request: &Request, root: &KeyPair| {
            let set = request.sign(root, 1_000).unwrap();
            asked.accept(&pinned, set.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(refusal(&request(2), &root()), "it has the number 2, and number 3 is to be signed");
        assert_eq!(refusal(&request(4), &root()), "it has the number 4, and number 3 is to be signed");
        let stranger = KeyPair::from_seed(&[9; 32]);
        assert!(refusal(&asked, &stranger).contains("root"), "{}", refusal(&asked, &stranger));
        let foreign = Request { iss: "https://usher.other.example".parse().unwrap(), ..asked.clone() };
        assert!(refusal(&foreign, &root()).contains("issuer"));
        let other = "it vouches for other keys than those of request.json";
        let mut longer = asked.clone();
        longer.keys[0].exp = WITHOUT_END;
        assert_eq!(refusal(&longer, &root()), other);
        let mut more = asked.clone();
        let theirs = stranger.known_as(3).unwrap();
        more.keys.push(RequestedKey { kid: theirs.kid, x: theirs.public, exp: WITHOUT_END });
        assert_eq!(refusal(&more, &root()), other);
        assert!(asked.accept(&pinned, b"nonsense").is_err());
    }

    #[test]
    fn a_request_that_names_a_key_by_anothers_name_is_not_signed() {
        let mut asked = request(3);
        asked.keys[0].kid = asked.keys[1].kid.clone();
        assert!(matches!(Request::read(asked.to_json().unwrap().as_bytes()), Err(KeySetError::Kid(_))));
        assert!(matches!(Request::read(b"{}"), Err(KeySetError::Request(_))));
    }

    #[test]
    fn the_jwk_set_has_the_keys_whose_documents_are_to_be_accepted() {
        let at = crate::domain::license::tests::at;
        let states = [
            State::Made,
            State::Announced { shown: None },
            State::Signing { since: at(1) },
            State::Retired { since: at(1) },
            State::Withdrawn,
            State::Revoked { at: at(1) },
        ];
        let keys: Vec<Key> = (1..)
            .zip(states)
            .map(|(ordinal, state)| {
                let pair = KeyPair::from_seed(&[u8::try_from(ordinal).unwrap(); 32]);
                Key { state, last_exp: Some(at(77)), ..pair.known_as(ordinal).unwrap() }
            })
            .collect();
        let json: Value = serde_json::from_str(&jwks(&keys).unwrap()).unwrap();
        let published: Vec<(&str, u64)> = json["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["kid"].as_str().unwrap(), key["exp"].as_u64().unwrap()))
            .collect();
        let expected = [(&keys[1], WITHOUT_END), (&keys[2], WITHOUT_END), (&keys[3], 77)];
        assert_eq!(published, expected.map(|(key, exp)| (key.kid.as_str(), exp)));
    }
}
