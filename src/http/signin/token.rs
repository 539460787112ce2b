//! The endpoints for programs: where they are, tokens, and their end.

use axum::{
    Json,
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::{Desk, noted};
use crate::{
    domain::{login::HELD_UP, refusal::Code},
    http::{
        possession::{self, Proven},
        problem::Problem,
    },
    service::{
        possession::ALGORITHMS,
        sign_in::{Denied, Failure, Grant, People},
    },
};

/// RFC 8628, section 3.4.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8414, section 2.
pub(super) async fn metadata<L: People>(State(desk): State<Desk<L>>) -> Response {
    let home = desk.sign_in.home();
    let mut said = json!({
        "issuer": home.origin(),
        "authorization_endpoint": home.at("/oauth2/authorize").as_str(),
        "token_endpoint": home.at("/oauth2/token").as_str(),
        "revocation_endpoint": home.at("/oauth2/revoke").as_str(),
        "introspection_endpoint": home.at("/v1/introspect").as_str(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": ALGORITHMS,
    });
    // RFC 8628, section 4: said where it is so.
    if desk.sign_in.knows_devices()
        && let Some(said) = said.as_object_mut()
    {
        let endpoint = home.at("/oauth2/device_authorization");
        said.insert("device_authorization_endpoint".to_owned(), endpoint.as_str().into());
        let grants = ["authorization_code", "refresh_token", DEVICE_CODE];
        said.insert("grant_types_supported".to_owned(), json!(grants));
    }
    Json(said).into_response()
}

/// RFC 6749, sections 4.1.3 and 6; RFC 9449, section 5; RFC 7636, section 4.5; RFC 8628, section 3.4.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    device_code: String,
    #[serde(default)]
    refresh_token: String,
}

pub(super) async fn token<L: People>(
    State(desk): State<Desk<L>>,
    proven: Result<Proven, Problem>,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    let Ok(Proven(possession)) = proven else {
        let said = "the header DPoP must be there once, in ASCII";
        return refused(StatusCode::BAD_REQUEST, "invalid_dpop_proof", said);
    };
    let Ok(Form(asked)) = asked else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "send a form, each parameter once");
    };
    // Whoever does not wait for the answer does not stop it: a provider may be asked, and what it says is kept.
    let (next, sign_in) = (possession::next(desk.sign_in.proofs()), desk.sign_in.clone());
    let next = next.filter(|_| possession.is_some());
    let given = tokio::spawn(async move {
        let grant = asked.grant()?;
        Some(sign_in.give(&asked.client_id, grant, possession.as_ref()).await)
    });
    let mut response = match given.await {
        Ok(Some(Ok(tokens))) => Json(tokens).into_response(),
        Ok(Some(Err(denied))) => denied_as(denied),
        Ok(None) => {
            let said = "grant_type must be authorization_code, refresh_token or that of RFC 8628";
            refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", said)
        }
        Err(ended) => denied_as(Failure::Unavailable(ended.into()).into()),
    };
    response.headers_mut().extend(next);
    response
}

impl Asked {
    fn grant(&self) -> Option<Grant<'_>> {
        Some(match self.grant_type.as_str() {
            "authorization_code" => Grant::Code {
                code: &self.code,
                redirect_uri: &self.redirect_uri,
                verifier: &self.code_verifier,
            },
            DEVICE_CODE => Grant::DeviceCode(&self.device_code),
            "refresh_token" => Grant::DeviceToken(&self.refresh_token),
            _ => return None,
        })
    }
}

/// RFC 7009, section 2.1.
#[derive(Debug, Deserialize)]
pub(super) struct Revoked {
    #[serde(default)]
    token: String,
}

pub(super) async fn revoke<L: People>(
    State(desk): State<Desk<L>>,
    revoked: Result<Form<Revoked>, FormRejection>,
) -> Response {
    let Ok(Form(Revoked { token })) = revoked else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "send a form with the token");
    };
    match desk.sign_in.revoke(&token).await {
        // Of a token that is good for nothing the same is said: it is over.
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => denied_as(failure.into()),
    }
}

pub(super) fn denied_as(denied: Denied) -> Response {
    let told = denied.told();
    noted(told, shown(denied))
}

fn shown(denied: Denied) -> Response {
    match denied {
        Denied::Client => refused(StatusCode::UNAUTHORIZED, "invalid_client", &denied.to_string()),
        Denied::Grant(why) => refused(StatusCode::BAD_REQUEST, "invalid_grant", why),
        Denied::DeviceName => refused(StatusCode::BAD_REQUEST, "invalid_request", &denied.to_string()),
        Denied::NoDevices => refused(StatusCode::BAD_REQUEST, "unauthorized_client", &denied.to_string()),
        Denied::Proof(refusal) => {
            let stale = refusal.code == Code::ProofStale;
            let error = if stale { "use_dpop_nonce" } else { "invalid_dpop_proof" };
            refused(StatusCode::BAD_REQUEST, error, &refusal.detail)
        }
        Denied::NotYet(why) => refused(StatusCode::BAD_REQUEST, why.code(), &why.to_string()),
        Denied::Late => later(&denied.to_string(), HELD_UP),
        Denied::Failure(failure) => {
            if let Failure::Unavailable(source) = &failure {
                warn!(error = &**source as &dyn std::error::Error, "tokens could not be given");
            }
            later("Usher cannot answer now: try again", 1)
        }
    }
}

/// Whoever asks is to come again after so many seconds.
fn later(why: &str, seconds: i64) -> Response {
    let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// RFC 6749, section 5.2.
pub(super) fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({"error": error, "error_description": description}))).into_response()
}
