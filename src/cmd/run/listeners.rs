//! What `usher run` serves, and by which certificate.

use std::net::SocketAddr;

use axum_server::{Handle, tls_rustls::RustlsConfig};
use kube::Client;
use tokio::sync::watch;

use super::Args;
use crate::{
    cluster::ca,
    cmd::Failure,
    http::{self, Router},
    keys::tls::{self, Pem},
    service::edge::Edge,
};

/// Listeners of one certificate, which is made anew from time to time.
pub(super) struct Listeners {
    ca: Pem,
    names: Vec<String>,
    tls: RustlsConfig,
    stopped: watch::Receiver<bool>,
}

impl Listeners {
    /// Finds the CA, or makes it, and makes a certificate.
    pub(super) async fn new(
        client: &Client,
        args: &Args,
        edge: &dyn Edge,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let ca = ca::keep(client, &args.namespace, &tls::make_ca(edge.now())?).await?;
        let names = names(args);
        let tls = http::serve::tls(&tls::make_certificate(&ca, &names, edge.now())?)?;
        Ok(Self { ca, names, tls: RustlsConfig::from_config(tls), stopped })
    }

    /// Serves until we are told to stop.
    pub(super) async fn serve(&self, address: SocketAddr, router: Router) -> Result<(), Failure> {
        let server =
            http::serve::serve(address, router, self.tls.clone(), Handle::new(), self.stopped.clone());
        server.await.map_err(|error| format!("cannot listen on {address}: {error}").into())
    }

    /// Makes a new certificate from time to time; ends only by failing.
    pub(super) async fn renew(&self, edge: &dyn Edge) -> Result<(), Failure> {
        loop {
            edge.wait_until(edge.now().checked_add(tls::RENEWAL)?).await;
            let certificate = tls::make_certificate(&self.ca, &self.names, edge.now())?;
            self.tls.reload_from_config(http::serve::tls(&certificate)?);
        }
    }
}

/// What this server is called by whoever reaches it directly.
pub(super) fn names(args: &Args) -> Vec<String> {
    let service = format!("usher.{}.svc", args.namespace);
    let own =
        ["localhost".into(), "127.0.0.1".into(), "::1".into(), format!("{service}.cluster.local"), service];
    own.into_iter().chain(args.tls_names.iter().cloned()).collect()
}
