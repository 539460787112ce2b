//! `POST /v1/heartbeat`: an installation is there, and is told what its License says now.

use axum::{body::Body, extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    domain::{refusal::Code, refused::About},
    http::{
        openapi::{Call, Credential, Gives, Method, Shape},
        problem::Problem,
        routes::{
            Api, reply,
            request::{Head, Taken},
        },
    },
    service::activations::{Activations, HeartbeatAnswer},
};

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HeartbeatRequest")]
struct Request {
    /// The activation that is there.
    activation: String,
    /// The last answer's `users_next`: the users after those are told.
    users_after: Option<u64>,
}

pub(in crate::http::routes) const ALIVE: Call = Call {
    method: Method::Post,
    path: "/heartbeat",
    name: "heartbeat",
    about: "Activations",
    summary: "Say that an installation is there, and be told what its License says now",
    description: "For a program that goes by what the License says at this moment: its features, its limits, its validity, and its users, if the License lets \
this installation see them (`seesUsers`); up to 1,000 at once, more with `users_after`. Needs no nonce, gives no document, and renews nothing: `refresh` does. When an \
installation was last heard of is recorded once in 15 minutes, so it costs little to ask as often as you like.",
    by: &[Credential::ActivationToken],
    takes: Some(Shape::of::<Request>(r#"{"activation": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10"}"#)),
    gives: Gives {
        status: 200,
        what: "How the activation stands, and what its License says.",
        body: Some(Shape::of::<HeartbeatAnswer>(
            r#"{"id": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10", "state": "active", "license": "design/cad", "product": "cad",
            "lease": {"renew_at": "2026-11-26T22:00:00Z", "until": "2026-11-27T10:00:00Z", "expires_at": "2026-11-30T10:00:00Z"},
            "parameters": {"customer": "acme", "edition": "standard", "features": [{"name": "render"}, {"name": "simulate", "pool": 5}],
            "seats": 2, "devices_per_seat": 2, "sessions_per_user": 1, "session_ttl": 300, "enforcement": "Enforce", "valid_until": "2030-01-01T00:00:00Z",
            "afterwards": "Stop"}, "users": [{"email": "ann@acme.example"}]}"#,
        )),
    },
    refuses: &[
        Code::ActivationEnded,
        Code::ActivationLapsed,
        Code::ActivationSuperseded,
        Code::SeatSuspended,
        Code::LicenseSuspended,
        Code::LicenseExpired,
        Code::LicenseNotReady,
    ],
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn heartbeat<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::with_json(&head, body, api.bounds.body).await?;
    let Request { activation, users_after } = taken.json()?;
    let answer = api.runtime.heartbeat(&activation, users_after, &taken.asked().proof()).await;
    let answer = answer.map_err(|failure| Problem::from(failure).about(About::activation(&activation)))?;
    let body = serde_json::to_string(&answer).map_err(|_| Code::Unavailable)?;
    Ok(reply::json(StatusCode::OK, body))
}
