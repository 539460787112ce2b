//! `tests/vectors/`, which programs in other languages are welcome to use.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde::de::DeserializeOwned;
use usher_license::{Error, KeySet, Keys, Trust, verify};

use crate::generate::{self, Documents, JwkSets, KeySets};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

pub(crate) fn load<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(folder().join(name)).expect("a vector file")).expect("its form")
}

pub(crate) fn trusts(file: &Documents) -> [Trust; 2] {
    let Documents { trust, now, .. } = file;
    [
        Trust::pinned(&trust.root, trust.keys.as_bytes(), &trust.issuer, &trust.product, *now)
            .expect("a key set"),
        Trust::jwks(trust.jwks.as_bytes(), &trust.issuer, &trust.product).expect("a JWK set"),
    ]
}

fn outcome<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn every_document_gives_exactly_the_expected_code_under_either_trust() {
    let file: Documents = load("documents.json");
    for trust in trusts(&file) {
        for case in &file.cases {
            assert_eq!(
                outcome(verify(case.document.as_bytes(), &trust, file.now)),
                case.expect,
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn every_key_set_gives_exactly_the_expected_code() {
    let file: KeySets = load("key-sets.json");
    for case in &file.cases {
        let trust = KeySet::verify(case.key_set.as_bytes(), &file.trust.root, &file.trust.issuer)
            .and_then(|set| set.require_serial(file.trust.minimum_serial))
            .and_then(|set| Trust::key_set(set, "cad", file.now));
        assert_eq!(outcome(trust), case.expect, "{}", case.name);
    }
}

#[test]
fn every_jwk_set_gives_exactly_the_expected_code_and_keys() {
    let file: JwkSets = load("jwks.json");
    for case in &file.cases {
        let keys = Keys::from_jwks(case.jwks.as_bytes());
        let found = keys.as_ref().map_or(0, |keys| keys.thumbprints().count());
        assert_eq!((outcome(keys), found), (case.expect.as_str(), case.keys), "{}", case.name);
    }
}

#[test]
fn every_code_has_a_vector() {
    let documents = load::<Documents>("documents.json").cases.into_iter().map(|case| case.expect);
    let key_sets = load::<KeySets>("key-sets.json").cases.into_iter().map(|case| case.expect);
    let covered: BTreeSet<String> = documents.chain(key_sets).collect();
    let expected: BTreeSet<String> = Error::CODES.iter().copied().chain(["ok"]).map(str::to_owned).collect();
    assert_eq!(covered, expected);
}

#[test]
fn the_committed_vectors_are_those_that_the_generator_makes() {
    for (name, contents) in generate::files().expect("vectors") {
        let committed = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(
            committed == contents,
            "{name}: run `cargo run -p usher-license --example vectors -- tests/vectors`"
        );
    }
}

#[test]
fn no_two_vectors_of_a_file_share_a_name() {
    let names: Vec<String> =
        load::<Documents>("documents.json").cases.into_iter().map(|case| case.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
