//! The database is away from the one who leads.

use std::path::PathBuf;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::replicas::{free_port, start};
use crate::ground::{Ground, cable::Cable, postgres::database, process::kubeconfig_beside, until};

fn files(ground: &Ground) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), ground);
    (directory, kubeconfig)
}

#[tokio::test]
async fn a_leader_that_is_cut_off_from_the_database_lets_another_lead() {
    let ground = Ground::own();
    let (_directory, kubeconfig) = files(&ground);
    let url = database().await;
    let cable = Cable::to(&url, true).await;
    let mut first = start(&kubeconfig, &cable.url, "first", free_port());
    first.is_at_work().await;
    let mut second = start(&kubeconfig, &url, "second", free_port());
    let leases: Api<Lease> = Api::namespaced(ground.admin().await, "usher-system");
    let holder = async || leases.get("usher").await.unwrap().spec.unwrap().holder_identity;
    assert!(holder().await.unwrap().starts_with("first_"));

    cable.pull();
    second.is_at_work().await;
    assert!(holder().await.unwrap().starts_with("second_"));
    // Once it reaches the database again, it follows, and leads in its turn.
    cable.plug();
    second.kill();
    until("the first leads again", async || {
        holder().await.is_some_and(|holder| holder.starts_with("first_")).then_some(())
    })
    .await;
}
