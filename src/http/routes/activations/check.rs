//! `GET /v1/activations/{id}`: whether a nonce is the one to use next. It is not used by this.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::ok;
use crate::{
    http::{
        problem::Problem,
        routes::{
            Api,
            request::{credential, nonce},
        },
    },
    service::activations::Activations,
};

pub(in crate::http::routes) async fn check<L: Activations>(
    State(api): State<Api<L>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = credential(&headers)?;
    ok(api.runtime.check(&id, nonce(&headers)?, token).await?)
}
