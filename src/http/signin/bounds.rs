//! What a request of people may cost, whoever sends it: a form comes in time, the answer takes no longer than a provider may, and so many are under way.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use tokio::{sync::Semaphore, time::timeout};

use super::LARGEST_RESPONSE;
use crate::{domain::refusal::Code, http::pace::Places};

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many are under way at once. Each keeps a form of 512 KiB at most, so all of them 64 MiB at worst.
    pub(super) under_way: usize,
    /// So many of these from one network. Whoever comes next waits for one of their own.
    pub(super) of_network: usize,
    /// How long it takes at most until a form is there, and it is its turn.
    pub(super) form: Duration,
    /// How long the answer takes at most after that: a provider is asked for up to three things, each of which may take 10 s.
    pub(super) answer: Duration,
}

impl Default for Bounds {
    /// A team behind one gateway is let in one after another, each in a part of a second.
    fn default() -> Self {
        let (form, answer) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { under_way: 128, of_network: 8, form, answer }
    }
}

/// Holds requests to them.
#[derive(Debug)]
pub(super) struct Bounded {
    bounds: Bounds,
    all: Semaphore,
    of_network: Places,
}

impl Bounded {
    pub(super) fn by(bounds: Bounds) -> Self {
        let (all, of_network) = (Semaphore::new(bounds.under_way), Places::new(bounds.of_network));
        Self { bounds, all, of_network }
    }

    /// The answer, or why there is none.
    pub(super) async fn answer(
        &self,
        network: Option<IpAddr>,
        request: Request,
        next: Next,
    ) -> Result<Response, Code> {
        let (parts, body) = request.into_parts();
        let arrives = async {
            let own = self.of_network.of(network).await;
            let place = self.all.try_acquire().map_err(|_| Code::Overloaded)?;
            // Who has closed the connection reads no answer.
            let form = to_bytes(body, LARGEST_RESPONSE).await.map_err(|_| Code::RequestTooLarge)?;
            Ok((own, place, form))
        };
        let arrived = timeout(self.bounds.form, arrives).await;
        let (_own, _place, form) = arrived.unwrap_or(Err(Code::RequestTimeout))?;
        let request = Request::from_parts(parts, Body::from(form));
        timeout(self.bounds.answer, next.run(request)).await.map_err(|_| Code::Unavailable)
    }
}
