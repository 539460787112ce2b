//! Activations, one call a file.

mod activate;
mod check;
mod deactivate;
mod present;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use serde_json::{Map, Value};

pub(super) use activate::activate;
pub(super) use check::check;
pub(super) use deactivate::deactivate;
pub(super) use present::{refresh, state};

use super::reply;
use crate::{domain::refusal::Code, http::problem::Problem, service::activations::Reply};

const NONCE: HeaderName = HeaderName::from_static("n-nonce");

/// A reply as it is sent.
fn sent(status: StatusCode, nonce: &str, body: String) -> Result<Response, Problem> {
    let mut response = reply::json(status, body);
    response.headers_mut().insert(NONCE, HeaderValue::from_str(nonce).map_err(|_| Code::Unavailable)?);
    Ok(response)
}

/// The reply to a call that has begun an activation.
fn begun(reply: &Reply) -> Result<Response, Problem> {
    // The token is in no record, so it is put in here, each time anew and always the same.
    let mut answer: Map<String, Value> = serde_json::from_str(&reply.body).map_err(|_| Code::Unavailable)?;
    if let Some(token) = &reply.token {
        answer.insert("activation_token".to_owned(), Value::from(token.as_str()));
    }
    sent(StatusCode::CREATED, &reply.nonce, Value::from(answer).to_string())
}

fn ok(reply: Reply) -> Result<Response, Problem> {
    sent(StatusCode::OK, &reply.nonce, reply.body)
}
