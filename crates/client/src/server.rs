//! Calls: over TLS, bounded in time and size, and sorted into what they mean.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Certificate, Client, Method, Proxy, Response, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};

use crate::{
    error::{Error, Problem},
    possession::{Key, Request},
};

/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// The longest nonce for proofs that is taken, in bytes.
const MAX_NONCE: usize = 256;
/// That the server wants a proof with the nonce that it has just given: as the runtime API says it, and as the token endpoint does.
const STALE: [&str; 2] = ["proof-stale", "use_dpop_nonce"];

/// How to reach the server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Certificate authorities to trust besides the system's, as PEM: Usher's own is in the ConfigMap `usher-ca`.
    pub ca: Option<Vec<u8>>,
    /// The proxy's URL; if absent, that of `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy: Option<String>,
    /// How long a call may take.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { ca: None, proxy: None, timeout: Duration::from_secs(10) }
    }
}

/// Usher, at an address.
#[derive(Debug, Clone)]
pub struct Server {
    http: Client,
    base: Url,
    /// For the next proof: the last one that it has given.
    nonce: Arc<Mutex<Option<String>>>,
}

/// What a call sends beside its path.
#[derive(Debug, Default)]
pub(crate) struct Call<'a> {
    pub(crate) bearer: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
    /// The service account's token of the pod that asks.
    pub(crate) workload: Option<&'a str>,
    /// Of which it is proven that we have it.
    pub(crate) possession: Option<&'a Key>,
    /// JSON.
    pub(crate) body: &'a str,
}

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) nonce: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// The server at `url`, such as `https://usher.acme.example`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is not one of HTTPS (or of this very machine), or an option is of no use.
    pub fn new(url: &str, options: Options) -> Result<Self, Error> {
        let not_one = |why: &dyn std::fmt::Display| {
            Error::Usage(format!(
                "{url} is not the address of a server: {why}; write such as https://usher.acme.example"
            ))
        };
        let base = Url::parse(url).map_err(|error| not_one(&error))?;
        if base.scheme() != "https" && !is_this_machine(&base) {
            return Err(not_one(&"tokens go over TLS only"));
        }
        let mut http = Client::builder()
            .redirect(Policy::none())
            .timeout(options.timeout)
            .user_agent(concat!("usher-client/", env!("CARGO_PKG_VERSION")));
        for ca in options
            .ca
            .as_deref()
            .map(Certificate::from_pem_bundle)
            .transpose()
            .map_err(certificate)?
            .into_iter()
            .flatten()
        {
            http = http.add_root_certificate(ca);
        }
        if let Some(proxy) = options.proxy {
            let proxied = Proxy::all(&proxy);
            http = http.proxy(
                proxied
                    .map_err(|error| Error::Usage(format!("{proxy} is not the URL of a proxy: {error}")))?,
            );
        }
        Ok(Self { http: http.build().map_err(certificate)?, base, nonce: Arc::default() })
    }

    /// What a call is answered. A proof that came too late, or by a wrong clock, is made once more.
    pub(crate) async fn call(&self, method: Method, path: &str, call: Call<'_>) -> Result<Answer, Error> {
        let answer = self.call_once(&method, path, &call).await;
        if call.possession.is_some() && is_stale(&answer) {
            return self.call_once(&method, path, &call).await;
        }
        answer
    }

    async fn call_once(&self, method: &Method, path: &str, call: &Call<'_>) -> Result<Answer, Error> {
        let url = self.base.join(path).map_err(|error| Error::Answer(error.to_string()))?;
        let mut request = self.http.request(method.clone(), url.clone()).bearer_auth(call.bearer);
        if let Some(proof) = self.proof(call.possession, method, &url, Some(call.bearer))? {
            request = request.header("DPoP", proof);
        }
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(nonce) = call.nonce {
            request = request.header("N-Nonce", nonce);
        }
        if let Some(token) = call.workload {
            request = request.header("Workload-Token", token);
        }
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(call.body.to_owned());
        }
        self.answered(request.send().await.map_err(unreachable)?).await
    }

    /// A proof is of an https URL: what stands in front of the server on this machine, and speaks plain HTTP, could not pass it on.
    fn proof(
        &self,
        key: Option<&Key>,
        method: &Method,
        url: &Url,
        token: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let Some(key) = key.filter(|_| url.scheme() == "https") else { return Ok(None) };
        let mut to = url.clone();
        to.set_query(None);
        to.set_fragment(None);
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        key.prove(&Request { method: method.as_str(), url: to.as_str(), token, nonce: nonce.as_deref() })
            .map(Some)
    }

    /// The answer; the nonce for the next proof is remembered.
    async fn answered(&self, response: Response) -> Result<Answer, Error> {
        let next = response.headers().get("DPoP-Nonce").and_then(|nonce| nonce.to_str().ok());
        if let Some(next) = next.filter(|next| next.len() <= MAX_NONCE) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.to_owned());
        }
        answered(response).await
    }

    /// What is told to everybody.
    pub(crate) async fn ask(&self, path: &str) -> Result<Vec<u8>, Error> {
        let url = self.base.join(path).map_err(|error| Error::Answer(error.to_string()))?;
        let response = self.http.get(url).send().await.map_err(unreachable)?;
        answered(response).await.map(|answer| answer.body)
    }

    /// What a form is answered with; a refusal is one of OAuth (RFC 6749, section 5.2). It goes to this server and no other.
    pub(crate) async fn form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        key: Option<&Key>,
    ) -> Result<Vec<u8>, Error> {
        let answer = self.form_once(url, fields, key).await;
        if key.is_some() && is_stale(&answer) {
            return self.form_once(url, fields, key).await;
        }
        answer
    }

    async fn form_once(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        key: Option<&Key>,
    ) -> Result<Vec<u8>, Error> {
        let url = Url::parse(url).map_err(|error| Error::Answer(error.to_string()))?;
        if url.origin() != self.base.origin() {
            return Err(Error::Answer("it names another server".to_owned()));
        }
        let mut body = Url::parse("form:").map_err(|error| Error::Answer(error.to_string()))?;
        body.query_pairs_mut().extend_pairs(fields);
        let body = body.query().unwrap_or_default().to_owned();
        let mut request =
            self.http.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(proof) = self.proof(key, &Method::POST, &url, None)? {
            request = request.header("DPoP", proof);
        }
        let response = request.body(body).send().await.map_err(unreachable)?;
        self.answered(response).await.map(|answer| answer.body)
    }

    /// The server's address, without a path.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

fn is_stale<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Refused(problem)) if STALE.contains(&problem.code.as_str()))
}

async fn answered(mut response: Response) -> Result<Answer, Error> {
    let status = response.status();
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let nonce = header("N-Nonce");
    let retry_after = header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(Error::Answer("it is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() { Ok(Answer { nonce, body }) } else { Err(sorted(status, retry_after, &body)) }
}

/// A refusal as OAuth has it (RFC 6749, section 5.2).
#[derive(serde::Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Denied {
    fn problem(self, status: StatusCode) -> Problem {
        Problem {
            title: self.error.clone(),
            code: self.error,
            detail: self.error_description,
            next: String::new(),
            status: status.as_u16(),
            exhausted: None,
        }
    }
}

/// What an answer that is no success means.
fn sorted(status: StatusCode, retry_after: Option<u64>, body: &[u8]) -> Error {
    let problem = serde_json::from_slice::<Problem>(body);
    let later = status.is_server_error()
        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
    match problem {
        Err(_) if status.is_client_error() && !later => match serde_json::from_slice::<Denied>(body) {
            Ok(denied) => Error::Refused(denied.problem(status)),
            Err(_) => Error::Answer(status.to_string()),
        },
        Ok(problem) if later => Error::Unreachable { why: problem.to_string(), retry_after },
        Ok(problem) if status.is_client_error() => {
            Error::Refused(Problem { status: status.as_u16(), ..problem })
        }
        _ if later => Error::Unreachable { why: status.to_string(), retry_after },
        _ => Error::Answer(status.to_string()),
    }
}

fn is_this_machine(url: &Url) -> bool {
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme() == "http" && loopback
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives it away")]
fn certificate(error: reqwest::Error) -> Error {
    Error::Usage(format!("the certificate authority cannot be used: {}", with_causes(&error)))
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::Unreachable { why: with_causes(&error.without_url()), retry_after: None }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_sent_in_the_clear_but_on_this_machine() {
        let refused = |url: &str| Server::new(url, Options::default()).unwrap_err().to_string();
        assert!(refused("http://usher.acme.example").contains("tokens go over TLS only"));
        assert!(refused("usher.acme.example").contains("write such as"));
        for url in ["https://usher.acme.example", "http://127.0.0.1:8080", "http://[::1]:1"] {
            Server::new(url, Options::default()).unwrap();
        }
    }

    #[test]
    fn an_option_that_is_of_no_use_is_named() {
        let ca = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec());
        let options = Options { ca, ..Options::default() };
        let said = Server::new("https://usher.acme.example", options).unwrap_err().to_string();
        assert!(said.contains("the certificate authority cannot be used"), "{said}");
        let options = Options { proxy: Some("::".into()), ..Options::default() };
        let said = Server::new("https://usher.acme.example", options).unwrap_err().to_string();
        assert!(said.contains(":: is not the URL of a proxy"), "{said}");
    }

    #[test]
    fn a_refusal_is_told_from_a_server_that_cannot_serve_now() {
        let problem = br#"{"type":"about:blank","code":"nonce-used","title":"used","detail":"It was used.","next":"Activate again.","status":409}"#;
        let said = |status: u16, body: &[u8]| sorted(StatusCode::from_u16(status).unwrap(), Some(7), body);
        match said(409, problem) {
            Error::Refused(problem) => {
                assert_eq!(problem.to_string(), "It was used. Activate again. (nonce-used)");
                assert_eq!(problem.status, 409);
            }
            other => panic!("{other}"),
        }
        for status in [408, 429, 500, 503] {
            for body in [&problem[..], b"<html>"] {
                assert!(
                    matches!(said(status, body), Error::Unreachable { retry_after: Some(7), .. }),
                    "{status}"
                );
            }
        }
        for (status, body) in [(404, &b"<html>"[..]), (302, problem), (400, b"{}")] {
            assert!(matches!(said(status, body), Error::Answer(_)), "{status}");
        }
    }
}
