//! Whoever sends what no client of ours would: every call of the committed contract, broken in each of many ways.
//!
//! Each answer is a problem (4xx) with a code that the contract of the call promises, and nothing has come of it: the nonce from before
//! all of it is good after all of it.

use ::http::Method;
use futures::{StreamExt as _, future::join_all, stream};
use serde_json::{Value, json};

use super::{
    Own, Scene,
    administrators::{ISSUER, account, token},
    broken::{broken, resolved},
    contract::{CONTRACT, promises},
    for_devices,
    program::{Call, drawn},
    raw::{Content, Raw, Way},
};
use crate::{
    ground::{FEW, Served, until},
    scenarios::Place,
};

/// How many attacks are under way at once: fewer than may be.
const AT_ONCE: usize = 4;
/// The largest body, and one that is larger; in bytes.
const TOO_LARGE: usize = 72 * 1024 + 1;

/// An attack: what is wrong, and what it is to be answered.
struct Attack {
    what: String,
    raw: Raw,
    status: u16,
    codes: &'static [&'static str],
}

/// Takes down an attack.
type On<'a> = dyn FnMut(&str, Raw, u16, &'static [&'static str]) + 'a;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const INVALID: &[&str] = &["request-invalid"];
const UNPROVEN: &[&str] = &["proof-invalid"];
/// What may be said of an id that is nobody's.
const NOBODY: &[&str] = &["unauthorized", "forbidden", "request-invalid"];

/// Who attacks, and with what.
struct Attacker {
    scene: Scene,
    own: Own,
    other: Own,
    session: String,
    /// The activation key of another License.
    foreign: String,
    /// An administrator's.
    boss: String,
}

impl Attacker {
    async fn of(served: &Served) -> Self {
        let made = async |seats| {
            Scene::of(Place::new(served.ground).await, served.listening, &for_devices(seats)).await
        };
        let scene = made(2).await;
        let (own, other) = (scene.active("a").await, scene.active("b").await);
        let (key, body) = (drawn(), Some(json!({"activation": own.id})));
        let call = Call { token: Some(&own.token), key: Some(&key), body, ..Call::default() };
        let session = scene.program.send(Method::POST, "/v1/sessions", &call).await.text("id");
        account(served.ground, &scene.place.namespace, "boss", Some("usher-licensor"));
        let boss = token(served.ground, &scene.place.namespace, "boss", &[ISSUER]);
        let foreign = made(1).await.key;
        Self { scene, own, other, session, foreign, boss }
    }

    /// The call as it should be made.
    fn good(&self, method: &str, template: &str, operation: &Value) -> Raw {
        let id = if template.contains("/sessions/") { &self.session } else { &self.own.id };
        let mut headers = vec![];
        let by: Vec<&str> = operation["security"].as_array().unwrap().iter().filter_map(first_key).collect();
        let token = match by.first() {
            Some(&"activationKey") => Some(&self.scene.key),
            Some(&"administrator") => Some(&self.boss),
            Some(_) => Some(&self.own.token),
            None => None,
        };
        headers.extend(token.map(|token| header("authorization", format!("Bearer {token}"))));
        for parameter in parameters(operation) {
            match parameter["name"].as_str().unwrap() {
                "N-Nonce" => headers.push(header("n-nonce", self.own.nonce.clone())),
                "Idempotency-Key" => headers.push(header("idempotency-key", drawn())),
                _ => {}
            }
        }
        let kind = kind_of(operation);
        let body = kind
            .map(|kind| if kind == FORM { "token=x".to_owned() } else { self.body(template).to_string() });
        headers.extend(kind.map(|kind| header("content-type", kind)));
        Raw {
            method: method.to_ascii_uppercase(),
            path: template.replace("{id}", id),
            headers,
            content: Content::Whole(body.unwrap_or_default().into_bytes()),
        }
    }

    fn body(&self, template: &str) -> Value {
        match template {
            "/v1/activations" => {
                let license = format!("{}/cad", self.scene.place.namespace);
                json!({"license": license, "device": {"id": "c", "name": "Lab 3"}})
            }
            "/v1/sessions" | "/v1/heartbeat" => json!({"activation": self.own.id}),
            other => panic!("{other} takes a body: say which"),
        }
    }

    /// All attacks on all calls.
    fn attacks(&self) -> Vec<Attack> {
        let mut attacks = Vec::new();
        for (template, item) in CONTRACT["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let good = self.good(method, template, operation);
                let mut on = |what: &str, raw: Raw, status: u16, codes| {
                    attacks.push(Attack { what: what.to_owned(), raw, status, codes });
                };
                self.on_credentials(&good, operation, &mut on);
                self.on_headers(&good, operation, &mut on);
                on_methods(&good, item, &mut on);
                on_paths(&good, template, &mut on);
                on_bodies(&good, operation, &mut on);
            }
        }
        attacks
    }

    fn on_credentials(&self, good: &Raw, operation: &Value, on: &mut On<'_>) {
        if operation["security"].as_array().unwrap().is_empty() {
            return;
        }
        let with = |said: &[u8]| good.clone().without("authorization").with("authorization", said);
        on("no credential", good.clone().without("authorization"), 401, &["unauthorized"]);
        let others = [&self.other.token, &self.foreign].map(|token| format!("Bearer {token}"));
        let strange =
            ["Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "usher_act_x"];
        for said in strange.into_iter().chain(others.iter().map(String::as_str)) {
            on(said, with(said.as_bytes()), 401, &["unauthorized", "audience-wrong"]);
        }
        on("a credential in Latin-1", with(b"Bearer \xe9"), 400, INVALID);
        on("two credentials", good.clone().with("authorization", others[0].as_bytes()), 400, INVALID);
    }

    fn on_headers(&self, good: &Raw, operation: &Value, on: &mut On<'_>) {
        let large = &["headers-too-large"];
        on("a long header", good.clone().with("x-long", &[b'x'; 9_000]), 431, large);
        let many = (0..70).fold(good.clone(), |raw, n| raw.with(&format!("x-{n}"), b"x"));
        on("many headers", many, 431, large);
        for parameter in parameters(operation) {
            let name = parameter["name"].as_str().unwrap().to_ascii_lowercase();
            if parameter["in"] != "header" || name == "x-request-id" {
                continue;
            }
            let with = |said: &[u8]| good.clone().without(&name).with(&name, said);
            // What is no proof proves nothing (RFC 9449, section 7.1).
            let (status, codes) = if name == "dpop" { (401, UNPROVEN) } else { (400, INVALID) };
            on(&format!("{name} in Latin-1"), with(b"\xe9"), status, codes);
            let there = parameter["required"] == true || name == "idempotency-key";
            let once = if there { good.clone() } else { good.clone().with(&name, b"x") };
            on(&format!("{name} twice"), once.with(&name, b"x"), status, codes);
            if name == "n-nonce" {
                on("no nonce", good.clone().without(&name), 400, INVALID);
                for said in ["x", "AAAA", &self.other.nonce, &"A".repeat(300)] {
                    on(&format!("the nonce {said}"), with(said.as_bytes()), 400, &["nonce-unknown"]);
                }
            } else if name == "idempotency-key" {
                for length in [1, 21, 129, 4_000] {
                    on("a key of a wrong length", with(&vec![b'k'; length]), 400, INVALID);
                }
            }
        }
    }
}

fn on_methods(good: &Raw, item: &Value, on: &mut On<'_>) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        if item.get(method.to_ascii_lowercase()).is_none() {
            let raw = Raw { method: method.to_owned(), ..good.clone() };
            on("another method", raw, 405, &["method-not-allowed"]);
        }
    }
}

fn on_paths(good: &Raw, template: &str, on: &mut On<'_>) {
    let to = |path: String| Raw { path, ..good.clone() };
    on("a path that is longer", to(format!("{}/x/x/x", good.path)), 404, &["not-found"]);
    let Some((before, after)) = template.split_once("{id}") else { return };
    // In the middle of a path, nothing is an id that nobody has.
    let (status, codes) = if after.is_empty() { (404, &["not-found"][..]) } else { (0, NOBODY) };
    on("no id", to(format!("{before}{after}")), status, codes);
    let dashed = format!("{}-%00", "0".repeat(32));
    let long = "x".repeat(4_000);
    for id in [
        "%00",
        "%FF",
        "%2e%2e",
        "%2e%2e%2f%2e%2e",
        "'%20OR%201=1--",
        "%F0%9F%A6%80",
        "-",
        &dashed,
        &long,
        &"0".repeat(32),
    ] {
        on(&format!("the id {id}"), to(format!("{before}{id}{after}")), 0, NOBODY);
    }
    let own = good.path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
    let close = own.split_once('-').map(|(activation, _)| format!("{activation}-%00"));
    for id in [format!("{own}%00"), format!("{own}%0a"), own.to_ascii_uppercase()].into_iter().chain(close) {
        on(&format!("the id {id}"), to(format!("{before}{id}{after}")), 0, NOBODY);
    }
}

fn on_bodies(good: &Raw, operation: &Value, on: &mut On<'_>) {
    let takes = operation.get("requestBody");
    let has_key = parameters(operation).iter().any(|parameter| parameter["name"] == "Idempotency-Key");
    let with = |body: &[u8]| Raw { content: Content::Whole(body.to_owned()), ..good.clone() };
    if takes.is_some() || has_key {
        for length in [TOO_LARGE, 300_000, 1_000_000] {
            on("a large body", with(&vec![b' '; length]), 413, &["request-too-large"]);
        }
    }
    let (Some(takes), Some(own)) = (takes, kind_of(operation)) else { return };
    let kinds = ["text/plain", FORM, JSON, "multipart/form-data; boundary=x", "application/jsonp", "", "*/*"];
    for kind in kinds.into_iter().filter(|kind| *kind != own) {
        let raw = good.clone().without("content-type").with("content-type", kind.as_bytes());
        on(&format!("a body of {kind}"), raw, 415, &["media-type-unsupported"]);
    }
    on("two kinds", good.clone().with("content-type", own.as_bytes()), 400, INVALID);
    if own == FORM {
        for no_form in [&b""[..], b"x=1", b"token=a&token=b", b"{\"token\": \"x\"}"] {
            let begin = String::from_utf8_lossy(no_form);
            on(&format!("a form that is no request: {begin}"), with(no_form), 400, INVALID);
        }
        return;
    }
    let Content::Whole(body) = &good.content else { return };
    let deep = [b"[".repeat(30_000), b"]".repeat(30_000)].concat();
    let doubled = [b"{\"activation\": \"a\", \"license\": \"a\", ", &body[1..]].concat();
    let half = &body[..body.len() / 2];
    let open = [b"{\"a\":".repeat(10_000)].concat();
    for no_json in [
        &b""[..],
        b"x",
        b"null",
        b"[]",
        b"{",
        b"\"",
        b"\xff\xfe",
        b"{\"\x00\": 1}",
        half,
        &deep,
        &open,
        &doubled,
    ] {
        let begin: String = String::from_utf8_lossy(no_json).chars().take(20).collect();
        on(&format!("a body that is no request: {begin}"), with(no_json), 400, INVALID);
    }
    let good_one: Value = serde_json::from_slice(body).unwrap();
    for (what, broken) in broken(&takes["content"][JSON]["schema"], &good_one) {
        on(&what, with(broken.to_string().as_bytes()), 400, INVALID);
    }
}

fn parameters(operation: &Value) -> Vec<Value> {
    operation["parameters"].as_array().unwrap().iter().map(resolved).collect()
}

/// What kind of body the call takes.
fn kind_of(operation: &Value) -> Option<&str> {
    operation.get("requestBody").and_then(|takes| first_key(&takes["content"]))
}

fn first_key(object: &Value) -> Option<&str> {
    object.as_object()?.keys().next().map(String::as_str)
}

fn header(name: &str, value: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (name.to_owned(), value.into())
}

impl Raw {
    fn with(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push(header(name, value));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self
    }
}

/// Makes the attack, and says what is wrong with the answer.
async fn made(way: &Way, attack: &Attack) -> Option<String> {
    let Attack { what, raw, status, codes } = attack;
    let answer = way.send(raw).await;
    promises(&raw.method.parse().unwrap(), &raw.path, &answer.told);
    let told = &answer.told;
    let is_refused = (*status == 0 && (400..500).contains(&told.status)) || *status == told.status;
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    let is_whole = told.status != 405 || answer.header("allow").is_some_and(|allow| !allow.is_empty());
    if is_refused && is_problem && is_whole && codes.contains(&told.code().as_str()) {
        return None;
    }
    let path: String = raw.path.chars().take(100).collect();
    Some(format!("{} {path}, {what}: {codes:?} was expected, not {answer:?}", raw.method))
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_refused_by_its_code_and_nothing_comes_of_it() {
    is_refused(&Served::shared()).await;
}

#[tokio::test]
async fn on_postgresql_whatever_is_wrong_with_a_request_is_refused_by_its_code_too() {
    is_refused(&Served::on_postgres()).await;
}

async fn is_refused(served: &Served) {
    let attacker = Attacker::of(served).await;
    let (way, attacks) = (Way::to(served.hurried), attacker.attacks());
    assert!(attacks.len() > 400, "only {} were thought of", attacks.len());
    let wrong: Vec<String> = stream::iter(&attacks)
        .map(|attack| made(&way, attack))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n"));

    // Bodies that never end: no more of them than may be under way, and whoever comes then is told to come again.
    let endless = Raw {
        content: Content::Endless,
        ..attacker.good("post", "/v1/sessions", &CONTRACT["paths"]["/v1/sessions"]["post"])
    };
    let slow = join_all((0..FEW).map(|_| way.send(&endless)));
    let plain = Raw {
        method: "GET".to_owned(),
        path: "/v1/openapi.json".to_owned(),
        headers: vec![],
        content: Content::Whole(vec![]),
    };
    let too_many = until("as many are under way as may be", async || {
        let answer = way.send(&plain).await;
        (answer.told.status == 503).then_some(answer)
    });
    let (slow, too_many) = futures::future::join(slow, too_many).await;
    assert_eq!((too_many.told.code().as_str(), too_many.header("retry-after")), ("overloaded", Some("1")));
    for answer in slow {
        assert_eq!((answer.told.status, answer.told.code().as_str()), (408, "request-timeout"));
    }
    for (template, method) in [
        ("/v1/activations", "post"),
        ("/v1/activations/{id}/refresh", "post"),
        ("/v1/activations/{id}/state", "post"),
    ] {
        let good = attacker.good(method, template, &CONTRACT["paths"][template][method]);
        let answer = way.send(&Raw { content: Content::Endless, ..good }).await;
        assert_eq!((answer.told.status, answer.told.code().as_str()), (408, "request-timeout"), "{template}");
    }

    // After all of it, everything is as before.
    let Attacker { scene, own, .. } = attacker;
    assert_eq!(scene.program.check(&own).await.status, 200);
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    assert_eq!(scene.activate("c").await.code(), "seats-exhausted");
}
