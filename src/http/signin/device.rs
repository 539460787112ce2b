//! `POST /oauth2/device_authorization`: a device without a browser asks for its codes; `GET /device`: the page on which somebody types the one that it
//! shows, and their address.
//!
//! The page reads nothing from its URL: a link that somebody has sent has no code in it.

use axum::{
    Json,
    extract::{Extension, Form, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{
    Desk, Peer, Refusal,
    authorize::{begins, leave},
    cookie::{self, Kind, Tag},
    mended, own_form, pages,
    token::{denied_as, refused},
};
use crate::{
    domain::device::UserCode,
    service::sign_in::{Errand, Failure, People, Why},
};

/// RFC 8628, section 3.1. `device_name` is ours.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    device_name: String,
}

pub(super) async fn wait<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    let Ok(Form(Asked { client_id, device_name })) = asked else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "send a form, each parameter once");
    };
    if !desk.limits.devices.allows(peer.network(), desk.edge.now(), true) {
        let said = "too many devices of your network ask: try again in a minute";
        return refused(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", said);
    }
    match desk.sign_in.wait(&client_id, &device_name, &peer.to_string()).await {
        Ok(codes) => Json(codes).into_response(),
        Err(denied) => denied_as(denied),
    }
}

pub(super) async fn page<L: People>(
    State(desk): State<Desk<L>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if !desk.sign_in.knows_devices() {
        return Err(Why::NoDevices.into());
    }
    Ok(begins(&desk, &headers, |token| pages::device(token, "", "", None)))
}

/// The form on the page.
#[derive(Debug, Deserialize)]
pub(super) struct Typed {
    form: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    login: String,
}

pub(super) async fn depart<L: People>(
    State(desk): State<Desk<L>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    typed: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Typed { form, code, login }) = typed.map_err(|_| Why::Forged)?;
    let browser = own_form(&desk, &headers, &form)?;
    let why = match departed(&desk, peer, (&headers, &browser), &code, &login).await {
        Ok(response) => return Ok(response),
        Err(Failure::Refused(why)) => why,
        Err(failure) => return Err(failure.into()),
    };
    let page = match why {
        // What was typed may be mended on the same page.
        Why::NoCode
        | Why::UnknownCode
        | Why::TooOften
        | Why::NoAddress
        | Why::NoProvider(_)
        | Why::NoDevices => pages::device(&form, &code, &login, Some(&why)),
        _ => return Err(why.into()),
    };
    Ok(mended(&why, page))
}

async fn departed<L: People>(
    desk: &Desk<L>,
    peer: Peer,
    (headers, browser): (&HeaderMap, &str),
    code: &str,
    login: &str,
) -> Result<Response, Failure> {
    let code: UserCode = code.parse().map_err(|_| Why::NoCode)?;
    if !desk.limits.guesses.allows(peer.network(), desk.edge.now(), true) {
        return Err(Why::TooOften.into());
    }
    let device = desk.sign_in.find(&code).await?;
    let away = desk.sign_in.depart(Errand::Device(device), browser, login).await?;
    let (mut response, plain) = (leave(headers, &away), code.plain());
    cookie::keep(response.headers_mut(), headers, Kind::Code, &Tag::of(&plain), &plain);
    Ok(response)
}
