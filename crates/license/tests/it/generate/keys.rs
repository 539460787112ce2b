//! Fixed keys, and how to write and sign what the vectors need.
//!
//! The seeds are here for everybody to read: never trust these keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use usher_license::{Claims, Jwk, PublishedKey, Typ, attach, signing_input};

use super::{HOUR, NOW};

pub(super) fn root_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(super) fn retired_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub(super) fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

/// It signs no more; documents under it are good for a while.
pub(super) fn former_key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

pub(super) fn jwk(key: &SigningKey) -> Jwk {
    Jwk::from_public(key.verifying_key().as_bytes())
}

pub(super) fn published(key: &SigningKey, exp: u64) -> PublishedKey {
    PublishedKey { jwk: jwk(key), exp }
}

pub(super) fn both_keys() -> Vec<PublishedKey> {
    vec![published(&signing_key(), NOW + 2_000 * HOUR), published(&retired_key(), NOW)]
}

/// As they are while keys turn: one that signs, one that did, and one whose time is over.
pub(super) fn all_keys() -> Vec<PublishedKey> {
    let mut keys = both_keys();
    keys.push(published(&former_key(), NOW + HOUR));
    keys
}

pub(super) fn text(json: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(json)
}

pub(super) fn sign(input: &str, key: &SigningKey) -> String {
    attach(input, &key.sign(input.as_bytes()).to_bytes())
}

pub(super) fn license(claims: &Claims) -> Result<String, serde_json::Error> {
    Ok(license_of(&text(claims)?, &signing_key()))
}

pub(super) fn license_of(payload: &str, key: &SigningKey) -> String {
    sign(&signing_input(Typ::License, &jwk(key).thumbprint(), payload.as_bytes()), key)
}

/// A document with a header of one's own making.
pub(super) fn with_header(header: &str, payload: &str) -> String {
    sign(&format!("{}.{}", base64url(header), base64url(payload)), &signing_key())
}

pub(super) fn base64url(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

pub(super) fn key_set_of(payload: &str, key: &SigningKey) -> String {
    sign(&signing_input(Typ::KeySet, &jwk(key).thumbprint(), payload.as_bytes()), key)
}

pub(super) fn kid() -> String {
    jwk(&signing_key()).thumbprint().to_string()
}

pub(super) fn header(alg: &str, typ: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#)
}

/// The JSON object with one more member.
pub(super) fn add(object: &str, member: &str) -> String {
    format!("{},{member}}}", object.strip_suffix('}').unwrap_or(object))
}

pub(super) fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}
