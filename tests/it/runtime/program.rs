//! A program that asks Usher, over HTTPS: what it sends, and what it is told.

use ::http::{Method, Request, StatusCode};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Client, Config, client::Body};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::contract;
use crate::ground::{Listening, Machine, wait_for};
use usher::service::edge::Edge as _;

const FORM: &str = "application/x-www-form-urlencoded";

/// A connection to the API.
#[derive(Clone)]
pub struct Program {
    client: Client,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    pub token: Option<&'a str>,
    /// The service account's token of the pod that asks.
    pub workload: Option<&'a str>,
    pub nonce: Option<&'a str>,
    /// A proof of possession.
    pub proof: Option<&'a str>,
    pub key: Option<&'a str>,
    pub body: Option<Value>,
    /// A form, in place of a body.
    pub form: Option<&'a str>,
}

/// What it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    pub nonce: Option<String>,
    /// For the next proof of possession.
    pub proof_nonce: Option<String>,
    pub text: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of a refusal.
    pub fn code(&self) -> String {
        let json = self.json();
        json["code"].as_str().unwrap_or_else(|| panic!("no refusal: {self:?}")).to_owned()
    }

    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("no {member}: {self:?}")).to_owned()
    }

    /// What the document that came with it says.
    pub fn claims(&self) -> usher_license::Claims {
        let document = self.text("document");
        usher_license::License::parse(document.as_bytes()).unwrap().unverified_claims().clone()
    }
}

/// An activation, as its program keeps it.
#[derive(Debug, Clone)]
pub struct Own {
    pub id: String,
    pub token: String,
    pub nonce: String,
    /// Of a pod: its service account's token.
    pub workload: Option<String>,
}

impl Own {
    pub fn of(told: &Told) -> Self {
        assert_eq!(told.status, 201, "{told:?}");
        Self {
            id: told.text("id"),
            token: told.text("activation_token"),
            nonce: told.nonce.clone().unwrap(),
            workload: None,
        }
    }
}

impl Own {
    /// What each call shows.
    pub fn call(&self) -> Call<'_> {
        Call { token: Some(&self.token), workload: self.workload.as_deref(), ..Call::default() }
    }
}

/// A key of a request, drawn for it.
pub fn drawn() -> String {
    Machine.entropy().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Program {
    pub fn at(listening: &Listening) -> Self {
        let ca = CertificateDer::from_pem_slice(listening.ca.as_bytes()).unwrap();
        let mut config = Config::new(listening.url.parse().unwrap());
        config.root_cert = Some(vec![ca.to_vec()]);
        config.default_retry = false;
        Self { client: Client::try_from(config).unwrap() }
    }

    /// Sends a request; fails only if no answer comes.
    pub async fn try_send(&self, method: Method, path: &str, call: &Call<'_>) -> Result<Told, kube::Error> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        let bearer = call.token.map(|token| format!("Bearer {token}"));
        let headers = [
            ("authorization", bearer.as_deref()),
            ("workload-token", call.workload),
            ("n-nonce", call.nonce),
            ("dpop", call.proof),
            ("idempotency-key", call.key),
            ("content-type", Some(call.form.map_or("application/json", |_| FORM))),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let body = call.body.as_ref().map(Value::to_string).or(call.form.map(str::to_owned));
        let body = body.unwrap_or_default().into_bytes();
        let answer = self.client.send(request.body(Body::from(body)).unwrap()).await?;
        let status: StatusCode = answer.status();
        let is_later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        assert!(
            !is_later || answer.headers().contains_key("retry-after"),
            "{method} {path}: when to come again?"
        );
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (nonce, proof_nonce) = (header("n-nonce"), header("dpop-nonce"));
        let bytes = answer.into_body().collect_bytes().await?;
        let told = Told {
            status: status.as_u16(),
            nonce,
            proof_nonce,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        contract::promises(&method, path, &told);
        Ok(told)
    }

    pub async fn send(&self, method: Method, path: &str, call: &Call<'_>) -> Told {
        self.try_send(method, path, call).await.unwrap()
    }

    /// Sends a form: what it is told, and with which status.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let body = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = Request::post(path).header("content-type", FORM);
        let answer = self.client.send(request.body(Body::from(body.into_bytes())).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.into_body().collect_bytes().await.unwrap()).unwrap())
    }

    /// Activates `device` by an activation key, with the key of the request; fails only if no answer comes.
    pub async fn try_activate(
        &self,
        namespace: &str,
        by: &str,
        device: &str,
        key: &str,
    ) -> Result<Told, kube::Error> {
        let body = json!({"license": format!("{namespace}/cad"), "device": {"id": device}});
        let call = Call { token: Some(by), key: Some(key), body: Some(body), ..Call::default() };
        self.try_send(Method::POST, "/v1/activations", &call).await
    }

    /// Activates `device` by an activation key.
    pub async fn activate(&self, namespace: &str, by: &str, device: &str, key: Option<&str>) -> Told {
        let body = json!({"license": format!("{namespace}/cad"), "device": {"id": device, "name": "Lab 3"}});
        let call = Call { token: Some(by), key, body: Some(body), ..Call::default() };
        self.send(Method::POST, "/v1/activations", &call).await
    }

    /// Uses the nonce for `operation`, by `key`.
    pub async fn present(&self, own: &Own, operation: &str, key: Option<&str>) -> Told {
        let call = Call { nonce: Some(&own.nonce), key, ..own.call() };
        self.send(Method::POST, &format!("/v1/activations/{}/{operation}", own.id), &call).await
    }

    pub async fn refresh(&self, own: &Own) -> Told {
        self.present(own, "refresh", Some(&drawn())).await
    }

    pub async fn check(&self, own: &Own) -> Told {
        let call = Call { nonce: Some(&own.nonce), ..own.call() };
        self.send(Method::GET, &format!("/v1/activations/{}", own.id), &call).await
    }

    pub async fn deactivate(&self, own: &Own) -> Told {
        let call = own.call();
        self.send(Method::DELETE, &format!("/v1/activations/{}", own.id), &call).await
    }
}

/// The activation key of this name, once it is there.
pub async fn key_named(secrets: &Api<Secret>, name: &str) -> String {
    let there = |secret: &Secret| secret.data.iter().flatten().any(|(entry, _)| entry == name);
    let secret = wait_for(secrets, "cad-activation-keys", "has the key", there).await;
    let ByteString(key) = secret.data.unwrap().remove(name).unwrap();
    String::from_utf8(key).unwrap()
}
