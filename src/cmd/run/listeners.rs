//! What `usher run` serves, and by which certificate.
//!
//! Its own, under its own CA; or, for programs and people, the one of a Secret that somebody else writes. Until that is there, and while what
//! lies there is not fit, the last good one is served: at first its own.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use kube::Client;
use tokio::sync::watch;
use tracing::{error, info};

use super::Args;
use crate::{
    cluster::{ca, given, metrics::Metrics},
    cmd::Failure,
    http::{self, Router},
    keys::tls::{self, Pem},
    service::edge::Edge,
};

/// Listeners, and their certificates, which are changed while they serve.
pub(super) struct Listeners {
    ca: Pem,
    names: Vec<String>,
    /// What operates Usher is served by its own one.
    own: RustlsConfig,
    /// What programs and people ask.
    main: RustlsConfig,
    /// The name of the Secret from which that one is to be.
    secret: Option<String>,
    is_certified: Arc<AtomicBool>,
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
        let ca = ca::keep(client, &args.namespace, tls::make_ca(edge.now())?).await?;
        let names = names(args);
        let tls = http::serve::tls(&tls::make_certificate(&ca, &names, edge.now())?)?;
        let own = RustlsConfig::from_config(tls.clone());
        let secret = args.tls_secret.clone();
        let main = if secret.is_some() { RustlsConfig::from_config(tls) } else { own.clone() };
        let is_certified = Arc::new(AtomicBool::new(secret.is_none()));
        Ok(Self { ca, names, own, main, secret, is_certified, stopped })
    }

    /// Serves what operates Usher until we are told to stop.
    pub(super) async fn operate(&self, address: SocketAddr, router: Router) -> Result<(), Failure> {
        self.serve(address, router, &self.own).await
    }

    /// Serves programs and people until we are told to stop.
    pub(super) async fn answer(&self, address: SocketAddr, router: Router) -> Result<(), Failure> {
        self.serve(address, router, &self.main).await
    }

    async fn serve(&self, address: SocketAddr, router: Router, tls: &RustlsConfig) -> Result<(), Failure> {
        let server = http::serve::serve(address, router, tls.clone(), Handle::new(), self.stopped.clone());
        server.await.map_err(|error| format!("cannot listen on {address}: {error}").into())
    }

    /// Becomes true once programs and people are served by the certificate that they are to be.
    pub(super) fn is_certified(&self) -> Arc<AtomicBool> {
        self.is_certified.clone()
    }

    /// Takes over what the Secret holds, whenever that changes.
    pub(super) async fn follow(&self, client: &Client, namespace: &str) -> Infallible {
        let Some(secret) = &self.secret else { std::future::pending().await };
        given::follow(client, namespace, secret, |found| {
            let fit = found.map_err(Failure::from).and_then(|pem| Ok(http::serve::tls(&pem)?));
            match fit {
                Ok(tls) => {
                    self.main.reload_from_config(tls);
                    self.is_certified.store(true, Ordering::SeqCst);
                    info!(secret, "its certificate is served from now on");
                }
                Err(why) => error!(
                    secret,
                    error = &*why as &dyn std::error::Error,
                    "it has no certificate that can be served: the last good one is"
                ),
            }
        })
        .await
    }

    /// Says it when the CA that is kept is another one; see [`ca::follow`].
    pub(super) async fn follow_ca(
        &self,
        client: &Client,
        args: &Args,
        edge: &dyn Edge,
        metrics: &Metrics,
    ) -> Infallible {
        ca::follow(client, &args.namespace, &self.ca, edge, metrics).await
    }

    /// Makes a new certificate from time to time; ends only by failing.
    pub(super) async fn renew(&self, edge: &dyn Edge) -> Result<(), Failure> {
        loop {
            edge.wait_until(edge.now().checked_add(tls::RENEWAL)?).await;
            let certificate = tls::make_certificate(&self.ca, &self.names, edge.now())?;
            self.own.reload_from_config(http::serve::tls(&certificate)?);
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
