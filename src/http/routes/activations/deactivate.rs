//! `DELETE /v1/activations/{id}`: the place is free again. No nonce is needed.

use axum::{extract::State, http::StatusCode};

use super::ID;
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

pub(in crate::http::routes) const DEACTIVATE: Call = Call {
    method: Method::Delete,
    path: "/activations/{id}",
    in_path: ID,
    name: "deactivate",
    about: "Activations",
    summary: "Give the place back",
    description: "Needs no nonce, so that no place is ever stuck. An activation that has ended stays so. It counts as a transfer of the seat (the License's \
`deviceTransfers`). Somebody who has signed in ends what is active on a seat of theirs.",
    by: &[Credential::ActivationToken, Credential::AccessToken, Credential::Administrator],
    gives: Gives { status: 204, what: "The place is free.", body: None },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn deactivate<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
) -> Result<StatusCode, Problem> {
    let proof = proof(&head)?;
    api.runtime.deactivate(&id, &proof).await?;
    Ok(StatusCode::NO_CONTENT)
}
