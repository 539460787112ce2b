//! The nonce: a position in an activation's chain, with a tag that only Usher can make.
//!
//! ```text
//!   key id (4) │ incarnation (4) │ sequence (8) │ tag (16)       big-endian; base64url without padding: 43 characters
//! ```
//!
//! The tag is the first 128 bits of an HMAC-SHA-256 (RFC 2104) over a fixed prefix, the position and the activation. The key lies in a
//! Secret and not in the ledger: whoever reads the ledger, or restores it, can make no nonce, and a nonce stays good over a
//! restore. 128 bits cannot be guessed over the network; half of the HMAC is what RFC 2104, section 5, calls the least.
//! The key id is made from the key, and only says which of several keys to try.

mod seal;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    KeyError,
    token::{MARK, Purpose},
};
use crate::domain::{
    chain::{Position, Presented},
    hex,
    license::Uid,
};

/// The length of a nonce, in characters.
pub const LENGTH: usize = 43;

const ID: usize = 4;
const POSITION: usize = 12;
const TAG: usize = 16;
const SECOND: usize = 8;
/// The random bytes of an activation key; with its tag they are 32.
const KEY_RANDOM: usize = 16;

/// A block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// What the key is used for; the prefix keeps each use apart from the other.
const NONCE: &[u8] = b"usher nonce 1\0";
const KEY_ID: &[u8] = b"usher nonce key id\0";
const THUMBPRINT: &[u8] = b"usher nonce key thumbprint 1\0";
const TOKEN: &[u8] = b"usher activation token 1\0";
const ACTIVATION_KEY: &[u8] = b"usher activation key 1\0";
const PROOF: &[u8] = b"usher proof nonce 1\0";
const MARKED: &[u8] = b"usher marked token 1\0";

/// The bytes of a mark. It grants nothing: it says whose pace counts before the ledger is asked. Whoever tries 20,000 a second meets a good one
/// in some 450 years.
const MARK_BYTES: usize = 6;

/// A key that makes and knows nonces.
pub struct NonceKey {
    id: [u8; ID],
    secret: Zeroizing<[u8; 32]>,
    mac: Hmac<Sha256>,
}

/// The form of a key at rest: a JWK for symmetric keys (RFC 7518, section 6.4).
#[derive(Serialize, Deserialize)]
struct SymmetricJwk {
    kty: String,
    k: Zeroizing<String>,
}

impl NonceKey {
    /// The key that `secret` makes.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        // RFC 2104, section 2: a key that is shorter than a block is filled up with zeros.
        let mut block = Zeroizing::new([0; BLOCK]);
        fill(block.as_mut_slice(), secret.iter());
        let mac = Hmac::<Sha256>::new((&*block).into());
        let mut id = [0; ID];
        fill(&mut id, &mac.clone().chain_update(KEY_ID).finalize().into_bytes());
        Self { id, secret, mac }
    }

    /// Reads the JWK.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_jwk(json: &[u8]) -> Result<Self, KeyError> {
        let jwk: SymmetricJwk = serde_json::from_slice(json)
            .map_err(|_| KeyError::Unreadable("it is not JSON with kty and k"))?;
        if jwk.kty != "oct" {
            return Err(KeyError::Unreadable("kty must be oct"));
        }
        let secret = BASE64_URL_SAFE_NO_PAD.decode(jwk.k.as_bytes()).map(Zeroizing::new);
        let secret = secret.map_err(|_| KeyError::Unreadable("k is not base64url"))?;
        let secret = secret.as_slice().try_into().map_err(|_| KeyError::Unreadable("k is not 32 bytes"))?;
        Ok(Self::from_secret(secret))
    }

    /// The JWK: a secret.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        let k = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.secret.as_slice()));
        serde_json::to_string(&SymmetricJwk { kty: "oct".into(), k }).map(Zeroizing::new)
    }

    /// By what the key is known to be this one, and nothing else is known of it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        hex(&self.mac.clone().chain_update(THUMBPRINT).finalize().into_bytes())
    }

    fn tagging(&self, activation: &str, position: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(NONCE).chain_update(position).chain_update(activation)
    }

    fn tagging_proof(&self, second: [u8; SECOND]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(PROOF).chain_update(second)
    }

    fn tagging_key(&self, license: &Uid, name: &str, random: &[u8]) -> Hmac<Sha256> {
        let mac = self.mac.clone().chain_update(ACTIVATION_KEY).chain_update(random);
        mac.chain_update(&license.0).chain_update([0]).chain_update(name)
    }

    fn mark(&self, token: &str) -> String {
        let tag = self.mac.clone().chain_update(MARKED).chain_update(token).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode(tag.get(..MARK_BYTES).unwrap_or_default())
    }
}

impl std::fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NonceKey({:?})", self.id)
    }
}

/// The keys of nonces: the one that makes them, and former ones, whose nonces are still out there.
#[derive(Debug)]
pub struct NonceKeys {
    current: NonceKey,
    former: Vec<NonceKey>,
}

impl NonceKeys {
    /// Puts them together.
    #[must_use]
    pub const fn new(current: NonceKey, former: Vec<NonceKey>) -> Self {
        Self { current, former }
    }

    /// By what the key that makes them is known.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.current.thumbprint()
    }

    /// The nonce for `position` of `activation`: always the same one, as long as the key is.
    #[must_use]
    pub fn nonce(&self, activation: &str, position: Position) -> String {
        let position = bytes(position);
        let tag = self.current.tagging(activation, &position).finalize().into_bytes();
        let mut nonce = [0; ID + POSITION + TAG];
        fill(&mut nonce, self.current.id.iter().chain(&position).chain(tag.iter().take(TAG)));
        BASE64_URL_SAFE_NO_PAD.encode(nonce)
    }

    /// From what the token of `activation` is made: always the same, so that a reply that was lost can be given again, and kept nowhere.
    #[must_use]
    pub fn token_seed(&self, activation: &str) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        fill(
            seed.as_mut_slice(),
            &self.current.mac.clone().chain_update(TOKEN).chain_update(activation).finalize().into_bytes(),
        );
        seed
    }

    /// The activation key of `license` for `name` that `entropy` makes: 128 random bits, and a tag that only Usher can make. A ledger that was lost
    /// has no hash of it any more; the tag says that it was ours.
    #[must_use]
    pub fn activation_key(&self, license: &Uid, name: &str, entropy: &[u8; 32]) -> Zeroizing<String> {
        let seed = Sha256::new().chain_update(entropy).chain_update(name).finalize();
        let (random, _) = seed.split_at(KEY_RANDOM);
        let tag = self.current.tagging_key(license, name, random).finalize().into_bytes();
        let mut whole = Zeroizing::new([0; 32]);
        fill(whole.as_mut_slice(), random.iter().chain(&tag));
        self.marked(Purpose::ActivationKey.of_bytes(&whole))
    }

    /// `token` with a mark behind it, by which it is known to be Usher's own without asking the ledger: it may have ended, but nobody made it up.
    #[must_use]
    pub fn marked(&self, mut token: Zeroizing<String>) -> Zeroizing<String> {
        let mark = self.current.mark(&token);
        token.push_str(&mark);
        token
    }

    /// Whether `token` has a mark that [`Self::marked`] made. Compared in constant time.
    #[must_use]
    pub fn has_marked(&self, token: &str) -> bool {
        let Some((token, mark)) =
            token.len().checked_sub(MARK).and_then(|length| token.split_at_checked(length))
        else {
            return false;
        };
        let mut keys = std::iter::once(&self.current).chain(&self.former);
        keys.any(|key| key.mark(token).as_bytes().ct_eq(mark.as_bytes()).into())
    }

    /// Whether `key` was made by [`Self::activation_key`] for this `license` and `name`. Compared in constant time.
    #[must_use]
    pub fn made_activation_key(&self, license: &Uid, name: &str, key: &str) -> bool {
        let Some(whole) = Purpose::ActivationKey.bytes(key) else { return false };
        let (random, tag) = whole.split_at(KEY_RANDOM);
        let is_ours =
            |key: &NonceKey| key.tagging_key(license, name, random).verify_truncated_left(tag).is_ok();
        std::iter::once(&self.current).chain(&self.former).any(is_ours)
    }

    /// A nonce for proofs of possession (RFC 9449, section 8) that are made now, at this Unix second. It is kept nowhere: any replica knows it.
    #[must_use]
    pub fn proof_nonce(&self, now: i64) -> String {
        let second = now.to_be_bytes();
        let tag = self.current.tagging_proof(second).finalize().into_bytes();
        let mut nonce = [0; SECOND + TAG];
        fill(&mut nonce, second.iter().chain(tag.iter().take(TAG)));
        BASE64_URL_SAFE_NO_PAD.encode(nonce)
    }

    /// When `nonce` was made by [`Self::proof_nonce`], if it was. Compared in constant time.
    #[must_use]
    pub fn proof_nonce_made(&self, nonce: &str) -> Option<i64> {
        let mut whole = [0; SECOND + TAG];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(nonce, &mut whole).ok()?;
        let (second, tag) = whole.get(..length)?.split_first_chunk::<SECOND>()?;
        let tag: &[u8; TAG] = tag.try_into().ok()?;
        let is_ours = |key: &NonceKey| key.tagging_proof(*second).verify_truncated_left(tag).is_ok();
        std::iter::once(&self.current).chain(&self.former).any(is_ours).then(|| i64::from_be_bytes(*second))
    }

    /// What `nonce` is to `activation`. The tag is compared in constant time.
    #[must_use]
    pub fn read(&self, activation: &str, nonce: &str) -> Presented {
        self.genuine(activation, nonce).map_or(Presented::NotOurs, Presented::Genuine)
    }

    fn genuine(&self, activation: &str, nonce: &str) -> Option<Position> {
        let mut whole = [0; ID + POSITION + TAG];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(nonce, &mut whole).ok()?;
        let (id, rest) = whole.get(..length)?.split_first_chunk::<ID>()?;
        let (place, tag) = rest.split_first_chunk::<POSITION>()?;
        let tag: &[u8; TAG] = tag.try_into().ok()?;
        let mut keys = std::iter::once(&self.current).chain(&self.former).filter(|key| key.id == *id);
        let is_ours = |key: &NonceKey| key.tagging(activation, place).verify_truncated_left(tag).is_ok();
        if keys.any(is_ours) { position(*place) } else { None }
    }
}

fn bytes(Position { incarnation, sequence }: Position) -> [u8; POSITION] {
    let mut bytes = [0; POSITION];
    fill(&mut bytes, incarnation.to_be_bytes().iter().chain(&sequence.to_be_bytes()));
    bytes
}

fn position(bytes: [u8; POSITION]) -> Option<Position> {
    let (incarnation, sequence) = bytes.split_first_chunk()?;
    let sequence = u64::from_be_bytes(*sequence.first_chunk()?);
    Some(Position { incarnation: u32::from_be_bytes(*incarnation), sequence })
}

fn fill<'a>(to: &mut [u8], from: impl IntoIterator<Item = &'a u8>) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests;
