//! People sign in: pages for them, and the endpoints of OAuth 2 for the program on their machine.
//!
//! | path | answers |
//! |---|---|
//! | `/.well-known/oauth-authorization-server` | where the endpoints are (RFC 8414) |
//! | `/oauth2/authorize` | the page on which somebody types their address or its domain |
//! | `/signin` | sends them on to their provider |
//! | `/signin/callback` | takes them in, by OpenID Connect |
//! | `/signin/saml` · `/signin/saml/metadata` | the same by SAML; and what Usher is, by SAML |
//! | `/signin/continue` | "continue as Ann on Lab 3?", and the answer |
//! | `/oauth2/device_authorization` | a device without a browser is given its codes (RFC 8628) |
//! | `/device` | the page on which somebody types the one that it shows, and their address |
//! | `/me`, `/` | what is theirs, of whoever is signed in in the browser; else the page on which they type their address |
//! | `/me/devices` · `/me/licenses` · `/me/sign-out` | end a device of theirs; ask for a seat; end being signed in |
//! | `/oauth2/token` · `/oauth2/revoke` | tokens, and their end (RFC 6749, RFC 7009) |
//!
//! Pages have no script, no style of their own and nothing from elsewhere, and the browser is told to hold us to that. A form is sent by
//! a page of ours or not at all: `Origin` says so, and a token that only the page knows. From a form nobody is redirected but to a page of ours: the
//! browser would hold any other redirect against `form-action`, which names nobody but us; a page sends them on instead.

mod authorize;
mod bounds;
mod brought;
mod cookie;
mod device;
mod mine;
mod pages;
mod returned;
#[cfg(test)]
mod tests;
mod token;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tracing::warn;

use bounds::{Bounded, Bounds};

use super::{
    pace::{Pace, Paced, Places, network},
    problem::Problem,
};
use crate::{
    domain::{
        refusal::Code,
        refused::{About, NotSignedIn},
    },
    service::{
        activations::{Activations, Runtime},
        edge::Edge,
        sign_in::{CONSUMER, DEVICE, Failure, ME, METADATA, People, SignIn, Why, is_form_token},
    },
};

/// Of one address: a team behind one gateway signs in, a loop gone wild is held up.
const PACE: Pace = Pace { at_once: 100, a_second: 20 };
/// Of one address, too: whoever is sent on to a provider has a place in the ledger for ten minutes, and some twenty thousand have one at once. A
/// company of a thousand behind one gateway begins its day within three minutes.
const DEPARTURES: Pace = Pace { at_once: 100, a_second: 5 };
/// So many answers of SAML are read at once for one address, which is half of what is read at once for all.
const READ: usize = 2;
/// Of one network: people try again when they have mistyped, and whoever guesses codes is slow: 600 of 2.6 × 10^10 while a code is good.
const GUESSES: Pace = Pace { at_once: 10, a_second: 1 };
/// Of one network: a class switches its devices on, and nobody alone lets so many wait that there is no room for others.
const DEVICES: Pace = Pace { at_once: 60, a_second: 1 };
/// The largest form, in bytes.
const LARGEST: usize = 16 * 1024;
/// The largest form with what a provider of SAML says, which is in base64.
const LARGEST_RESPONSE: usize = 512 * 1024;
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What pages share.
struct Desk<L> {
    sign_in: Arc<SignIn<L>>,
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
    limits: Arc<Limits>,
}

/// What strangers can cost.
struct Limits {
    pace: Paced,
    departures: Paced,
    guesses: Paced,
    devices: Paced,
    reading: Places,
    bounded: Bounded,
}

impl Limits {
    fn within(bounds: Bounds) -> Self {
        Self {
            pace: Paced::new(PACE),
            departures: Paced::new(DEPARTURES),
            guesses: Paced::new(GUESSES),
            devices: Paced::new(DEVICES),
            reading: Places::new(READ),
            bounded: Bounded::by(bounds),
        }
    }
}

impl<L> Clone for Desk<L> {
    fn clone(&self) -> Self {
        Self {
            sign_in: self.sign_in.clone(),
            runtime: self.runtime.clone(),
            edge: self.edge.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// All of it.
pub(super) fn router<L: Activations>(
    sign_in: Arc<SignIn<L>>,
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
) -> Router {
    router_within(Bounds::default(), sign_in, runtime, edge)
}

fn router_within<L: Activations>(
    bounds: Bounds,
    sign_in: Arc<SignIn<L>>,
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
) -> Router {
    let desk = Desk { sign_in, runtime, edge, limits: Arc::new(Limits::within(bounds)) };
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(token::metadata::<L>))
        .route("/oauth2/authorize", get(authorize::authorize::<L>))
        .route("/oauth2/token", post(token::token::<L>))
        .route("/oauth2/device_authorization", post(device::wait::<L>))
        .route(DEVICE, get(device::page::<L>).post(device::depart::<L>))
        .route("/oauth2/revoke", post(token::revoke::<L>))
        .route("/signin", post(authorize::depart::<L>))
        .route("/signin/callback", get(returned::callback::<L>))
        .route("/signin/continue", get(returned::consent::<L>).post(returned::answer::<L>))
        .route("/", get(async || Redirect::to(ME)))
        .route(ME, get(mine::page::<L>).post(mine::depart::<L>))
        .route("/me/devices", post(mine::end::<L>))
        .route("/me/licenses", post(mine::ask::<L>))
        .route("/me/sign-out", post(mine::leave::<L>))
        .route("/signin/style.css", get(pages::style))
        .layer(DefaultBodyLimit::max(LARGEST))
        .route(
            CONSUMER,
            get(brought::land::<L>)
                .merge(post(brought::brought::<L>).layer(DefaultBodyLimit::max(LARGEST_RESPONSE))),
        )
        .route(METADATA, get(brought::metadata::<L>))
        .layer(from_fn_with_state(desk.clone(), around::<L>))
        .with_state(desk)
}

/// Whence a request comes.
#[derive(Debug, Clone, Copy)]
struct Peer(Option<IpAddr>);

impl Peer {
    /// Its network.
    fn network(self) -> Option<IpAddr> {
        self.0.map(network)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("an unknown address"),
        }
    }
}

/// What is around each: a pace, an end, and what the browser is told.
async fn around<L: Activations>(State(desk): State<Desk<L>>, mut request: Request, next: Next) -> Response {
    let peer =
        Peer(request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical()));
    request.extensions_mut().insert(peer);
    let (network, now) = (peer.network(), desk.edge.now());
    let departs = request.method() == Method::POST && ["/signin", DEVICE, ME].contains(&request.uri().path());
    let may = desk.limits.pace.allows(network, now, true)
        && (!departs || desk.limits.departures.allows(network, now, true));
    let answered =
        if may { desk.limits.bounded.answer(network, request, next).await } else { Err(Code::RateLimited) };
    let mut response = answered.unwrap_or_else(|code| Problem::from(code).into_response());
    let (why, code) = (response.extensions().get().copied(), response.extensions().get().copied());
    if let Some(why) = why {
        desk.runtime.note_not_signed_in(why, &peer.to_string());
    } else if let Some(code) = code {
        desk.runtime.note_refused("signIn", code, About::default(), None, &peer.to_string());
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // With `no-referrer` the browser would not say in `Origin` whose page a form is on.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ] {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a form was sent by a page of ours, in the browser that it was shown to: that browser.
fn own_form<L: People>(desk: &Desk<L>, headers: &HeaderMap, token: &str) -> Result<String, Failure> {
    own_form_of(desk, headers, cookie::browser(headers), token)
}

/// The same in a browser that is known by this.
fn own_form_of<L: People>(
    desk: &Desk<L>,
    headers: &HeaderMap,
    known: Option<&str>,
    token: &str,
) -> Result<String, Failure> {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let browser = known.ok_or(Why::Forged)?;
    let is_own = origin == Some(desk.sign_in.home().origin().as_str()) && is_form_token(browser, token);
    if is_own { Ok(browser.to_owned()) } else { Err(Why::Forged.into()) }
}

/// The status of the page that says why.
const fn status(why: &Why) -> StatusCode {
    match why {
        Why::NoAddress
        | Why::NoProvider(_)
        | Why::NoCode
        | Why::UnknownCode
        | Why::NoDevices
        | Why::Elsewhere
        | Why::ProviderGone => StatusCode::BAD_REQUEST,
        Why::TooOften => StatusCode::TOO_MANY_REQUESTS,
        Why::Forged => StatusCode::FORBIDDEN,
        Why::Provider(_) | Why::BySaml(_) => StatusCode::BAD_GATEWAY,
        Why::Crowded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A page that says why somebody is not signed in.
struct Refusal(Failure);

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The same response, which the audit is told of.
fn noted(told: Option<NotSignedIn>, mut response: Response) -> Response {
    if let Some(told) = told {
        response.extensions_mut().insert(told);
    }
    response
}

/// A page on which what was typed may be mended.
fn mended(why: &Why, page: impl IntoResponse) -> Response {
    noted(why.told(), (status(why), page).into_response())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.0 {
            Failure::Refused(why) => mended(&why, pages::refused(&why.to_string(), why.next())),
            Failure::Unavailable(source) => {
                warn!(
                    error = &*source as &dyn std::error::Error,
                    "somebody who signs in, or has, was not answered"
                );
                (StatusCode::SERVICE_UNAVAILABLE, pages::away()).into_response()
            }
        }
    }
}
