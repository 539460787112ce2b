//! Makes `tests/vectors/`: the same bytes every time, from fixed keys and a fixed time. The example `vectors` writes them, the
//! test `vectors` compares them.

mod documents;
mod jwk_sets;
mod key_sets;
mod keys;
mod payloads;
mod wrappings;

use serde::{Deserialize, Serialize};
use usher_license::{Claims, Jwks, Thumbprint};

pub(crate) use documents::claims;

/// The time at which the vectors are checked: 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
/// Programs in other languages read the clock; their document is valid from 2026-01-01T00:00:00Z
const LONG_BEFORE: u64 = 1_767_225_600;
/// to 2100-01-01T00:00:00Z.
const LONG_AFTER: u64 = 4_102_444_800;
const HOUR: u64 = 3_600;
const ISSUER: &str = "https://usher.acme.example/a/default";
const PRODUCT: &str = "cad";

/// `documents.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Documents {
    pub(crate) trust: DocumentTrust,
    pub(crate) now: u64,
    pub(crate) cases: Vec<DocumentCase>,
}

/// What to trust, both ways; each case has the same outcome under either.
#[derive(Serialize, Deserialize)]
pub(crate) struct DocumentTrust {
    pub(crate) issuer: String,
    pub(crate) product: String,
    pub(crate) root: Thumbprint,
    /// The key set, a compact JWS.
    pub(crate) keys: String,
    /// The same keys as a JWK set, in JSON.
    pub(crate) jwks: String,
}

/// One document and what [`usher_license::verify`] says of it: "ok" or a code.
#[derive(Serialize, Deserialize)]
pub(crate) struct DocumentCase {
    pub(crate) name: String,
    pub(crate) document: String,
    pub(crate) expect: String,
}

/// `key-sets.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySets {
    pub(crate) trust: KeySetTrust,
    pub(crate) now: u64,
    pub(crate) cases: Vec<KeySetCase>,
}

/// What a key set is checked against.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySetTrust {
    pub(crate) issuer: String,
    pub(crate) root: Thumbprint,
    pub(crate) minimum_serial: u64,
}

/// One key set and what is said of it.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeySetCase {
    pub(crate) name: String,
    pub(crate) key_set: String,
    pub(crate) expect: String,
}

/// `jwks.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct JwkSets {
    pub(crate) cases: Vec<JwksCase>,
}

/// One JWK set, as text, what is said of it, and how many keys of it are used.
#[derive(Serialize, Deserialize)]
pub(crate) struct JwksCase {
    pub(crate) name: String,
    pub(crate) jwks: String,
    pub(crate) expect: String,
    pub(crate) keys: usize,
}

/// Every file of `tests/vectors/`, by name.
pub(crate) fn files() -> Result<[(&'static str, String); 5], serde_json::Error> {
    let jwks = serde_json::to_string_pretty(&Jwks {
        keys: vec![keys::published(&keys::signing_key(), LONG_AFTER)],
    })? + "\n";
    Ok([
        ("documents.json", pretty(&documents::documents()?)?),
        ("key-sets.json", pretty(&key_sets::key_sets()?)?),
        ("jwks.json", pretty(&jwk_sets::jwk_sets()?)?),
        (
            "license.jws",
            keys::license(&Claims { iat: LONG_BEFORE, nbf: LONG_BEFORE, exp: LONG_AFTER, ..claims() })?,
        ),
        ("trusted.jwks.json", jwks),
    ])
}

fn pretty(file: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(file)? + "\n")
}
