//! Recording every request of the real program: a proxy between it and the API server.
//!
//! ```text
//!   usher ──HTTP──► Recorder (notes what, and when it began and ended) ──HTTPS, usher's token──► API server
//! ```
//! A run that is recorded is not measured.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use kube::{Client, config::Kubeconfig};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Failure, clock::Since};

/// The most bytes of one body.
const MOST: usize = 64 << 20;

/// One request as it was sent, and when.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub status: StatusCode,
    pub begun: Duration,
    pub ended: Duration,
}

impl Call {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether the query has this parameter, with this beginning of a value.
    pub fn asks(&self, parameter: &str) -> bool {
        let query = self.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        query.split('&').any(|part| part.starts_with(parameter))
    }
}

#[derive(Clone)]
struct Shared {
    client: Client,
    since: Since,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// The proxy; ends when this is dropped.
pub struct Recorder {
    shared: Shared,
    serving: JoinHandle<()>,
}

impl Recorder {
    /// Begins to listen, and writes to `kubeconfig` how to reach the API server through here.
    pub async fn start(client: Client, kubeconfig: &Path) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
             clusters: [{{name: c, cluster: {{server: 'http://{}'}}}}], users: [{{name: u, user: {{}}}}]}}",
            listener.local_addr()?
        );
        Kubeconfig::from_yaml(&text)?;
        std::fs::write(kubeconfig, text)?;
        let shared = Shared { client, since: Since::now(), calls: Arc::default() };
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            if let Err(failure) = axum::serve(listener, router).await {
                eprintln!("bench: the recorder failed: {failure}");
            }
        });
        Ok(Self { shared, serving })
    }

    /// What was recorded, in the order in which it began.
    pub fn end(self) -> Vec<Call> {
        let mut calls =
            std::mem::take(&mut *self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner));
        calls.sort_by_key(|call| call.begun);
        calls
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    match forward(&shared, request).await {
        Ok(response) => response,
        Err(failure) => (StatusCode::BAD_GATEWAY, failure.to_string()).into_response(),
    }
}

async fn forward(shared: &Shared, request: Request) -> Result<Response, Failure> {
    let begun = shared.since.elapsed();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MOST).await?;
    let mut headers = parts.headers;
    // The connection's own.
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut call =
        Call { method: parts.method, target, headers, body, status: StatusCode::OK, begun, ended: begun };
    let response = send(&shared.client, &call).await?;
    call.status = response.status();
    let (parts, body) = response.into_parts();
    // A watch ends who knows when; everything else is over when its last byte is here.
    let body = if call.asks("watch=true") { body } else { Body::from(to_bytes(body, MOST).await?) };
    call.ended = shared.since.elapsed();
    shared.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    let mut response = Response::from_parts(parts, body);
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    Ok(response)
}

/// Sends a request as it was.
pub async fn send(client: &Client, call: &Call) -> Result<Response, Failure> {
    let mut request = http::Request::builder().method(call.method.clone()).uri(&call.target);
    if let Some(headers) = request.headers_mut() {
        *headers = call.headers.clone();
    }
    let request = request.body(kube::client::Body::from(call.body.to_vec()))?;
    Ok(client.send(request).await?.map(Body::new))
}

/// The whole of a reply.
pub async fn whole(response: Response) -> Result<Bytes, Failure> {
    Ok(to_bytes(response.into_body(), MOST).await?)
}
