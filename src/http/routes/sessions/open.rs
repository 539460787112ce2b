//! `POST /v1/sessions`: a session is opened.

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
    service::activations::{Activations, SessionAnswer},
};

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SessionRequest")]
struct Request {
    /// The activation that uses it.
    activation: String,
}

pub(in crate::http::routes) const OPEN: Call = Call {
    method: Method::Post,
    path: "/sessions",
    name: "openSession",
    about: "Sessions",
    summary: "Open a session of an activation",
    description: "A session is a use for a short time, counted against the License's `sessions` limits, and open for `ttl` seconds after each sign of life. When \
a limit is reached, the refusal says which one, how many sessions are open, and where: the oldest first.",
    by: &[Credential::ActivationToken],
    repeatable: true,
    takes: Some(Shape::of::<Request>(r#"{"activation": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10"}"#)),
    gives: Gives { status: 201, what: "It is open.", body: Some(Shape::of::<SessionAnswer>(super::EXAMPLE)) },
    refuses: &[
        Code::ActivationEnded,
        Code::ActivationLapsed,
        Code::ActivationSuperseded,
        Code::ActivationQuarantined,
        Code::SeatSuspended,
        Code::LicenseSuspended,
        Code::LicenseExpired,
        Code::LicenseNotReady,
        Code::SessionEnded,
        Code::SessionsExhausted,
    ],
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn open<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::with_json(&head, body, api.bounds.body).await?;
    let Request { activation } = taken.json()?;
    let answer = api.runtime.open_session(&activation, &taken.asked()).await;
    let answer = answer.map_err(|failure| Problem::from(failure).about(About::activation(&activation)))?;
    Ok(reply::json(StatusCode::CREATED, answer))
}
