//! Listening: TLS 1.3 and 1.2, with a certificate that is changed while connections go on.
//!
//! Whoever reaches the port may connect, so what a stranger can cost is bounded by [`Limits`]: how many connections there are,
//! how long each may take to say something, and how much it may say. A connection too many is closed at once.

mod connections;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::sync::watch;

use crate::keys::tls::Pem;
use connections::AtMost;

/// How long open connections may go on once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// The most that is kept of what a connection says before it is understood, in bytes: a request here is a line, a few headers and a small body.
const BUFFER: usize = 16 * 1024;
/// The same for HTTP/2: the headers of one request.
const HEADERS: u32 = 16 * 1024;
/// How many requests an HTTP/2 connection may have under way.
const STREAMS: u32 = 16;
/// How much of a body is taken in before somebody reads it, in bytes.
const WINDOW: u32 = 64 * 1024;
/// How often an HTTP/2 connection that is silent is asked whether it is there.
const ASK: Duration = Duration::from_secs(30);

/// What strangers may cost, for each listener. With the bounds above, 512 connections come to some 50 MB at worst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many connections there are at once.
    pub(super) connections: usize,
    /// How long a handshake may take; and a request, from its first byte to the end of its headers.
    pub(super) patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 512, patience: Duration::from_secs(10) }
    }
}

/// A certificate, with those between it and its root, as the TLS library wants it.
///
/// # Errors
/// When it is not one, or the key is another's.
pub fn tls(pem: &Pem) -> io::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(pem.certificate.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain.map_err(io::Error::other)?, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves `router` at `address` until `stop` says so; `handle` knows the address that it has in the end.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    tls: RustlsConfig,
    handle: Handle<SocketAddr>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    serve_within(Limits::default(), address, router, tls, handle, stop).await
}

async fn serve_within(
    limits: Limits,
    address: SocketAddr,
    router: Router,
    tls: RustlsConfig,
    handle: Handle<SocketAddr>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let counted = RustlsAcceptor::new(tls)
        .handshake_timeout(limits.patience)
        .acceptor(AtMost::connections(limits.connections));
    let server = bounded(axum_server::bind(address).acceptor(counted), limits).handle(handle.clone());
    let stopper = async {
        // A dropped sender means that the program ends: as good as being told.
        let _ = stop.wait_for(|stop| *stop).await;
        handle.graceful_shutdown(Some(GRACE));
    };
    let (served, ()) =
        tokio::join!(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()), stopper);
    served
}

/// Serves `router` at `address`, which is one of this machine's own, without TLS, until it is dropped.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve_here(address: SocketAddr, router: Router) -> io::Result<()> {
    let limits = Limits::default();
    let counted = AtMost::connections(limits.connections);
    bounded(axum_server::bind(address).acceptor(counted), limits).serve(router.into_make_service()).await
}

/// The server, with bounds on what a stranger can cost.
fn bounded<A>(server: Server<SocketAddr, A>, limits: Limits) -> Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(limits.patience);
    let http = server.http_builder();
    http.http1().header_read_timeout(limits.patience).max_buf_size(BUFFER);
    http.http2()
        .max_header_list_size(HEADERS)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(ASK)
        .keep_alive_timeout(limits.patience);
    server
}
