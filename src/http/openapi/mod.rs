//! The API as a contract: one declaration a call, from which both the router and the OpenAPI document (3.1) are made, so that
//! the two cannot disagree.
//!
//! ```text
//!   Call, beside its handler ──► calls! in routes ──┬──► Router
//!                                                   └──► document ──► docs/openapi.json, /v1/openapi.json, /docs
//! ```

mod document;

use axum::{
    handler::Handler,
    middleware::map_response,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::domain::refusal::Code;

pub(super) use document::document;

/// All that router and readers know of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below `/v1`.
    pub(super) path: &'static str,
    /// What each `{…}` of the path is, with an example.
    pub(super) in_path: &'static [(&'static str, &'static str, &'static str)],
    /// `operationId`: what generators name it by.
    pub(super) name: &'static str,
    /// The heading that it stands under.
    pub(super) about: &'static str,
    /// In a few words.
    pub(super) summary: &'static str,
    /// For whoever calls it for the first time. CommonMark; units are said.
    pub(super) description: &'static str,
    /// Any of these credentials; with none of them it is for everybody.
    pub(super) by: &'static [Credential],
    /// Whether it takes the last `N-Nonce` and gives the next one.
    pub(super) nonce: Nonce,
    /// Whether it takes an `Idempotency-Key`.
    pub(super) repeatable: bool,
    /// The body of the request.
    pub(super) takes: Option<Shape>,
    /// What a success is.
    pub(super) gives: Gives,
    /// Another success that there may be.
    pub(super) or: Option<Gives>,
    /// Why it is refused, besides what every call can be refused for.
    pub(super) refuses: &'static [Code],
}

/// A method that a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
}

/// On a response: the name of the call that it answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called(pub(super) &'static str);

/// How a call has to do with the nonce chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nonce {
    /// Not at all.
    None,
    /// It gives the first one.
    Gives,
    /// It uses the last one, and gives the next one.
    Uses,
    /// It is told whether the one that it sends is the last one, and gives it back.
    Checks,
}

/// A kind of credential, as a scheme of security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    AccessToken,
    ActivationKey,
    ActivationToken,
    Administrator,
    ServiceAccount,
}

/// What a pod can be refused for.
const PODS: &[Code] = &[
    Code::AudienceWrong,
    Code::WorkloadElsewhere,
    Code::WorkloadNotNamed,
    Code::TokenUnbound,
    Code::PodActive,
    Code::PodsNotGranted,
    Code::ClusterUnreachable,
];

/// A success.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gives {
    pub(super) status: u16,
    pub(super) what: &'static str,
    pub(super) body: Option<Shape>,
}

/// A body: its schema, and an example.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    schema: fn(&mut SchemaGenerator) -> Schema,
    example: &'static str,
    /// As what it is sent.
    kind: &'static str,
    /// Whether the example is one.
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tried by a test"))]
    fits: fn(&str) -> bool,
}

impl Shape {
    /// That of a `T`, such as `example`.
    pub(super) const fn of<T: JsonSchema + serde::de::DeserializeOwned>(example: &'static str) -> Self {
        Self {
            schema: |generator| generator.subschema_for::<T>(),
            example,
            kind: "application/json",
            fits: |example| serde_json::from_str::<T>(example).is_ok(),
        }
    }

    /// The same, as a form.
    pub(super) const fn as_form(self) -> Self {
        Self { kind: "application/x-www-form-urlencoded", ..self }
    }
}

impl Call {
    /// A call of which nothing is said yet.
    pub(super) const PLAIN: Self = Self {
        method: Method::Get,
        path: "",
        in_path: &[],
        name: "",
        about: "",
        summary: "",
        description: "",
        by: &[],
        nonce: Nonce::None,
        repeatable: false,
        takes: None,
        gives: Gives { status: 204, what: "It is done.", body: None },
        or: None,
        refuses: &[],
    };

    /// The call, answered by `handler`.
    pub(super) fn answered<H, T, S>(&self, handler: H) -> MethodRouter<S>
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let filter = match self.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        let name = self.name;
        on(filter, handler).layer(map_response(async move |mut response: Response| {
            response.extensions_mut().insert(Called(name));
            response
        }))
    }

    /// Whether a pod may ask, with its service account's token.
    fn is_for_pods(&self) -> bool {
        self.by.contains(&Credential::ServiceAccount) || self.by.contains(&Credential::ActivationToken)
    }

    /// Whether a proof of possession may come along: what it acts upon may be bound to a key, or is to be.
    fn is_bound(&self) -> bool {
        self.by.iter().any(|by| [Credential::ActivationToken, Credential::AccessToken].contains(by))
    }

    /// All codes that it can be refused with.
    fn codes(&self) -> Vec<Code> {
        let always = [
            Code::RequestInvalid,
            Code::HeadersTooLarge,
            Code::RateLimited,
            Code::Overloaded,
            Code::Unavailable,
            Code::LedgerMissing,
            Code::LedgerForeign,
        ];
        let with_credential = (!self.by.is_empty()).then_some(Code::Unauthorized);
        let of_proofs: &[Code] =
            if self.is_bound() { &[Code::ProofMissing, Code::ProofInvalid, Code::ProofStale] } else { &[] };
        let administrators: &[Code] = if self.by.contains(&Credential::Administrator) {
            &[Code::AudienceWrong, Code::Forbidden, Code::ClusterUnreachable]
        } else {
            &[]
        };
        let with_body: &[Code] = match (&self.takes, self.repeatable) {
            (Some(_), _) => &[Code::RequestTooLarge, Code::RequestTimeout, Code::MediaTypeUnsupported],
            (None, true) => &[Code::RequestTooLarge, Code::RequestTimeout],
            (None, false) => &[],
        };
        let of_pods = if self.is_for_pods() { PODS } else { &[] };
        let beside = self.by.contains(&Credential::ActivationToken).then_some(Code::WorkloadTokenMissing);
        let with_key = self.repeatable.then_some(Code::IdempotencyKeyUsed);
        let with_nonce: &[Code] = match self.nonce {
            Nonce::None | Nonce::Gives => &[],
            Nonce::Uses | Nonce::Checks => {
                &[Code::NonceUnknown, Code::NonceUsed, Code::ActivationEnded, Code::ActivationSuperseded]
            }
        };
        let implied = always.into_iter().chain(with_credential).chain(with_key).chain(beside);
        let mut codes: Vec<Code> = implied
            .chain([with_body, administrators, with_nonce, of_pods, of_proofs].concat())
            .chain(self.refuses.iter().copied())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

/// The document as it is committed and served.
pub(super) fn text(document: &Value) -> String {
    format!("{document:#}\n")
}
