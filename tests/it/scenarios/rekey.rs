//! The audit key is lost: it is replaced by consent only, in a way that whoever verifies sees.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use usher::{
    cluster::api::SeatState,
    keys::{AuditKey, KeyPair},
    ledger::{
        Trail as _,
        audit::{Entry, Link},
        sqlite::Sqlite,
    },
};
use usher_license::{Checkpoint, CheckpointClaims};

use super::audit::{MINUTE, World, failures};
use crate::ground::{Operator, license, seat, until, wait_for};

const FROM_CLUSTER: [&str; 3] = ["audit", "verify", "--from-cluster"];

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.place.client.clone(), "usher-system")
}

async fn lose_the_key(world: &World) {
    secrets(world).delete("usher-audit-key", &DeleteParams::default()).await.unwrap();
}

/// As somebody does who has a key of their own.
async fn put_key(world: &World, pair: &KeyPair) {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "usher-audit-key"}, "type": "usher.dev/key",
        "stringData": {"private.jwk": pair.to_jwk().unwrap().as_str()},
    }))
    .unwrap();
    secrets(world).create(&PostParams::default(), &secret).await.unwrap();
}

async fn published(world: &World) -> ConfigMap {
    world.place.published.get("usher-audit").await.unwrap()
}

async fn consent(world: &World, text: &str) {
    let patch = json!({"metadata": {"annotations": {"usher.dev/rekey": text}}});
    let maps = &world.place.published;
    maps.patch("usher-audit", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The audit grows, and nothing seals it.
async fn stays_unsealed(world: &World, operator: &Operator, name: &str) {
    world.place.apply(&seat(name)).await;
    wait_for(&world.place.seats, name, "is seen", |seat| seat.status.is_some()).await;
    let before = failures(operator);
    until("it is said that nothing seals the audit", async || {
        world.clock.forward(MINUTE);
        (failures(operator) > before + 1).then_some(())
    })
    .await;
    let report = world.verified();
    assert!(report["sealed"].as_i64() < report["head"].as_i64(), "{report}");
}

/// The key as `verify` names it.
fn key(report: &Value) -> String {
    report["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_audit_key_is_replaced_by_consent_and_whoever_verifies_is_told_and_by_nothing_else() {
    let world = World::new().await;
    let operator = world.start().await;
    world.place.apply(&license(9)).await;
    world.place.license_says("cad", "Issued").await;
    world.place.apply(&seat("ann")).await;
    world.place.seat("ann", SeatState::Bound).await;
    world.sealed().await;
    let first = key(&world.verified());
    let (code, said) = world.program(&["audit", "rekey"]);
    assert!(code == Some(2) && said.contains("the Secret usher-audit-key is there"), "{said}");

    lose_the_key(&world).await;
    stays_unsealed(&world, &operator, "bob").await;
    assert!(secrets(&world).get_opt("usher-audit-key").await.unwrap().is_none(), "none is made in its place");
    consent_replaces_it(&world, &first).await;
    tampering_is_found_on_both_sides(&world, &first).await;
    no_other_key_takes_its_place(&world, &operator).await;
    who_died_in_between_is_followed(&world).await;
    operator.stop().await;
    a_ledger_that_is_lost_with_the_key_waits_for_a_consent_too(&world).await;
}

async fn consent_replaces_it(world: &World, first: &str) {
    let (code, said) = world.program(&["audit", "rekey"]);
    assert!(code == Some(0) && said.contains(&format!("instead of {first}")), "{said}");
    world.sealed().await;
    let report = world.verified();
    let second = key(&report);
    let change = &report["keyChanges"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!(first), &json!(second)), "{report}");
    assert!(second != first && report["proven"] == report["head"], "{report}");
    let (code, said) = world.usher(&FROM_CLUSTER, &world.ledger());
    let row = format!("at entry {}, from {first} to {second}, as somebody consented", change["sequence"]);
    assert!(code == Some(0) && said.starts_with("whole: ") && said.contains(&row), "{said}");
    let listed = world.usher(&["audit", "list"], &world.ledger()).1;
    assert!(listed.contains(&format!("  rekey     from={first} to={second}")), "{listed}");
    let map = published(world).await;
    assert_eq!(map.metadata.annotations, None, "the consent was for this once");
    let kept = secrets(world).get("usher-audit-key").await.unwrap();
    assert_eq!(kept.immutable, Some(true));
}

async fn tampering_is_found_on_both_sides(world: &World, first: &str) {
    let report = world.verified();
    let turn = report["keyChanges"][0]["sequence"].as_i64().unwrap();
    let head = report["head"].as_i64().unwrap();
    assert!(turn > 2 && turn <= head, "{report}");
    for (name, sql, sentence) in [
        ("untouched.db", "SELECT 1", "whole: ".to_owned()),
        ("before.db", "UPDATE audit SET entries = '[]' WHERE sequence = 2", "entry 2 was changed".to_owned()),
        ("gone.db", "DELETE FROM audit WHERE sequence = 2", "entry 2 is missing".to_owned()),
        (
            "turn.db",
            "UPDATE audit SET entries = '[]' WHERE entries LIKE '%rekey%'",
            format!("entry {turn} was changed"),
        ),
        (
            "after.db",
            "DELETE FROM audit WHERE sequence = (SELECT MAX(sequence) FROM audit)",
            format!("but entry {head} has a checkpoint of "),
        ),
    ] {
        let (code, said) = world.usher(&FROM_CLUSTER, &world.copy(name, sql).await);
        assert!(said.contains(&sentence), "{name}: {said}");
        assert_eq!(code, Some(i32::from(name != "untouched.db")), "{name}: {said}");
    }
    // Who has kept the former key's name only is told what that proves.
    for outside in [&["audit", "verify"][..], &FROM_CLUSTER] {
        let (code, said) = world.usher(&[outside, &["--trust", first]].concat(), &world.ledger());
        assert!(code == Some(3) && said.starts_with("whole in itself: "), "{said}");
        let proven = said.split("up to entry ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
        assert!(proven.parse::<i64>().unwrap() < turn, "{said}");
        assert!(said.contains("a key says nothing of what another one sealed after it"), "{said}");
    }
}

/// Somebody has put a key of their own into the Secret.
async fn no_other_key_takes_its_place(world: &World, operator: &Operator) {
    let own = KeyPair::from_seed(&[7; 32]);
    let backup = secrets(world).get("usher-audit-key").await.unwrap();
    let second = key(&world.verified());
    let before = published(world).await.data;
    lose_the_key(world).await;
    put_key(world, &own).await;
    stays_unsealed(world, operator, "cy").await;
    let (code, said) = world.program(&["audit", "rekey"]);
    assert!(code == Some(2) && said.contains("keep a copy, delete it, and come again"), "{said}");
    // Nor with a consent: it is Usher that makes the key.
    consent(world, &second).await;
    stays_unsealed(world, operator, "dan").await;
    assert_eq!(published(world).await.data, before);
    consent(world, "").await;
    forged_chains_do_not_pass(world, &own, &second).await;

    lose_the_key(world).await;
    let restored = Secret { metadata: Default::default(), ..backup };
    let restored = Secret {
        metadata: kube::api::ObjectMeta { name: Some("usher-audit-key".into()), ..Default::default() },
        ..restored
    };
    secrets(world).create(&PostParams::default(), &restored).await.unwrap();
    world.sealed().await;
    assert_eq!(key(&world.verified()), second);
}

/// Whoever has ledger and Secret seals with a key of their own, and even says so.
async fn forged_chains_do_not_pass(world: &World, own: &KeyPair, second: &str) {
    let silent = world.copy("silent.db", "SELECT 1").await;
    seal(&silent, own, None).await;
    let (code, said) = world.usher(&FROM_CLUSTER, &silent);
    let sentence = format!("from {second} to {}, and no entry says that it was to", own.thumbprint());
    assert!(code == Some(1) && said.contains(&sentence), "{said}");

    let announced = world.copy("announced.db", "SELECT 1").await;
    let entry = Entry::Rekey { from: second.to_owned(), to: own.thumbprint().to_string() };
    seal(&announced, own, Some(entry)).await;
    let (code, said) = world.usher(&FROM_CLUSTER, &announced);
    assert!(code == Some(3) && said.starts_with("whole in itself: "), "{said}");
    assert!(said.contains(&format!("from {second} to {}", own.thumbprint())), "{said}");
}

/// Appends this entry, and a checkpoint by this key.
async fn seal(path: &std::path::Path, by: &KeyPair, entry: Option<Entry>) {
    let (last, head) = {
        let ledger = Sqlite::open(path).await.unwrap();
        let head = ledger.last_link().await.unwrap().unwrap();
        (ledger.last_checkpoints(1).await.unwrap().pop().unwrap(), head)
    };
    let added = entry.map(|entry| {
        let entries = serde_json::to_string(&[entry]).unwrap();
        Link::after(Some((head.sequence, &head.hash)), head.at, entries)
    });
    let mut file = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    if let Some(link) = &added {
        sqlx::query("INSERT INTO audit (sequence, at, entries, hash) VALUES ($1, $2, $3, $4)")
            .bind(link.sequence)
            .bind(link.at)
            .bind(&link.entries)
            .bind(&link.hash)
            .execute(&mut file)
            .await
            .unwrap();
    }
    let head = added.unwrap_or(head);
    let former = Checkpoint::read_unproven(last.jws.as_bytes()).unwrap();
    let claims = CheckpointClaims {
        sequence: head.sequence.try_into().unwrap(),
        hash: head.hash.clone(),
        previous: Some(former.digest().to_owned()),
        key: by.public(),
        ..former.unproven_claims().clone()
    };
    let jws = AuditKey::new(KeyPair::from_jwk(by.to_jwk().unwrap().as_bytes()).unwrap()).checkpoint(&claims);
    sqlx::query("INSERT INTO checkpoints (sequence, hash, at, jws, anchor) VALUES ($1, $2, $3, $4, FALSE)")
        .bind(head.sequence)
        .bind(&head.hash)
        .bind(i64::try_from(claims.iat).unwrap())
        .bind(jws.unwrap())
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
}

/// A leader had written down which key it makes, and had made it, and had not told the audit.
async fn who_died_in_between_is_followed(world: &World) {
    let second = key(&world.verified());
    let made = KeyPair::from_seed(&[9; 32]);
    lose_the_key(world).await;
    consent(world, &format!("{second}/{}", made.thumbprint())).await;
    put_key(world, &made).await;
    world.place.apply(&seat("eve")).await;
    world.place.seat("eve", SeatState::Bound).await;
    world.sealed().await;
    let report = world.verified();
    assert_eq!(key(&report), made.thumbprint().to_string());
    assert_eq!(report["keyChanges"].as_array().unwrap().len(), 2, "{report}");
}

async fn a_ledger_that_is_lost_with_the_key_waits_for_a_consent_too(world: &World) {
    let third = key(&world.verified());
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", world.ledger().display()));
    }
    lose_the_key(world).await;
    let operator = world.start().await;
    stays_unsealed(world, &operator, "fay").await;
    assert!(secrets(world).get_opt("usher-audit-key").await.unwrap().is_none(), "none is made in its place");
    let (code, said) = world.program(&["audit", "rekey"]);
    assert!(code == Some(0) && said.contains(&third), "{said}");
    world.sealed().await;
    let report = world.verified();
    assert_eq!(report["keyChanges"][0]["from"], json!(third), "{report}");
    operator.stop().await;
}
