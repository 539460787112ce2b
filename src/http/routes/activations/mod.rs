//! Activations, one call a file.

mod activate;
mod check;
mod deactivate;
mod present;
mod resolve;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use serde_json::{Map, Value};

use activate::ACTIVATED;
pub(super) use activate::{ACTIVATE, activate};
pub(super) use check::{CHECK, check};
pub(super) use deactivate::{DEACTIVATE, deactivate};
pub(super) use present::{REFRESH, STATE, refresh, state};
pub(super) use resolve::{RESOLVE, resolve};

use super::reply;
use crate::{domain::refusal::Code, http::problem::Problem, service::activations::Reply};

/// The activation in a path.
const ID: &[(&str, &str, &str)] = &[("id", "The activation's `id`.", "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10")];

/// An activation of which no document is given.
const EXAMPLE: &str = r#"{"id": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10", "state": "active", "license": "design/cad", "product": "cad",
    "lease": {"renew_at": "2026-11-26T22:00:00Z", "until": "2026-11-27T10:00:00Z", "expires_at": "2026-11-30T10:00:00Z"}}"#;

const NONCE: HeaderName = HeaderName::from_static("n-nonce");

/// A reply as it is sent.
fn sent(status: StatusCode, nonce: &str, body: String) -> Result<Response, Problem> {
    let mut response = reply::json(status, body);
    response.headers_mut().insert(NONCE, HeaderValue::from_str(nonce).map_err(|_| Code::Unavailable)?);
    Ok(response)
}

/// The reply to a call that has begun an activation.
fn begun(reply: &Reply) -> Result<Response, Problem> {
    // The token is in no record, so it is put in here, each time anew and always the same; and what the License says is of now.
    let mut answer: Map<String, Value> = serde_json::from_str(&reply.body).map_err(|_| Code::Unavailable)?;
    if let Some(begun) = &reply.begun {
        answer.insert("activation_token".to_owned(), Value::from(begun.token.as_str()));
        let told = serde_json::to_value(&begun.told).map_err(|_| Code::Unavailable)?;
        answer.extend(told.as_object().cloned().unwrap_or_default());
    }
    sent(StatusCode::CREATED, &reply.nonce, Value::from(answer).to_string())
}

fn ok(reply: Reply) -> Result<Response, Problem> {
    sent(StatusCode::OK, &reply.nonce, reply.body)
}
