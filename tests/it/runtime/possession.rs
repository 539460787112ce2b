//! Proofs of possession (RFC 9449), as programs send them that are not ours: an activation is bound to a key from its first call on.

use std::path::Path;

use ::http::Method;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Own, Scene, clones, for_devices,
    program::{Call, Told, drawn},
};
use crate::ground::{Listening, Machine, served};
use usher::service::edge::Edge as _;

/// Somebody who has a key, and the server that they ask.
pub struct Prover(SigningKey, String);

impl Prover {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]), served().url.clone())
    }

    /// Whoever has what our client keeps in this file.
    pub fn with_key_of(path: &Path, server: &Listening) -> Self {
        let jwk: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let secret = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap()).unwrap();
        Self(SigningKey::from_bytes(&secret.try_into().unwrap()), server.url.clone())
    }

    /// The thumbprint of its key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.verifying_key().to_bytes());
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
    }

    /// A proof for this request, with these claims instead.
    fn with(&self, method: &str, path: &str, token: &str, members: &Value) -> String {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.0.verifying_key().to_bytes())});
        let mut claims = json!({
            "jti": drawn(), "htm": method, "htu": format!("{}{path}", self.1), "iat": Machine.now().as_second(),
            "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
        });
        claims.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
        let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).to_bytes());
        format!("{text}.{signature}")
    }

    pub fn proof(&self, method: &str, path: &str, token: &str) -> String {
        self.with(method, path, token, &json!({}))
    }
}

/// One call of an activation.
struct Asks {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Scene {
    async fn activate_with(&self, key: &str, proof: Option<&str>) -> Told {
        let body = json!({"license": format!("{}/cad", self.place.namespace), "device": {"id": "lab-3"}});
        let call =
            Call { token: Some(&self.key), key: Some(key), body: Some(body), proof, ..Call::default() };
        self.program.send(Method::POST, "/v1/activations", &call).await
    }

    /// An activation that is bound to this key.
    async fn bound(&self, prover: &Prover) -> Own {
        let proof = prover.proof("POST", "/v1/activations", &self.key);
        Own::of(&self.activate_with(&drawn(), Some(&proof)).await)
    }

    async fn ask(&self, own: &Own, asks: &Asks, proof: Option<&str>) -> Told {
        let key = drawn();
        let (key, nonce) = (Some(key.as_str()), Some(own.nonce.as_str()));
        let call = Call { proof, key, nonce, body: asks.body.clone(), ..own.call() };
        self.program.send(asks.method.clone(), &asks.path, &call).await
    }
}

fn of(own: &Own, method: Method, path: &str, body: Option<Value>) -> Asks {
    Asks { method, path: path.replace("{id}", &own.id), body }
}

/// All calls of an activation, the one that ends it last.
fn calls(own: &Own) -> [Asks; 6] {
    let activation = Some(json!({"activation": own.id}));
    [
        of(own, Method::GET, "/v1/activations/{id}", None),
        of(own, Method::POST, "/v1/heartbeat", activation.clone()),
        of(own, Method::POST, "/v1/sessions", activation),
        of(own, Method::POST, "/v1/activations/{id}/state", None),
        of(own, Method::POST, "/v1/activations/{id}/refresh", None),
        of(own, Method::DELETE, "/v1/activations/{id}", None),
    ]
}

#[tokio::test]
async fn each_call_of_an_activation_that_is_bound_needs_its_key_and_the_chain_sees_nobody_else() {
    let scene = Scene::new(&for_devices(1)).await;
    let (prover, thief) = (Prover::new(1), Prover::new(2));
    let mut own = scene.bound(&prover).await;
    for asks in calls(&own) {
        let Asks { method, path, .. } = &asks;
        let prove = |prover: &Prover| prover.proof(method.as_str(), path, &own.token);
        assert_eq!(scene.ask(&own, &asks, None).await.code(), "proof-missing", "{method} {path}");
        let refused = scene.ask(&own, &asks, Some(&prove(&thief))).await;
        assert_eq!(refused.code(), "proof-invalid", "{method} {path}");
        let proof = prove(&prover);
        let answered = scene.ask(&own, &asks, Some(&proof)).await;
        assert!((200..300).contains(&answered.status), "{method} {path}: {answered:?}");
        let again = scene.ask(&own, &asks, Some(&proof)).await;
        assert_eq!(again.code(), "proof-invalid", "{method} {path}: each proof is good once");
        own.nonce = answered.nonce.unwrap_or(own.nonce);
    }
    let license = scene.place.licenses.get("cad").await.unwrap();
    assert_eq!(clones::clone_seen(&license), None);
}

#[tokio::test]
async fn an_activation_that_is_not_bound_is_asked_for_no_proof() {
    let scene = Scene::new(&for_devices(1)).await;
    let mut own = scene.active("lab-3").await;
    for asks in calls(&own) {
        // A proof is of no use to it, whatever it says.
        for proof in
            [None, Some("no proof")].into_iter().take(if asks.method == Method::DELETE { 1 } else { 2 })
        {
            let answered = scene.ask(&own, &asks, proof).await;
            assert!((200..300).contains(&answered.status), "{} {}: {answered:?}", asks.method, asks.path);
            own.nonce = answered.nonce.unwrap_or(own.nonce);
        }
    }
}

#[tokio::test]
async fn a_reply_that_was_lost_is_given_again_to_whoever_has_the_key_and_to_nobody_else() {
    let scene = Scene::new(&for_devices(1)).await;
    let (prover, thief, key) = (Prover::new(1), Prover::new(2), drawn());
    let prove = |prover: &Prover| prover.proof("POST", "/v1/activations", &scene.key);
    let first = scene.activate_with(&key, Some(&prove(&prover))).await;
    let own = Own::of(&first);
    assert_eq!(scene.activate_with(&key, None).await.code(), "idempotency-key-used");
    assert_eq!(scene.activate_with(&key, Some(&prove(&thief))).await.code(), "idempotency-key-used");
    let again = Own::of(&scene.activate_with(&key, Some(&prove(&prover))).await);
    assert_eq!((again.id, again.token, again.nonce), (own.id, own.token, own.nonce));
    for bad in ["", "a.b.c", &prover.proof("POST", "/v1/activations", "another token")] {
        assert_eq!(scene.activate_with(&drawn(), Some(bad)).await.code(), "proof-invalid", "{bad}");
    }
}

#[tokio::test]
async fn a_proof_is_held_against_the_request_that_it_comes_with() {
    let scene = Scene::new(&for_devices(1)).await;
    let prover = Prover::new(1);
    let own = scene.bound(&prover).await;
    let asks = of(&own, Method::POST, "/v1/activations/{id}/state", None);
    let path = asks.path.as_str();
    for (members, what) in [
        (json!({"htm": "GET"}), "another method"),
        (json!({"htu": format!("{}/v1/heartbeat", served().url)}), "another path"),
        (json!({"htu": format!("https://other.acme.example{path}")}), "another server"),
        (json!({"ath": URL_SAFE_NO_PAD.encode(Sha256::digest("another"))}), "another token"),
        (json!({"ath": null}), "no token"),
        (json!({"jti": "j".repeat(129)}), "a jti that is too long"),
    ] {
        let proof = prover.with("POST", path, &own.token, &members);
        assert_eq!(scene.ask(&own, &asks, Some(&proof)).await.code(), "proof-invalid", "{what}");
    }
    // Whoever's clock is wrong goes on by ours.
    let now = Machine.now().as_second();
    for iat in [now - 3_600, now + 3_600] {
        let refused =
            scene.ask(&own, &asks, Some(&prover.with("POST", path, &own.token, &json!({"iat": iat})))).await;
        assert_eq!(refused.code(), "proof-stale", "{iat}");
        let members = json!({"iat": iat, "nonce": refused.proof_nonce.unwrap()});
        let proof = prover.with("GET", &format!("/v1/activations/{}", own.id), &own.token, &members);
        let check = of(&own, Method::GET, "/v1/activations/{id}", None);
        assert_eq!(scene.ask(&own, &check, Some(&proof)).await.status, 200, "{iat}");
    }
    let theirs = prover.with("POST", path, &own.token, &json!({"nonce": "theirs"}));
    assert_eq!(scene.ask(&own, &asks, Some(&theirs)).await.code(), "proof-stale");
    // An address of this server's own is as good as another.
    let (_, port) = served().url.rsplit_once(':').unwrap();
    let same = json!({"htu": format!("https://127.0.0.1:{port}{path}")});
    let proof = prover.with("POST", path, &own.token, &same);
    assert_eq!(scene.ask(&own, &asks, Some(&proof)).await.status, 200);
}

#[tokio::test]
async fn of_two_who_have_state_and_key_the_chain_catches_one() {
    let scene = Scene::new(&for_devices(1)).await;
    let prover = Prover::new(1);
    let own = scene.bound(&prover).await;
    let asks = of(&own, Method::POST, "/v1/activations/{id}/refresh", None);
    let proof = || prover.proof("POST", &asks.path, &own.token);
    assert_eq!(scene.ask(&own, &asks, Some(&proof())).await.status, 200);
    assert_eq!(scene.ask(&own, &asks, Some(&proof())).await.code(), "nonce-used");
}
