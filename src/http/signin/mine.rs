//! `/me`: whoever is signed in in the browser sees what is theirs, ends a device of theirs, asks for a seat where everybody may, and signs out.
//!
//! Their session is a cookie of its own; a form's token is made from that. What was done is said on the page that the browser is sent to: to load it
//! again does nothing again.

use axum::{
    extract::{Form, RawQuery, State, rejection::FormRejection},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Desk, Refusal,
    authorize::{begins, leave as go},
    cookie, mended, own_form, own_form_of, pages,
};
use crate::service::{
    activations::{Activations, Failure as Unanswered},
    sign_in::{Errand, Failure, ME, Why, form_token},
};

/// What was done, as the page is told of it.
const ENDED: &str = "ended";
const GONE: &str = "gone";
const ASKED: &str = "asked";
const CLOSED: &str = "closed";

impl From<Unanswered> for Failure {
    /// Whoever is signed in is refused nothing here: what stands in the way is for whoever looks after Usher.
    fn from(error: Unanswered) -> Self {
        Self::Unavailable(error.into())
    }
}

pub(super) async fn page<L: Activations>(
    State(desk): State<Desk<L>>,
    RawQuery(done): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Some(session) = cookie::session(&headers)
        && let Some(who) = desk.sign_in.inside(session).await?
    {
        let mine = desk.runtime.mine(&who.principal).await?;
        let done = match done.as_deref() {
            Some(ENDED) => Some("The device is ended, and its place is free."),
            Some(GONE) => Some("This was no device of yours, or is not any more."),
            Some(ASKED) => Some(
                "You have asked for a seat. How you stand is said below within seconds: load this page again.",
            ),
            Some(CLOSED) => Some("This license gives no seat to whoever asks, or you have one already."),
            _ => None,
        };
        return Ok(pages::mine(&who.principal, &mine, &form_token(session), done).into_response());
    }
    Ok(begins(&desk, &headers, |token| pages::enter(token, "", None)))
}

/// The form on the page of whoever is not signed in.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    form: String,
    #[serde(default)]
    login: String,
}

pub(super) async fn depart<L: Activations>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Typed { form, login }) = typed.map_err(|_| Why::Forged)?;
    let browser = own_form(&desk, &headers, &form)?;
    match desk.sign_in.depart(Errand::Browser, &browser, &login).await {
        Ok(away) => Ok(go(&headers, &away)),
        Err(Failure::Refused(why @ (Why::NoAddress | Why::NoProvider(_)))) => {
            Ok(mended(&why, pages::enter(&form, &login, Some(&why))))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The form beside a device.
#[derive(Debug, Deserialize)]
pub(super) struct Ended {
    form: String,
    activation: String,
}

pub(super) async fn end<L: Activations>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    form: Result<Form<Ended>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Ended { form, activation }) = form.map_err(|_| Why::Forged)?;
    let session = own_form_of(&desk, &headers, cookie::session(&headers), &form)?;
    let Some(who) = desk.sign_in.inside(&session).await? else { return Ok(Redirect::to(ME).into_response()) };
    let is_ended = desk.runtime.end_mine(&who.principal, &activation).await?;
    let done = if is_ended { ENDED } else { GONE };
    Ok(Redirect::to(&format!("{ME}?{done}")).into_response())
}

/// The form beside a license of which they have nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    form: String,
    license: String,
}

pub(super) async fn ask<L: Activations>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Wanted { form, license }) = form.map_err(|_| Why::Forged)?;
    let session = own_form_of(&desk, &headers, cookie::session(&headers), &form)?;
    let Some(who) = desk.sign_in.inside(&session).await? else { return Ok(Redirect::to(ME).into_response()) };
    let asked = desk.runtime.ask_for_mine(&who.principal, &license).await?;
    let done = if asked { ASKED } else { CLOSED };
    Ok(Redirect::to(&format!("{ME}?{done}")).into_response())
}

/// The form above all of it.
#[derive(Debug, Deserialize)]
pub(super) struct Left {
    form: String,
}

pub(super) async fn leave<L: Activations>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    form: Result<Form<Left>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Left { form }) = form.map_err(|_| Why::Forged)?;
    let session = own_form_of(&desk, &headers, cookie::session(&headers), &form)?;
    desk.sign_in.leave(&session).await?;
    let mut page = pages::left().into_response();
    page.headers_mut().append(header::SET_COOKIE, cookie::signed_out());
    Ok(page)
}
