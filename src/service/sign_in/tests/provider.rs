//! A provider that says what it is told to, over real TLS: what it is asked, and with which refresh token, is on record.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Form, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::{
    domain::principal::Mailboxes,
    http::serve::{serve, tls},
    identity::{
        Claims, RelyingParty,
        fetch::Loopback,
        oidc::{self, Algorithm, Settings},
    },
    keys::tls::{make_ca, make_certificate},
    service::providers::{Provider, tests::provider},
};

/// An answer of the token endpoint.
pub(crate) enum Say {
    /// This, with this status.
    This(u16, Value),
    /// The beginning of one.
    Lost,
}

struct Desk {
    url: String,
    says: Mutex<VecDeque<Say>>,
    asked: Mutex<Vec<String>>,
    /// Nobody is answered before there is one.
    passes: Semaphore,
}

/// The provider.
pub(crate) struct Fake {
    desk: Arc<Desk>,
    ca: String,
    _stop: watch::Sender<bool>,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn minted(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "a"})), part(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

async fn discovery(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", desk.url);
    Json(json!({
        "issuer": desk.url, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn jwks() -> Json<Value> {
    let x = BASE64_URL_SAFE_NO_PAD.encode(key().verifying_key().as_bytes());
    Json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig", "x": x}]}))
}

async fn token(State(desk): State<Arc<Desk>>, Form(form): Form<HashMap<String, String>>) -> Response {
    desk.asked.lock().unwrap().push(form.get("refresh_token").cloned().unwrap_or_default());
    desk.passes.acquire().await.unwrap().forget();
    let said = desk.says.lock().unwrap().pop_front().expect("it was told what to say");
    match said {
        Say::This(status, body) => (StatusCode::from_u16(status).unwrap(), Json(body)).into_response(),
        Say::Lost => {
            let cut = futures::stream::iter([Ok("{"), Err(std::io::Error::other("the wire was cut"))]);
            Response::new(Body::from_stream(cut))
        }
    }
}

impl Fake {
    #[expect(clippy::disallowed_methods, reason = "whoever verifies its certificate has the real clock")]
    pub(crate) async fn start() -> Self {
        let ca = make_ca(Timestamp::now()).unwrap();
        let certificate = make_certificate(&ca, &["localhost".into()], Timestamp::now()).unwrap();
        let certificate = RustlsConfig::from_config(tls(&certificate).unwrap());
        let any = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let desk = Arc::new(Desk {
            url: format!("https://localhost:{}", any.port()),
            says: Mutex::default(),
            asked: Mutex::default(),
            passes: Semaphore::new(Semaphore::MAX_PERMITS / 2),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(desk.clone());
        let (stop, stopped) = watch::channel(false);
        let handle = Handle::new();
        tokio::spawn(serve(any, router, certificate, handle.clone(), stopped));
        handle.listening().await.unwrap();
        Self { desk, ca: ca.certificate, _stop: stop }
    }

    /// It, as it is declared, for people of acme.example.
    pub(crate) fn declared(&self) -> Arc<Provider> {
        self.declared_to("usher")
    }

    /// The same, where Usher is known as this client.
    pub(crate) fn declared_to(&self, client: &str) -> Arc<Provider> {
        let declared = Arc::into_inner(provider("acme", "acme.example")).unwrap();
        let settings = Settings {
            provider: "acme".parse().unwrap(),
            issuer: self.desk.url.parse().unwrap(),
            client: client.parse().unwrap(),
            secret: "s".to_owned().into(),
            scopes: Vec::new(),
            algorithms: vec![Algorithm::EdDsa],
            ca: Some(self.ca.clone()),
            claims: Claims::default(),
            mailboxes: Mailboxes { domains: declared.domains.clone(), authority: true },
        };
        let oidc = oidc::RelyingParty::new(settings, Loopback::Allowed).unwrap();
        Arc::new(Provider {
            relying_party: RelyingParty::Oidc(Box::new(oidc)),
            reauthenticate_after: SignedDuration::from_hours(8),
            ..declared
        })
    }

    /// What it says next.
    pub(crate) fn says(&self, say: Say) {
        self.desk.says.lock().unwrap().push_back(say);
    }

    /// The next time it says that this is somebody, of today, with that refresh token.
    pub(crate) fn says_who(&self, claims: &Value, now: Timestamp, refresh: &Value) {
        let second = now.as_second();
        let mut all = json!({"iss": self.desk.url, "aud": "usher", "sub": "1", "iat": second, "exp": second + 300,
            "email": "ann@acme.example", "groups": ["cad-users"], "name": "Ann Example"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut said = json!({"access_token": "a", "token_type": "Bearer", "id_token": minted(&all)});
        said.as_object_mut().unwrap().extend(refresh.as_object().unwrap().clone());
        self.says(Say::This(200, said));
    }

    /// The next time it says no.
    pub(crate) fn says_no(&self) {
        self.says(Say::This(400, json!({"error": "invalid_grant"})));
    }

    /// From now on it answers so many, and then nobody until there is more.
    pub(crate) fn answers(&self, so_many: usize) {
        self.desk.passes.forget_permits(Semaphore::MAX_PERMITS);
        self.desk.passes.add_permits(so_many);
    }

    /// The refresh tokens that it was shown since it was last asked this.
    pub(crate) fn was_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.desk.asked.lock().unwrap())
    }
}
