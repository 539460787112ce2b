//! `POST /v1/sessions`: a session is opened.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;

use crate::{
    http::{
        problem::Problem,
        routes::{Api, reply, request::Taken},
    },
    service::activations::Activations,
};

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The activation that uses it.
    activation: String,
}

pub(in crate::http::routes) async fn open<L: Activations>(
    State(api): State<Api<L>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(&headers, body).await?;
    let Request { activation } = taken.json()?;
    let answer = api.runtime.open_session(&activation, &taken.asked()).await?;
    Ok(reply::json(StatusCode::CREATED, answer))
}
