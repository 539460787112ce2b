//! `usher uninstall`, on the day when Usher goes for good.

use std::process::Command;

use serde_json::json;

use super::{
    copies::{copied_to, delete_namespace, finalizers, granted, namespace_is_gone, run_told},
    with,
};
use crate::ground::{Ground, Operator};

#[tokio::test]
async fn after_usher_uninstall_nothing_waits_for_usher_and_it_says_what_stays() {
    let ground = Ground::narrow();
    let directory = tempfile::tempdir().unwrap();
    let operator = Operator::start_narrow(&ground, &directory.path().join("ledger.db")).await;
    let (place, other, farm) = (granted(&ground).await, granted(&ground).await, granted(&ground).await);
    for (there, name) in [(&place, "of-place"), (&other, "of-other")] {
        there.apply(&with(copied_to(&[&farm]), &json!({"spec": {"secret": {"name": name}}}))).await;
        farm.secret(name).await;
        there.license_says("cad", "Issued").await;
    }
    operator.stop().await;
    let uninstall = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command.arg("uninstall").args(arguments).env("KUBECONFIG", ground.kubeconfig());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };

    let only = ["-n", &place.namespace];
    let (code, said) = uninstall(&only);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{}/cad", place.namespace)) && said.contains("--yes"), "{said}");
    assert!(!said.contains(&other.namespace), "{said}");
    assert_eq!(finalizers(&place).await, ["usher.dev/copies"], "it only says what it will do");
    let (code, said) = uninstall(&[&only[..], &["--yes"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(finalizers(&place).await, [""; 0]);
    assert_eq!(finalizers(&other).await, ["usher.dev/copies"], "of the namespace that was named only");
    farm.secret("of-place").await;
    let told = said.lines().find(|line| line.contains("to delete them: kubectl")).unwrap();
    run_told(&ground, &told.replace("delete them: ", "delete them with: "));
    farm.no_secret("of-place").await;
    farm.secret("of-other").await;
    delete_namespace(&place).await;
    namespace_is_gone(&place).await;

    let (code, said) = uninstall(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    ground.kubectl(&["delete", "-f", "crds/", "--timeout=60s"]);
    delete_namespace(&other).await;
    namespace_is_gone(&other).await;
    let (code, said) = uninstall(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no License") && said.contains(&format!("{}/of-other", farm.namespace)), "{said}");
}
