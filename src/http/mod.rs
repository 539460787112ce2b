//! HTTPS: the published keys, and what operates Usher.
//!
//! | listener | path | answers |
//! |---|---|---|
//! | main | `<path of the issuer>/jwks.json` | the JWK set of an Authority (RFC 7517) |
//! | operations | `/healthz` | 200 while the process lives |
//! | operations | `/readyz` | 200 once everything is listed, else 503 with the reason |
//! | operations | `/metrics` | OpenMetrics |

pub mod serve;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::watch;

use crate::keys::Published;

/// The main listener.
pub fn main(published: Arc<Published>) -> Router {
    Router::new().fallback(jwks).with_state(published)
}

async fn jwks(State(published): State<Arc<Published>>, uri: Uri, headers: HeaderMap) -> Response {
    // HTTP/2 has the host in the URI, HTTP/1.1 in a header.
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(Authority::as_str).or(header);
    match published.at(host, uri.path()) {
        Some(jwks) => {
            let headers =
                [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=300")];
            (headers, jwks).into_response()
        }
        None => {
            (StatusCode::NOT_FOUND, "nothing is here; keys are at <issuer>/jwks.json of each Authority\n")
                .into_response()
        }
    }
}

/// What the operations listener tells.
#[derive(Clone)]
pub struct Operations {
    /// Whether everything is listed.
    pub ready: watch::Receiver<bool>,
    /// The metrics, as OpenMetrics text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The operations listener.
pub fn operations(operations: Operations) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(operations)
}

async fn readyz(State(operations): State<Operations>) -> (StatusCode, &'static str) {
    if *operations.ready.borrow() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the cluster is not listed yet: is the API server there, are the CRDs applied?\n",
        )
    }
}

async fn metrics(State(operations): State<Operations>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], (operations.metrics)())
}
