//! `DELETE /v1/activations/{id}`: the place is free again. No nonce is needed.

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

pub(in crate::http::routes) async fn deactivate<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let token = credential(&headers)?;
    api.runtime.deactivate(&id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
