//! Refusals as problems (RFC 9457): `code` is what programs go by, the rest is for people.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tracing::warn;

use crate::{
    domain::refusal::{Code, Refusal},
    service::activations::Failure,
};

/// How long to wait before asking again, in seconds.
const RETRY_AFTER: u64 = 1;

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// Of a closed list, and stable.
    code: &'static str,
    /// What the code means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened here.
    detail: String,
    /// What to do next.
    next: &'static str,
}

/// The status that goes with a code.
fn status(code: Code) -> StatusCode {
    match code {
        Code::NonceUnknown | Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::KeyExpired
        | Code::KeyUsedUp
        | Code::DeviceNotAllowed
        | Code::DeviceNotListed
        | Code::LicenseSuspended
        | Code::LicenseExpired => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NonceUsed
        | Code::ActivationQuarantined
        | Code::ActivationSuperseded
        | Code::SeatsExhausted
        | Code::DevicesExhausted
        | Code::TransfersExhausted
        | Code::RecoveriesExhausted
        | Code::DeviceActive
        | Code::LicenseNotReady => StatusCode::CONFLICT,
        Code::ActivationEnded => StatusCode::GONE,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::IdempotencyKeyUsed => StatusCode::UNPROCESSABLE_ENTITY,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<Refusal> for Problem {
    fn from(Refusal { code, detail }: Refusal) -> Self {
        Self {
            code: code.as_str(),
            title: code.means(),
            status: status(code).as_u16(),
            detail,
            next: code.next(),
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Refusal::from(code).into()
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Unavailable(source) => {
                // What exactly is away is nobody's business but the operator's.
                warn!(error = &*source as &dyn std::error::Error, "a call could not be answered");
                Code::Unavailable.into()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn every_refusal_is_a_problem_that_says_what_to_do() {
        for code in Code::ALL {
            let response = Problem::from(*code).into_response();
            let status = response.status();
            assert!(status.is_client_error() || *code == Code::Unavailable, "{code}: {status}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(said["code"], code.as_str());
            assert_eq!(said["status"], status.as_u16());
            for member in ["title", "detail", "next"] {
                assert!(said[member].as_str().is_some_and(|text| text.ends_with('.')), "{code}: {member}");
            }
        }
    }

    #[test]
    fn who_is_to_come_again_is_told_when() {
        for code in [Code::RateLimited, Code::Unavailable] {
            assert_eq!(Problem::from(code).into_response().headers()[header::RETRY_AFTER], "1");
        }
        assert!(!Problem::from(Code::NonceUsed).into_response().headers().contains_key(header::RETRY_AFTER));
    }
}
