//! An issuer that a test may stop, and start again: it publishes what it is and a key, and signs nobody in.

use std::net::SocketAddr;

use axum::{Json, Router, routing::get};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use serde_json::{Value, json};
use usher::{
    http,
    keys::tls::{Pem, make_ca, make_certificate},
    service::edge::Edge as _,
};

use super::Machine;

/// One that is somewhere on this machine, at work or not.
pub struct Issuer {
    ca: Pem,
    address: SocketAddr,
    handle: Handle<SocketAddr>,
}

impl Issuer {
    /// One that is at work.
    pub async fn start() -> Self {
        let ca = make_ca(Machine.now()).unwrap();
        let mut issuer = Self { ca, address: "127.0.0.1:0".parse().unwrap(), handle: Handle::new() };
        issuer.serve(&["a"]).await;
        issuer
    }

    /// How it is known: with the slash at its end.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/", self.address.port())
    }

    /// What its TLS is verified with.
    pub fn ca(&self) -> &str {
        &self.ca.certificate
    }

    /// Nobody hears from it any more.
    pub fn stop(&self) {
        self.handle.shutdown();
    }

    /// It is at work again, where it was, with these keys.
    pub async fn serve(&mut self, keys: &[&str]) {
        self.listen(|issuer| issuer.router(keys)).await;
    }

    /// It is at work, where it was, and says this of itself at `saml`.
    pub async fn describe(&mut self, description: String) {
        self.listen(|_| Router::new().route("/saml", get(|| async move { description }))).await;
    }

    async fn listen(&mut self, router: impl FnOnce(&Self) -> Router) {
        // It may have been told to stop just now.
        let bound = async || std::net::TcpListener::bind(self.address).ok();
        let listener = super::until("its address is free", bound).await;
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        self.handle = Handle::new();
        let certificate = make_certificate(&self.ca, &["localhost".into()], Machine.now()).unwrap();
        let tls = RustlsConfig::from_config(http::serve::tls(&certificate).unwrap());
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap().handle(self.handle.clone());
        tokio::spawn(server.serve(router(self).into_make_service()));
        self.handle.listening().await.expect("it listens");
    }

    fn router(&self, keys: &[&str]) -> Router {
        let url = self.url();
        let metadata = json!({
            "issuer": url, "authorization_endpoint": format!("{url}auth"), "token_endpoint": format!("{url}token"),
            "jwks_uri": format!("{url}keys"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
        });
        let keys: Vec<Value> = keys.iter().map(|kid| {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
        }).collect();
        Router::new()
            .route("/.well-known/openid-configuration", get(|| async move { Json(metadata) }))
            .route("/keys", get(|| async move { Json(json!({ "keys": keys })) }))
    }
}
