//! A certificate that somebody else makes, in a Secret: served as soon as it is there, and the next one, without a restart.

use ::http::StatusCode;
use kube::{Client, Config, client::Body};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use usher::{
    keys::tls::{Pem, make_ca, make_certificate},
    service::edge::Edge as _,
};

use super::database::{files, operations};
use crate::ground::{
    Ground, Machine,
    process::{Usher, free_port},
    until,
};

/// A CA, and a certificate under it, as cert-manager would write it.
struct Issued {
    ca: Pem,
    certificate: Pem,
}

fn issued() -> Issued {
    let ca = make_ca(Machine.now()).unwrap();
    let certificate = make_certificate(&ca, &["localhost".into()], Machine.now()).unwrap();
    Issued { ca, certificate }
}

fn secret(certificate: &str, key: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "usher-tls", "namespace": "usher-system"},
        "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key}})
}

/// Whether whoever trusts this CA alone, and connects anew, is answered.
async fn trusts(ca: &str, port: u16) -> bool {
    let mut config = Config::new(format!("https://localhost:{port}").parse().unwrap());
    config.root_cert = Some(vec![CertificateDer::from_pem_slice(ca.as_bytes()).unwrap().to_vec()]);
    config.default_retry = false;
    let request = ::http::Request::get("/docs").body(Body::empty()).unwrap();
    Client::try_from(config)
        .unwrap()
        .send(request)
        .await
        .is_ok_and(|answer| answer.status() == StatusCode::OK)
}

#[tokio::test]
async fn a_given_certificate_is_served_as_soon_as_it_is_there_and_the_last_good_one_stays() {
    let ground = Ground::own();
    let (directory, kubeconfig) = files(&ground);
    let (port, ops) = (free_port(), free_port());
    let (listen, operations_at) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{ops}"));
    let options = [
        "--secrets-cluster-wide",
        "--tls-secret=usher-tls",
        "--listen",
        &listen,
        "--ops-listen",
        &operations_at,
    ];
    let mut usher = Usher::start(&kubeconfig, &directory.path().join("ledger.db"), &options);
    let readyz = async || operations(&ground, ops, "/readyz").await;
    usher.is_at_work().await;
    let apply = |secret: &Value| {
        let (ok, said) = ground.try_kubectl(&["apply", "-f", "-"], &secret.to_string());
        assert!(ok, "{said}");
    };

    // At first there is none.
    let (status, why) = until("it answers", readyz).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.starts_with("the Secret of --tls-secret has no certificate yet"), "{why}");
    usher.says("there is no such Secret").await;

    let (first, second) = (issued(), issued());
    apply(&secret(&first.certificate.certificate, &first.certificate.key));
    until("the first is served", async || trusts(&first.ca.certificate, port).await.then_some(())).await;
    until("it is ready", async || readyz().await.filter(|(status, _)| *status == StatusCode::OK)).await;
    assert!(!trusts(&second.ca.certificate, port).await);

    apply(&secret(&second.certificate.certificate, &second.certificate.key));
    until("the second is served", async || trusts(&second.ca.certificate, port).await.then_some(())).await;
    assert!(!trusts(&first.ca.certificate, port).await, "new connections meet the new one only");

    // Neither what is broken nor what is gone takes it away.
    apply(&secret(&first.certificate.certificate, &second.certificate.key));
    usher.says("keys may not be consistent").await;
    apply(&secret("no certificate", &first.certificate.key));
    usher.says("has no certificate that can be served").await;
    ground.kubectl(&["delete", "secret", "usher-tls", "-n", "usher-system"]);
    usher.says("there is no such Secret").await;
    assert!(trusts(&second.ca.certificate, port).await);
    assert_eq!(readyz().await.unwrap().0, StatusCode::OK);

    // What comes after that is taken over.
    apply(&secret(&first.certificate.certificate, &first.certificate.key));
    until("the first is served again", async || trusts(&first.ca.certificate, port).await.then_some(()))
        .await;
}
