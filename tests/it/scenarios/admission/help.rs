//! What kubectl shows.

use serde_json::json;
use usher::cluster::api::SeatState;

use crate::{
    ground::{license, seat, shared},
    scenarios::{Place, with},
};

#[tokio::test]
async fn applying_our_own_manifests_gives_no_warning() {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let (ok, said) = shared().try_kubectl(&["apply", "--server-side", "-f", crds], "");
    assert!(ok && !said.to_lowercase().contains("warning") && !said.contains("unrecognized"), "{said}");
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_named() {
    let place = Place::new(shared()).await;
    let misspelt = with(license(1), &json!({"apiVersion": "usher.dev/v1alpha1", "spec": {"seat": 2}}));
    let (ok, said) =
        shared().try_kubectl(&["create", "-n", &place.namespace, "-f", "-"], &misspelt.to_string());
    assert!(!ok && said.contains(r#"unknown field "spec.seat""#), "{said}");
}

#[tokio::test]
async fn every_field_is_explained() {
    let expected = [
        ("license", "What a customer is entitled to: a product, its features, its limits, its validity."),
        ("license.spec.features", "What is granted, by name; at most 64."),
        ("license.spec.features", "One feature of the product. A name alone is a flag."),
        ("license.spec.features", "At most so many uses at once."),
        ("license.spec.lease.ttl", "a Go duration from 5m to 8760h"),
        ("license.spec.validity.until", "No document is accepted after it."),
        ("seat.spec.holder", "It cannot be changed"),
        ("seat.status.waiting.position", "Its place, the first being 1; told for the first 100."),
        ("identityprovider.spec.domains", "who types one of them signs in here"),
        (
            "identityprovider.spec.oidc.clientSecretRef",
            "an entry of a Secret of type usher.dev/client-secret",
        ),
        ("identityprovider.status.leaving", "How somebody who has left the company is kept out."),
        ("authority.spec.issuer", "an https URL that no other Authority has"),
        ("authority.status.root", "programs pin this"),
        ("authority.spec.root", "a root key that is kept outside of this cluster"),
        ("authority.spec.rotation", "How long the successor is published before it signs"),
    ];
    for (field, text) in expected {
        // kubectl breaks lines where it likes.
        let said = shared().kubectl(&["explain", field]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(text), "{field}: {said}");
    }
    for kind in ["license", "seat", "authority", "identityprovider"] {
        let said = shared().kubectl(&["explain", kind, "--recursive", "-o", "plaintext-openapiv2"]);
        assert!(!said.contains("<no description>"), "{said}");
    }
}

#[tokio::test]
async fn the_columns_tell_the_story() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    place.counts("cad", 1, 1).await;
    let rows = |arguments: &[&str]| {
        let said = shared().kubectl(&[&["get", "-n", &place.namespace], arguments].concat());
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let licenses = rows(&["lic"]);
    assert_eq!(licenses[0], "NAME PRODUCT SEATS BOUND ACTIVATED WAITING READY REASON AGE");
    assert!(licenses[1].starts_with("cad cad 1 1 0 1 True Issued "), "{licenses:?}");
    let seats = rows(&["seats", "-o", "wide"]);
    assert_eq!(seats[0], "NAME LICENSE USER STATE POSITION READY PRIORITY DEVICE SECRET MESSAGE AGE");
    assert!(
        seats[1].starts_with("ann cad ann@acme.example Bound True ann-seat holds a seat of License cad "),
        "{seats:?}"
    );
    assert!(
        seats[2].starts_with("bob cad bob@acme.example Waiting 1 True License cad has no free seat, of 1:"),
        "{seats:?}"
    );
    let both = rows(&["usher", "-o", "name"]);
    assert!(
        both.contains(&"license.usher.dev/cad".to_owned()) && both.contains(&"seat.usher.dev/bob".to_owned())
    );
    let waiting =
        rows(&["seat", "--field-selector", "status.state=Waiting,spec.licenseRef.name=cad", "-o", "name"]);
    assert_eq!(waiting, ["seat.usher.dev/bob"]);
}
