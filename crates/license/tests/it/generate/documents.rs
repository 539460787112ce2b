//! `documents.json`: what is accepted, and what is genuine but not for us, or not now.

use usher_license::{
    Bound, Claims, Device, Feature, Holder, Jwks, KeySetClaims, Lease, LicenseRef, Limits, Quota, Schema,
    State, User,
};

use super::{
    DocumentCase, DocumentTrust, Documents, HOUR, ISSUER, NOW, PRODUCT,
    keys::{
        add, all_keys, former_key, header, jwk, key_set_of, kid, license, license_of, root_key, signing_key,
        text, with_header,
    },
    payloads::payloads,
    wrappings::{headers, shapes, signatures},
};

/// The document that the broken ones are made from; every member is there.
pub(crate) fn claims() -> Claims {
    let issued = NOW - HOUR;
    Claims {
        iss: ISSUER.to_owned(),
        sub: "seat/design/cy".to_owned(),
        aud: PRODUCT.to_owned(),
        jti: "42".to_owned(),
        iat: issued,
        nbf: issued,
        exp: issued + 96 * HOUR,
        schema: Schema::V1,
        state: State::Active,
        license: LicenseRef {
            namespace: "design".to_owned(),
            name: "cad".to_owned(),
            uid: "5f0c1d52-6e1b-4d6c-9a59-0d3c7a1f2b11".to_owned(),
            customer: "acme".to_owned(),
            edition: Some("standard".to_owned()),
        },
        holder: Some(Holder::User(User::Email { email: "cy@acme.example".to_owned() })),
        features: vec![
            Feature { name: "render".to_owned(), pool: None, quota: None },
            Feature { name: "simulate".to_owned(), pool: Some(5), quota: None },
            Feature {
                name: "exports".to_owned(),
                pool: None,
                quota: Some(Quota { limit: 100, per: "Day".to_owned() }),
            },
        ],
        limits: Limits { seats: Some(2), devices_per_seat: Some(2), sessions_per_user: Some(1) },
        lease: Lease { until: issued + 24 * HOUR, renew_at: issued + 14 * HOUR },
        device: Some(Bound { id: "lab-3".to_owned() }),
        activation: Some("a-7".to_owned()),
    }
}

pub(super) fn documents() -> Result<Documents, serde_json::Error> {
    let good = text(&claims())?;
    let keys = KeySetClaims {
        iss: ISSUER.to_owned(),
        iat: NOW,
        serial: 7,
        root: jwk(&root_key()),
        keys: all_keys(),
    };
    let mut cases = Vec::new();
    let mut case = |expect: &str, name: &str, document: String| {
        cases.push(DocumentCase { name: name.to_owned(), document, expect: expect.to_owned() });
    };

    accepted(&good, &mut case)?;
    shapes(&good, &mut case);
    headers(&good, &mut case);
    signatures(&good, &mut case)?;
    payloads(&good, &mut case);
    meanings(&mut case)?;

    let trust = DocumentTrust {
        issuer: ISSUER.to_owned(),
        product: PRODUCT.to_owned(),
        root: jwk(&root_key()).thumbprint(),
        keys: key_set_of(&text(&keys)?, &root_key()),
        jwks: text(&Jwks { keys: all_keys() })?,
    };
    Ok(Documents { trust, now: NOW, cases })
}

/// Takes the expected code, the name and the document.
pub(super) type Case<'a> = dyn FnMut(&str, &str, String) + 'a;

fn accepted(good: &str, case: &mut Case<'_>) -> Result<(), serde_json::Error> {
    case("ok", "every member present", license_of(good, &signing_key()));
    let sparse = Claims {
        sub: "license/design/cad".to_owned(),
        license: LicenseRef { edition: None, ..claims().license },
        holder: None,
        features: vec![],
        limits: Limits::default(),
        device: None,
        activation: None,
        ..claims()
    };
    case("ok", "no optional member present", license(&sparse)?);
    let identity =
        User::Identity { issuer: "https://idp.acme.example".to_owned(), subject: "1234".to_owned() };
    case(
        "ok",
        "a holder by identity",
        license(&Claims { holder: Some(Holder::User(identity)), ..claims() })?,
    );
    let device = Device { id: "lab-3".to_owned(), name: Some("Lab 3".to_owned()) };
    case(
        "ok",
        "a holder that is a device",
        license(&Claims { holder: Some(Holder::Device(device)), ..claims() })?,
    );
    case(
        "ok",
        "a payload member of a later issuer",
        license_of(&add(good, r#""later":{"a":[1]}"#), &signing_key()),
    );
    case("ok", "the first instant of validity", license(&Claims { nbf: NOW, ..claims() })?);
    case("ok", "the last second of validity", license(&Claims { exp: NOW + 1, ..claims() })?);
    case("ok", "a former key that is still published", license_of(good, &former_key()));
    case("ok", "alg Ed25519 of RFC 9864", with_header(&header("Ed25519", "license+jwt", &kid()), good));
    case(
        "ok",
        "a harmless header member",
        with_header(&add(&header("EdDSA", "license+jwt", &kid()), r#""cty":"json""#), good),
    );
    Ok(())
}

/// Genuine, and not for us, or not now.
fn meanings(case: &mut Case<'_>) -> Result<(), serde_json::Error> {
    let mut with = |expect: &str, name: &str, claims: Claims| -> Result<(), serde_json::Error> {
        case(expect, name, license(&claims)?);
        Ok(())
    };
    let suspended = Claims { state: State::Suspended, features: vec![], ..claims() };
    let expired = Claims { state: State::Expired, features: vec![], ..claims() };
    with("wrong-issuer", "another issuer", Claims { iss: format!("{ISSUER}/"), ..claims() })?;
    with("wrong-product", "another product", Claims { aud: "CAD".to_owned(), ..claims() })?;
    with("not-yet-valid", "one second before", Claims { nbf: NOW + 1, ..claims() })?;
    with("expired", "the instant of exp", Claims { exp: NOW, ..claims() })?;
    with("expired", "long after exp", Claims { exp: 1, ..claims() })?;
    with("suspended", "suspended", suspended.clone())?;
    with("expired", "the state expired", expired)?;
    with("expired", "suspended and after exp", Claims { exp: NOW, ..suspended.clone() })?;
    with(
        "wrong-issuer",
        "another issuer, and all else wrong, too",
        Claims { iss: String::new(), aud: String::new(), exp: 0, ..suspended },
    )
}
