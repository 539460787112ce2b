//! The OpenAPI document, put together from the calls.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Call, Credential, Gives, Method, Nonce, Shape};
use crate::{
    domain::refusal::Code,
    http::problem::{Problem, status},
};

const DESCRIPTION: &str = "\
Programs ask Usher whether they may run, and are given a signed document that they verify by themselves.

- **Instants** are RFC 3339 in UTC; lengths of time are whole seconds.
- **A refusal** is a problem (RFC 9457, `application/problem+json`). Go by its `code`, which is stable and of a closed list; `detail` says \
what happened in your very case, `next` what to do.
- **A changing call** takes an `Idempotency-Key`, drawn for it. Repeat a call unchanged, with its key, when no answer came: it is done once.
- **429 and 503** say in `Retry-After` after how many seconds to come again. Nothing has changed then.
- **Bounds**: a body has 72 KiB at most and is to arrive within 5 seconds, all headers have 8 KiB together.
- **A path that is not here** is refused with `not-found` (404), a method that a path does not have with `method-not-allowed` (405).
- **Members that you do not know** in an answer are to be left aside: there will be more. In a request they are refused.";

/// The document.
pub(in crate::http) fn document(calls: &[Call]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for call in calls {
        let path = paths.entry(format!("/v1{}", call.path)).or_default();
        path.insert(word(call.method).to_owned(), operation(call, &mut schemas));
    }
    let mut problem = schemas.given.root_schema_for::<Problem>().to_value();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    if let Some(code) = problem.pointer_mut("/properties/code") {
        *code = json!({"type": "string", "enum": codes, "description": "Of a closed list, and stable."});
    }
    if let Some(problem) = problem.as_object_mut() {
        problem.remove("$defs");
        problem.remove("components");
    }
    let mut all = schemas.all();
    all.insert("Problem".to_owned(), plain(problem));
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Usher",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document is served."}],
        "tags": tags(calls),
        "paths": paths,
        "components": {
            "schemas": all,
            "headers": headers(),
            "parameters": parameters(),
            "securitySchemes": {
                key(Credential::AccessToken): {"type": "http", "scheme": "bearer", "description":
                    "The access token of somebody who has signed in: by code and PKCE, or by a device code (RFC 8628), at the endpoints that `/.well-known/oauth-authorization-server` names (RFC 8414), as `usher login` does. It is good for ten minutes, and ends at once when they sign out."},
                key(Credential::ActivationKey): {"type": "http", "scheme": "bearer", "description":
                    "An activation key of the License: an entry of the Secret `NAME-activation-keys` in its namespace. It activates devices, and nothing else."},
                key(Credential::ActivationToken): {"type": "http", "scheme": "bearer", "description":
                    "The `activation_token` that came with the activation. It is good for that activation, as long as it lives."},
                key(Credential::Administrator): {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description":
                    "A token of Kubernetes, made for Usher alone: `kubectl create token NAME --audience ISSUER`. What its bearer may is asked of Kubernetes: `get`, `update` or `delete` on `licenses/activations`, or `create` on `introspections`."},
                key(Credential::ServiceAccount): {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description":
                    "The service account's token of a pod: of a projected volume (`serviceAccountToken`) whose `audience` is the issuer of the License's Authority, and nothing else. It activates that pod."},
            },
        },
    })
}

/// The schemas that calls name: of what is read, and of what is written.
struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        }
    }

    fn all(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        all.append(&mut self.given.take_definitions(true));
        all.into_iter().map(|(name, schema)| (name, plain(schema))).collect()
    }
}

fn body(shape: &Shape, generator: &mut SchemaGenerator) -> Value {
    let schema = plain((shape.schema)(generator).to_value());
    // A broken example is found by a test.
    let example: Value = serde_json::from_str(shape.example).unwrap_or_default();
    json!({shape.kind: {"schema": schema, "example": example}})
}

/// A schema without what only Kubernetes understands: its rule by a pattern becomes a pattern.
fn plain(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            let rules = members.remove("x-kubernetes-validations");
            if let Some(rule) = rules.as_ref().and_then(|rules| rules.get(0)) {
                let text = |member: &str| rule.get(member).and_then(Value::as_str);
                let pattern =
                    text("rule").and_then(|rule| rule.strip_prefix("self.matches(r'")?.strip_suffix("')"));
                if let (Some(pattern), Some(message)) = (pattern, text("message")) {
                    members.insert("pattern".to_owned(), pattern.into());
                    members.entry("description").or_insert_with(|| message.into());
                }
            }
            for member in members.values_mut() {
                *member = plain(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = plain(item.take());
            }
        }
        _ => {}
    }
    schema
}

fn operation(call: &Call, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": call.name,
        "tags": [call.about],
        "summary": call.summary,
        "description": call.description,
        "security": call.by.iter().map(|by| json!({key(*by): []})).collect::<Vec<_>>(),
        "parameters": asked(call),
        "responses": answers(call, &mut schemas.given),
    });
    if let (Some(shape), Some(operation)) = (&call.takes, operation.as_object_mut()) {
        let content = body(shape, &mut schemas.taken);
        operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    operation
}

fn asked(call: &Call) -> Vec<Value> {
    let in_path = call.in_path.iter().map(|(name, description, example)| {
        json!({"name": name, "in": "path", "required": true, "description": description, "example": example, "schema": {"type": "string"}})
    });
    let nonce = match call.nonce {
        Nonce::Uses => Some("Nonce"),
        Nonce::Checks => Some("NonceToCheck"),
        Nonce::None | Nonce::Gives => None,
    };
    let beside = call.by.contains(&Credential::ActivationToken).then_some("WorkloadToken");
    let named = nonce
        .into_iter()
        .chain(beside)
        .chain(call.is_bound().then_some("Proof"))
        .chain(call.repeatable.then_some("IdempotencyKey"))
        .chain(["RequestId"]);
    in_path.chain(named.map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))).collect()
}

fn answers(call: &Call, generator: &mut SchemaGenerator) -> Value {
    let successes = [Some(call.gives), call.or].into_iter().flatten();
    let mut answers: BTreeMap<String, Value> =
        successes.map(|gives| (gives.status.to_string(), success(call, &gives, generator))).collect();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in call.codes() {
        by_status.entry(status(code).as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        answers.insert(status.to_string(), refusal(status, &codes));
    }
    json!(answers)
}

fn success(call: &Call, gives: &Gives, generator: &mut SchemaGenerator) -> Value {
    let nonce = (call.nonce != Nonce::None).then_some(("N-Nonce", header("Nonce")));
    let mut success = json!({"description": gives.what, "headers": with_id(nonce)});
    if let (Some(shape), Some(success)) = (&gives.body, success.as_object_mut()) {
        success.insert("content".to_owned(), body(shape, generator));
    }
    success
}

/// The refusals that have one status.
fn refusal(status: u16, codes: &[Code]) -> Value {
    let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let examples: BTreeMap<&str, Value> = codes
        .iter()
        .map(|code| (code.as_str(), json!({"summary": code.means(), "value": Problem::from(*code)})))
        .collect();
    let headers = with_id(match status {
        429 | 503 => Some(("Retry-After", header("RetryAfter"))),
        401 => Some(("WWW-Authenticate", header("Authenticate"))),
        _ => None,
    });
    json!({
        "description": codes.iter().map(|code| format!("- `{code}`: {}", code.means())).collect::<Vec<_>>().join("\n"),
        "headers": headers,
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": words}}},
            "examples": examples,
        }},
    })
}

fn headers() -> Value {
    let text = json!({"type": "string"});
    json!({
        "Nonce": {"schema": text, "description": "The nonce to use next. Write it to the disk before you use what came with it."},
        "RequestId": {"schema": text, "description": "The request, as the logs of Usher name it."},
        "RetryAfter": {"schema": {"type": "integer", "minimum": 1}, "description": "After how many seconds to come again."},
        "Authenticate": {"schema": text, "description": "How to show a credential (RFC 6750), or that a proof of possession is missing or does not hold (RFC 9449, section 7.1)."},
    })
}

fn parameters() -> Value {
    json!({
        "Nonce": {"name": "N-Nonce", "in": "header", "required": true, "schema": {"type": "string", "maxLength": 256},
            "description": "The last nonce that this activation was given. Each is good once: a second use is how a copy is found."},
        "NonceToCheck": {"name": "N-Nonce", "in": "header", "required": false, "schema": {"type": "string", "maxLength": 256},
            "description": "The nonce in question; an administrator sends none."},
        "WorkloadToken": {"name": "Workload-Token", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "Of an activation that a pod has made, and needed there: the service account's token of the pod that asks, as it activates by it."},
        "Proof": {"name": "DPoP", "in": "header", "required": false, "schema": {"type": "string", "maxLength": 2048},
            "description": "A proof of possession of a key (RFC 9449), by EdDSA (Ed25519) or ES256, with `ath` of the credential; each is good once. With an activation it binds that to the key, and from then on each call of the activation needs one. The answer brings a `DPoP-Nonce` for the next one."},
        "IdempotencyKey": {"name": "Idempotency-Key", "in": "header", "required": false, "schema": {"type": "string", "minLength": 22, "maxLength": 128},
            "description": "128 random bits or more, drawn for this request by the kernel. With another body, a used key is refused."},
        "RequestId": {"name": "X-Request-Id", "in": "header", "required": false, "schema": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"},
            "description": "What to call this request in the logs of Usher; drawn if it is absent or something else."},
    })
}

fn tags(calls: &[Call]) -> Vec<Value> {
    let mut tags: Vec<&str> = Vec::new();
    for call in calls {
        if !tags.contains(&call.about) {
            tags.push(call.about);
        }
    }
    tags.into_iter().map(|tag| json!({"name": tag})).collect()
}

/// The headers that every answer has, and one more.
fn with_id(more: Option<(&str, Value)>) -> Map<String, Value> {
    let id = ("X-Request-Id", header("RequestId"));
    [id].into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

const fn key(credential: Credential) -> &'static str {
    match credential {
        Credential::AccessToken => "accessToken",
        Credential::ActivationKey => "activationKey",
        Credential::ActivationToken => "activationToken",
        Credential::Administrator => "administrator",
        Credential::ServiceAccount => "serviceAccount",
    }
}

const fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Delete => "delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::calls;

    #[test]
    fn every_call_says_what_it_is_and_its_examples_are_of_their_kind() {
        for call in calls() {
            let Call { name, path, .. } = call;
            for text in [name, call.about, call.summary, call.description, call.gives.what] {
                assert!(!text.is_empty(), "{name} {path}");
            }
            let named: Vec<String> = call.in_path.iter().map(|(name, ..)| format!("{{{name}}}")).collect();
            let there: Vec<&str> = path.split('/').filter(|part| part.starts_with('{')).collect();
            assert_eq!(named, there, "{name}");
            for shape in call.takes.iter().chain(&call.gives.body) {
                assert!((shape.fits)(shape.example), "{name}: {}", shape.example);
            }
        }
    }

    #[test]
    fn no_two_calls_have_one_name_or_one_method_of_one_path() {
        let calls = calls();
        let unlike = |of: fn(&Call) -> String| {
            let all: std::collections::BTreeSet<String> = calls.iter().map(of).collect();
            assert_eq!(all.len(), calls.len());
        };
        unlike(|call| call.name.to_owned());
        unlike(|call| format!("{:?} {}", call.method, call.path));
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        fn references(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    into.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    members.values().for_each(|value| references(value, into));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, into)),
                _ => {}
            }
        }
        let document = document(&calls());
        let mut all = Vec::new();
        references(&document, &mut all);
        assert!(all.len() > 20);
        for reference in all {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
        assert!(!document.to_string().contains("x-kubernetes"), "only Kubernetes understands that");
    }
}
