//! `GET /v1/me` and `…/licenses`: who has signed in, and what is theirs.

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
    service::activations::{Activations, MeAnswer, MineAnswer},
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

pub(in crate::http::routes) const MY_LICENSES: Call = Call {
    path: "/me/licenses",
    name: "myLicenses",
    about: "People",
    summary: "See what is one's own",
    description: "The Licenses under which whoever shows the access token has a seat or waits for one: at which place, on which devices the seat is active, and which \
sessions are open. What is active is ended by `DELETE /v1/activations/{id}`, with the same token.",
    by: &[Credential::AccessToken],
    gives: Gives {
        status: 200,
        what: "What is theirs.",
        body: Some(Shape::of::<MineAnswer>(
            r#"{"licenses": [{"license": "design/cad", "product": "cad", "state": "active", "place": "seat", "devices_per_seat": 2,
                "devices": [{"activation": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10", "device": {"id": "9f86d081884c7d65", "name": "Lab 3"},
                    "since": "2026-11-26T10:00:00Z", "heard_at": "2026-11-26T10:15:00Z"}],
                "sessions": [{"device": {"id": "9f86d081884c7d65", "name": "Lab 3"}, "since": "2026-11-26T10:05:00Z"}]},
                {"license": "design/render", "product": "render", "state": "active", "place": "waiting", "position": 1, "devices": [], "sessions": []}],
                "has_more": false}"#,
        )),
    },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn licenses<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
) -> Result<Response, Problem> {
    let mine = api.runtime.my_licenses(&proof(&head)?).await?;
    let body = serde_json::to_string(&mine).map_err(|_| Code::Unavailable)?;
    Ok(reply::json(StatusCode::OK, body))
}

pub(in crate::http::routes) async fn me<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
) -> Result<Response, Problem> {
    let me = api.runtime.me(&proof(&head)?).await?;
    let body = serde_json::to_string(&me).map_err(|_| Code::Unavailable)?;
    Ok(reply::json(StatusCode::OK, body))
}
