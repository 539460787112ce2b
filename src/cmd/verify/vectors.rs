//! `tests/vectors/`, for the tests of this command.

use serde::{Deserialize, de::DeserializeOwned};
use usher_license::Thumbprint;

use crate::cmd::verify::judge::{Belief, Expected};

#[derive(Deserialize)]
pub(super) struct Documents {
    pub(super) trust: Trust,
    pub(super) now: u64,
    pub(super) cases: Vec<Document>,
}

#[derive(Deserialize)]
pub(super) struct Trust {
    pub(super) issuer: String,
    pub(super) product: String,
    pub(super) root: Thumbprint,
    pub(super) keys: String,
    pub(super) jwks: String,
}

#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) document: String,
    pub(super) expect: String,
}

#[derive(Deserialize)]
pub(super) struct KeySets {
    pub(super) cases: Vec<KeySet>,
}

#[derive(Deserialize)]
pub(super) struct KeySet {
    pub(super) key_set: String,
}

impl Documents {
    pub(super) fn expected(&self) -> Expected<'_> {
        Expected { issuer: &self.trust.issuer, product: &self.trust.product }
    }

    pub(super) fn by_root(&self) -> Belief<'_> {
        let key_set = self.trust.keys.as_bytes();
        Belief::Root { root: &self.trust.root, key_set, expected: self.expected() }
    }

    pub(super) fn by_jwks(&self) -> Belief<'_> {
        Belief::Jwks { jwks: self.trust.jwks.as_bytes(), expected: self.expected() }
    }

    /// One that is good.
    pub(super) fn good(&self) -> &str {
        self.document("every member present")
    }

    pub(super) fn document(&self, name: &str) -> &str {
        &self.cases.iter().find(|case| case.name == name).unwrap().document
    }
}

pub(super) fn documents() -> Documents {
    read(include_str!("../../../tests/vectors/documents.json"))
}

pub(super) fn key_sets() -> KeySets {
    read(include_str!("../../../tests/vectors/key-sets.json"))
}

fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}
