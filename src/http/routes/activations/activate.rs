//! `POST /v1/activations`: an installation is bound to a place.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::sent;
use crate::{
    domain::refusal::Code,
    http::{
        problem::Problem,
        routes::{Api, request::Taken},
    },
    service::activations::{Activations, Device, Wish},
};

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The License: namespace/name.
    license: String,
    /// On what.
    device: Device,
}

pub(in crate::http::routes) async fn activate<L: Activations>(
    State(api): State<Api<L>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(&headers, body).await?;
    let Request { license, device } = taken.json()?;
    let reply = api.runtime.activate(&taken.asked(), &Wish { license, device }).await?;
    // The token is in no record, so it is put in here, each time anew and always the same.
    let mut answer: Map<String, Value> = serde_json::from_str(&reply.body).map_err(|_| Code::Unavailable)?;
    if let Some(token) = reply.token {
        answer.insert("activation_token".to_owned(), Value::from(token.as_str()));
    }
    sent(StatusCode::CREATED, &reply.nonce, Value::from(answer).to_string())
}
