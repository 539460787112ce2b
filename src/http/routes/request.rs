//! Taking requests apart: each header and body is bounded, and refused with what it should be.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, request::Parts},
};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use crate::{
    domain::refusal::{Code, Refusal},
    http::{possession::Proven, problem::Problem},
    service::{
        activations::{Asked, Proof},
        possession::Possession,
    },
};

/// The largest body of a request, in bytes: a device with all that it may say has less than 2 kB, and a document 64 KiB at most.
const LARGEST: usize = 72 * 1024;
/// How much of a body that is larger is read and thrown away, so that whoever sends it reads the answer and no broken connection, in bytes.
const WASTED: usize = 1024 * 1024;
/// How many headers a request may have, and how large they may be together, in bytes.
const MOST_HEADERS: usize = 64;
const LARGEST_HEADERS: usize = 8 * 1024;
/// How long an `Idempotency-Key` is: from 128 random bits in base64url to whatever clients of habit send.
const KEY: std::ops::RangeInclusive<usize> = 22..=128;

/// The longest part of a request that is said back, in characters.
const QUOTED: usize = 200;

/// The credential, if there is one and no other beside.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credential(headers).ok()
}

/// How a credential is shown. Which one it is says nothing here: whether a proof is needed, the token that is shown says.
const SCHEMES: [&str; 2] = ["bearer", "dpop"];

/// The credential, which must be there.
pub(super) fn credential(headers: &HeaderMap) -> Result<&str, Refusal> {
    let said = text(headers, "authorization")?.and_then(|said| said.split_once(' '));
    let shown = said.filter(|(scheme, _)| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    shown.map(|(_, token)| token.trim()).ok_or_else(|| Code::Unauthorized.into())
}

/// What a path names.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::from_request_parts(parts, state).await;
        let Path(id) = named.map_err(|_| Refusal::new(Code::RequestInvalid, "The path is not UTF-8."))?;
        Ok(Self(id))
    }
}

/// All that comes before the body.
pub(super) struct Head {
    pub(super) headers: HeaderMap,
    possession: Option<Possession>,
}

impl<S: Send + Sync> FromRequestParts<S> for Head {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Proven(possession) = Proven::from_request_parts(parts, state).await?;
        Ok(Self { possession, headers: parts.headers.clone() })
    }
}

/// Where a pod shows its service account's token, beside the activation's.
const WORKLOAD: &str = "workload-token";

/// All that is shown. Of a credential there must be one.
pub(super) fn proof(Head { headers, possession }: &Head) -> Result<Proof<'_>, Problem> {
    Ok(Proof {
        token: credential(headers)?,
        workload: text(headers, WORKLOAD)?,
        possession: possession.as_ref(),
    })
}

/// A request, taken apart.
pub(super) struct Taken<'a> {
    possession: Option<&'a Possession>,
    token: String,
    workload: Option<String>,
    key: Option<String>,
    pub(super) body: Vec<u8>,
}

impl<'a> Taken<'a> {
    /// A request with a body of JSON, which is to arrive in this time.
    pub(super) async fn with_json(head: &'a Head, body: Body, patience: Duration) -> Result<Self, Problem> {
        let said = text(&head.headers, "content-type")?;
        if kind(said).is_some_and(|kind| !kind.eq_ignore_ascii_case("application/json")) {
            return Err(Code::MediaTypeUnsupported.into());
        }
        Self::apart(head, body, patience).await
    }

    /// A request with a form, which is to arrive in this time.
    pub(super) async fn with_form(head: &'a Head, body: Body, patience: Duration) -> Result<Self, Problem> {
        let said = text(&head.headers, "content-type")?;
        if !kind(said).is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            let detail = "This call takes a form: Content-Type: application/x-www-form-urlencoded.";
            return Err(Refusal::new(Code::MediaTypeUnsupported, detail).into());
        }
        Self::apart(head, body, patience).await
    }

    /// A request whose body may be anything, if it arrives in this time.
    pub(super) async fn apart(head: &'a Head, body: Body, patience: Duration) -> Result<Self, Problem> {
        let Head { headers, possession } = head;
        let token = credential(headers)?.to_owned();
        let workload = text(headers, WORKLOAD)?.map(str::to_owned);
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
        let body = tokio::time::timeout(patience, whole(body)).await.unwrap_or(Err(Code::RequestTimeout))?;
        Ok(Self { possession: possession.as_ref(), token, workload, key, body })
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            token: &self.token,
            workload: self.workload.as_deref(),
            possession: self.possession,
            idempotency_key: self.key.as_deref(),
            body: &self.body,
        }
    }

    /// The body as what this call takes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let said: String = error.to_string().chars().take(QUOTED).collect();
            Refusal::new(Code::RequestInvalid, format!("The body cannot be read: {said}.")).into()
        })
    }
}

/// The kind of a body, without what is said of it beside.
fn kind(said: Option<&str>) -> Option<&str> {
    said?.split(';').next().map(str::trim)
}

/// All of a body.
async fn whole(body: Body) -> Result<Vec<u8>, Code> {
    let (mut chunks, mut whole, mut wasted) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Code::RequestInvalid)?;
        if wasted == 0 && whole.len().saturating_add(chunk.len()) <= LARGEST {
            whole.extend_from_slice(&chunk);
        } else if wasted <= WASTED {
            wasted = wasted.saturating_add(chunk.len());
        } else {
            break;
        }
    }
    if wasted == 0 { Ok(whole) } else { Err(Code::RequestTooLarge) }
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

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut all = headers.get_all(name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|_| all.next().is_none());
    let refused =
        || Refusal::new(Code::RequestInvalid, format!("The header {name} must be there once, in ASCII."));
    Ok(Some(text.ok_or_else(refused)?))
}

/// Whether headers are no more than any that make sense: no call needs a tenth of that.
pub(super) fn are_bounded(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() <= MOST_HEADERS && bytes <= LARGEST_HEADERS
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn head(headers: HeaderMap) -> Head {
        Head { headers, possession: None }
    }

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

    const PATIENCE: Duration = Duration::from_millis(1);

    async fn refused(pairs: &[(&'static str, &'static str)], body: impl Into<Body>) -> String {
        code(&Taken::with_json(&head(headers(pairs)), body.into(), PATIENCE).await.err().unwrap())
    }

    const BEARER: (&str, &str) = ("authorization", "Bearer usher_act_x");
    const KEY: (&str, &str) = ("idempotency-key", "0123456789012345678901");

    #[tokio::test]
    async fn a_request_is_taken_apart_or_refused_with_what_it_lacks() {
        for kind in
            [&[][..], &[("content-type", "application/json")], &[("content-type", "Application/JSON; a=b")]]
        {
            let good = head(headers(&[&[BEARER, KEY][..], kind].concat()));
            let taken = Taken::with_json(&good, Body::from("{}"), PATIENCE).await.ok().unwrap();
            assert_eq!(taken.asked().token, "usher_act_x");
            assert_eq!(taken.asked().idempotency_key, Some(KEY.1));
        }
        assert_eq!(refused(&[], "").await, "unauthorized");
        assert_eq!(refused(&[("authorization", "Basic YQ==")], "").await, "unauthorized");
        assert_eq!(refused(&[BEARER, BEARER], "").await, "request-invalid");
        assert_eq!(refused(&[BEARER, ("idempotency-key", "short")], "").await, "request-invalid");
        assert_eq!(refused(&[BEARER, KEY, KEY], "").await, "request-invalid");
        for kind in ["text/plain", "application/jsonp", "application/x-www-form-urlencoded", ""] {
            assert_eq!(refused(&[BEARER, ("content-type", kind)], "{}").await, "media-type-unsupported");
        }
        assert_eq!(code(&nonce(&headers(&[BEARER])).unwrap_err()), "request-invalid");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_or_never_ends_is_refused() {
        assert_eq!(refused(&[BEARER], vec![b' '; LARGEST + 1]).await, "request-too-large");
        let chunk = || Ok::<_, std::io::Error>(vec![b' '; LARGEST]);
        let endless = futures::stream::repeat_with(chunk);
        assert_eq!(refused(&[BEARER], Body::from_stream(endless)).await, "request-too-large");
        let silent = futures::stream::iter([chunk()]).chain(futures::stream::pending());
        assert_eq!(refused(&[BEARER], Body::from_stream(silent)).await, "request-timeout");
        let broken = futures::stream::iter([chunk(), Err(std::io::Error::other("cut off"))]);
        assert_eq!(refused(&[BEARER], Body::from_stream(broken)).await, "request-invalid");
        let head = head(headers(&[BEARER]));
        let taken = Taken::apart(&head, Body::from(vec![b' '; LARGEST]), PATIENCE).await;
        assert_eq!(taken.ok().unwrap().body.len(), LARGEST);
    }

    #[test]
    fn what_cannot_be_read_is_said_back_in_part() {
        let taken = Taken {
            possession: None,
            token: String::new(),
            workload: None,
            key: None,
            body: format!("{{\"{}\": 1}}", "x".repeat(9_000)).into(),
        };
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let said = serde_json::to_value(taken.json::<Nothing>().unwrap_err()).unwrap();
        assert!(said["detail"].as_str().unwrap().len() < 300, "{said}");
    }

    #[test]
    fn headers_are_so_many_and_so_large_at_most() {
        let many = |most| {
            (0..most).map(|n| (format!("x-{n:03}").parse().unwrap(), HeaderValue::from_static("v"))).collect()
        };
        assert!(are_bounded(&many(MOST_HEADERS)) && !are_bounded(&many(MOST_HEADERS + 1)));
        let of = |bytes: usize| {
            HeaderMap::from_iter([(HeaderName::from_static("x"), "v".repeat(bytes - 1).parse().unwrap())])
        };
        assert!(are_bounded(&of(LARGEST_HEADERS)) && !are_bounded(&of(LARGEST_HEADERS + 1)));
    }
}
