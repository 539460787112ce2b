//! `GET /oauth2/authorize`, and the form on its page.

use axum::{
    extract::{
        Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Desk, Refusal,
    cookie::{self, Kind, Tag},
    mended, own_form, pages,
};
use crate::{
    domain::authorization::{Refused, Unverified},
    service::sign_in::{Away, Errand, Failure, People, Why, form_token},
};

pub(super) async fn authorize<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    asked: Result<Query<Unverified>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    if let Err(refused) = asked.verified() {
        return refuse(&desk, refused);
    }
    begins(&desk, &headers, |token| pages::ask(&asked, token, "", None))
}

fn refuse<L: People>(desk: &Desk<L>, refused: Refused) -> Response {
    match refused {
        Refused::Here(why) => {
            let next = "Begin again with a program of this Usher's, such as `usher login`.";
            (StatusCode::BAD_REQUEST, pages::refused(why, next)).into_response()
        }
        Refused::Back { redirect_uri, state, error, description } => {
            let said = [("error", error), ("error_description", description)];
            let back = desk.sign_in.back(&redirect_uri, state.as_ref(), &said);
            Redirect::to(back.as_str()).into_response()
        }
    }
}

/// The form on the page.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    form: String,
    #[serde(default)]
    login: String,
    #[serde(flatten)]
    asked: Unverified,
}

pub(super) async fn depart<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Typed { form, login, asked }) = typed.map_err(|_| Why::Forged)?;
    let browser = own_form(&desk, &headers, &form)?;
    let authorization = match asked.verified() {
        Ok(authorization) => authorization,
        Err(refused) => return Ok(refuse(&desk, refused)),
    };
    match desk.sign_in.depart(Errand::Program(authorization), &browser, &login).await {
        Ok(away) => Ok(leave(&headers, &away)),
        // What was typed may be mended on the same page.
        Err(Failure::Refused(why @ (Why::NoAddress | Why::NoProvider(_)))) => {
            let page = pages::ask(&asked, &form, &login, Some(&why));
            Ok(mended(&why, page))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The browser goes to the provider.
pub(super) fn leave(headers: &HeaderMap, Away { url, handle }: &Away) -> Response {
    let host = url.host_str().unwrap_or_default();
    let mut page = pages::go_on(url.as_str(), &format!("Your identity provider at {host} takes over."));
    if let Some(handle) = handle {
        let of = Tag::of(&handle.relay_state);
        cookie::keep(page.headers_mut(), headers, Kind::Handle, &of, &handle.value);
    }
    page
}

/// A page on which a sign-in begins, for a browser that is named with it, if it has no name yet. `page` is given the form's token.
pub(super) fn begins<L: People>(
    desk: &Desk<L>,
    headers: &HeaderMap,
    page: impl FnOnce(&str) -> Html<String>,
) -> Response {
    let known = cookie::browser(headers).map(str::to_owned);
    let browser = known.unwrap_or_else(|| desk.sign_in.browser().to_string());
    let mut response = page(&form_token(&browser)).into_response();
    if let Some(cookie) = cookie::named(&browser) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
