//! What holds for all inputs, searched by proptest.

use proptest::{collection::vec, prelude::*, sample::Index};
use usher_license::{KeySet, Keys, License, Trust, check_signature, verify};

use crate::{generate::Documents, vectors};

fn good() -> (Vec<u8>, Trust, u64) {
    let file: Documents = vectors::load("documents.json");
    let [trust, _] = vectors::trusts(&file);
    (file.cases.first().expect("a case").document.clone().into_bytes(), trust, file.now)
}

#[test]
fn no_bytes_make_a_reader_panic_and_none_verify() {
    let (_, trust, now) = good();
    proptest!(|(bytes in vec(any::<u8>(), 0..2_000))| {
        prop_assert!(verify(&bytes, &trust, now).is_err());
        prop_assert!(License::parse(&bytes).is_err());
        prop_assert!(KeySet::read_unproven(&bytes).is_err());
        let _ = Keys::from_jwks(&bytes);
    });
}

#[test]
fn no_three_parts_of_text_make_a_reader_panic_and_none_verify() {
    let (_, trust, now) = good();
    proptest!(|(text in r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,200}\.[A-Za-z0-9_-]{86}")| {
        prop_assert!(verify(text.as_bytes(), &trust, now).is_err());
    });
}

#[test]
fn no_other_byte_anywhere_verifies() {
    let (document, trust, now) = good();
    let keys =
        Keys::from_jwks(vectors::load::<Documents>("documents.json").trust.jwks.as_bytes()).expect("keys");
    proptest!(|(at in any::<Index>(), byte in any::<u8>())| {
        let mut changed = document.clone();
        changed[at.index(document.len())] = byte;
        prop_assume!(changed != document);
        prop_assert!(verify(&changed, &trust, now).is_err());
        prop_assert!(check_signature(&changed, &keys).is_err());
    });
}

/// Each byte once, by a bit that moves along.
#[test]
fn no_changed_bit_and_no_beginning_verifies() {
    let (document, trust, now) = good();
    for at in 0..document.len() {
        let mut changed = document.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify(&changed, &trust, now).is_err(), "byte {at}");
        assert!(verify(&document[..at], &trust, now).is_err(), "the first {at} bytes");
    }
}

#[test]
fn a_document_does_not_verify_outside_its_time() {
    let (document, trust, _) = good();
    proptest!(|(now in any::<u64>())| {
        if let Ok(license) = verify(&document, &trust, now) {
            prop_assert!(license.claims().nbf <= now && now < license.exp());
        }
    });
}
