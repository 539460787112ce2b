//! `DELETE /v1/sessions/{id}`: a session is closed.

use axum::{extract::State, http::StatusCode};

use crate::{
    http::{
        openapi::{Call, Credential, Gives, Method},
        problem::Problem,
        routes::{
            Api,
            request::{Head, Id, proof},
        },
    },
    service::activations::Activations,
};

pub(in crate::http::routes) const CLOSE: Call = Call {
    method: Method::Delete,
    path: "/sessions/{id}",
    in_path: &[(
        "id",
        "The session's `id`.",
        "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10-8d0b7a3e6c2b9f105f0c1d52a8e94c1f",
    )],
    name: "closeSession",
    about: "Sessions",
    summary: "Close a session",
    description: "One that has ended stays so.",
    by: &[Credential::ActivationToken, Credential::Administrator],
    gives: Gives { status: 204, what: "It is closed.", body: None },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn close<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
) -> Result<StatusCode, Problem> {
    let proof = proof(&head)?;
    api.runtime.close_session(&id, &proof).await?;
    Ok(StatusCode::NO_CONTENT)
}
