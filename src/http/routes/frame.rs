//! What is around each call: an id by which logs and people speak of it, a pace, an end.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::{Instrument as _, info_span};

use super::{
    Api,
    request::{are_bounded, bearer},
};
use crate::{
    domain::{hex, refusal::Code, refused::About},
    http::{
        openapi::Called,
        pace::network,
        possession::{self, PROOF},
        problem::Problem,
    },
    service::activations::{Activations, is_id},
};

/// The longest that a call takes: the ledger answers in milliseconds, or it is away.
const LONGEST: Duration = Duration::from_secs(10);
/// What a request is known by: what the client says, if it is short and plain, else drawn.
const REQUEST_ID: &str = "x-request-id";
const LONGEST_ID: usize = 64;

pub(super) async fn frame<L: Activations>(
    State(api): State<Api<L>>,
    request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers(), &api.edge.entropy());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let (now, begun) = (api.edge.now(), api.edge.elapsed());
    let shown = request.headers().get(AUTHORIZATION).cloned();
    let in_path = in_path(request.uri().path());
    let token = bearer(request.headers());
    let proves = request.headers().contains_key(PROOF);
    // Whose pace counts: of whoever shows a token that Usher made, their own alone, for strangers behind the same address are none of their
    // business. Of anybody else also their network's, before the ledger or the API server is asked: a flood of what was made up costs
    // those no more than that. What Kubernetes made has no mark of ours, so it is paced apart from what was made up to look like ours.
    let known = token.is_some_and(|token| api.runtime.is_own(token));
    let network = (peer.map(network), token.is_some_and(|token| token.contains('.')));
    let may = (known || api.strangers.allows(network, now, token.is_none()))
        && token.is_none_or(|token| api.callers.allows(token, now, true));
    let is_shown = token.is_some();
    let drains = !known && is_shown;
    let place = api.under_way.try_acquire();
    // As it was before anything was read: what is known since was not known then.
    let rebuilding = api.runtime.is_rebuilding();
    let mut response = if !may {
        Problem::from(Code::RateLimited).into_response()
    } else if !are_bounded(request.headers()) {
        Problem::from(Code::HeadersTooLarge).into_response()
    } else if place.is_err() {
        Problem::from(Code::Overloaded).into_response()
    } else {
        let call =
            next.run(request).instrument(info_span!("call", request = %id.to_str().unwrap_or_default()));
        tokio::time::timeout(LONGEST, call)
            .await
            .unwrap_or_else(|_| Problem::from(Code::Unavailable).into_response())
    };
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    if rebuilding && is_shown {
        response = or_later(response);
    }
    if unauthorized && drains {
        api.strangers.allows(network, now, true);
    }
    let call = response.extensions().get::<Called>().map_or("other", |called| called.0);
    let refused = response.extensions().get::<Code>().copied();
    api.runtime.tell_answered(call, refused, api.edge.elapsed().saturating_sub(begun));
    if let Some(code) = refused {
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let about = response.extensions_mut().remove::<About>().or(in_path).unwrap_or_default();
        api.runtime.note_refused(call, code, about, shown.as_ref().map(HeaderValue::as_bytes), &peer);
    }
    response.headers_mut().insert(REQUEST_ID, id);
    if proves {
        response.headers_mut().extend(possession::next(api.runtime.proofs()));
    }
    response
}

/// The activation that a path is about, be it by one of its sessions.
fn in_path(path: &str) -> Option<About> {
    let mut parts = path.split('/').skip_while(|part| !["activations", "sessions"].contains(part));
    let id = parts.nth(1)?.split('-').next()?;
    is_id(id).then(|| About::activation(id))
}

/// Out of a ledger that is being rebuilt nobody is told that they are unknown or have nothing, but to come again.
fn or_later(response: Response) -> Response {
    let refused = response.extensions().get::<Code>();
    if !refused.is_some_and(|code| code.is_for_want_of_facts()) {
        return response;
    }
    let mut later = Problem::from(Code::LedgerMissing).into_response();
    if let Some(called) = response.extensions().get::<Called>() {
        later.extensions_mut().insert(*called);
    }
    later
}

fn request_id(headers: &HeaderMap, entropy: &[u8; 32]) -> HeaderValue {
    let plain = |id: &&HeaderValue| {
        let text = id.as_bytes();
        (1..=LONGEST_ID).contains(&text.len())
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let drawn = hex(entropy.get(..8).unwrap_or_default());
    let own = headers.get(REQUEST_ID).filter(plain).cloned();
    own.or_else(|| HeaderValue::from_str(&drawn).ok()).unwrap_or_else(|| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_about_the_activation_that_it_names() {
        let id = "0".repeat(32);
        let about = Some(About::activation(&id));
        for path in [
            format!("/activations/{id}"),
            format!("/v1/activations/{id}/refresh"),
            format!("/sessions/{id}-1/heartbeat"),
        ] {
            assert_eq!(in_path(&path), about, "{path}");
        }
        for path in ["/activations", "/activations/x/refresh", "/me", "/activations/ann@acme.example"] {
            assert_eq!(in_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_request_is_known_by_what_its_client_says_if_that_is_plain() {
        let id = |said: &'static str| {
            let headers =
                HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), HeaderValue::from_static(said))]);
            request_id(&headers, &[7; 32])
        };
        assert_eq!(id("a-1.b_2"), "a-1.b_2");
        for said in ["", "a b", "<b>", "a;b"] {
            assert_eq!(id(said), "0707070707070707", "{said}");
        }
    }
}
