//! The database is away: at the start, and from the one who leads.

use std::path::PathBuf;

use ::http::{Request, StatusCode};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use kube::{Api, Client, Config, client::Body};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::replicas::start;
use crate::ground::{
    Ground,
    cable::Cable,
    postgres::{database, read_only},
    process::{Usher, free_port, kubeconfig_beside},
    until, wait_for,
};

/// Asks the operations listener; nothing if it does not listen.
pub(super) async fn operations(ground: &Ground, port: u16, path: &str) -> Option<(StatusCode, String)> {
    let maps: Api<ConfigMap> = Api::namespaced(ground.admin().await, "usher-system");
    let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let mut config = Config::new(format!("https://localhost:{port}").parse().unwrap());
    config.root_cert = Some(vec![CertificateDer::from_pem_slice(ca.as_bytes()).unwrap().to_vec()]);
    config.default_retry = false;
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = Client::try_from(config).unwrap().send(request).await.ok()?;
    let status = answer.status();
    let body = answer.into_body().collect_bytes().await.ok()?;
    Some((status, String::from_utf8(body.to_vec()).unwrap()))
}

pub(super) fn files(ground: &Ground) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_beside(&directory.path().join("ledger"), ground);
    (directory, kubeconfig)
}

#[tokio::test]
async fn while_the_database_is_away_at_the_start_usher_lives_is_not_ready_and_says_why() {
    let ground = Ground::own();
    let (_directory, kubeconfig) = files(&ground);
    let cable = Cable::to(&database().await, false).await;
    let (port, listen) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let operations_at = format!("127.0.0.1:{port}");
    let options =
        ["--secrets-cluster-wide", "--name", "one", "--listen", &listen, "--ops-listen", &operations_at];
    let mut usher = Usher::start(&kubeconfig, std::path::Path::new(&cable.url), &options);

    let healthy = until("it listens", async || operations(&ground, port, "/healthz").await).await;
    assert_eq!(healthy, (StatusCode::OK, "ok\n".into()));
    let (status, why) = operations(&ground, port, "/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.starts_with("the ledger is not open yet: is the database there?"), "{why}");

    cable.plug();
    usher.is_at_work().await;
    until("it is ready", async || {
        operations(&ground, port, "/readyz").await.filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;
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

#[tokio::test]
async fn a_leader_whose_database_takes_no_writes_gives_the_lead_up_until_it_does() {
    let ground = Ground::own();
    let (_directory, kubeconfig) = files(&ground);
    let url = database().await;
    let mut usher = start(&kubeconfig, &url, "first", free_port());
    usher.is_at_work().await;
    let leases: Api<Lease> = Api::namespaced(ground.admin().await, "usher-system");
    let leads = async || {
        let holder = leases.get("usher").await.unwrap().spec.unwrap().holder_identity;
        holder.is_some_and(|holder| holder.starts_with("first_"))
    };
    assert!(leads().await);
    read_only(&url, true).await;
    until("the lead is given up", async || (!leads().await).then_some(())).await;
    read_only(&url, false).await;
    until("it leads again", async || leads().await.then_some(())).await;
}
