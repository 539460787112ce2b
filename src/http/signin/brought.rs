//! `POST /signin/saml`: what a provider says, brought by a form of its page; `GET /signin/saml`: where the browser lands with that; and what Usher
//! is.
//!
//! The form is of another site, so neither `Origin` nor a token of ours can be asked for: what it brings must be signed, be the answer to this very
//! request, and be brought under this request's handle. Which of the browser's handles that is, the relay state tells.

use axum::{
    extract::{
        Extension, Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Desk, Peer, Refusal,
    cookie::{self, Kind, Tag},
    returned::{Of, ask},
};
use crate::service::sign_in::{Brought, CONSUMER, People, Why};

pub(super) async fn brought<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    brought: Result<Form<Brought>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(brought) = brought.map_err(|_| Why::Elsewhere)?;
    let of = Tag::of(&brought.relay_state);
    let handle = cookie::handle(&headers, &of).ok_or(Why::Elsewhere)?;
    // Whoever brings much waits for themselves, and others read meanwhile.
    let place = desk.limits.reading.of(peer.network()).await;
    let next = desk.sign_in.bring(handle, &brought).await?;
    drop(place);
    // 303: it goes on with a GET, with which the browser's own cookie comes along.
    let mut response = Redirect::to(&format!("{CONSUMER}?of={of}")).into_response();
    cookie::keep(response.headers_mut(), &headers, Kind::Handle, &of, &next);
    Ok(response)
}

pub(super) async fn land<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Of { of }) = of.map_err(|_| Why::Elsewhere)?;
    let handle = cookie::handle(&headers, &of).ok_or(Why::Elsewhere)?;
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let renewed = desk.sign_in.land(handle, browser).await?;
    let mut response = ask(&headers, &renewed);
    cookie::forget(response.headers_mut(), Kind::Handle, &of);
    Ok(response)
}

pub(super) async fn metadata<L: People>(State(desk): State<Desk<L>>) -> Result<Response, Refusal> {
    let metadata = desk.sign_in.metadata()?;
    Ok(([(header::CONTENT_TYPE, "application/samlmetadata+xml")], metadata).into_response())
}
