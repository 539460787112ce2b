//! Refusals, on their way to the audit.

use crate::{
    domain::{
        refusal::Code,
        refused::{About, NotSignedIn},
    },
    ledger::Trail as _,
    service::verify_audit::verify_audit,
};

use super::scene::Scene;

const TOKEN: &[u8] = b"Bearer usher_act_secret";

impl Scene {
    async fn entries(&self) -> Vec<serde_json::Value> {
        let links = self.ledger.audit(0, 500).await.unwrap();
        let entries = links
            .iter()
            .flat_map(|link| serde_json::from_str::<Vec<serde_json::Value>>(&link.entries).unwrap());
        entries.filter(|entry| entry["kind"].as_str().unwrap().starts_with("refuse")).collect()
    }
}

#[tokio::test]
async fn the_first_refusal_of_a_caller_is_in_the_audit_and_then_a_count_and_nothing_by_which_to_know_them() {
    let scene = Scene::new(1).await;
    let refused =
        |code, shown, peer| scene.runtime.note_refused("refresh", code, About::default(), shown, peer);
    scene
        .runtime
        .telling_of_refusals(async {
            for _ in 0..3 {
                refused(Code::LicenseSuspended, Some(TOKEN), "192.0.2.1");
            }
            // The same caller from elsewhere; and whoever has no credential that is good is known by the address.
            refused(Code::LicenseSuspended, Some(TOKEN), "192.0.2.2");
            refused(Code::Unauthorized, Some(TOKEN), "192.0.2.1");
            refused(Code::Unauthorized, Some(b"Bearer another"), "192.0.2.1");
            refused(Code::RequestInvalid, Some(TOKEN), "192.0.2.1");
        })
        .await;
    let entries = scene.entries().await;
    let by = |n: usize| entries[n]["by"].clone();
    let expected = serde_json::json!([
        {"kind": "refuse", "call": "refresh", "code": "license-suspended", "by": by(0)},
        {"kind": "refuse", "call": "refresh", "code": "unauthorized", "by": by(1)},
        {"kind": "refuseMore", "code": "unauthorized", "by": by(1), "more": 1},
        {"kind": "refuseMore", "code": "license-suspended", "by": by(0), "more": 3},
    ]);
    let sorted = |entries: &serde_json::Value| {
        let mut all: Vec<String> = entries.as_array().unwrap().iter().map(ToString::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&serde_json::json!(entries)), sorted(&expected));
    assert_ne!(by(0), by(1));
    let text = serde_json::json!(entries).to_string();
    assert!(!text.contains("secret") && !text.contains("192.0.2"), "{text}");
    assert!(verify_audit(&scene.ledger, &[], None).await.unwrap().is_whole());
}

#[tokio::test]
async fn a_flood_of_refusals_is_one_write_and_few_entries() {
    let scene = Scene::new(1).await;
    let head = scene.ledger.last_link().await.unwrap().unwrap().sequence;
    scene
        .runtime
        .telling_of_refusals(async {
            for caller in 0..20_000 {
                let shown = format!("Bearer {caller}");
                let code = if caller % 2 == 0 { Code::Unauthorized } else { Code::SeatsExhausted };
                let peer = caller.to_string();
                scene.runtime.note_refused("activate", code, About::default(), Some(shown.as_bytes()), &peer);
            }
        })
        .await;
    assert_eq!(scene.ledger.last_link().await.unwrap().unwrap().sequence, head + 1);
    let entries = scene.entries().await;
    assert!(entries.len() < 100, "{} entries", entries.len());
    let counted: u64 = entries.iter().map(|entry| entry["more"].as_u64().unwrap_or(1)).sum();
    assert_eq!(counted, 20_000, "nobody is left out");
}

#[tokio::test]
async fn who_was_not_signed_in_and_why_is_in_the_audit_beside_them() {
    let scene = Scene::new(1).await;
    scene
        .runtime
        .telling_of_refusals(async {
            for _ in 0..3 {
                scene.runtime.note_not_signed_in(NotSignedIn::UnknownCode, "192.0.2.1");
            }
        })
        .await;
    let entries = scene.entries().await;
    let by = entries[0]["by"].clone();
    assert_eq!(
        entries,
        [
            serde_json::json!({"kind": "refuse", "call": "signIn", "code": "unknown-code", "by": by}),
            serde_json::json!({"kind": "refuseMore", "code": "unknown-code", "by": by, "more": 2}),
        ]
    );
}
