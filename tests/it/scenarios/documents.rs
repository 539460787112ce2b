//! The documents in Secrets, as a program that verifies them sees them.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use usher::cluster::api::SeatState;
use usher_license::{Claims, Error, Thumbprint, Trust, verify};

use super::{Place, claims, entry, with};
use crate::ground::{license, seat, shared};

const ISSUER: &str = "https://usher.acme.example/a/default";

/// Both ways to trust: the root that a program has pinned, and the JWK set that its administrator has given it.
async fn trusts(place: &Place, secret: &Secret, product: &str, now: u64) -> [Trust; 2] {
    let root = place.authorities.get("default").await.unwrap().status.unwrap().root.unwrap();
    let root: Thumbprint = root.parse().unwrap();
    let keys = entry(secret, "keys.jws");
    let map = place.published.get("usher-authority-default").await.unwrap().data.unwrap();
    assert_eq!(map["keys.jws"], keys);
    [
        Trust::pinned(&root, keys.as_bytes(), ISSUER, product, now).unwrap(),
        Trust::jwks(map["jwks.json"].as_bytes(), ISSUER, product).unwrap(),
    ]
}

/// What the document in a Secret says, proven in both ways.
async fn proven(place: &Place, name: &str) -> Claims {
    let secret = place.secret(name).await;
    let names: Vec<&String> = secret.data.as_ref().unwrap().keys().collect();
    assert_eq!(names, ["keys.jws", "license.json", "license.jws"]);
    let now = claims(&secret).iat;
    let document = entry(&secret, "license.jws");
    for trust in trusts(place, &secret, "cad", now).await {
        let proven = verify(document.as_bytes(), &trust, now).unwrap();
        let payload: Value = serde_json::from_slice(proven.payload()).unwrap();
        let shown: Value = serde_json::from_str(&entry(&secret, "license.json")).unwrap();
        assert_eq!(payload, shown, "license.json is the payload");
    }
    for trust in trusts(place, &secret, "other", now).await {
        assert!(matches!(verify(document.as_bytes(), &trust, now), Err(Error::WrongProduct { .. })));
    }
    claims(&secret)
}

fn wanted() -> Value {
    with(
        license(3),
        &json!({"spec": {
            "lease": {"ttl": "1h", "offlineGrace": "2h"},
            "features": [{"name": "render"}, {"name": "simulate", "pool": 5},
                         {"name": "exports", "quota": {"limit": 100, "per": "Day"}}],
        }}),
    )
}

#[tokio::test]
async fn the_document_of_a_license_verifies_and_says_what_the_license_says() {
    let place = Place::new(shared()).await;
    let uid = place.apply(&wanted()).await["metadata"]["uid"].clone();
    let status = place.license_says("cad", "Issued").await.status.unwrap();
    let said = proven(&place, "cad-license").await;
    assert_eq!((said.iss.as_str(), said.aud.as_str()), (ISSUER, "cad"));
    assert_eq!(said.sub, format!("license/{}/cad", place.namespace));
    assert_eq!(
        serde_json::to_value(&said.license).unwrap(),
        json!({
        "namespace": place.namespace, "name": "cad", "uid": uid, "customer": "acme"})
    );
    assert_eq!(
        serde_json::to_value(&said.features).unwrap(),
        json!([
        {"name": "render"}, {"name": "simulate", "pool": 5},
        {"name": "exports", "quota": {"limit": 100, "per": "Day"}}])
    );
    assert_eq!(serde_json::to_value(said.limits).unwrap(), json!({"seats": 3}));
    assert!(said.holder.is_none() && said.device.is_none() && said.activation.is_none());

    let unix = |text: Option<String>| {
        let at: jiff::Timestamp = text.unwrap().parse().unwrap();
        u64::try_from(at.as_second()).unwrap()
    };
    assert_eq!(said.nbf, said.iat);
    assert_eq!(said.lease.until, said.iat + 3_600);
    assert_eq!(said.exp, said.iat + 3 * 3_600);
    assert!(
        (1_800..=2_340).contains(&(said.lease.renew_at - said.iat)),
        "50 to 65 % of the lease: {:?}",
        said.lease
    );
    assert_eq!(status.serial.as_deref(), Some(said.jti.as_str()));
    assert_eq!(unix(status.issued_at), said.iat);
    assert_eq!(unix(status.expires_at), said.exp);
    assert_eq!(unix(status.renews_at), said.lease.renew_at);
    assert_eq!(status.secret.unwrap().name, "cad-license");
    let authority = place.authorities.get("default").await.unwrap().status.unwrap();
    assert_eq!(status.key_id.as_ref(), authority.keys.first().map(|key| &key.kid));
}

#[tokio::test]
async fn the_document_of_a_seat_names_its_holder() {
    let place = Place::new(shared()).await;
    place.apply(&wanted()).await;
    let people = [
        ("ann", json!({"user": {"email": "ann@acme.example"}})),
        ("bob", json!({"user": {"identity": {"issuer": "https://idp.acme.example", "subject": "1234"}}})),
        ("lab", json!({"device": {"id": "9f86d081884c7d65", "name": "Lab 3"}})),
    ];
    for (name, holder) in people {
        let mut seat = seat(name);
        seat["spec"]["holder"] = holder.clone();
        place.apply(&seat).await;
        let bound = place.seat(name, SeatState::Bound).await;
        let said = proven(&place, &format!("{name}-seat")).await;
        assert_eq!(said.sub, format!("seat/{}/{name}", place.namespace));
        let expected = match &holder["user"]["identity"] {
            Value::Null => holder,
            identity => json!({"user": identity}),
        };
        assert_eq!(serde_json::to_value(&said.holder).unwrap(), expected);
        assert_eq!(said.features.len(), 3);
        let status = bound.status.unwrap();
        assert_eq!(status.secret.unwrap().name, format!("{name}-seat"));
        let exp: jiff::Timestamp = status.expires_at.unwrap().parse().unwrap();
        assert_eq!(u64::try_from(exp.as_second()).unwrap(), said.exp);
    }
}

#[tokio::test]
async fn a_secret_carries_our_type_labels_and_owner_and_no_name_of_a_person() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("cy")).await;
    let seat = place.seat("cy", SeatState::Bound).await;
    let license = place.license_says("cad", "Issued").await;
    let owners = [("cad-license", "License", "cad", license.uid()), ("cy-seat", "Seat", "cy", seat.uid())];
    for (name, kind, owner, uid) in owners {
        let secret = place.secret(name).await;
        assert_eq!(secret.type_.as_deref(), Some("usher.dev/license"));
        assert_eq!(
            serde_json::to_value(secret.labels()).unwrap(),
            json!({
            "app.kubernetes.io/managed-by": "usher", "usher.dev/license": "cad", "usher.dev/subject": uid})
        );
        assert_eq!(
            serde_json::to_value(secret.owner_references()).unwrap(),
            json!([{
            "apiVersion": "usher.dev/v1alpha1", "kind": kind, "name": owner, "uid": uid,
            "controller": true, "blockOwnerDeletion": false}])
        );
        let metadata = serde_json::to_string(&secret.metadata).unwrap();
        assert!(!metadata.contains("acme.example"), "{metadata}");
    }
    let events = shared().kubectl(&["get", "events", "-n", &place.namespace, "-o", "json"]);
    assert!(events.contains("Bound") && !events.contains("acme.example"));
}

#[tokio::test]
async fn a_lease_to_the_end_of_the_contract_ends_with_it_and_is_not_renewed() {
    let place = Place::new(shared()).await;
    let contract = json!({"spec": {
        "lease": {"ttl": "Contract"}, "validity": {"until": "2100-01-01T00:00:00Z"}}});
    place.apply(&with(license(1), &contract)).await;
    let status = place.license_says("cad", "Issued").await.status.unwrap();
    let said = proven(&place, "cad-license").await;
    assert_eq!((said.exp, said.lease.until), (4_102_444_800, 4_102_444_800));
    assert_eq!(status.expires_at.as_deref(), Some("2100-01-01T00:00:00Z"));
    assert_eq!(status.renews_at, None);
}
