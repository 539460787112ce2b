//! No bytes verify that were not signed, and none make a reader panic: `cargo +nightly fuzz run verify`.
//!
//! The trust is that of `tests/vectors/documents.json`; its documents make a good corpus.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use usher_license::{License, Trust, verify};

const VECTORS: &str = include_str!("../../../../tests/vectors/documents.json");

struct Known {
    trust: Trust,
    now: u64,
    genuine: Vec<String>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
    let trust = |name: &str| vectors["trust"][name].as_str().expect("text");
    let cases = vectors["cases"].as_array().expect("a list").iter();
    Known {
        trust: Trust::jwks(trust("jwks").as_bytes(), trust("issuer"), trust("product")).expect("keys"),
        now: vectors["now"].as_u64().expect("a number"),
        genuine: cases
            .filter(|case| case["expect"] == "ok")
            .map(|case| case["document"].as_str().expect("text").to_owned())
            .collect(),
    }
});

fuzz_target!(|bytes: &[u8]| {
    let Known { trust, now, genuine } = &*KNOWN;
    let _ = License::parse(bytes);
    if verify(bytes, trust, *now).is_ok() {
        assert!(genuine.iter().any(|document| document.as_bytes() == bytes), "a forgery verifies");
    }
});
