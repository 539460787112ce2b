//! `POST /v1/activations/{id}/resolve`: somebody who may has looked into its copies.

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

pub(in crate::http::routes) const RESOLVE: Call = Call {
    method: Method::Post,
    path: "/activations/{id}/resolve",
    in_path: ID,
    name: "resolveActivation",
    about: "Activations",
    summary: "Let whoever has the last nonce go on",
    description: "For an administrator who has looked into the copies of an activation (the License's condition `CloneSeen`), or for the person on whose seat it \
is active. It ends a quarantine and the warning. Older copies are refused as ever; one that speaks again is a new warning. The activation's own token is not \
enough, for a copy has it, too.",
    by: &[Credential::Administrator, Credential::AccessToken],
    gives: Gives { status: 204, what: "Whoever has the last nonce goes on.", body: None },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn resolve<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
) -> Result<StatusCode, Problem> {
    let proof = proof(&head)?;
    api.runtime.resolve(&id, &proof).await?;
    Ok(StatusCode::NO_CONTENT)
}
