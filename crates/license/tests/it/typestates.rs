//! What each stage of trust says, and what it does not.

use usher_license::{Holder, KeySet, Keys, License, Trust, User, check_signature, verify};

use crate::{
    generate::{self, Documents, KeySets},
    vectors,
};

fn document(file: &Documents, name: &str) -> Vec<u8> {
    file.cases.iter().find(|case| case.name == name).expect("a case").document.clone().into_bytes()
}

#[test]
fn a_verified_license_says_what_was_signed() {
    let file: Documents = vectors::load("documents.json");
    let [trust, _] = vectors::trusts(&file);
    let license = verify(&document(&file, "every member present"), &trust, file.now).expect("a license");
    assert_eq!(license.claims(), &generate::claims());
    assert!(license.has_feature("render") && !license.has_feature("Render"));
    assert_eq!(license.features().len(), 3);
    assert!(!license.lease_overdue(license.claims().lease.until - 1));
    assert!(license.lease_overdue(license.claims().lease.until));
    assert_eq!(license.exp(), license.claims().exp);
    assert_eq!(serde_json::to_vec(license.claims()).expect("JSON"), license.payload());
}

#[test]
fn leeway_widens_the_times_by_a_minute_at_most() {
    let file: Documents = vectors::load("documents.json");
    let bytes = document(&file, "every member present");
    let exp = License::parse(&bytes).expect("a document").unverified_claims().exp;
    let trust =
        || Trust::jwks(file.trust.jwks.as_bytes(), &file.trust.issuer, &file.trust.product).expect("keys");
    assert!(verify(&bytes, &trust(), exp - 1).is_ok());
    assert!(verify(&bytes, &trust(), exp).is_err());
    assert!(verify(&bytes, &trust().with_leeway(30), exp + 29).is_ok());
    assert!(verify(&bytes, &trust().with_leeway(u64::MAX), exp + 59).is_ok());
    assert!(verify(&bytes, &trust().with_leeway(u64::MAX), exp + 60).is_err());
}

#[test]
fn a_good_signature_of_a_document_that_may_not_be_used_is_still_a_good_signature() {
    let file: Documents = vectors::load("documents.json");
    let keys = Keys::from_jwks(file.trust.jwks.as_bytes()).expect("keys");
    for name in ["suspended", "another issuer", "long after exp", "a key at its not-after"] {
        assert!(check_signature(&document(&file, name), &keys).is_ok(), "{name}");
    }
    let refusal = check_signature(&document(&file, "a raised limit"), &keys).expect_err("a refusal");
    assert_eq!(refusal.code(), "bad-signature");
}

#[test]
fn a_forged_document_can_be_looked_at() {
    let file: Documents = vectors::load("documents.json");
    let license = License::parse(&document(&file, "a raised limit")).expect("a document");
    assert_eq!(license.unverified_claims().limits.seats, Some(2_000));
    assert!(matches!(license.unverified_claims().holder, Some(Holder::User(User::Email { .. }))));
}

#[test]
fn a_key_set_of_an_unknown_root_can_be_read_but_says_unproven() {
    let file: KeySets = vectors::load("key-sets.json");
    let case = file.cases.iter().find(|case| case.name == "another root, consistently").expect("a case");
    let set = KeySet::read_unproven(case.key_set.as_bytes()).expect("a key set");
    assert_ne!(set.unproven_root(), &file.trust.root);
    assert_eq!(set.unproven_issuer(), file.trust.issuer);
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
