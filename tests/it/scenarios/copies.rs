//! Copies of a License's Secret in other namespaces, and the finalizer that goes with them.

use std::{path::Path, process::Command, sync::Arc};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use usher::{
    cluster::rights::Rights,
    ledger::{Ledger as _, sqlite::Sqlite},
};

use super::{Place, assert_nothing_was_forbidden, license_conditions, ready, with};
use crate::ground::{Ground, Machine, Operator, license, until, wait_for};

async fn start(ground: &Ground, ledger: &Path) -> Operator {
    let client = Client::try_from(ground.usher_config().await).unwrap();
    Operator::start_with(client, Rights::new(false), ledger, Arc::new(Machine)).await
}

fn grant(ground: &Ground, namespace: &str) {
    ground.kubectl(&[
        "create",
        "rolebinding",
        "usher-documents",
        "-n",
        namespace,
        "--clusterrole=usher-documents",
        "--serviceaccount=usher-system:usher",
    ]);
}

fn revoke(ground: &Ground, namespace: &str) {
    ground.kubectl(&["delete", "rolebinding", "usher-documents", "-n", namespace]);
}

/// The License `cad` with copies in these namespaces.
fn copied_to(namespaces: &[&str]) -> Value {
    with(license(1), &json!({"spec": {"secret": {"name": "cad-license", "namespaces": namespaces}}}))
}

async fn finalizers(place: &Place) -> Vec<String> {
    place.licenses.get("cad").await.unwrap().finalizers().to_vec()
}

/// Waits until the License has our finalizer, or has it no longer.
async fn finalized(place: &Place, is: bool) {
    let has = |license: &usher::cluster::api::License| {
        license.finalizers().contains(&"usher.dev/copies".to_owned())
    };
    wait_for(&place.licenses, "cad", "has its finalizer or not", |license| has(license) == is).await;
}

/// The message of the License's Ready.
async fn message(place: &Place, reason: &str) -> String {
    let license = place.license_says("cad", reason).await;
    ready(license_conditions(&license)).unwrap().message.clone()
}

async fn goes(place: &Place) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    until(&format!("{} goes", place.namespace), async || {
        namespaces.get_opt(&place.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn delete_namespace(place: &Place) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_copy_lies_where_its_owner_lets_usher_in_and_goes_with_its_reason() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let operator = start(&ground, &directory.path().join("ledger.db")).await;
    let (place, farm, lab) =
        (Place::new(&ground).await, Place::new(&ground).await, Place::new(&ground).await);
    grant(&ground, &place.namespace);
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    assert_eq!(finalizers(&place).await, [""; 0], "none without copies");

    // Without consent: a condition with the command, and the rest goes on.
    place.apply(&copied_to(&[&farm.namespace, &lab.namespace])).await;
    let told = message(&place, "NamespaceNotGranted").await;
    assert!(
        told.contains(&format!("kubectl create rolebinding usher-documents -n {} ", farm.namespace)),
        "{told}"
    );
    let original = place.secret("cad-license").await;
    assert_eq!(finalizers(&place).await, [""; 0], "no copy, no finalizer");
    grant(&ground, &farm.namespace);
    let copy = farm.secret("cad-license").await;
    assert_eq!((&copy.data, &copy.type_), (&original.data, &original.type_));
    assert!(copy.owner_references().is_empty());
    assert_eq!(copy.labels()["usher.dev/license-namespace"], place.namespace);
    finalized(&place, true).await;
    let told = message(&place, "NamespaceNotGranted").await;
    assert!(told.contains(&lab.namespace), "{told}");
    grant(&ground, &lab.namespace);
    lab.secret("cad-license").await;
    place.license_says("cad", "Issued").await;

    // Repaired to the byte: edited, stripped of its labels, deleted.
    let same = |secret: &Secret| secret.data == copy.data && secret.metadata.labels == copy.metadata.labels;
    for edit in [json!({"data": {"license.jws": "Zm9yZ2Vk"}}), json!({"metadata": {"labels": null}})] {
        farm.secrets.patch("cad-license", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        wait_for(&farm.secrets, "cad-license", "is as before", same).await;
    }
    farm.secrets.delete("cad-license", &DeleteParams::default()).await.unwrap();
    wait_for(&farm.secrets, "cad-license", "is as before", same).await;

    // An entry goes, a namespace goes, the consent goes, the License goes.
    place.apply(&copied_to(&[&lab.namespace])).await;
    farm.no_secret("cad-license").await;
    place.apply(&license(1)).await;
    lab.no_secret("cad-license").await;
    finalized(&place, false).await;
    place.apply(&copied_to(&[&farm.namespace, &lab.namespace])).await;
    lab.secret("cad-license").await;
    farm.secret("cad-license").await;
    delete_namespace(&lab).await;
    goes(&lab).await;
    assert!(message(&place, "NamespaceNotGranted").await.contains("there is no namespace"));
    revoke(&ground, &farm.namespace);
    let told = message(&place, "NamespaceNotGranted").await;
    until("the consent is gone", async || {
        message(&place, "NamespaceNotGranted").await.contains("create rolebinding").then_some(())
    })
    .await;
    assert!(!told.is_empty());
    place.delete_license("cad").await;
    until("nobody holds up the License", async || {
        place.licenses.get_opt("cad").await.unwrap().is_none().then_some(())
    })
    .await;
    farm.secret("cad-license").await;
    grant(&ground, &farm.namespace);
    farm.no_secret("cad-license").await;
    assert_nothing_was_forbidden(&ground);
    operator.stop().await;
}

#[tokio::test]
async fn a_copy_never_takes_the_place_of_a_secret_that_is_not_ours() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let operator = start(&ground, &directory.path().join("ledger.db")).await;
    let (place, farm) = (Place::new(&ground).await, Place::new(&ground).await);
    grant(&ground, &place.namespace);
    grant(&ground, &farm.namespace);
    farm.apply(&json!({"kind": "Secret", "metadata": {"name": "cad-license"}, "stringData": {"a": "b"}}))
        .await;
    let before = farm.secret("cad-license").await;
    place.apply(&copied_to(&[&farm.namespace])).await;
    let told = message(&place, "SecretNameTaken").await;
    assert!(told.contains(&format!("{}/cad-license", farm.namespace)), "{told}");
    place.secret("cad-license").await;
    // Nor that of another License.
    let other = with(copied_to(&[&farm.namespace]), &json!({"spec": {"secret": {"name": "other"}}}));
    farm.apply(&with(license(1), &json!({"spec": {"secret": {"name": "other"}}}))).await;
    farm.license_says("cad", "Issued").await;
    place.apply(&other).await;
    let told = until("it says so", async || {
        let told = message(&place, "SecretNameTaken").await;
        told.contains(&format!("{}/other", farm.namespace)).then_some(told)
    })
    .await;
    assert!(told.contains("belongs to another License"), "{told}");
    assert_eq!(farm.secret("cad-license").await.data, before.data, "not a byte");
    place.delete_license("cad").await;
    until("it goes", async || place.licenses.get_opt("cad").await.unwrap().is_none().then_some(())).await;
    farm.secret("other").await;
    assert_eq!(farm.secret("cad-license").await.data, before.data);
    assert_nothing_was_forbidden(&ground);
    operator.stop().await;
}

#[tokio::test]
async fn with_usher_stopped_a_namespace_goes_unless_it_has_copies_and_then_goes_when_usher_returns() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let operator = start(&ground, &ledger).await;
    let (plain, copied, lifted, farm) = (
        Place::new(&ground).await,
        Place::new(&ground).await,
        Place::new(&ground).await,
        Place::new(&ground).await,
    );
    for place in [&plain, &copied, &lifted, &farm] {
        grant(&ground, &place.namespace);
    }
    plain.apply(&license(1)).await;
    for (place, name) in [(&copied, "of-copied"), (&lifted, "of-lifted")] {
        place.apply(&with(copied_to(&[&farm.namespace]), &json!({"spec": {"secret": {"name": name}}}))).await;
        farm.secret(name).await;
    }
    for place in [&plain, &copied, &lifted] {
        place.license_says("cad", "Issued").await;
    }
    operator.stop().await;

    for place in [&plain, &copied, &lifted] {
        delete_namespace(place).await;
    }
    goes(&plain).await;
    for place in [&copied, &lifted] {
        wait_for(&place.licenses, "cad", "waits", |license| license.metadata.deletion_timestamp.is_some())
            .await;
    }

    // Whoever gets rid of Usher lifts the finalizers.
    let uninstall = |yes: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_usher"))
            .args(["uninstall", "-n", &lifted.namespace])
            .args(yes)
            .env("KUBECONFIG", ground.kubeconfig())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = uninstall(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{}/cad", lifted.namespace)) && said.contains("--yes"), "{said}");
    assert_eq!(finalizers(&lifted).await, ["usher.dev/copies"], "it only says what it will do");
    let (code, said) = uninstall(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    goes(&lifted).await;

    let operator = start(&ground, &ledger).await;
    goes(&copied).await;
    farm.no_secret("of-copied").await;
    // The ledger knows what the License cannot tell any more.
    farm.no_secret("of-lifted").await;
    operator.stop().await;
    let ledger = until("the ledger is free", async || Sqlite::open(&ledger).await.ok()).await;
    assert_eq!(ledger.licenses().await.unwrap(), []);
    assert_nothing_was_forbidden(&ground);
}
