//! `POST /signin/saml`: what a provider says, brought by a form of its page; `GET /signin/saml`: where the browser lands with that; and what Usher
//! is.
//!
//! The form is of another site, so neither `Origin` nor a token of ours can be asked for: what it brings must be signed, be the answer to this very
//! request, and be brought under this request's handle.

use axum::{
    extract::{Extension, Form, State, rejection::FormRejection},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Desk, Peer, Refusal, authorize::with_browser, cookie};
use crate::service::sign_in::{Brought, CONSUMER, People, Why};

pub(super) async fn brought<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    brought: Result<Form<Brought>, FormRejection>,
) -> Result<Response, Refusal> {
    let handle = cookie::handle(&headers).ok_or(Why::Elsewhere)?;
    let Form(brought) = brought.map_err(|_| Why::Elsewhere)?;
    // Whoever brings much waits for themselves, and others read meanwhile.
    let place = desk.limits.reading.of(peer.network()).await;
    let next = desk.sign_in.bring(handle, &brought).await?;
    drop(place);
    // 303: it goes on with a GET, with which the browser's own cookie comes along.
    let mut response = Redirect::to(CONSUMER).into_response();
    if let Some(cookie) = cookie::handled(&next) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(super) async fn land<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let handle = cookie::handle(&headers).ok_or(Why::Elsewhere)?;
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let renewed = desk.sign_in.land(handle, browser).await?;
    let mut response = with_browser(Redirect::to("/signin/continue").into_response(), &renewed);
    response.headers_mut().append(header::SET_COOKIE, cookie::let_go());
    Ok(response)
}

pub(super) async fn metadata<L: People>(State(desk): State<Desk<L>>) -> Result<Response, Refusal> {
    let metadata = desk.sign_in.metadata()?;
    Ok(([(header::CONTENT_TYPE, "application/samlmetadata+xml")], metadata).into_response())
}
