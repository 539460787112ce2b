//! `POST /v1/sessions/{id}/heartbeat`: a session is kept open.

use axum::{extract::State, http::StatusCode, response::Response};

use crate::{
    http::{
        openapi::{Call, Credential, Gives, Method, Shape},
        problem::Problem,
        routes::{
            Api, reply,
            request::{Head, Id, proof},
        },
    },
    service::activations::{Activations, SessionAnswer},
};

pub(in crate::http::routes) const HEARTBEAT: Call = Call {
    method: Method::Post,
    path: "/sessions/{id}/heartbeat",
    in_path: &[(
        "id",
        "The session's `id`.",
        "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10-8d0b7a3e6c2b9f105f0c1d52a8e94c1f",
    )],
    name: "keepSession",
    about: "Sessions",
    summary: "Keep a session open",
    description: "It is open for another `ttl` seconds from now. Send one about every third of that time.",
    by: &[Credential::ActivationToken],
    gives: Gives { status: 200, what: "It is open.", body: Some(Shape::of::<SessionAnswer>(super::EXAMPLE)) },
    refuses: super::NO_USE,
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn heartbeat<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
) -> Result<Response, Problem> {
    let proof = proof(&head)?;
    Ok(reply::json(StatusCode::OK, api.runtime.keep_session(&id, &proof).await?))
}
