//! `DELETE /v1/sessions/{id}`: a session is closed.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};

use crate::{
    http::{
        problem::Problem,
        routes::{Api, request::credential},
    },
    service::activations::Activations,
};

pub(in crate::http::routes) async fn close<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let token = credential(&headers)?;
    api.runtime.close_session(&id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
