//! `POST /v1/activations/{id}/state` and `…/refresh`: what takes the last nonce, and gives the next one.

use axum::{body::Body, extract::State, response::Response};

use super::{ACTIVATED, EXAMPLE, ID, begun, ok};
use crate::{
    domain::{chain::Operation, refusal::Code},
    http::{
        openapi::{Call, Credential, Gives, Method, Nonce, Shape},
        problem::Problem,
        routes::{
            Api,
            request::{Head, Id, Taken, nonce},
        },
    },
    service::activations::{Activations, Answer},
};

pub(in crate::http::routes) const STATE: Call = Call {
    method: Method::Post,
    path: "/activations/{id}/state",
    in_path: ID,
    name: "activationState",
    about: "Activations",
    summary: "Use the nonce, and be told how the activation stands",
    description: "Proves that this is the one copy that goes on, without a new document: a copy that comes later is refused as a fork.",
    by: &[Credential::ActivationToken],
    nonce: Nonce::Uses,
    repeatable: true,
    takes: None,
    gives: Gives { status: 200, what: "How it stands.", body: Some(Shape::of::<Answer>(EXAMPLE)) },
    or: REPLACED,
    refuses: PRESENT,
};

pub(in crate::http::routes) const REFRESH: Call = Call {
    method: Method::Post,
    path: "/activations/{id}/refresh",
    in_path: ID,
    name: "refresh",
    about: "Activations",
    summary: "Use the nonce, and be given a new document",
    description: "Ask from `lease.renew_at` on. Whoever has not asked by `lease.until` warns its user; at `lease.expires_at` the document ends. Write nonce and \
`Idempotency-Key` to the disk before you send, and the answer before you use it: then a lost reply is never taken for a copy.",
    by: &[Credential::ActivationToken],
    nonce: Nonce::Uses,
    repeatable: true,
    takes: None,
    gives: Gives {
        status: 200,
        what: "A new document.",
        body: Some(Shape::of::<Answer>(
            r#"{"id": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10", "state": "active", "license": "design/cad", "product": "cad", "document": "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
            "keys": "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "lease": {"renew_at": "2026-11-26T22:00:00Z", "until": "2026-11-27T10:00:00Z", "expires_at": "2026-11-30T10:00:00Z"}}"#,
        )),
    },
    or: REPLACED,
    refuses: PRESENT,
};

/// What a copy is told where the License's `clones.policy` is `Replace`.
const REPLACED: Option<Gives> = Some(Gives {
    status: 201,
    what: "This was a copy, and is an activation of its own from now on (`clones.policy: Replace`): use its `id`, token and nonce.",
    body: Some(ACTIVATED),
});

/// Besides what every use of a nonce can be refused for.
const PRESENT: &[Code] = &[
    Code::ActivationQuarantined,
    Code::SeatsExhausted,
    Code::TransfersExhausted,
    Code::SeatSuspended,
    Code::LicenseSuspended,
    Code::LicenseExpired,
    Code::LicenseNotReady,
];

/// How the activation stands.
pub(in crate::http::routes) async fn state<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    present(&api, &id, Operation::State, &head, body).await
}

/// A new document.
pub(in crate::http::routes) async fn refresh<L: Activations>(
    State(api): State<Api<L>>,
    Id(id): Id,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    present(&api, &id, Operation::Refresh, &head, body).await
}

async fn present<L: Activations>(
    api: &Api<L>,
    id: &str,
    operation: Operation,
    head: &Head,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(head, body, api.bounds.body).await?;
    let reply = api.runtime.present(id, nonce(&head.headers)?, operation, &taken.asked()).await?;
    // A copy was given an activation of its own.
    if reply.begun.is_some() { begun(&reply) } else { ok(reply) }
}
