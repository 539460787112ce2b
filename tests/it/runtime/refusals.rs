//! Refusals are in the audit: the first of each caller and code in a minute, and then how many more.

use ::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use usher::{
    ledger::{Trail as _, sqlite::Sqlite},
    service::verify_audit::verify_audit,
};

use super::{
    Own, for_devices,
    program::{Call, Program, drawn, key_named},
};
use crate::{
    ground::until,
    scenarios::{Place, turned::World, with},
};

async fn refused(ledger: &Sqlite) -> Vec<Value> {
    let links = ledger.audit(0, 500).await.unwrap();
    let entries = links.iter().flat_map(|link| serde_json::from_str::<Vec<Value>>(&link.entries).unwrap());
    entries.filter(|entry| entry["kind"].as_str().unwrap().starts_with("refuse")).collect()
}

async fn told(ledger: &Sqlite) -> Vec<(String, String, u64)> {
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    refused(ledger)
        .await
        .iter()
        .map(|entry| (text(entry, "call"), text(entry, "code"), entry["more"].as_u64().unwrap_or(0)))
        .collect()
}

#[tokio::test]
async fn who_was_refused_what_is_in_the_audit_once_a_minute_and_it_verifies() {
    let world = World::new().await;
    let program = Program::at(&world.operator.listen().await);
    let place = Place::new(&world.ground).await;
    place.apply(&for_devices(1)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let own = Own::of(&program.activate(&place.namespace, &key, "a", None).await);
    for device in ["b", "c", "d"] {
        let refused = program.activate(&place.namespace, &key, device, None).await;
        assert_eq!(refused.code(), "seats-exhausted");
    }
    let stranger = Own { token: "usher_act_x".into(), ..own.clone() };
    assert_eq!(program.refresh(&stranger).await.code(), "unauthorized");
    let ledger = &world.operator.people;
    let first = |call: &str, code: &str| (call.to_owned(), code.to_owned(), 0);
    let firsts = [first("activate", "seats-exhausted"), first("refresh", "unauthorized")];
    until("both are told at once", async || (told(ledger).await == firsts).then_some(())).await;

    // Which License it was about, and which activation; of an id that is nobody's nothing is told.
    let cad = format!("{}/cad", place.namespace);
    let about: Vec<_> = refused(ledger)
        .await
        .iter()
        .map(|entry| (entry["license"].clone(), entry["activation"].clone()))
        .collect();
    assert_eq!(about, [(json!(cad), Value::Null), (json!(cad), json!(own.id))]);

    world.clock.forward(SignedDuration::from_secs(61));
    until("two more are counted", async || {
        let more = (String::new(), "seats-exhausted".to_owned(), 2);
        told(ledger).await.contains(&more).then_some(())
    })
    .await;
    assert_eq!(told(ledger).await.len(), 3);
    assert_eq!(program.refresh(&stranger).await.code(), "unauthorized");
    until("another minute begins", async || (told(ledger).await.len() == 4).then_some(())).await;

    // Of what a body names, too; and of an id that is nobody's, nothing.
    let (key, body) = (drawn(), json!({"activation": own.id}));
    let call = Call { token: Some(&own.token), key: Some(&key), body: Some(body), ..Call::default() };
    place.apply(&with(for_devices(1), &json!({"spec": {"suspended": true}}))).await;
    place.license_says("cad", "Suspended").await;
    assert_eq!(program.send(Method::POST, "/v1/sessions", &call).await.code(), "license-suspended");
    let nobody = Own { id: "0".repeat(32), ..stranger.clone() };
    world.clock.forward(SignedDuration::from_secs(61));
    until("all are told", async || {
        // Of the minute before it is told how many more there were.
        program.refresh(&nobody).await;
        let refused = refused(ledger).await;
        let session = refused.iter().find(|entry| entry["call"] == "openSession")?;
        assert_eq!((&session["license"], &session["activation"]), (&json!(cad), &json!(own.id)));
        let is_one = |entry: &&Value| entry["kind"] == "refuse" && entry["code"] == "unauthorized";
        let last = refused.iter().rev().find(is_one)?;
        (last["license"].is_null() && last["activation"].is_null()).then_some(())
    })
    .await;
    assert!(verify_audit(ledger, &[], None).await.unwrap().is_whole());
}
