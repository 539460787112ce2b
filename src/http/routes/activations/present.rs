//! `POST /v1/activations/{id}/state` and `…/refresh`: what takes the last nonce, and gives the next one.

use axum::{
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{begun, ok};
use crate::{
    domain::chain::Operation,
    http::{
        problem::Problem,
        routes::{
            Api,
            request::{Taken, nonce},
        },
    },
    service::activations::Activations,
};

/// How the activation stands.
pub(in crate::http::routes) async fn state<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    present(&api, &id, Operation::State, &headers, body).await
}

/// A new document.
pub(in crate::http::routes) async fn refresh<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    present(&api, &id, Operation::Refresh, &headers, body).await
}

async fn present<L: Activations>(
    api: &Api<L>,
    id: &str,
    operation: Operation,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(headers, body).await?;
    let reply = api.runtime.present(id, nonce(headers)?, operation, &taken.asked()).await?;
    // A copy was given an activation of its own.
    if reply.token.is_some() { begun(&reply) } else { ok(reply) }
}
