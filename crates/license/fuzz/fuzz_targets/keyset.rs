//! No bytes make a reader of key sets or JWK sets panic: `cargo +nightly fuzz run keyset`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_license::{KeySet, Keys};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::read_unproven(bytes) {
        KeySet::verify(bytes, set.unproven_root(), set.unproven_issuer()).expect("the root that it names vouches for it");
    }
    let _ = Keys::from_jwks(bytes);
});
