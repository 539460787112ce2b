//! What time does to Licenses and documents: one control plane whose operator's clock is turned.
//!
//! Each namespace has a part of the story; all are set up at the start, and then the clock is turned for all of them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use usher::{
    cluster::api::{License, SeatState},
    service::edge::Edge as _,
};
use usher_license::{Claims, Error, State, Trust, verify};

use super::{Place, claims, entry, license_conditions, ready, stalled, turned::World, version, with};
use crate::ground::{license, seat, until, wait_for};

fn sentence(license: &License) -> &str {
    &ready(license_conditions(license)).unwrap().message
}

fn unix(instant: &str) -> u64 {
    u64::try_from(instant.parse::<Timestamp>().unwrap().as_second()).unwrap()
}

fn instant(unix: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(unix).unwrap()).unwrap()
}

/// What a program that trusts the published keys makes of a Secret at `now`.
async fn verified(place: &Place, secret: &Secret, now: u64) -> Result<Claims, Error> {
    let map = place.published.get("usher-authority-default").await.unwrap().data.unwrap();
    let issuer = "https://usher.acme.example/a/default";
    let trust = Trust::jwks(map["jwks.json"].as_bytes(), issuer, "cad").unwrap();
    verify(entry(secret, "license.jws").as_bytes(), &trust, now).map(usher_license::License::into_claims)
}

#[tokio::test]
async fn as_time_passes_each_license_does_what_its_validity_and_lease_say() {
    let world = World::new().await;
    let validity = |seats, validity: Value| with(license(seats), &json!({"spec": {"validity": validity}}));
    let early = validity(1, json!({"from": world.after(1)}));
    let over = validity(1, json!({"until": world.after(3)}));
    let late = validity(1, json!({"until": world.after(3), "afterwards": "Warn"}));
    let early = world.place(&early, &["ann"]).await;
    let over = world.place(&over, &["ann", "bob"]).await;
    let late = world.place(&late, &["ann", "bob"]).await;
    let leased = world.place(&license(3), &["ann", "bob", "cy"]).await;
    let crowded = crowded(&world).await;

    // The first minute.
    keys_are_served(&world, &early).await;
    let good_later = not_yet_valid(&world, &early).await;
    let warned = late.secret("cad-license").await;
    let last = claims(&over.secret("ann-seat").await);
    assert_eq!(last.exp, unix(&world.after(3)), "no document outlives the validity");
    let renewals = renewals(&leased).await;

    world.turn_to(world.began + SignedDuration::from_hours(1));
    valid_by_now(&early, &good_later).await;
    names_come_free(&world, &crowded).await;

    world.turn_to(world.began + SignedDuration::from_hours(3));
    expired(&world, &over).await;
    overdue(&world, &late, &warned).await;

    renewed(&world, &leased, &renewals).await;
    ran_ahead(&world, &leased, &early).await;
    world.operator.stop().await;
}

/// Whatever was made while the clock was wrong is made anew once it is right, though nothing else becomes of it.
async fn ran_ahead(world: &World, place: &Place, other: &Place) {
    let days = SignedDuration::from_hours(40 * 24);
    world.clock.forward(days);
    let wrong = u64::try_from(world.clock.now().as_second()).unwrap();
    let names = ["cad-license", "ann-seat"];
    for name in names {
        wait_for(&place.secrets, name, "is of a time to come", |secret| claims(secret).iat >= wrong).await;
    }
    world.clock.forward(-days);
    // Whatever happens first shows what the clock says.
    other.delete_seat("ann").await;
    let right = u64::try_from(world.clock.now().as_second()).unwrap();
    for name in names {
        let of_today = |secret: &Secret| claims(secret).iat <= right + 60;
        let secret = wait_for(&place.secrets, name, "is of today", of_today).await;
        assert!(verified(place, &secret, right + 60).await.is_ok());
    }
}

async fn keys_are_served(world: &World, place: &Place) {
    let at = "/a/default/jwks.json";
    let served =
        until("the keys are served", async || world.operator.published.at(Some("usher.acme.example"), at))
            .await;
    let map = wait_for(&place.published, "usher-authority-default", "is there", |_| true).await;
    assert_eq!(map.data.unwrap()["jwks.json"], served);
}

/// Seats are bound and documents made, good from then on.
async fn not_yet_valid(world: &World, place: &Place) -> Vec<Secret> {
    let said = place.license_says("cad", "NotYetValid").await;
    let from = world.after(1);
    assert!(sentence(&said).ends_with(&format!("documents are good from {from} on")), "{}", sentence(&said));
    assert!(!stalled(license_conditions(&said)));
    place.seat("ann", SeatState::Bound).await;
    let mut secrets = Vec::new();
    for name in ["cad-license", "ann-seat"] {
        let secret = place.secret(name).await;
        let said = claims(&secret);
        assert_eq!((said.nbf, said.state), (unix(&from), State::Active));
        assert_eq!(said.lease.until, said.nbf + 24 * 3_600);
        assert_eq!(said.exp, said.nbf + (24 + 72) * 3_600);
        assert!(matches!(verified(place, &secret, said.iat).await, Err(Error::NotYetValid { .. })));
        assert!(verified(place, &secret, said.nbf).await.is_ok());
        secrets.push(secret);
    }
    secrets
}

/// Nothing is written for that but the status.
async fn valid_by_now(place: &Place, before: &[Secret]) {
    place.license_says("cad", "Issued").await;
    for (name, before) in ["cad-license", "ann-seat"].iter().zip(before) {
        assert_eq!(&place.secret(name).await, before);
    }
}

/// Foreign Secrets that have the names, and a second License that wants the first one's.
async fn crowded(world: &World) -> [Place; 2] {
    let foreign = Place::new(&world.ground).await;
    for name in ["cad-license", "ann-seat"] {
        foreign.apply(&json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"a": "b"}})).await;
    }
    foreign.apply(&license(1)).await;
    foreign.apply(&seat("ann")).await;
    foreign.license_says("cad", "SecretNameTaken").await;
    foreign.seat_says("ann", "SecretNameTaken").await;

    let shared = world.place(&license(1), &[]).await;
    shared.license_says("cad", "Issued").await;
    let second = json!({"metadata": {"name": "second"}, "spec": {"secret": {"name": "cad-license"}}});
    shared.apply(&with(license(1), &second)).await;
    shared.license_says("second", "SecretNameTaken").await;
    [foreign, shared]
}

/// A name that somebody else held is tried again after half a minute, though nobody tells us that it came free; one that we held
/// goes over at once.
async fn names_come_free(world: &World, [foreign, shared]: &[Place; 2]) {
    for name in ["cad-license", "ann-seat"] {
        foreign.secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }
    shared.delete_license("cad").await;
    until("all is issued", async || {
        world.clock.forward(SignedDuration::from_secs(31));
        let issued = |license: License| ready(license_conditions(&license)).unwrap().reason == "Issued";
        let second = issued(shared.licenses.get("second").await.unwrap());
        (second && issued(foreign.licenses.get("cad").await.unwrap())).then_some(())
    })
    .await;
    let fine = foreign.license_says("cad", "Issued").await;
    assert!(!stalled(license_conditions(&fine)));
    foreign.seat_says("ann", "Bound").await;
    assert_eq!(claims(&foreign.secret("ann-seat").await).license.name, "cad");
    shared.license_says("second", "Issued").await;
    assert_eq!(claims(&shared.secret("cad-license").await).license.name, "second");
}

async fn expired(world: &World, place: &Place) {
    let said = place.license_says("cad", "Expired").await;
    assert!(
        sentence(&said).ends_with("documents grant nothing: extend spec.validity.until"),
        "{}",
        sentence(&said)
    );
    assert!(!stalled(license_conditions(&said)));
    place.seat("ann", SeatState::Expired).await;
    for name in ["cad-license", "ann-seat"] {
        let expired = |secret: &Secret| claims(secret).state == State::Expired;
        let secret = wait_for(&place.secrets, name, "says expired", expired).await;
        assert!(claims(&secret).features.is_empty());
        let now = u64::try_from(world.clock.now().as_second()).unwrap();
        assert!(matches!(verified(place, &secret, now).await, Err(Error::Expired { .. })));
    }
    assert_eq!(place.seat_says("bob", "Expired").await, "License cad has expired: nobody is given a seat");
    place.delete_seat("ann").await;
    place.no_secret("ann-seat").await;
    place.counts("cad", 0, 1).await;

    let longer = json!({"spec": {"validity": {"until": world.after(24 * 365)}}});
    place.apply(&with(license(1), &longer)).await;
    place.seat("bob", SeatState::Bound).await;
    assert_eq!(claims(&place.secret("bob-seat").await).state, State::Active);
    place.license_says("cad", "Issued").await;
}

/// Everything goes on, and the License says so.
async fn overdue(world: &World, place: &Place, before: &Secret) {
    let said = place.license_says("cad", "Overdue").await;
    let sentence = sentence(&said);
    assert!(
        sentence.ends_with(&format!("validity ended at {}: renew the contract", world.after(3))),
        "{sentence}"
    );
    assert_eq!(&place.secret("cad-license").await, before);
    let now = u64::try_from(world.clock.now().as_second()).unwrap();
    assert!(verified(place, before, now).await.is_ok());
    place.delete_seat("ann").await;
    place.seat("bob", SeatState::Bound).await;
}

const LEASED: [&str; 4] = ["cad-license", "ann-seat", "bob-seat", "cy-seat"];

/// When each is due: in the window, and not all at once.
async fn renewals(place: &Place) -> Vec<(Secret, u64)> {
    let mut due = Vec::new();
    for name in LEASED {
        let secret = place.secret(name).await;
        let Claims { iat, lease, .. } = claims(&secret);
        assert!((12 * 3_600..=24 * 3_600 * 65 / 100).contains(&(lease.renew_at - iat)), "{lease:?}");
        due.push((secret, lease.renew_at));
    }
    let offsets: std::collections::BTreeSet<u64> =
        due.iter().map(|(secret, renew_at)| renew_at - claims(secret).iat).collect();
    assert!(offsets.len() > 1, "renewals spread: {offsets:?}");
    due
}

async fn renewed(world: &World, place: &Place, due: &[(Secret, u64)]) {
    let times = || due.iter().map(|(_, renew_at)| *renew_at);
    world.turn_to(instant(times().min().unwrap()) - SignedDuration::from_mins(10));
    // Another License shows that Usher has had its turn.
    place.apply(&with(license(1), &json!({"metadata": {"name": "beside"}}))).await;
    place.license_says("beside", "Issued").await;
    for (name, (before, _)) in LEASED.iter().zip(due) {
        assert_eq!(version(&place.secret(name).await), version(before), "not written before it is due");
    }
    world.turn_to(instant(times().max().unwrap()));
    for (name, (before, _)) in LEASED.iter().zip(due) {
        let before = claims(before);
        let is_new = |secret: &Secret| claims(secret).jti != before.jti;
        let secret = wait_for(&place.secrets, name, "is renewed", is_new).await;
        let after = claims(&secret);
        assert_eq!(after.exp - after.iat, before.exp - before.iat);
        assert!(after.iat >= before.lease.renew_at && after.exp > before.exp);
        assert!(verified(place, &secret, after.iat).await.is_ok());
    }
    let serial = claims(&place.secret("cad-license").await).jti;
    let told = |license: &License| license.status.as_ref().and_then(|s| s.serial.as_ref()) == Some(&serial);
    wait_for(&place.licenses, "cad", "tells the new serial", told).await;
}
