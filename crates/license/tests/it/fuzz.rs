//! A bounded fuzzing run on the stable toolchain: many small changes to every vector. `fuzz/` does the same without bound.

use std::collections::HashSet;

use usher_license::{KeySet, License, Trust, verify};

use crate::{
    generate::{Documents, KeySets},
    vectors,
};

/// Changed inputs per run, so many that a debug build needs some seconds.
const DOCUMENTS: usize = 100_000;
const KEY_SETS: usize = 20_000;
/// Changes per input, at most.
const CHANGES: usize = 4;

/// Xorshift64: the same run every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).expect("a size")).expect("a size")
    }

    /// Flips, overwrites, removes, inserts, repeats or splices.
    fn change(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        const ALPHABET: &[u8] = b"AEIghvwz019-_.=+/{}\"\n\0\xff";
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(CHANGES) {
            let at = self.below(bytes.len());
            let letter = ALPHABET[self.below(ALPHABET.len())];
            match (self.below(6), bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << self.below(8),
                (1, Some(byte)) => *byte = letter,
                (2, Some(_)) => drop(bytes.drain(at..(at + 1 + self.below(8)).min(bytes.len()))),
                (3, Some(_)) => bytes.extend_from_within(at..),
                (4, Some(_)) => {
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len()).min(other.len())..]);
                }
                _ => bytes.insert(at.min(bytes.len()), letter),
            }
        }
        bytes
    }
}

/// The vectors that are short enough to be changed often.
fn short(texts: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    texts.map(String::into_bytes).filter(|text| text.len() < 4_000).collect()
}

#[test]
fn no_changed_document_verifies_and_none_makes_a_reader_panic() {
    let file: Documents = vectors::load("documents.json");
    let [trust, _] = vectors::trusts(&file);
    let corpus = short(file.cases.into_iter().map(|case| case.document));
    let signed: HashSet<&Vec<u8>> = corpus.iter().collect();
    let mut random = Random(0x5eed);
    for _ in 0..DOCUMENTS {
        let (one, other) = (random.below(corpus.len()), random.below(corpus.len()));
        let changed = random.change(&corpus[one], &corpus[other]);
        if signed.contains(&changed) {
            continue;
        }
        // Parsing is all that `verify` does but for the signature, which costs a millisecond in a debug build.
        if License::parse(&changed).is_ok() {
            assert!(verify(&changed, &trust, file.now).is_err());
        }
    }
}

#[test]
fn no_changed_key_set_verifies_and_none_makes_a_reader_panic() {
    let file: KeySets = vectors::load("key-sets.json");
    let corpus = short(file.cases.into_iter().map(|case| case.key_set));
    let signed: HashSet<&Vec<u8>> = corpus.iter().collect();
    let mut random = Random(0x5eed);
    for _ in 0..KEY_SETS {
        let (one, other) = (random.below(corpus.len()), random.below(corpus.len()));
        let changed = random.change(&corpus[one], &corpus[other]);
        if signed.contains(&changed) {
            continue;
        }
        // Whatever verifies under the pinned root can be read under the root that it names.
        assert!(KeySet::read_unproven(&changed).is_err());
        let _ = Trust::jwks(&changed, "", "");
    }
}
