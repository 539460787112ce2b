//! Proofs of possession (RFC 9449), as they come and go in headers.

use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderName, HeaderValue, request::Parts},
};

use super::problem::Problem;
use crate::{
    domain::refusal::{Code, Refusal},
    service::possession::{Possession, Proofs},
};

/// Where a proof is (RFC 9449, section 4.1).
pub(super) const PROOF: HeaderName = HeaderName::from_static("dpop");
/// What the next proof is to say, so that our clock counts and not its maker's (RFC 9449, section 8).
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The proof that came with a request, if one did.
#[derive(Debug)]
pub(super) struct Proven(pub(super) Option<Possession>);

impl<S: Send + Sync> FromRequestParts<S> for Proven {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut all = parts.headers.get_all(PROOF).iter();
        let Some(first) = all.next() else { return Ok(Self(None)) };
        let (Ok(proof), None) = (first.to_str(), all.next()) else {
            let detail = "The header DPoP must be there once, in ASCII.";
            return Err(Refusal::new(Code::ProofInvalid, detail).into());
        };
        // As it was sent: what is nested sees the rest of the path only.
        let path = parts.extensions.get().map_or(&parts.uri, |OriginalUri(uri)| uri).path();
        let (method, path) = (parts.method.as_str().to_owned(), path.to_owned());
        Ok(Self(Some(Possession::new(proof.to_owned(), method, path))))
    }
}

/// The header with the nonce for the next proof, once nonces can be made.
pub(super) fn next(proofs: &Proofs) -> Option<(HeaderName, HeaderValue)> {
    Some((NONCE, proofs.nonce()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[tokio::test]
    async fn a_proof_comes_once_and_is_of_the_request_as_it_was_sent() {
        let taken = async |proofs: &[&'static str]| {
            let mut request = Request::post("/refresh?a=b");
            for proof in proofs {
                request = request.header("DPoP", *proof);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            parts.extensions.insert(OriginalUri("/v1/refresh?a=b".parse().unwrap()));
            Proven::from_request_parts(&mut parts, &()).await.map(|Proven(proof)| format!("{proof:?}"))
        };
        assert_eq!(taken(&[]).await.unwrap(), "None");
        let said = taken(&["a.b.c"]).await.unwrap();
        assert!(said.contains(r#"proof: "a.b.c", method: "POST", path: "/v1/refresh""#), "{said}");
        let said = serde_json::to_value(taken(&["a.b.c", "a.b.c"]).await.unwrap_err()).unwrap();
        assert_eq!(said["code"], "proof-invalid");
    }
}
