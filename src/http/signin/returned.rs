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

use super::{Desk, Peer, Refusal, authorize::with_browser, cookie, own_form, pages};
use crate::service::sign_in::{Answered, Callback, Errand, ME, People, Why, form_token};

pub(super) async fn callback<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    callback: Result<Query<Callback>, QueryRejection>,
) -> Result<Response, Refusal> {
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let Query(callback) = callback.map_err(|_| Why::Elsewhere)?;
    let renewed = desk.sign_in.arrive(browser, &callback).await?;
    Ok(with_browser(Redirect::to("/signin/continue").into_response(), &renewed))
}

pub(super) async fn consent<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let consent = desk.sign_in.consent(browser).await?;
    let about = match &consent.errand {
        Errand::Program(_) => pages::of_program(),
        Errand::Device(device) => {
            let code = cookie::code(&headers).filter(|code| device.shows(code)).ok_or(Why::Elsewhere)?;
            pages::of_device(&code, &device.claims, &peer.to_string(), desk.edge.now())
        }
        Errand::Browser => pages::of_browser(),
    };
    Ok(pages::consent(&consent, &about, &form_token(browser)).into_response())
}

/// The form on the page.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    form: String,
    answer: String,
}

pub(super) async fn answer<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    form: Result<Form<Answer>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Answer { form, answer }) = form.map_err(|_| Why::Forged)?;
    let browser = own_form(&desk, &headers, &form)?;
    let is_yes = answer == "yes";
    let answered =
        if is_yes { desk.sign_in.agree(&browser).await? } else { desk.sign_in.decline(&browser).await? };
    let mut page = match answered {
        Answered::Back(url) if is_yes => {
            pages::go_on(url.as_str(), "You are signed in. Your program goes on.")
        }
        Answered::Back(url) => pages::go_on(url.as_str(), "You are not signed in. Your program is told so."),
        Answered::Fetched(name) => pages::answered(name.as_ref(), is_yes).into_response(),
        Answered::Here(session) => here(&desk, &headers, session.as_deref().map(String::as_str)).await?,
    };
    page.headers_mut().append(header::SET_COOKIE, cookie::forgotten());
    page.headers_mut().append(header::SET_COOKIE, cookie::typed_no_more());
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
