//! HTTPS: the published keys, and what operates Usher.
//!
//! | listener | path | answers |
//! |---|---|---|
//! | main | `<path of the issuer>/jwks.json` | the JWK set of an Authority (RFC 7517) |
//! | main | `/v1/…` | the runtime API ([`routes`]) |
//! | main | `/docs` | the runtime API for people to read ([`docs`]) |
//! | main | `/.well-known/oauth-authorization-server`, `/oauth2/…`, `/signin…`, `/me` | people sign in, and see what is theirs ([`signin`]) |
//! | operations | `/healthz` | 200 while the process lives |
//! | operations | `/readyz` | 200 while everything is listed, the ledger answers and nonces can be made, else 503 with the reason |
//! | operations | `/metrics` | OpenMetrics |
//! | an agent's | `/healthz`, `/readyz`, `/status` | how `usher agent` stands ([`probes`]) |

mod docs;
mod openapi;
mod pace;
mod page;
mod possession;
mod probes;
mod problem;
mod routes;
pub mod serve;
mod signin;

use std::sync::Arc;

pub use axum::Router;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::BoxFuture;
pub use pace::Pace;
pub use probes::{Stands, probes};
pub use routes::{Bounds, document};

use crate::{
    keys::Published,
    service::{
        activations::{Activations, Runtime},
        edge::Edge,
        sign_in::SignIn,
    },
};

/// The listener for programs.
pub fn main<L: Activations>(
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
    published: Arc<Published>,
    sign_in: Option<Arc<SignIn<L>>>,
    bounds: Bounds,
) -> Router {
    let origin = sign_in.as_ref().map(|sign_in| sign_in.home().origin());
    let people = sign_in.map(|sign_in| signin::router(sign_in, runtime.clone(), edge.clone()));
    let contract = routes::description();
    routes::v1(runtime, edge, bounds, &contract, origin)
        .merge(docs::router(&contract))
        .merge(people.unwrap_or_default())
        .merge(keys(published))
}

/// The published keys.
fn keys(published: Arc<Published>) -> Router {
    Router::new().fallback(get(jwks)).with_state(published)
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

/// Asks whether programs can be answered, or what keeps them from it.
pub type Answers = Arc<dyn Fn() -> BoxFuture<'static, Result<(), &'static str>> + Send + Sync>;

/// What the operations listener tells.
#[derive(Clone)]
pub struct Operations {
    /// Whether programs can be answered.
    pub answers: Answers,
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
    match (operations.answers)().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn metrics(State(operations): State<Operations>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], (operations.metrics)())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: Router, path: &str) -> (StatusCode, String) {
        let request =
            Request::get(path).header(header::HOST, "usher.acme.example").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn keys_are_served_where_their_issuer_says_and_nothing_elsewhere() {
        let published = Arc::new(Published::default());
        published.publish("default", &"https://usher.acme.example/a/default".parse().unwrap(), "{}");
        let router = keys(published);
        assert_eq!(ask(router.clone(), "/a/default/jwks.json").await, (StatusCode::OK, "{}".into()));
        assert_eq!(ask(router, "/a/other/jwks.json").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn keys_are_for_reading_and_no_other_method_is_answered() {
        let published = Arc::new(Published::default());
        published.publish("default", &"https://usher.acme.example/a/default".parse().unwrap(), "{}");
        let router = keys(published);
        let status = async |method: &str| {
            let request =
                Request::builder().method(method).uri("https://usher.acme.example/a/default/jwks.json");
            router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
        };
        for method in ["GET", "HEAD"] {
            assert_eq!(status(method).await, StatusCode::OK, "{method}");
        }
        for method in ["TRACE", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"] {
            assert_eq!(status(method).await, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        }
    }

    #[tokio::test]
    async fn readiness_says_what_it_waits_for_and_health_waits_for_nothing() {
        let (ledger, is_there) = watch::channel(false);
        let answers: Answers = Arc::new(move || {
            let is_there = *is_there.borrow();
            Box::pin(async move { if is_there { Ok(()) } else { Err("the ledger does not answer\n") } })
        });
        let metrics = Arc::new(|| "# EOF\n".into());
        let router = operations(Operations { answers, metrics });
        assert_eq!(ask(router.clone(), "/healthz").await, (StatusCode::OK, "ok\n".into()));
        let away = (StatusCode::SERVICE_UNAVAILABLE, "the ledger does not answer\n".into());
        assert_eq!(ask(router.clone(), "/readyz").await, away);
        ledger.send_replace(true);
        assert_eq!(ask(router.clone(), "/readyz").await, (StatusCode::OK, "ok\n".into()));
        assert_eq!(ask(router, "/metrics").await, (StatusCode::OK, "# EOF\n".into()));
    }
}
