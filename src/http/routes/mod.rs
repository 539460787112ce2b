//! The calls of the runtime API, under `/v1`.
//!
//! Around each call: what it may cost ([`frame`]), and what goes wrong as a problem. A call's own file takes the request apart, asks the service,
//! and puts the reply together.

mod activations;
mod frame;
mod reply;
mod request;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{delete, get, post},
};

use super::{
    pace::{Pace, Paced},
    problem::Problem,
};
use crate::{
    domain::refusal::Code,
    service::{
        activations::{Activations, Runtime},
        edge::Edge,
    },
};

/// A caller with a credential: a fleet that starts by one activation key is served in seconds, a loop gone wild is held up.
const CALLER: Pace = Pace { at_once: 400, a_second: 200 };
/// Whoever comes without a credential that is good, by address.
const STRANGER: Pace = Pace { at_once: 100, a_second: 20 };

/// What calls share.
pub(super) struct Api<L> {
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
    callers: Arc<Paced>,
    strangers: Arc<Paced>,
}

impl<L> Clone for Api<L> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            edge: self.edge.clone(),
            callers: self.callers.clone(),
            strangers: self.strangers.clone(),
        }
    }
}

/// The calls.
pub fn v1<L: Activations>(runtime: Arc<Runtime<L>>, edge: Arc<dyn Edge>) -> Router {
    let api = Api {
        runtime,
        edge,
        callers: Arc::new(Paced::new(CALLER)),
        strangers: Arc::new(Paced::new(STRANGER)),
    };
    let calls = Router::new()
        .route("/activations", post(activations::activate::<L>))
        .route("/activations/{id}", get(activations::check::<L>).delete(activations::deactivate::<L>))
        .route("/activations/{id}/state", post(activations::state::<L>))
        .route("/activations/{id}/refresh", post(activations::refresh::<L>))
        .route("/sessions", post(sessions::open::<L>))
        .route("/sessions/{id}", delete(sessions::close::<L>))
        .route("/sessions/{id}/heartbeat", post(sessions::heartbeat::<L>))
        .fallback(async || Problem::from(Code::NotFound))
        .method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed))
        .layer(from_fn_with_state(api.clone(), frame::frame::<L>))
        .with_state(api);
    Router::new().nest("/v1", calls)
}
