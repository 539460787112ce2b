//! `GET /v1/me`: who has signed in.

use axum::{extract::State, http::StatusCode, response::Response};

use crate::{
    domain::refusal::Code,
    http::{
        openapi::{Call, Credential, Gives, Shape},
        problem::Problem,
        routes::{
            Api, reply,
            request::{Head, proof},
        },
    },
    service::activations::{Activations, MeAnswer},
};

pub(in crate::http::routes) const ME: Call = Call {
    path: "/me",
    name: "me",
    about: "People",
    summary: "See who has signed in",
    description: "Who shows the access token, as their identity provider last said, and until when they are signed in on this device.",
    by: &[Credential::AccessToken],
    gives: Gives {
        status: 200,
        what: "Who they are.",
        body: Some(Shape::of::<MeAnswer>(
            r#"{"name": "Ann Example", "email": "ann@acme.example", "provider": "acme", "issuer": "https://idp.acme.example/realms/acme",
                "subject": "1234", "device": "Lab 3", "since": "2026-11-26T10:00:00Z", "until": "2026-12-26T10:00:00Z"}"#,
        )),
    },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn me<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
) -> Result<Response, Problem> {
    let me = api.runtime.me(&proof(&head)?).await?;
    let body = serde_json::to_string(&me).map_err(|_| Code::Unavailable)?;
    Ok(reply::json(StatusCode::OK, body))
}
