//! `GET /v1/openapi.json`: the contract itself.

use axum::{extract::State, http::StatusCode, response::Response};

use crate::{
    http::{
        openapi::{Call, Gives},
        routes::{Api, reply},
    },
    service::activations::Activations,
};

pub(in crate::http::routes) const CONTRACT: Call = Call {
    path: "/openapi.json",
    name: "contract",
    about: "Contract",
    summary: "Read this document",
    description: "OpenAPI 3.1, generated from the code that answers the calls.",
    gives: Gives { status: 200, what: "This document.", body: None },
    ..Call::PLAIN
};

pub(in crate::http::routes) async fn contract<L: Activations>(State(api): State<Api<L>>) -> Response {
    reply::json(StatusCode::OK, api.document)
}
