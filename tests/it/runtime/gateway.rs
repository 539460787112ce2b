//! A gateway between a program on this machine and the real server, which passes calls on or does what gateways do.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::ground::served;

/// What it does to the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Pass,
    /// The server answers, and nobody is told.
    LoseReplies,
    /// The server answers the next one, and its caller is told to come again after a minute.
    LoseOneReply,
}

/// A call that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// Its method and path.
    pub what: String,
    pub key: Option<String>,
    pub body: String,
}

struct Way {
    does: Mutex<Does>,
    came: Mutex<Vec<Came>>,
    server: reqwest::Client,
}

pub struct Gateway {
    /// Its address, on this machine.
    pub url: String,
    way: Arc<Way>,
}

impl Gateway {
    pub async fn that(does: Does) -> Self {
        let ca = reqwest::Certificate::from_pem(served().ca.as_bytes()).unwrap();
        let server = reqwest::Client::builder().add_root_certificate(ca).http1_only().build().unwrap();
        let way = Arc::new(Way { does: Mutex::new(does), came: Mutex::default(), server });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, way }
    }

    pub fn does(&self, does: Does) {
        *self.way.does.lock().unwrap() = does;
    }

    /// The calls that came for `what`.
    pub fn came(&self, what: &str) -> Vec<Came> {
        let came = self.way.came.lock().unwrap();
        came.iter().filter(|came| came.what == what).cloned().collect()
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let key = parts.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let does = {
        let mut does = way.does.lock().unwrap();
        let now = *does;
        if now == Does::LoseOneReply {
            *does = Does::Pass;
        }
        now
    };
    let what = format!("{} {}", parts.method, parts.uri.path());
    let url = format!("{}{}", served().url, parts.uri);
    let sent = way.server.request(parts.method, url).headers(parts.headers).body(body.clone()).send();
    let answer = sent.await.unwrap();
    way.came.lock().unwrap().push(Came { what, key, body: String::from_utf8(body.to_vec()).unwrap() });
    match does {
        Does::Pass => {
            let (status, mut headers) = (answer.status(), HeaderMap::new());
            for name in ["content-type", "n-nonce", "retry-after"] {
                if let Some(value) = answer.headers().get(name) {
                    headers.insert(name, value.clone());
                }
            }
            (status, headers, Body::from(answer.bytes().await.unwrap())).into_response()
        }
        Does::LoseReplies => StatusCode::BAD_GATEWAY.into_response(),
        Does::LoseOneReply => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")]).into_response()
        }
    }
}
