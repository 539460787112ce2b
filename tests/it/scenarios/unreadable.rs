//! Objects of a newer version, which this Usher cannot read: each says so and names the field, and nothing is taken away meanwhile.

use std::sync::Arc;

use kube::Client;
use serde_json::{Value, json};
use usher::cluster::api::SeatState;

use super::{Place, authority::authority, with};
use crate::ground::{Ground, Operator, apply, license, operator::Turned, seat, until};

/// A field of each kind that a newer version may say otherwise.
const FIELDS: [(&str, &str); 5] = [
    ("licenses", "suspended"),
    ("seats", "priority"),
    ("userassignments", "suspended"),
    ("authorities", "rotation"),
    ("identityproviders", "emailAuthority"),
];

/// As the CRDs of a newer version would be: these fields are words there.
pub fn loosen(ground: &Ground) {
    for (kind, field) in FIELDS {
        let open = json!([{"op": "replace", "value": {"type": "string"},
            "path": format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}")}]);
        ground.kubectl(&[
            "patch",
            "crd",
            &format!("{kind}.usher.dev"),
            "--type=json",
            "-p",
            &open.to_string(),
        ]);
    }
}

/// Stores it, once the API server goes by the schema.
pub async fn stored(place: &Place, object: &Value) {
    let cluster = ["Authority", "IdentityProvider"].iter().any(|kind| object["kind"] == **kind);
    let namespace = if cluster { "" } else { &place.namespace };
    until("the schema is open", async || apply(&place.client, namespace, object).await.ok()).await;
}

/// What `path` gives of this object.
fn told(ground: &Ground, place: &Place, kind: &str, name: &str, path: &str) -> String {
    ground.kubectl(&["get", kind, name, "-n", &place.namespace, "-o", &format!("jsonpath={{{path}}}")])
}

/// Waits until it says that it cannot be read, for this field.
pub async fn says(ground: &Ground, place: &Place, kind: &str, name: &str, field: &str) {
    let ready = r#".status.conditions[?(@.type=="Ready")]"#;
    until(&format!("{kind} {name} says that it cannot be read"), async || {
        let reason = told(ground, place, kind, name, &format!("{ready}.reason"));
        (reason == "InvalidSpec").then_some(())
    })
    .await;
    assert_eq!(told(ground, place, kind, name, &format!("{ready}.status")), "False");
    let message = told(ground, place, kind, name, &format!("{ready}.message"));
    let named = format!(" cannot be read: {field}: ");
    assert!(message.contains(&named) && message.contains("; correct it, or update Usher"), "{message}");
}

fn users(suspended: &Value) -> Value {
    json!({"kind": "UserAssignment", "metadata": {"name": "newer"}, "spec": {
        "licenseRef": {"name": "cad"}, "users": [{"email": "cy@acme.example"}], "suspended": suspended}})
}

/// One of each kind, License excepted.
pub async fn each_says_so(ground: &Ground, place: &Place) {
    let idp = json!({"kind": "IdentityProvider", "metadata": {"name": "newer"}, "spec": {"domains": ["newer.acme.example"],
        "emailAuthority": "often", "oidc": {"issuer": "https://newer.acme.example", "clientId": "usher",
        "clientSecretRef": {"name": "newer", "key": "secret"}}}});
    let first = with(seat("newer"), &json!({"spec": {"priority": "first"}}));
    for (kind, object, field) in [
        ("seat", first, "spec.priority"),
        ("userassignment", users(&json!("at night")), "spec.suspended"),
        ("authority", authority("newer", &json!({"rotation": "monthly"})), "spec.rotation"),
        ("identityprovider", idp, "spec.emailAuthority"),
    ] {
        stored(place, &object).await;
        says(ground, place, kind, "newer", field).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_so_by_its_field_and_who_holds_a_seat_keeps_it() {
    let ground = Ground::own();
    let place = Place::new(&ground).await;
    let directory = tempfile::tempdir().unwrap();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let clock: Arc<Turned> = Turned::new();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), clock).await;
    let groups = json!({"spec": {"groups": [{"name": "few", "features": []}]}});
    place.apply(&with(license(2), &groups)).await;
    let assignment = with(users(&Value::Null), &json!({"spec": {"group": "few", "suspended": null}}));
    place.apply(&assignment).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.counts("cad", 2, 0).await;
    let documents = async || {
        let mut secrets = place.secrets.list(&Default::default()).await.unwrap().items;
        secrets.retain(|secret| secret.type_.as_deref() == Some("usher.dev/license"));
        let data = secrets.into_iter().map(|secret| (secret.metadata.name.unwrap(), secret.data));
        data.filter(|(name, _)| name != "cad-license").collect::<Vec<_>>()
    };
    let before = documents().await;
    assert_eq!(before.len(), 2, "one of the Seat, one of the UserAssignment's");

    loosen(&ground);
    stored(&place, &with(seat("ann"), &json!({"spec": {"priority": "first"}}))).await;
    says(&ground, &place, "seat", "ann", "spec.priority").await;
    assert_eq!(told(&ground, &place, "seat", "ann", ".status.state"), "Bound");
    let bound = r#".status.conditions[?(@.type=="Bound")].status"#;
    assert_eq!(told(&ground, &place, "seat", "ann", bound), "True", "the rest of its status stays");
    stored(&place, &with(assignment.clone(), &json!({"spec": {"suspended": "at night"}}))).await;
    says(&ground, &place, "userassignment", "newer", "spec.suspended").await;
    // Whoever comes now is not given what they hold.
    place.apply(&seat("bob")).await;
    place.waits_at("bob", 1).await;
    place.counts("cad", 2, 1).await;
    assert_eq!(documents().await, before, "to the byte");

    stored(&place, &authority("default", &json!({"rotation": "monthly"}))).await;
    says(&ground, &place, "authority", "default", "spec.rotation").await;
    place.license_says("cad", "AuthorityNotReady").await;
    assert_eq!(documents().await, before, "to the byte");

    // Taken back, all is as it was.
    place.apply_authority(&authority("default", &json!({}))).await;
    place.apply(&assignment).await;
    place.apply(&seat("ann")).await;
    place.license_says("cad", "Issued").await;
    place.seat_says("ann", "Bound").await;
    assert_eq!(documents().await, before, "to the byte");
    operator.stop().await;
}
