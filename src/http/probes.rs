//! What `usher agent` tells of itself, for probes and for people.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 while the license lets its program run, else 503 with the reason |
//! | `/status` | how it stands, as JSON; 200 in any case |

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

/// How it stands.
#[derive(Debug, Clone)]
pub struct Stands {
    /// Whether the program may run, or what keeps it from that.
    pub may_run: Result<(), String>,
    /// All of it, as JSON.
    pub json: String,
}

/// Asks how it stands.
pub type Ask = Arc<dyn Fn() -> Stands + Send + Sync>;

/// The listener of an agent.
pub fn probes(ask: Ask) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(ask)
}

async fn readyz(State(ask): State<Ask>) -> (StatusCode, String) {
    match ask().may_run {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn status(State(ask): State<Ask>) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, ask().json)
}
