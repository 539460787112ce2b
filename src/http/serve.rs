//! Listening: TLS 1.3 and 1.2, with a certificate that is changed while connections go on.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::sync::watch;

use crate::keys::tls::Pem;

/// How long open connections may go on once the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// A certificate as the TLS library wants it.
///
/// # Errors
/// When it is not one.
pub fn tls(pem: &Pem) -> io::Result<Arc<ServerConfig>> {
    let certificate = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves `router` at `address` until `stop` says so.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    tls: RustlsConfig,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let handle = Handle::new();
    let stopping = handle.clone();
    let server = axum_server::bind_rustls(address, tls).handle(handle).serve(router.into_make_service());
    let stopper = async {
        // A dropped sender means that the program ends: as good as being told.
        let _ = stop.wait_for(|stop| *stop).await;
        stopping.graceful_shutdown(Some(GRACE));
    };
    let (served, ()) = tokio::join!(server, stopper);
    served
}
