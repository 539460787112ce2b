//! The calls of the runtime API, under `/v1`.
//!
//! Around each call: what it may cost ([`frame`]), and what goes wrong as a problem. A call's own file takes the request apart, asks the service,
//! and puts the reply together.

mod activations;
mod contract;
mod frame;
mod heartbeat;
mod introspect;
mod me;
mod reply;
mod request;
mod sessions;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    openapi::{self, Call},
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

/// What calls may cost, whoever makes them.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many are under way at once. Each keeps a body of 72 KiB at most, so all of them some 70 MB at worst.
    pub under_way: usize,
    /// How long a body may take to arrive. It is less than a call may take, and enough for 72 KiB on a slow line.
    pub body: Duration,
    /// A caller with a credential.
    pub caller: Pace,
    /// Whoever comes without a credential that is good, by address.
    pub stranger: Pace,
}

impl Default for Bounds {
    /// A fleet that starts by one activation key is served in seconds, a loop gone wild is held up.
    fn default() -> Self {
        Self {
            under_way: 1_024,
            body: Duration::from_secs(5),
            caller: Pace { at_once: 400, a_second: 200 },
            stranger: Pace { at_once: 100, a_second: 20 },
        }
    }
}

/// What calls share.
pub(super) struct Api<L> {
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
    callers: Arc<Paced>,
    strangers: Arc<Paced>,
    bounds: Bounds,
    under_way: Arc<Semaphore>,
    /// The OpenAPI document.
    document: Bytes,
    /// Where people sign in, if they do.
    origin: Option<Arc<str>>,
}

impl<L> Clone for Api<L> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            edge: self.edge.clone(),
            callers: self.callers.clone(),
            strangers: self.strangers.clone(),
            bounds: self.bounds,
            under_way: self.under_way.clone(),
            document: self.document.clone(),
            origin: self.origin.clone(),
        }
    }
}

/// Makes of each handler and its declaration a route, and the place where the document reads of it.
macro_rules! calls {
    ($($module:ident::$handler:ident is $call:ident,)*) => {
        /// What there is to call.
        pub(super) fn calls() -> Vec<Call> {
            vec![$($module::$call),*]
        }

        fn routes<L: Activations>() -> Router<Api<L>> {
            Router::new()$(.route($module::$call.path, $module::$call.answered($module::$handler::<L>)))*
        }
    };
}

calls! {
    activations::activate is ACTIVATE,
    activations::refresh is REFRESH,
    activations::state is STATE,
    activations::check is CHECK,
    activations::resolve is RESOLVE,
    activations::deactivate is DEACTIVATE,
    heartbeat::heartbeat is ALIVE,
    sessions::open is OPEN,
    sessions::heartbeat is HEARTBEAT,
    sessions::close is CLOSE,
    me::me is ME,
    introspect::introspect is INTROSPECT,
    me::licenses is MY_LICENSES,
    contract::contract is CONTRACT,
}

/// The OpenAPI document.
pub(super) fn description() -> Value {
    openapi::document(&calls())
}

/// The same, as it is committed and served.
#[must_use]
pub fn document() -> String {
    openapi::text(&description())
}

/// The calls, and what `contract` says of them. People sign in at `origin`.
pub(super) fn v1<L: Activations>(
    runtime: Arc<Runtime<L>>,
    edge: Arc<dyn Edge>,
    bounds: Bounds,
    contract: &Value,
    origin: Option<String>,
) -> Router {
    let api = Api {
        runtime,
        edge,
        callers: Arc::new(Paced::new(bounds.caller)),
        strangers: Arc::new(Paced::new(bounds.stranger)),
        bounds,
        under_way: Arc::new(Semaphore::new(bounds.under_way)),
        document: openapi::text(contract).into(),
        origin: origin.map(Into::into),
    };
    let calls = routes::<L>()
        .fallback(async || Problem::from(Code::NotFound))
        .method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed))
        .layer(from_fn_with_state(api.clone(), frame::frame::<L>))
        .with_state(api);
    Router::new().nest("/v1", calls)
}
