//! A client that writes only while this replica leads.
//!
//! Looks are dropped when the lead ends, so this is the second line: it stops the one who was paused in the middle of a
//! look, wakes up after the lead has ended, and would send what it had in hand before anybody could tell it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use tokio::sync::watch;
use tower::{BoxError, Service};

use crate::{cluster::leader::Lead, service::edge::Edge};

/// `client`, which reads always, and writes while `lead` says so.
pub(in crate::cluster) fn guard(
    client: Client,
    lead: watch::Receiver<Option<Lead>>,
    edge: Arc<dyn Edge>,
) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Fence { inner: client, lead, edge }, namespace)
}

#[derive(Clone)]
struct Fence {
    inner: Client,
    lead: watch::Receiver<Option<Lead>>,
    edge: Arc<dyn Edge>,
}

impl Fence {
    fn is_open(&self) -> bool {
        self.lead.borrow().is_some_and(|lead| self.edge.elapsed() < lead.until)
    }
}

/// Reading changes nothing; nor does asking whether one may (a review is created and not kept).
fn writes(request: &Request<Body>) -> bool {
    request.method() != Method::GET && !request.uri().path().ends_with("reviews")
}

impl Service<Request<Body>> for Fence {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fence = self.clone();
        Box::pin(async move {
            if writes(&request) && !fence.is_open() {
                return Err("this replica does not lead: nothing was written".into());
            }
            Ok(fence.inner.send(request).await?)
        })
    }
}
