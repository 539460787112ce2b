//! `POST /v1/introspect`: what an access token is worth (RFC 7662).

use axum::{
    body::Body,
    extract::{Form, FromRequest as _, State},
    http::{Request, StatusCode, header},
    response::Response,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    domain::refusal::{Code, Refusal},
    http::{
        openapi::{Call, Credential, Gives, Method, Shape},
        problem::Problem,
        routes::{
            Api, reply,
            request::{Head, Taken},
        },
    },
    service::activations::{Activations, Introspection},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// What is asked about. What else a form says is left aside (RFC 7662, section 2.1, has `token_type_hint`).
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "IntrospectionRequest")]
struct Shown {
    /// The token that somebody has shown.
    token: String,
}

pub(in crate::http::routes) const INTROSPECT: Call = Call {
    method: Method::Post,
    path: "/introspect",
    name: "introspect",
    about: "People",
    summary: "Ask what an access token is worth",
    description: "For a server of your own to which people's programs show their access tokens of Usher (RFC 7662). It asks by the token of its service account, made for \
Usher, and needs a role that has `create` on `introspections` of `usher.dev`, such as `usher-introspector`. A token that is not active may be anything: a device token and an \
activation's token never are. Of one with `cnf` the server must see a proof of possession of that key (RFC 9449) before it believes whoever shows it. Which seats are theirs is not told here.",
    by: &[Credential::Administrator],
    takes: Some(
        Shape::of::<Shown>(r#"{"token": "usher_acc_2mV8wq0uX5Rk1cT7eYb3nPz9hJfLsGdA4oQiUxWvKjM"}"#).as_form(),
    ),
    gives: Gives {
        status: 200,
        what: "What it is worth. Of one that is not active: `{\"active\": false}`.",
        body: Some(Shape::of::<Introspection>(
            r#"{"active": true, "iss": "https://usher.acme.example", "aud": "https://usher.acme.example", "client_id": "usher",
            "sub": "https://idp.acme.example/realms/acme 1234", "token_type": "DPoP", "iat": 1795687200, "exp": 1795687800,
            "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#,
        )),
    },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn introspect<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::with_form(&head, body, api.bounds.body).await?;
    let refused = || Refusal::new(Code::RequestInvalid, "The body must be a form with one `token`.");
    // What was read already, as what forms are taken from.
    let form = Request::post("/").header(header::CONTENT_TYPE, FORM);
    let form = form.body(Body::from(taken.body.clone())).map_err(|_| refused())?;
    let Form(Shown { token }) = Form::from_request(form, &()).await.map_err(|_| refused())?;
    let told = api.runtime.introspect(taken.asked().token, &token, api.origin.as_deref()).await?;
    let body = serde_json::to_string(&told).map_err(|_| Code::Unavailable)?;
    Ok(reply::json(StatusCode::OK, body))
}
