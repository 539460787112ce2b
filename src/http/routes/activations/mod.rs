//! Activations, one call a file.

mod activate;
mod check;
mod deactivate;
mod present;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};

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

fn ok(reply: Reply) -> Result<Response, Problem> {
    sent(StatusCode::OK, &reply.nonce, reply.body)
}
