//! `GET /signin/callback`: back from the provider; and what is asked then.

use axum::{
    extract::{
        Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{Desk, Refusal, authorize::with_browser, cookie, own_form, pages};
use crate::service::sign_in::{Callback, People, Why, form_token};

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
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let browser = cookie::browser(&headers).ok_or(Why::Elsewhere)?;
    let consent = desk.sign_in.consent(browser).await?;
    Ok(pages::consent(&consent, &form_token(browser)).into_response())
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
    let (back, said) = if answer == "yes" {
        (desk.sign_in.agree(&browser).await?, "You are signed in. Your program goes on.")
    } else {
        (desk.sign_in.decline(&browser).await?, "You are not signed in. Your program is told so.")
    };
    let mut page = pages::go_on(back.as_str(), said);
    page.headers_mut().insert(header::SET_COOKIE, cookie::forgotten());
    Ok(page)
}
