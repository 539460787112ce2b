//! The wire between the operator and the API server: it can lose, refuse, freeze and cut.
//!
//! ```text
//!   operator ──► kube client ──► its own retries ──► Wire (the plan decides on each request) ──► API server
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use crate::ground::until;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use kube::{
    Client, Config,
    client::{Body, retry::RetryPolicy},
};
use serde_json::json;
use tokio::sync::watch;
use tower::{BoxError, Layer as _, Service, retry::RetryLayer};

/// One request, as a plan sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `patch seats/status`, `delete secrets`, `watch licenses`, …
    pub what: String,
    /// Of the object, where the request names one.
    pub name: String,
}

impl Call {
    fn of(request: &Request<Body>) -> Self {
        let path = request.uri().path().trim_start_matches('/');
        let query = request.uri().query().unwrap_or("");
        let mut parts =
            path.split('/').skip(if path.starts_with("api/") { 2 } else { 3 }).collect::<Vec<_>>();
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            parts.drain(..2);
        }
        let mut what = parts.first().copied().unwrap_or("").to_owned();
        if let Some(sub) = parts.get(2) {
            what = format!("{what}/{sub}");
        }
        let verb = match *request.method() {
            Method::GET if query.split('&').any(|part| part == "watch=true") => "watch",
            Method::GET => "get",
            Method::POST => "create",
            Method::DELETE => "delete",
            _ => "patch",
        };
        let name = parts.get(1).copied().unwrap_or("").to_owned();
        Self { what: format!("{verb} {what}"), name }
    }

    /// Whether it changes something; the heartbeat of the Lease does not.
    pub fn writes(&self) -> bool {
        !self.what.ends_with(" leases") && !self.what.starts_with("get ") && !self.what.starts_with("watch ")
    }

    /// Whether it is a watch.
    pub fn watches(&self) -> bool {
        self.what.starts_with("watch ")
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It goes through.
    Pass,
    /// It goes through; its reply does not come back.
    Lost,
    /// The API server is not asked; this code is the answer.
    Refuse(u16),
    /// A watch whose past is no longer known.
    Gone,
    /// From here on the operator is cut off: this request still goes through or does not, no reply comes back.
    Freeze {
        /// Whether the request goes through.
        sent: bool,
    },
    /// It goes through; its reply is held back until [`Control::release`].
    Hold,
    /// It is held back itself until [`Control::release`], and then goes through, whatever became of its sender.
    Late,
}

type Plan = Box<dyn FnMut(&Call) -> Act + Send>;

/// The test's end of the wire.
pub struct Control {
    plan: Mutex<Plan>,
    calls: Mutex<BTreeMap<(Call, bool), usize>>,
    frozen: watch::Sender<bool>,
    cuts: watch::Sender<u64>,
    held: watch::Sender<(u64, bool)>,
    late: watch::Sender<Option<u16>>,
}

impl Control {
    /// Another plan from now on; what was frozen stays so for requests that came before.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Act + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
        self.frozen.send_replace(false);
    }

    /// Returns once the plan froze the wire.
    pub async fn froze(&self) {
        // No patience of its own: the test has something else that ends.
        self.frozen.subscribe().wait_for(|frozen| *frozen).await.unwrap();
    }

    /// Breaks every reply that is still under way: watches, above all.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns once the reply to a held request is there.
    pub async fn holds(&self) {
        until("a request is held", async || (self.held.borrow().0 > 0).then_some(())).await;
    }

    /// Lets held replies go.
    pub fn release(&self) {
        self.held.send_modify(|(_, released)| *released = true);
    }

    /// Returns once a request that came late was answered, and with what.
    pub async fn arrived(&self) -> u16 {
        until("a late request has arrived", async || *self.late.borrow()).await
    }

    /// How many writes were tried, and how many of them met a fault.
    pub fn writes(&self) -> (usize, usize) {
        let calls = self.calls.lock().unwrap();
        let of = |faulty: bool| {
            calls
                .iter()
                .filter(|((call, hit), _)| call.writes() && (!faulty || *hit))
                .map(|(_, count)| count)
                .sum()
        };
        (of(false), of(true))
    }

    /// How many requests of this kind went through as they were.
    pub fn passed(&self, what: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|((call, hit), _)| call.what == what && !hit).map(|(_, count)| count).sum()
    }

    /// What met a fault.
    pub fn hit(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let hit = calls.keys().filter(|(_, hit)| *hit).map(|(call, _)| call.what.clone());
        hit.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A client made of `config`, with a wire in it.
pub fn client(config: &Config, plan: impl FnMut(&Call) -> Act + Send + 'static) -> (Client, Arc<Control>) {
    let mut config = config.clone();
    // The place of retries is on the operator's side of the wire.
    config.default_retry = false;
    let control = Arc::new(Control {
        plan: Mutex::new(Box::new(plan)),
        calls: Mutex::default(),
        frozen: watch::Sender::new(false),
        cuts: watch::Sender::new(0),
        held: watch::Sender::new((0, false)),
        late: watch::Sender::new(None),
    });
    let wire = Wire { inner: Client::try_from(config).unwrap(), control: control.clone() };
    (Client::new(RetryLayer::new(RetryPolicy::server_retry()).layer(wire), "default"), control)
}

#[derive(Clone)]
struct Wire {
    inner: Client,
    control: Arc<Control>,
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Reply>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { inner, control } = self.clone();
        Box::pin(async move {
            if *control.frozen.borrow() {
                return std::future::pending().await;
            }
            let call = Call::of(&request);
            let act = (control.plan.lock().unwrap())(&call);
            *control.calls.lock().unwrap().entry((call, act != Act::Pass)).or_default() += 1;
            if act == Act::Late {
                return late(inner, control, request).await;
            }
            let send = async || inner.send(request).await.map_err(BoxError::from);
            match act {
                Act::Pass | Act::Late => {
                    Ok(send().await?.map(|body| Reply::through(body, control.cuts.subscribe())))
                }
                Act::Lost => {
                    send().await?;
                    Err("the reply was lost".into())
                }
                Act::Refuse(code) => Ok(answer(
                    code,
                    &json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "reason": if code == 409 { "Conflict" } else { "InternalError" },
                        "message": "injected by a test", "code": code,
                    }),
                )),
                Act::Gone => Ok(answer(
                    200,
                    &json!({"type": "ERROR", "object": {
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "reason": "Expired", "message": "too old resource version", "code": 410,
                    }}),
                )),
                Act::Freeze { sent } => {
                    if sent {
                        send().await?;
                    }
                    control.frozen.send_replace(true);
                    std::future::pending().await
                }
                Act::Hold => {
                    let reply = send().await?;
                    control.held.send_modify(|(count, _)| *count += 1);
                    let _ = control.held.subscribe().wait_for(|(_, released)| *released).await;
                    Ok(reply.map(|body| Reply::through(body, control.cuts.subscribe())))
                }
            }
        })
    }
}

/// It is out of its sender's hands: that the sender is gone does not call it back.
async fn late(
    inner: Client,
    control: Arc<Control>,
    request: Request<Body>,
) -> Result<Response<Reply>, BoxError> {
    control.held.send_modify(|(count, _)| *count += 1);
    let cuts = control.cuts.subscribe();
    let sent = tokio::spawn(async move {
        let _ = control.held.subscribe().wait_for(|(_, released)| *released).await;
        let reply = inner.send(request).await.map_err(BoxError::from);
        control.late.send_replace(Some(reply.as_ref().map_or(0, |reply| reply.status().as_u16())));
        reply
    });
    Ok(sent.await??.map(|body| Reply::through(body, cuts)))
}

fn answer(code: u16, body: &serde_json::Value) -> Response<Reply> {
    let body = Body::from(format!("{body}\n").into_bytes());
    let reply = Reply { body, cut: Box::pin(std::future::pending()) };
    Response::builder().status(code).header("content-type", "application/json").body(reply).unwrap()
}

/// A reply that can be cut.
pub struct Reply {
    body: Body,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Reply {
    fn through(body: Body, mut cuts: watch::Receiver<u64>) -> Self {
        cuts.mark_unchanged();
        let cut = async move {
            if cuts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        Self { body, cut: Box::pin(cut) }
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            self.cut = Box::pin(std::future::pending());
            return Poll::Ready(Some(Err("the wire was cut".into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(BoxError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
