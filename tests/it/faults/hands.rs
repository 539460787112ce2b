//! Other people's hands on what Usher writes, and Usher's hands off what it does not.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    faults::{
        place::{CHURNED, Disk, Place},
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, apply, until},
};

/// What somebody with a Secret in an editor may do to it.
const EDITS: &[&str] = &[
    r#"{"data": {"license.jws": "Zm9yZ2Vk"}}"#,
    r#"{"data": {"license.json": null, "keys.jws": null}}"#,
    r#"{"data": {"note": "aGk="}}"#,
    r#"{"metadata": {"labels": {"app.kubernetes.io/managed-by": null, "usher.dev/license": "other"}}}"#,
    r#"{"metadata": {"labels": null}}"#,
    r#"{"metadata": {"ownerReferences": null}}"#,
    r#"{"data": {"license.jws": "Zm9yZ2Vk"}, "immutable": true}"#,
];

fn by_hand() -> PatchParams {
    PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() }
}

#[tokio::test]
async fn what_people_do_to_secrets_and_statuses_is_mended_to_the_byte() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let operator =
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    place.churn().await;
    place.ends_as(CHURNED).await;
    let bytes = async || {
        let mut all = Vec::new();
        for name in ["cad-license", "cy-seat"] {
            let data = place
                .secrets()
                .get_opt(name)
                .await
                .unwrap()
                .and_then(|secret| secret.data)
                .unwrap_or_default();
            all.extend(["license.jws", "license.json", "keys.jws"].map(|entry| data.get(entry).cloned()));
        }
        all
    };
    let issued = bytes().await;
    for edit in EDITS {
        let edit: Value = serde_json::from_str(edit).unwrap();
        for name in ["cad-license", "cy-seat"] {
            place.secrets().patch(name, &by_hand(), &Patch::Merge(&edit)).await.unwrap();
        }
        until(&format!("{edit} is mended"), async || (bytes().await == issued).then_some(())).await;
        place.ends_as(CHURNED).await;
        place.is_silent(&operator).await;
    }
    for name in ["cad-license", "cy-seat"] {
        place.secrets().delete(name, &DeleteParams::default()).await.unwrap();
    }
    until("deleted Secrets come back", async || (bytes().await == issued).then_some(())).await;

    // Nobody but Usher has the right to do this; somebody may have all rights.
    let lies = json!({"status": {"state": "Waiting", "waiting": {"position": 7}, "secret": null}});
    place.seats().patch_status("cy", &by_hand(), &Patch::Merge(&lies)).await.unwrap();
    let lies = json!({"status": {"state": "Bound", "secret": {"name": "cy-seat"}, "waiting": null}});
    place.seats().patch_status("dan", &by_hand(), &Patch::Merge(&lies)).await.unwrap();
    let lies = json!({"status": {"seats": {"limit": 9, "bound": 9, "waiting": 9}, "conditions": [
        {"type": "Stalled", "status": "True", "reason": "Bored", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    place.licenses().patch_status("cad", &by_hand(), &Patch::Merge(&lies)).await.unwrap();
    place.ends_as(CHURNED).await;
    place.is_silent(&operator).await;
    assert_eq!(bytes().await, issued, "nothing was signed for all this");
    operator.stop().await;
}

#[tokio::test]
async fn secrets_may_be_deleted_and_edited_all_the_while() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let operator =
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    let vandal = async {
        for round in 0.. {
            for secret in place.secrets().list(&kube::api::ListParams::default()).await.unwrap().items {
                let name = secret.metadata.name.unwrap();
                // It may be gone meanwhile.
                if round % 2 == 0 {
                    let _ = place.secrets().delete(&name, &DeleteParams::default()).await;
                } else {
                    let edit: Value = serde_json::from_str(EDITS[round / 2 % EDITS.len()]).unwrap();
                    let _ = place.secrets().patch(&name, &by_hand(), &Patch::Merge(&edit)).await;
                }
            }
        }
    };
    tokio::select! {
        () = place.churn() => {}
        () = vandal => {}
    }
    place.ends_as(CHURNED).await;
    place.never_over(3);
    place.is_silent(&operator).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_foreign_secret_of_our_name_is_never_touched() {
    let ground = Ground::own();
    let (config, disk) = (ground.usher_config().await, Disk::new());
    let operator =
        Operator::start(wire::client(&config, |_| Act::Pass).0, &disk.ledger(), Arc::new(Machine)).await;
    let place = Place::new(&ground).await;
    let secrets: Api<Secret> = place.secrets();
    // One is plainly foreign, the other wears our label.
    let mut before = Vec::new();
    for (name, labels) in
        [("bob-seat", json!({})), ("cad-license", json!({"app.kubernetes.io/managed-by": "usher"}))]
    {
        let foreign = json!({"kind": "Secret", "metadata": {"name": name, "labels": labels}, "stringData": {"license.jws": "mine"}});
        apply(&place.client, &place.namespace, &foreign).await.unwrap();
        before.push(secrets.get(name).await.unwrap());
    }
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    let wanted = [
        "License cad: 2 of 2 bound, 1 waits, False SecretNameTaken Stalled=True",
        "Seat ann: Bound, in ann-seat, True Bound",
        "Seat bob: Bound, False SecretNameTaken Stalled=True",
        "Seat cy: Waiting 1, True NoFreeSeat",
        "Secret ann-seat of Seat ann: ann@acme.example",
        "Secret bob-seat of nobody: does not verify",
        "Secret cad-license of nobody: does not verify",
    ];
    until(&format!("{wanted:#?}"), async || {
        let state = place.state().await;
        let equal = state.len() == wanted.len()
            && state.iter().zip(wanted).all(|(line, wanted)| line.starts_with(wanted));
        equal.then_some(())
    })
    .await;
    place.never_over(2);
    place.look(&operator).await;
    place.look(&operator).await;
    // They are left alone also when we no longer want their names.
    place.delete_seat("bob").await;
    place.are_bound(&["ann", "cy"]).await;
    place.delete_license().await;
    until("nobody is bound", async || {
        place.state().await.iter().all(|line| !line.contains("Bound")).then_some(())
    })
    .await;
    for before in before {
        assert_eq!(secrets.get(before.metadata.name.as_ref().unwrap()).await.unwrap(), before);
    }
    operator.stop().await;
}
