//! `POST /v1/sessions/{id}/heartbeat`: a session is kept open.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use crate::{
    http::{
        problem::Problem,
        routes::{Api, reply, request::credential},
    },
    service::activations::Activations,
};

pub(in crate::http::routes) async fn heartbeat<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = credential(&headers)?;
    Ok(reply::json(StatusCode::OK, api.runtime.keep_session(&id, token).await?))
}
