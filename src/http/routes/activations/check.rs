//! `GET /v1/activations/{id}`: whether a nonce is the one to use next, which is not used by this; an administrator needs none, and sees how
//! the activation stands.

use axum::{extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{EXAMPLE, ID, ok};
use crate::{
    domain::refusal::Code,
    http::{
        openapi::{Call, Credential, Gives, Nonce, Shape},
        problem::Problem,
        routes::{
            Api, reply,
            request::{Head, Id, nonce, proof},
        },
    },
    service::activations::{Activations, Answer, SeenAnswer},
};

/// How the activation stands, for its program or for an administrator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "declares what the answer may be")]
enum Seen {
    Program(Answer),
    Administrator(SeenAnswer),
}

pub(in crate::http::routes) const CHECK: Call = Call {
    path: "/activations/{id}",
    in_path: ID,
    name: "checkActivation",
    about: "Activations",
    summary: "Ask whether a nonce is the one to use next",
    description: "The nonce is not used, and comes back as it was. An administrator needs none, and sees how the activation stands.",
    by: &[Credential::ActivationToken, Credential::Administrator],
    nonce: Nonce::Checks,
    gives: Gives { status: 200, what: "It is.", body: Some(Shape::of::<Seen>(EXAMPLE)) },
    refuses: &[Code::LicenseNotReady],
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn check<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
) -> Result<Response, Problem> {
    let proof = proof(&head)?;
    if let Some(seen) = api.runtime.seen_by_administrator(&id, proof.token).await? {
        let json = serde_json::to_string(&seen).map_err(|_| Code::Unavailable)?;
        return Ok(reply::json(StatusCode::OK, json));
    }
    ok(api.runtime.check(&id, nonce(&head.headers)?, &proof).await?)
}
