//! Keys that turn and keys that are burnt: one control plane whose operator's clock is turned.

use std::{collections::BTreeSet, process::Command};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use usher::{
    cluster::api::{AuthorityStatus, KeyState, SeatState},
    domain::reissue::PER_SECOND,
    service::edge::Edge as _,
};
use usher_license::{Error, Thumbprint, Trust, verify};

use super::{Place, authority::authority_says, claims, entry, substance, turned::World, version, with};
use crate::ground::{license, seat, until, wait_for};

const ISSUER: &str = "https://usher.acme.example/a/default";
/// More documents than are made anew in a second, by far.
const SEATS: u32 = 3 * PER_SECOND;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

async fn annotate(place: &Place, annotation: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
    place.authorities.patch("default", &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until the Authority's status is as `wanted`.
async fn status(place: &Place, what: &str, wanted: impl Fn(&AuthorityStatus) -> bool) -> AuthorityStatus {
    let is = |authority: &usher::cluster::api::Authority| authority.status.as_ref().is_some_and(&wanted);
    wait_for(&place.authorities, "default", what, is).await.status.unwrap()
}

fn in_state(status: &AuthorityStatus, state: KeyState) -> Vec<&str> {
    status.keys.iter().filter(|key| key.state == Some(state)).map(|key| key.kid.as_str()).collect()
}

/// What programs trust at `now`: the published JWK set, and the published key set under the pinned root.
async fn trusts(place: &Place, now: u64) -> [Trust; 2] {
    let map = place.published.get("usher-authority-default").await.unwrap().data.unwrap();
    let root = place.authorities.get("default").await.unwrap().status.unwrap().root.unwrap();
    let root: Thumbprint = root.parse().unwrap();
    [
        Trust::jwks(map["jwks.json"].as_bytes(), ISSUER, "cad").unwrap(),
        Trust::pinned(&root, map["keys.jws"].as_bytes(), ISSUER, "cad", now).unwrap(),
    ]
}

/// What they make of the document in `secret`, today.
async fn judged(world: &World, place: &Place, secret: &Secret) -> [Result<(), Error>; 2] {
    let now = u64::try_from(world.clock.now().as_second()).unwrap();
    let document = entry(secret, "license.jws");
    trusts(place, now).await.map(|trust| verify(document.as_bytes(), &trust, now).map(drop))
}

async fn assert_good(world: &World, place: &Place, secret: &Secret) {
    let judged = judged(world, place, secret).await;
    assert!(judged.iter().all(Result::is_ok), "{judged:?}");
}

/// The `kid` of the document in a Secret.
fn kid(secret: &Secret) -> String {
    let document = entry(secret, "license.jws");
    usher_license::License::parse(document.as_bytes()).unwrap().unverified_kid().to_owned()
}

/// When what was under way has ended, looks write nothing.
async fn silence(world: &World, place: &Place) {
    let look = async |mark: &str| {
        let before = world.operator.looks("Authority");
        annotate(place, "example.com/mark", mark).await;
        until("Usher looked", async || (world.operator.looks("Authority") > before).then_some(())).await;
    };
    until("it comes to rest", async || {
        let before = world.ground.writes().len();
        look("a").await;
        look("d").await;
        (world.ground.writes().len() == before).then_some(())
    })
    .await;
    let before = world.ground.writes().len();
    for mark in ["b", "c"] {
        look(mark).await;
    }
    let writes = world.ground.writes().split_off(before);
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn keys_turn_with_nothing_rewritten_and_burn_with_everything_made_anew() {
    let world = World::new().await;
    let year = json!({"spec": {"lease": {"ttl": "8760h", "offlineGrace": "0s"}}});
    let place = world.place(&with(license(SEATS), &year), &["ann"]).await;
    let daily = with(license(1), &json!({"metadata": {"name": "daily"}, "spec": {"lease": {"ttl": "24h"}}}));
    place.apply(&daily).await;
    place.license_says("daily", "Issued").await;
    authority_says(&place, "default", "Published").await;
    on_demand(&world, &place).await;
    by_schedule(&world, &place).await;
    burnt(&world, &place).await;
    world.operator.stop().await;
}

async fn on_demand(world: &World, place: &Place) {
    let first = status(place, "signs", |status| status.signing_key.is_some()).await;
    let old = first.signing_key.clone().unwrap();
    let mut before = Vec::new();
    for name in ["cad-license", "ann-seat", "daily-license"] {
        before.push(place.secret(name).await);
    }
    annotate(place, "usher.dev/rotate-key", "now").await;
    let announced =
        status(place, "announces a key", |status| status.keys.iter().any(|key| key.signs_from.is_some()))
            .await;
    assert_eq!(announced.signing_key.as_ref(), Some(&old), "it does not sign yet");
    assert!(announced.key_set > first.key_set);
    let new = in_state(&announced, KeyState::Announced)[0].to_owned();
    let served = world.operator.published.at(Some("usher.acme.example"), "/a/default/jwks.json").unwrap();
    assert!(served.contains(&old) && served.contains(&new));
    assert_eq!(announced.rotates_at, announced.keys[1].signs_from);
    silence(world, place).await;

    world.turn_to(announced.rotates_at.unwrap().parse::<Timestamp>().unwrap());
    let rotated =
        status(place, "signs with the new key", |status| status.signing_key.as_ref() == Some(&new)).await;
    assert_eq!(in_state(&rotated, KeyState::Retired), [old.as_str()]);
    let last_exp = claims(&before[0]).exp.max(claims(&before[1]).exp);
    let until_then = Timestamp::from_second(i64::try_from(last_exp).unwrap()).unwrap();
    assert_eq!(rotated.keys[0].until, Some(format!("{until_then:.0}")), "published to the last exp under it");
    place.apply(&seat("bob")).await;
    place.seat("bob", SeatState::Bound).await;
    let by_new = place.secret("bob-seat").await;
    assert_eq!(kid(&by_new), new);
    for (name, before) in ["cad-license", "ann-seat"].iter().zip(&before) {
        let after = place.secret(name).await;
        assert_eq!((version(&after), kid(&after)), (version(before), old.clone()), "not a byte was written");
        assert_good(world, place, &after).await;
    }
    assert_good(world, place, &by_new).await;
    // The third is good for a day: it moves as it is renewed.
    world.clock.forward(hours(24));
    let moved = |secret: &Secret| kid(secret) == new;
    wait_for(&place.secrets, "daily-license", "is renewed under the new key", moved).await;
    silence(world, place).await;
}

async fn by_schedule(world: &World, place: &Place) {
    let now = status(place, "tells when", |status| status.rotates_at.is_some()).await;
    let old = now.signing_key.clone().unwrap();
    let at: Timestamp = now.rotates_at.unwrap().parse().unwrap();
    world.turn_to(at - hours(168));
    let announced = status(place, "announces a key by itself", |status| {
        status.keys.iter().any(|key| key.signs_from.is_some())
    })
    .await;
    assert_eq!(announced.signing_key.as_ref(), Some(&old));
    world.turn_to(announced.rotates_at.unwrap().parse::<Timestamp>().unwrap());
    let rotated =
        status(place, "signs with its successor", |status| status.signing_key.as_ref() != Some(&old)).await;
    assert_eq!(in_state(&rotated, KeyState::Retired).len(), 2);
    for name in ["cad-license", "ann-seat", "bob-seat", "daily-license"] {
        assert_good(world, place, &place.secret(name).await).await;
    }
    // When the last document under the first key has ended, it is withdrawn; what was under it is renewed long since.
    let first = rotated.keys[0].clone();
    world.turn_to(first.until.unwrap().parse::<Timestamp>().unwrap());
    let gone =
        status(place, "withdraws the first key", |status| status.keys.iter().all(|key| key.kid != first.kid))
            .await;
    assert!(gone.key_set > rotated.key_set);
    wait_for(&place.secrets, "cad-license", "was renewed", |secret| kid(secret) != first.kid).await;
    assert_good(world, place, &place.secret("cad-license").await).await;
}

async fn burnt(world: &World, place: &Place) {
    for n in 0..SEATS - 2 {
        place.apply(&seat(&format!("s{n}"))).await;
    }
    place.counts("cad", i64::from(SEATS), 0).await;
    // Another key may have come by schedule meanwhile: what signs when all is quiet is what burns.
    annotate(place, "usher.dev/rotate-key", "").await;
    silence(world, place).await;
    let before = status(place, "signs", |status| status.signing_key.is_some()).await;
    let burnt = before.signing_key.clone().unwrap();
    let old = place.secret("s0-seat").await;
    assert_eq!(kid(&old), burnt);
    assert_good(world, place, &old).await;
    let under_it = under(place, &burnt).await;
    assert!(under_it.len() > usize::try_from(2 * PER_SECOND).unwrap(), "{} documents", under_it.len());

    let (kubeconfig, named) = (world.ground.kubeconfig(), burnt.clone());
    let ran = tokio::task::spawn_blocking(move || {
        let usher = env!("CARGO_BIN_EXE_usher");
        let mut command = Command::new(usher);
        command.args(["revoke-key", "default", &named]).env("KUBECONFIG", kubeconfig).output().unwrap()
    });
    let ran = ran.await.unwrap();
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success() && said.contains("nothing under this key is good any more"), "{said}");

    let after = status(place, "signs with another key", |status| {
        status.signing_key.as_ref().is_some_and(|key| *key != burnt)
    })
    .await;
    assert!(after.key_set > before.key_set);
    assert!(in_state(&after, KeyState::Revoked).contains(&burnt.as_str()));
    for judged in judged(world, place, &old).await {
        assert!(matches!(judged, Err(Error::UnknownKey { .. })), "{judged:?}");
    }
    let progress = after.reissuing.expect("it tells how far it is");
    assert_eq!(progress.total, i64::try_from(under_it.len()).unwrap());
    let condition = after.conditions.iter().find(|condition| condition.reason == "KeyRevoked").unwrap();
    assert!(condition.message.contains("documents under revoked keys are still to be made anew"));

    until("every document is made anew", async || under(place, &burnt).await.is_empty().then_some(())).await;
    let mut instants = BTreeSet::new();
    for secret in place.secrets.list(&Default::default()).await.unwrap() {
        if under_it.contains(&secret.metadata.name.clone().unwrap()) {
            instants.insert(claims(&secret).iat);
            assert_good(world, place, &secret).await;
        }
    }
    assert!(instants.len() > 2, "they were not all made at once: {instants:?}");
    world.clock.forward(SignedDuration::from_secs(10));
    status(place, "is done", |status| status.reissuing.is_none()).await;
    silence(world, place).await;

    let again = place.secret("s0-seat").await;
    annotate(place, "usher.dev/revoke-keys", "").await;
    silence(world, place).await;
    assert_eq!(substance(&place.secret("s0-seat").await), substance(&again), "a revocation is for good");
    let (ok, said) = world.ground.try_kubectl(&["get", "authority", "default", "-o", "wide"], "");
    assert!(ok && said.contains("KEY") && said.contains("ROTATES"), "{said}");
}

/// The Secrets with a document under this key.
async fn under(place: &Place, key: &str) -> BTreeSet<String> {
    let secrets = place.secrets.list(&Default::default()).await.unwrap();
    secrets
        .into_iter()
        .filter(|secret| kid(secret) == key)
        .map(|secret| secret.metadata.name.unwrap())
        .collect()
}
