//! Authorities: who may be signed for, keys that are made once, and what is published of them.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use usher::cluster::api::{Authority, AuthorityStatus, SeatState};

use super::{Place, license_conditions, ready, stalled, version, with};
use crate::ground::{license, seat, shared, until, wait_for};

/// An Authority whose name nobody else has.
pub fn authority(name: &str, spec: &Value) -> Value {
    let all = json!({"kind": "Authority", "metadata": {"name": name}, "spec": {
        "issuer": format!("https://usher.acme.example/a/{name}"), "allowedNamespaces": {"from": "All"}}});
    with(all, &json!({"spec": spec}))
}

/// The License `cad` under this Authority.
pub fn under(name: &str) -> Value {
    with(license(2), &json!({"spec": {"authorityRef": {"name": name}}}))
}

fn sentence(license: &usher::cluster::api::License) -> &str {
    &ready(license_conditions(license)).unwrap().message
}

/// Waits until the Authority's Ready gives `reason`.
pub async fn authority_says(place: &Place, name: &str, reason: &str) -> (Authority, AuthorityStatus) {
    let says = |authority: &Authority| {
        let conditions = authority.status.as_ref().map(|status| status.conditions.as_slice());
        conditions.and_then(ready).is_some_and(|ready| ready.reason == reason)
    };
    let found = wait_for(&place.authorities, name, &format!("says {reason}"), says).await;
    let status = found.status.clone().unwrap();
    (found, status)
}

/// Usher's own Secrets.
pub fn usher_secrets(place: &Place) -> Api<Secret> {
    Api::namespaced(place.client.clone(), "usher-system")
}

#[tokio::test]
async fn a_license_waits_for_an_authority_that_is_not_there() {
    let place = Place::new(shared()).await;
    place.apply(&under("late")).await;
    place.apply(&seat("ann")).await;
    let said = place.license_says("cad", "AuthorityNotFound").await;
    assert_eq!(sentence(&said), "there is no Authority late: create it, or correct spec.authorityRef.name");
    assert!(stalled(license_conditions(&said)));
    let said = place.seat_says("ann", "LicenseStalled").await;
    assert!(
        said.starts_with("License cad is not ready, so nobody is given a seat: there is no Authority late"),
        "{said}"
    );

    place.apply_authority(&authority("late", &json!({}))).await;
    place.license_says("cad", "Issued").await;
    place.seat("ann", SeatState::Bound).await;
}

#[tokio::test]
async fn an_authority_signs_for_the_namespaces_that_it_lets_in() {
    let place = Place::new(shared()).await;
    let refusal =
        format!("does not sign for namespace {}: its spec.allowedNamespaces must let it in", place.namespace);
    place.apply_authority(&authority("picky", &json!({"allowedNamespaces": null}))).await;
    place.apply(&under("picky")).await;
    let said = place.license_says("cad", "AuthorityNotAllowed").await;
    assert!(sentence(&said).contains(&refusal) && stalled(license_conditions(&said)), "{}", sentence(&said));

    place.apply_authority(&authority("picky", &json!({"allowedNamespaces": {"from": "All"}}))).await;
    place.license_says("cad", "Issued").await;
    let secret = place.secret("cad-license").await;
    place.apply_authority(&authority("picky", &json!({"allowedNamespaces": {"from": "None"}}))).await;
    place.license_says("cad", "AuthorityNotAllowed").await;
    let labels = json!({"usher.dev/licensed": "true", "tier": "gold"});
    let by_label = json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": labels}}});
    place.apply_authority(&authority("picky", &by_label)).await;

    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    for (label, reason) in [(json!({"tier": "gold"}), "AuthorityNotAllowed"), (labels, "Issued")] {
        let patch = Patch::Merge(json!({"metadata": {"labels": label}}));
        namespaces.patch(&place.namespace, &PatchParams::default(), &patch).await.unwrap();
        place.license_says("cad", reason).await;
    }
    assert_eq!(version(&place.secret("cad-license").await), version(&secret), "a refusal took nothing away");
}

#[tokio::test]
async fn an_authority_signs_for_the_products_that_it_lists() {
    let place = Place::new(shared()).await;
    place.apply_authority(&authority("single", &json!({"products": ["other"]}))).await;
    place.apply(&under("single")).await;
    let said = place.license_says("cad", "AuthorityNotAllowed").await;
    assert_eq!(
        sentence(&said),
        "Authority single does not sign for product cad: its spec.products must list it"
    );
    assert!(stalled(license_conditions(&said)));
    place.apply_authority(&authority("single", &json!({"products": ["other", "cad"]}))).await;
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn an_issuer_belongs_to_the_first_who_claims_it_until_he_goes() {
    let place = Place::new(shared()).await;
    let issuer = json!({"issuer": "https://usher.acme.example/a/wanted"});
    place.apply_authority(&authority("first", &issuer)).await;
    let (first, _) = authority_says(&place, "first", "Published").await;
    let published = place.published.get("usher-authority-first").await.unwrap();

    place.apply_authority(&authority("second", &issuer)).await;
    let (_, status) = authority_says(&place, "second", "IssuerTaken").await;
    assert!(stalled(&status.conditions) && status.root.is_none());
    assert!(place.published.get_opt("usher-authority-second").await.unwrap().is_none());
    place.apply(&under("second")).await;
    let said = place.license_says("cad", "AuthorityNotReady").await;
    assert!(
        sentence(&said).starts_with("Authority second does not sign: another Authority has the spec.issuer")
    );
    assert_eq!(place.authorities.get("first").await.unwrap(), first, "the first is untouched");
    assert_eq!(place.published.get("usher-authority-first").await.unwrap(), published);

    place.authorities.delete("first", &DeleteParams::default()).await.unwrap();
    authority_says(&place, "second", "Published").await;
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn a_key_that_goes_missing_is_asked_for_and_never_replaced() {
    for role in ["root", "signing"] {
        let place = Place::new(shared()).await;
        let name = format!("keeper-of-{role}");
        place.apply_authority(&authority(&name, &json!({}))).await;
        place.apply(&under(&name)).await;
        place.apply(&seat("ann")).await;
        place.seat("ann", SeatState::Bound).await;
        place.license_says("cad", "Issued").await;
        let (_, good) = authority_says(&place, &name, "Published").await;
        let document = place.secret("cad-license").await;
        let (secrets, key) = (usher_secrets(&place), format!("usher-{role}-{name}"));
        let backup = secrets.get(&key).await.unwrap();
        assert_eq!(backup.immutable, Some(true));

        secrets.delete(&key, &DeleteParams::default()).await.unwrap();
        let (_, status) = authority_says(&place, &name, "KeyMissing").await;
        assert!(stalled(&status.conditions));
        assert_eq!((&status.root, &status.keys), (&good.root, &good.keys), "which key it was is still told");
        let message = &ready(&status.conditions).unwrap().message;
        assert!(message.contains("restore it from a backup"), "{message}");
        let said = place.license_says("cad", "AuthorityNotReady").await;
        assert!(!stalled(license_conditions(&said)), "no edit of the License can help");
        place.seat("ann", SeatState::Bound).await;
        assert_eq!(version(&place.secret("cad-license").await), version(&document), "nothing is taken away");
        assert!(secrets.get_opt(&key).await.unwrap().is_none(), "no other key is made");

        let restored = |data| Secret {
            metadata: ObjectMeta {
                name: Some(key.clone()),
                labels: backup.metadata.labels.clone(),
                ..ObjectMeta::default()
            },
            data,
            type_: backup.type_.clone(),
            ..Secret::default()
        };
        // The other one's key is a key, but not this one.
        let other = secrets.get(&format!("usher-{role}-default")).await.unwrap();
        secrets.create(&PostParams::default(), &restored(other.data)).await.unwrap();
        authority_says(&place, &name, "KeyChanged").await;
        secrets.delete(&key, &DeleteParams::default()).await.unwrap();
        authority_says(&place, &name, "KeyMissing").await;
        secrets.create(&PostParams::default(), &restored(backup.data.clone())).await.unwrap();
        let (_, status) = authority_says(&place, &name, "Published").await;
        assert_eq!((&status.root, &status.keys), (&good.root, &good.keys));
        place.license_says("cad", "Issued").await;
        assert_eq!(version(&place.secret("cad-license").await), version(&document));
    }
}

#[tokio::test]
async fn what_is_published_of_the_keys_is_restored_when_it_is_edited_or_deleted() {
    let place = Place::new(shared()).await;
    place.apply_authority(&authority("published", &json!({}))).await;
    authority_says(&place, "published", "Published").await;
    let name = "usher-authority-published";
    let before = place.published.get(name).await.unwrap();
    let names: Vec<&String> = before.data.as_ref().unwrap().keys().collect();
    assert_eq!(names, ["jwks.json", "keys.jws", "root.jwk"]);
    let same = |map: &ConfigMap| map.data == before.data && map.metadata.labels == before.metadata.labels;
    let edits = [
        json!({"data": {"jwks.json": "{\"keys\":[]}"}}),
        json!({"data": {"more.json": "{}"}}),
        json!({"data": null}),
        json!({"metadata": {"labels": null}}),
    ];
    for edit in edits {
        let what = edit.to_string();
        place.published.patch(name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        wait_for(&place.published, name, &format!("is as before after {what}"), same).await;
    }
    place.published.delete(name, &DeleteParams::default()).await.unwrap();
    wait_for(&place.published, name, "is as before after it was deleted", same).await;
}

#[tokio::test]
async fn a_config_map_that_is_not_ours_is_never_touched() {
    let place = Place::new(shared()).await;
    let theirs: ConfigMap = serde_json::from_value(
        json!({"metadata": {"name": "usher-authority-foreign"}, "data": {"jwks.json": "theirs"}}),
    )
    .unwrap();
    let before = place.published.create(&PostParams::default(), &theirs).await.unwrap();
    place.apply_authority(&authority("foreign", &json!({}))).await;
    let (_, status) = authority_says(&place, "foreign", "ConfigMapNameTaken").await;
    let message = &ready(&status.conditions).unwrap().message;
    assert!(message.contains("usher-authority-foreign is not ours and is left alone"));
    place.apply(&under("foreign")).await;
    place.license_says("cad", "Issued").await;
    assert_eq!(place.published.get("usher-authority-foreign").await.unwrap(), before);
    place.published.delete("usher-authority-foreign", &DeleteParams::default()).await.unwrap();
    authority_says(&place, "foreign", "Published").await;
    let ours = place.published.get("usher-authority-foreign").await.unwrap();
    assert_eq!(ours.metadata.labels.unwrap()["usher.dev/authority"], "foreign");
}

#[tokio::test]
async fn when_an_authority_goes_nothing_is_taken_away_and_it_comes_back_with_its_keys() {
    let place = Place::new(shared()).await;
    place.apply_authority(&authority("leaving", &json!({}))).await;
    place.apply(&under("leaving")).await;
    for name in ["ann", "bob"] {
        place.apply(&seat(name)).await;
        place.seat(name, SeatState::Bound).await;
    }
    place.license_says("cad", "Issued").await;
    let (_, good) = authority_says(&place, "leaving", "Published").await;
    let names = ["cad-license", "ann-seat", "bob-seat"];
    let mut before = Vec::new();
    for name in names {
        before.push(place.secret(name).await);
    }

    place.authorities.delete("leaving", &DeleteParams::default()).await.unwrap();
    let said = place.license_says("cad", "AuthorityNotFound").await;
    assert!(stalled(license_conditions(&said)));
    let status = said.status.unwrap();
    assert_eq!(
        (status.seats.bound, status.secret.map(|secret| secret.name)),
        (2, Some("cad-license".into()))
    );
    // A limit still holds, and a Seat that goes is still seen to.
    place.apply(&with(under("leaving"), &json!({"spec": {"seats": 1}}))).await;
    place.seat_says("bob", "LicenseStalled").await;
    place.no_secret("bob-seat").await;
    place.seat("ann", SeatState::Bound).await;
    for (name, before) in names.iter().zip(&before).take(2) {
        assert_eq!(&place.secret(name).await, before, "not a byte");
    }
    // Even what is deleted comes back: its bytes are known.
    place.secrets.delete("ann-seat", &DeleteParams::default()).await.unwrap();
    let same = |secret: &Secret| secret.data == before[1].data;
    wait_for(&place.secrets, "ann-seat", "is as before", same).await;

    place.apply_authority(&authority("leaving", &json!({}))).await;
    let (_, again) = authority_says(&place, "leaving", "Published").await;
    assert_eq!((again.root, again.keys), (good.root, good.keys));
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn a_secret_of_a_seat_stays_while_its_license_moves_to_another_authority() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.apply(&seat("ann")).await;
    place.seat("ann", SeatState::Bound).await;
    place.apply_authority(&authority("next", &json!({}))).await;
    place.apply(&with(under("next"), &json!({"spec": {"seats": 1}}))).await;
    for name in ["cad-license", "ann-seat"] {
        let moved = |secret: &Secret| super::claims(secret).iss == "https://usher.acme.example/a/next";
        let moved = wait_for(&place.secrets, name, "is signed by the other", moved).await;
        let map = place.published.get("usher-authority-next").await.unwrap().data.unwrap();
        assert_eq!(super::entry(&moved, "keys.jws"), map["keys.jws"]);
    }
    until("nothing waits", async || place.counts("cad", 1, 0).await.status).await;
}
