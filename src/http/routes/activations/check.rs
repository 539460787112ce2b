//! `GET /v1/activations/{id}`: whether a nonce is the one to use next, which is not used by this; an administrator needs none, and sees how
//! the activation stands.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::ok;
use crate::{
    domain::refusal::Code,
    http::{
        problem::Problem,
        routes::{
            Api, reply,
            request::{credential, nonce},
        },
    },
    service::activations::Activations,
};

pub(in crate::http::routes) async fn check<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = credential(&headers)?;
    if let Some(seen) = api.runtime.seen_by_administrator(&id, token).await? {
        let json = serde_json::to_string(&seen).map_err(|_| Code::Unavailable)?;
        return Ok(reply::json(StatusCode::OK, json));
    }
    ok(api.runtime.check(&id, nonce(&headers)?, token).await?)
}
