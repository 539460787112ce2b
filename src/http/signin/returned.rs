//! `GET /signin/callback`: back from the provider; and what is asked then.

use axum::{
    extract::{
        Extension, Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Desk, Peer, Refusal,
    cookie::{self, Kind, Tag},
    own_form_of, pages,
};
use crate::service::sign_in::{Answered, Callback, Errand, ME, People, Why, form_token};

pub(super) async fn callback<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    callback: Result<Query<Callback>, QueryRejection>,
) -> Result<Response, Refusal> {
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let Query(callback) = callback.map_err(|_| Why::Elsewhere)?;
    let renewed = desk.sign_in.arrive(browser, &callback).await?;
    Ok(ask(&headers, &renewed))
}

/// Goes on to where somebody is asked, under `renewed`.
pub(super) fn ask(headers: &HeaderMap, renewed: &str) -> Response {
    let of = Tag::of(renewed);
    let mut response = Redirect::to(&format!("/signin/continue?of={of}")).into_response();
    cookie::keep(response.headers_mut(), headers, Kind::Asked, &of, renewed);
    response
}

/// Which sign-in of the browser's.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    pub(super) of: Tag,
}

pub(super) async fn consent<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(Of { of }) = of.map_err(|_| Why::Elsewhere)?;
    let asked = cookie::asked(&headers, &of).ok_or(Why::Elsewhere)?;
    let consent = desk.sign_in.consent(asked).await?;
    let about = match &consent.errand {
        Errand::Program(_) => pages::of_program(),
        Errand::Device(device) => {
            let code = cookie::codes(&headers).find(|code| device.shows(code)).ok_or(Why::Elsewhere)?;
            pages::of_device(&code, &device.claims, &peer.to_string(), desk.edge.now())
        }
        Errand::Browser => pages::of_browser(),
    };
    Ok(pages::consent(&consent, &about, &form_token(asked), &of).into_response())
}

/// The form on the page.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    form: String,
    of: Tag,
    answer: String,
}

pub(super) async fn answer<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    form: Result<Form<Answer>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Answer { form, of, answer }) = form.map_err(|_| Why::Forged)?;
    let asked = own_form_of(&desk, &headers, cookie::asked(&headers, &of), &form)?;
    let is_yes = answer == "yes";
    let answered =
        if is_yes { desk.sign_in.agree(&asked).await? } else { desk.sign_in.decline(&asked).await? };
    let mut page = match &answered {
        Answered::Back(url) if is_yes => {
            pages::go_on(url.as_str(), "You are signed in. Your program goes on.")
        }
        Answered::Back(url) => pages::go_on(url.as_str(), "You are not signed in. Your program is told so."),
        Answered::Fetched(device) => pages::answered(device.claims.name.as_ref(), is_yes).into_response(),
        Answered::Here(session) => here(&desk, &headers, session.as_deref().map(String::as_str)).await?,
    };
    cookie::forget(page.headers_mut(), Kind::Asked, &of);
    if let Answered::Fetched(device) = &answered {
        for code in cookie::codes(&headers).filter(|code| device.shows(code)) {
            cookie::forget(page.headers_mut(), Kind::Code, &Tag::of(&code.plain()));
        }
    }
    Ok(page)
}

/// The browser itself is signed in by this, and by nothing else from now on; or is not.
async fn here<L: People>(
    desk: &Desk<L>,
    headers: &HeaderMap,
    session: Option<&str>,
) -> Result<Response, Refusal> {
    let Some(session) = session else { return Ok(pages::not_here().into_response()) };
    if let Some(former) = cookie::session(headers) {
        desk.sign_in.leave(former).await?;
    }
    let mut response = Redirect::to(ME).into_response();
    if let Some(cookie) = cookie::signed_in(session) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
