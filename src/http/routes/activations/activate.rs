//! `POST /v1/activations`: an installation is bound to a place.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;

use super::begun;
use crate::{
    http::{
        problem::Problem,
        routes::{Api, request::Taken},
    },
    service::activations::{Activations, Device, Wish},
};

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The License: namespace/name.
    license: String,
    /// On what.
    device: Device,
}

pub(in crate::http::routes) async fn activate<L: Activations>(
    State(api): State<Api<L>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::apart(&headers, body).await?;
    let Request { license, device } = taken.json()?;
    let reply = api.runtime.activate(&taken.asked(), &Wish { license, device }).await?;
    begun(&reply)
}
