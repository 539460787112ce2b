//! Refusals as problems (RFC 9457): `code` is what programs go by, the rest is for people.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use tracing::warn;

use crate::{
    domain::{
        refusal::{Code, Refusal},
        refused::About,
        sessions::{Exhausted, Whose},
    },
    service::activations::Failure,
};

/// How long to wait before asking again, in seconds.
const RETRY_AFTER: u64 = 1;
/// SLASCONE's "Conflict 12006: the number of allowed sessions for this user has been reached".
const SLASCONE: u32 = 12_006;

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// For whoever counts refusals.
    #[serde(skip)]
    of: Code,
    /// What the body of the request was about, for the audit.
    #[serde(skip)]
    about: Option<Box<About>>,
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
    /// Of a session: what stands in its way.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    sessions: Option<Box<Sessions>>,
}

/// What stands in the way of one session more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SessionsExhausted")]
struct Sessions {
    /// What SLASCONE answers in this case, for programs that were written for it.
    slascone: u32,
    /// Whose sessions are limited: `user` or `license`.
    limit: &'static str,
    /// How many may be open.
    most: u32,
    /// How many are.
    open: u32,
    /// Those that were opened first.
    sessions: Vec<Session>,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OpenSession")]
struct Session {
    /// What people call the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// When it was opened, RFC 3339.
    since: String,
}

impl From<Exhausted> for Sessions {
    fn from(Exhausted { reached, oldest }: Exhausted) -> Self {
        let sessions = oldest.into_iter().map(|one| Session {
            device: one.device.map(|device| device.to_string()),
            since: one.since.to_string(),
        });
        Self {
            slascone: SLASCONE,
            limit: match reached.whose {
                Whose::Holder => "user",
                Whose::License => "license",
            },
            most: reached.most,
            open: reached.open,
            sessions: sessions.collect(),
        }
    }
}

impl Problem {
    /// The same, with what the request was about.
    pub(super) fn about(self, about: About) -> Self {
        Self { about: Some(Box::new(about)), ..self }
    }
}

/// The status that goes with a code.
pub(super) fn status(code: Code) -> StatusCode {
    match code {
        Code::NonceUnknown | Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::Unauthorized
        | Code::ProofMissing
        | Code::ProofInvalid
        | Code::ProofStale
        | Code::AudienceWrong
        | Code::WorkloadTokenMissing => StatusCode::UNAUTHORIZED,
        Code::Forbidden
        | Code::WorkloadNotNamed
        | Code::WorkloadElsewhere
        | Code::TokenUnbound
        | Code::KeyExpired
        | Code::KeyUsedUp
        | Code::DeviceNotAllowed
        | Code::DeviceNotListed
        | Code::SeatMissing
        | Code::SeatSuspended
        | Code::HolderChanged
        | Code::NamespaceNotAllowed
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
        | Code::SessionsExhausted
        | Code::ActivationLapsed
        | Code::DeviceActive
        | Code::PodActive
        | Code::PodsNotGranted
        | Code::SeatWaiting
        | Code::LicenseNotReady => StatusCode::CONFLICT,
        Code::ActivationEnded | Code::SessionEnded => StatusCode::GONE,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::MediaTypeUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::IdempotencyKeyUsed => StatusCode::UNPROCESSABLE_ENTITY,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable
        | Code::Overloaded
        | Code::ClusterUnreachable
        | Code::LedgerMissing
        | Code::LedgerForeign => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// How to show what is missing (RFC 6750, section 3; RFC 9449, section 7.1).
const fn challenge(code: Code) -> &'static str {
    match code {
        Code::ProofMissing => r#"DPoP algs="EdDSA ES256""#,
        Code::ProofInvalid => r#"DPoP error="invalid_dpop_proof", algs="EdDSA ES256""#,
        Code::ProofStale => r#"DPoP error="use_dpop_nonce", algs="EdDSA ES256""#,
        _ => "Bearer",
    }
}

impl From<Refusal> for Problem {
    fn from(Refusal { code, detail, exhausted }: Refusal) -> Self {
        Self {
            of: code,
            about: None,
            code: code.as_str(),
            title: code.means(),
            status: status(code).as_u16(),
            detail,
            next: code.next(),
            sessions: exhausted.map(|exhausted| Box::new((*exhausted).into())),
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
            // What exactly is away is nobody's business but the operator's.
            Failure::Unavailable(source) => {
                warn!(error = &*source as &dyn std::error::Error, "a call could not be answered");
                Code::Unavailable.into()
            }
            Failure::Unreachable(away) => {
                warn!(error = &away as &dyn std::error::Error, "who called could not be found out");
                Code::ClusterUnreachable.into()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, about) = (self.of, self.about.clone());
        let mut response = (status, Json(self)).into_response();
        response.extensions_mut().insert(code);
        if let Some(about) = about {
            response.extensions_mut().insert(*about);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge(code)));
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
    use jiff::Timestamp;

    use super::*;
    use crate::domain::sessions::{Elsewhere, Reached};

    #[tokio::test]
    async fn every_refusal_is_a_problem_that_says_what_to_do() {
        for code in Code::ALL {
            let response = Problem::from(*code).into_response();
            let status = response.status();
            assert!(
                status.is_client_error()
                    || [
                        Code::Unavailable,
                        Code::Overloaded,
                        Code::ClusterUnreachable,
                        Code::LedgerMissing,
                        Code::LedgerForeign
                    ]
                    .contains(code),
                "{code}: {status}"
            );
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
    fn whoever_is_refused_a_session_is_told_how_many_are_open_and_where_and_slascones_number() {
        let since = Timestamp::UNIX_EPOCH;
        let oldest =
            [Some("Lab 3"), None].map(|name| Elsewhere { device: name.map(|n| n.parse().unwrap()), since });
        let reached = Reached { whose: Whose::License, most: 1, open: 2 };
        let refusal = Refusal::from(Exhausted { reached, oldest: oldest.into() });
        let said = serde_json::to_value(Problem::from(refusal)).unwrap();
        let at = "1970-01-01T00:00:00Z";
        assert_eq!(said["code"], "sessions-exhausted");
        assert_eq!((&said["slascone"], &said["limit"]), (&12_006.into(), &"license".into()));
        assert_eq!((&said["open"], &said["most"]), (&2.into(), &1.into()));
        assert_eq!(said["sessions"], serde_json::json!([{"device": "Lab 3", "since": at}, {"since": at}]));
        let other = serde_json::to_value(Problem::from(Code::NonceUsed)).unwrap();
        assert!(other.get("slascone").is_none());
    }

    #[test]
    fn whoever_is_to_prove_possession_is_told_so_as_the_standard_has_it() {
        let said =
            |code: Code| Problem::from(code).into_response().headers()[header::WWW_AUTHENTICATE].clone();
        let algorithms = crate::service::possession::ALGORITHMS.join(" ");
        for (code, error) in [
            (Code::ProofMissing, ""),
            (Code::ProofInvalid, r#"error="invalid_dpop_proof", "#),
            (Code::ProofStale, r#"error="use_dpop_nonce", "#),
        ] {
            assert_eq!(said(code), format!(r#"DPoP {error}algs="{algorithms}""#));
        }
        assert_eq!(said(Code::Unauthorized), "Bearer");
    }

    #[test]
    fn who_is_to_come_again_is_told_when() {
        for code in [
            Code::RateLimited,
            Code::Overloaded,
            Code::Unavailable,
            Code::ClusterUnreachable,
            Code::LedgerMissing,
            Code::LedgerForeign,
        ] {
            assert_eq!(Problem::from(code).into_response().headers()[header::RETRY_AFTER], "1");
        }
        assert!(!Problem::from(Code::NonceUsed).into_response().headers().contains_key(header::RETRY_AFTER));
    }
}
