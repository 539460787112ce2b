//! Taking requests apart: each header and body is bounded, and refused with what it should be.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, header},
};
use serde::de::DeserializeOwned;

use crate::{
    domain::refusal::{Code, Refusal},
    http::problem::Problem,
    service::activations::Asked,
};

/// The largest body of a request, in bytes: a device with all that it may say has less than 2 kB, and a document 64 KiB at most.
const LARGEST: usize = 72 * 1024;
/// How long an `Idempotency-Key` is: from 128 random bits in base64url to whatever clients of habit send.
const KEY: std::ops::RangeInclusive<usize> = 22..=128;

/// The credential, if there is one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The credential, which must be there.
pub(super) fn credential(headers: &HeaderMap) -> Result<&str, Code> {
    bearer(headers).ok_or(Code::Unauthorized)
}

/// A request, taken apart.
pub(super) struct Taken {
    token: String,
    key: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Taken {
    pub(super) async fn apart(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let token = credential(headers)?.to_owned();
        let key = text(headers, "idempotency-key")?.map(str::to_owned);
        if let Some(key) = &key
            && !KEY.contains(&key.len())
        {
            let (least, most) = (KEY.start(), KEY.end());
            let detail = format!(
                "Idempotency-Key must have {least} to {most} characters, such as 128 random bits in hex."
            );
            return Err(Refusal::new(Code::RequestInvalid, detail).into());
        }
        let body = to_bytes(body, LARGEST).await.map_err(|_| Code::RequestTooLarge)?;
        Ok(Self { token, key, body: body.to_vec() })
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { token: &self.token, idempotency_key: self.key.as_deref(), body: &self.body }
    }

    /// The body as what this call takes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Refusal::new(Code::RequestInvalid, format!("The body cannot be read: {error}.")).into()
        })
    }
}

/// The `N-Nonce`.
pub(super) fn nonce(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Refusal::new(
            Code::RequestInvalid,
            "The header N-Nonce is missing: send the last one that you were given.",
        )
    };
    text(headers, "n-nonce")?.ok_or_else(|| missing().into())
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut all = headers.get_all(name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|_| all.next().is_none());
    let refused =
        || Refusal::new(Code::RequestInvalid, format!("The header {name} must be there once, in ASCII."));
    Ok(Some(text.ok_or_else(refused)?))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    fn code(problem: &Problem) -> String {
        serde_json::to_value(problem).unwrap()["code"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_request_is_taken_apart_or_refused_with_what_it_lacks() {
        let bearer = ("authorization", "Bearer usher_act_x");
        let good = headers(&[bearer, ("idempotency-key", "0123456789012345678901")]);
        let taken = Taken::apart(&good, Body::from("{}")).await.ok().unwrap();
        assert_eq!(taken.asked().token, "usher_act_x");
        assert_eq!(taken.asked().idempotency_key, Some("0123456789012345678901"));
        let refused = async |pairs: &[(&'static str, &'static str)], body: Vec<u8>| {
            code(&Taken::apart(&headers(pairs), Body::from(body)).await.err().unwrap())
        };
        assert_eq!(refused(&[], Vec::new()).await, "unauthorized");
        assert_eq!(refused(&[("authorization", "Basic YQ==")], Vec::new()).await, "unauthorized");
        assert_eq!(refused(&[bearer, ("idempotency-key", "short")], Vec::new()).await, "request-invalid");
        let twice = [bearer, ("idempotency-key", "0123456789012345678901"), ("idempotency-key", "x")];
        assert_eq!(refused(&twice, Vec::new()).await, "request-invalid");
        assert_eq!(refused(&[bearer], vec![b' '; LARGEST + 1]).await, "request-too-large");
        assert_eq!(code(&nonce(&headers(&[bearer])).unwrap_err()), "request-invalid");
    }
}
