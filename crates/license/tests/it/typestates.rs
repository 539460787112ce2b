//! What each stage of trust says, and what it does not.

use usher_license::{Error, Expiry, Holder, KeySet, Keys, License, State, User, check_signature, verify};

use crate::{
    generate::{self, DocumentTrust, Documents, KeySets},
    vectors,
};

fn document(file: &Documents, name: &str) -> Vec<u8> {
    file.cases.iter().find(|case| case.name == name).expect("a case").document.clone().into_bytes()
}

/// The name of the key that signs the vectors.
fn kid(file: &Documents) -> String {
    let keys = Keys::from_jwks(file.trust.jwks.as_bytes()).expect("keys");
    keys.thumbprints().next().expect("a key").to_string()
}

#[test]
fn a_verified_license_says_what_was_signed() {
    let file: Documents = vectors::load("documents.json");
    let [trust, _] = vectors::trusts(&file);
    let license = verify(&document(&file, "every member present"), &trust, file.now).expect("a license");
    assert_eq!(license.claims(), &generate::claims());
    assert!(license.has_feature("render") && !license.has_feature("Render"));
    assert_eq!(license.features(), generate::claims().features);
    assert!(!license.lease_overdue(license.claims().lease.until - 1));
    assert!(license.lease_overdue(license.claims().lease.until));
    assert_eq!(license.exp(), license.claims().exp);
    assert_eq!(serde_json::to_vec(license.claims()).expect("JSON"), license.payload());
    assert_eq!(license.kid(), kid(&file));
    assert_eq!(license.into_claims(), generate::claims());
}

#[test]
fn leeway_widens_the_times_by_a_minute_at_most() {
    let file: Documents = vectors::load("documents.json");
    let trust = |leeway| vectors::trusts(&file).map(|trust| trust.with_leeway(leeway));
    for (name, first, end) in [
        ("every member present", generate::claims().nbf, generate::claims().exp),
        ("a key at its not-after", generate::claims().nbf, file.now),
    ] {
        let bytes = document(&file, name);
        for (leeway, granted) in [(0, 0), (30, 30), (60, 60), (61, 60), (u64::MAX, 60)] {
            for trust in trust(leeway) {
                let good = |now| verify(&bytes, &trust, now).is_ok();
                let edges = [first - granted - 1, first - granted, end + granted - 1, end + granted];
                assert_eq!(edges.map(good), [false, true, true, false], "{name}, {leeway} s");
            }
        }
    }
}

#[test]
fn a_good_signature_of_a_document_that_may_not_be_used_is_still_a_good_signature() {
    let file: Documents = vectors::load("documents.json");
    let keys = Keys::from_jwks(file.trust.jwks.as_bytes()).expect("keys");
    for name in ["another issuer", "long after exp", "a key at its not-after"] {
        assert!(check_signature(&document(&file, name), &keys).is_ok(), "{name}");
    }
    let license = check_signature(&document(&file, "suspended"), &keys).expect("a license");
    assert_eq!(license.unproven_claims().state, State::Suspended);
    assert_eq!(serde_json::to_vec(license.unproven_claims()).expect("JSON"), license.unproven_payload());
    assert_eq!(license.unproven_kid(), kid(&file));
    let refusal = check_signature(&document(&file, "a raised limit"), &keys).expect_err("a refusal");
    assert_eq!(refusal.code(), "bad-signature");
}

#[test]
fn a_forged_document_can_be_looked_at() {
    let file: Documents = vectors::load("documents.json");
    let license = License::parse(&document(&file, "a raised limit")).expect("a document");
    assert_eq!(license.unverified_claims().limits.seats, Some(2_000));
    assert!(matches!(license.unverified_claims().holder, Some(Holder::User(User::Email { .. }))));
    assert_eq!(serde_json::to_vec(license.unverified_claims()).expect("JSON"), license.unverified_payload());
    assert_eq!(license.unverified_kid(), kid(&file));
}

#[test]
fn what_is_over_is_the_document_unless_its_issuer_says_that_the_license_is() {
    let file: Documents = vectors::load("documents.json");
    let [trust, _] = vectors::trusts(&file);
    let refusal = |name: &str, now| verify(&document(&file, name), &trust, now).expect_err("a refusal");
    let document_over = refusal("long after exp", file.now);
    assert_eq!(document_over, Error::Expired { cause: Expiry::Document { exp: 1, now: file.now } });
    assert_eq!(document_over.to_string(), format!("the document was valid until 1, now is {}", file.now));
    assert_eq!(document_over.next(), "Fetch the renewed document, and check this machine's clock.");
    for now in [file.now, generate::claims().exp] {
        let license_over = refusal("the state expired", now);
        assert_eq!(license_over, Error::Expired { cause: Expiry::License });
        assert_eq!(license_over.to_string(), "the license has expired, its issuer says");
        assert_eq!(license_over.next(), "Ask whoever manages your licenses to extend it.");
    }
}

#[test]
fn a_refusal_names_what_was_read_what_was_expected_and_what_was_found() {
    let file: Documents = vectors::load("documents.json");
    let message = |bytes: &[u8]| License::parse(bytes).expect_err("a refusal").to_string();
    assert_eq!(message(b""), "document is malformed: expected three parts between dots, found 1");
    assert_eq!(message(&document(&file, "no typ")), "expected typ `license+jwt`, found none");
    assert_eq!(message(&document(&file, "typ JWT")), "expected typ `license+jwt`, found `JWT`");
    assert_eq!(
        KeySet::read_unproven(b"a.b.c.d").expect_err("a refusal").to_string(),
        "key set is malformed: expected three parts between dots, found 4"
    );
}

#[test]
fn a_verified_key_set_says_what_the_root_signed() {
    let file: Documents = vectors::load("documents.json");
    let DocumentTrust { root, keys, issuer, .. } = &file.trust;
    let set = KeySet::verify(keys.as_bytes(), root, issuer).expect("a key set");
    assert_eq!(
        (set.root(), set.issuer(), set.issued_at(), set.serial()),
        (root, issuer.as_str(), file.now, 7)
    );
    // The one that signs, one that is over, and a former one that is still published.
    assert_eq!(set.keys().thumbprints().count(), 3);
}

#[test]
fn a_key_set_of_an_unknown_root_can_be_read_but_says_unproven() {
    let file: KeySets = vectors::load("key-sets.json");
    let case = file.cases.iter().find(|case| case.name == "another root, consistently").expect("a case");
    let set = KeySet::read_unproven(case.key_set.as_bytes()).expect("a key set");
    assert_ne!(set.unproven_root(), &file.trust.root);
    assert_eq!(set.unproven_issuer(), file.trust.issuer);
    assert_eq!(set.unproven_serial(), 7);
    assert_eq!(set.unproven_keys().thumbprints().count(), 2);
}

#[test]
fn a_key_set_that_names_a_root_which_did_not_sign_it_is_refused_also_unpinned() {
    let file: KeySets = vectors::load("key-sets.json");
    let case =
        file.cases.iter().find(|case| case.name == "the pinned root, signed by another").expect("a case");
    assert_eq!(
        KeySet::read_unproven(case.key_set.as_bytes()).expect_err("a refusal").code(),
        "bad-signature"
    );
}
