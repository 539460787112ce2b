//! `POST /v1/activations/{id}/state`: how an activation stands, by whoever has its last nonce.

use axum::{
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::ok;
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

pub(in crate::http::routes) async fn state<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(&headers, body).await?;
    ok(api.runtime.present(&id, nonce(&headers)?, Operation::State, &taken.asked()).await?)
}
