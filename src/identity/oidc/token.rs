//! What an ID token must be before anything that it says counts (OpenID Connect Core, section 3.1.3.7).
//!
//! The library checks form, algorithm, signature, issuer, audience, expiry and nonce; it leaves `azp`, `iat`, `nbf` and `at_hash` to
//! whoever calls it, and has no leeway. Symmetric algorithms are never let through: the client secret is no signing key.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jiff::{SignedDuration, Timestamp};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, IssuerUrl, Nonce, NonceVerifier as _,
    SignatureVerificationError,
    core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use serde_json::Value;

/// How far the clocks of a provider and of Usher may be apart.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// How old a token that comes straight from the token endpoint may be.
const OLDEST: SignedDuration = SignedDuration::from_mins(10);

/// What did not hold. Each is tried by an attack of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Check {
    /// It is no ID token.
    #[error("malformed")]
    Malformed,
    /// It is signed in a way that is not allowed, or not at all.
    #[error("alg")]
    Algorithm,
    /// No key of the provider is the one that it names.
    #[error("kid")]
    Key,
    /// The signature is wrong.
    #[error("signature")]
    Signature,
    /// It is another issuer's.
    #[error("iss")]
    Issuer,
    /// It is for somebody else, or for others too.
    #[error("aud")]
    Audience,
    /// Another client asked for it.
    #[error("azp")]
    AuthorizedParty,
    /// It has expired.
    #[error("exp")]
    Expired,
    /// It was issued too long ago, or will be.
    #[error("iat")]
    IssuedAt,
    /// It is not good yet.
    #[error("nbf")]
    NotBefore,
    /// It answers another request.
    #[error("nonce")]
    Nonce,
    /// It came with another access token.
    #[error("at_hash")]
    AccessTokenHash,
}

impl From<ClaimsVerificationError> for Check {
    fn from(error: ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as E;
        use SignatureVerificationError as S;
        match error {
            E::InvalidIssuer(_) => Self::Issuer,
            E::InvalidAudience(_) => Self::Audience,
            E::Expired(_) => Self::Expired,
            E::InvalidNonce(_) => Self::Nonce,
            E::SignatureVerification(S::DisallowedAlg(_) | S::UnsupportedAlg(_) | S::NoSignature) => {
                Self::Algorithm
            }
            E::SignatureVerification(S::NoMatchingKey | S::AmbiguousKeyId(_)) => Self::Key,
            E::SignatureVerification(_) => Self::Signature,
            _ => Self::Malformed,
        }
    }
}

/// Which request a token answers, by what was drawn for that.
#[derive(Debug, Clone, Copy)]
pub enum Answers<'a> {
    /// This one.
    This(&'a Nonce),
    /// One that asks again about whoever signed in by this one: then it has this nonce or none (OpenID Connect Core, section 12.2).
    Again(&'a Nonce),
}

impl Answers<'_> {
    fn hold(self, said: Option<&Nonce>) -> Result<(), String> {
        match self {
            Self::Again(_) if said.is_none() => Ok(()),
            Self::This(nonce) | Self::Again(nonce) => nonce.verify(said),
        }
    }
}

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who must have issued it.
    pub issuer: &'a IssuerUrl,
    /// For whom.
    pub client: &'a ClientId,
    /// In which ways it may be signed.
    pub algorithms: &'a [CoreJwsSigningAlgorithm],
    /// The issuer's keys.
    pub keys: &'a CoreJsonWebKeySet,
    /// Which request it answers.
    pub answers: Answers<'a>,
    /// The access token that came with it.
    pub access_token: &'a AccessToken,
    /// Now.
    pub now: Timestamp,
}

/// The claims of a token that is what it must be.
///
/// # Errors
/// The first check that did not hold.
pub fn verify(token: &CoreIdToken, expected: &Expected<'_>) -> Result<Value, Check> {
    let Expected { issuer, client, algorithms, keys, answers, access_token, now } = *expected;
    let lenient = instant(now.checked_sub(LEEWAY).unwrap_or(now))?;
    let verifier = CoreIdTokenVerifier::new_public_client(client.clone(), issuer.clone(), keys.clone())
        .set_allowed_algs(algorithms.iter().cloned())
        .set_time_fn(move || lenient);
    let claims = token.claims(&verifier, |nonce: Option<&Nonce>| answers.hold(nonce))?;
    // With one audience, which is us, no other party may have been meant either.
    if claims.authorized_party().is_some_and(|party| party != client) {
        return Err(Check::AuthorizedParty);
    }
    if !within(claims.issue_time().timestamp(), now, OLDEST) {
        return Err(Check::IssuedAt);
    }
    if let Some(said) = claims.access_token_hash() {
        let key = token.signing_key(&verifier).map_err(|_| Check::Key)?;
        let algorithm = token.signing_alg().map_err(|_| Check::Algorithm)?;
        let is =
            AccessTokenHash::from_token(access_token, algorithm, key).map_err(|_| Check::AccessTokenHash)?;
        if is != *said {
            return Err(Check::AccessTokenHash);
        }
    }
    // The very bytes whose signature holds.
    let text = token.to_string();
    let payload = text.split('.').nth(1).and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let verified: Value =
        payload.and_then(|payload| serde_json::from_slice(&payload).ok()).ok_or(Check::Malformed)?;
    let not_before = verified.get("nbf").map(|nbf| nbf.as_i64().ok_or(Check::Malformed)).transpose()?;
    let soon = now.checked_add(LEEWAY).unwrap_or(now).as_second();
    if not_before.is_some_and(|not_before| not_before > soon) {
        return Err(Check::NotBefore);
    }
    Ok(verified)
}

/// The id of the key that this token says to be signed with.
pub(super) fn unverified_kid(token: &CoreIdToken) -> Option<String> {
    let text = token.to_string();
    let header = BASE64_URL_SAFE_NO_PAD.decode(text.split('.').next()?).ok()?;
    Some(serde_json::from_slice::<Value>(&header).ok()?.get("kid")?.as_str()?.to_owned())
}

/// Whether `second` is at most `back` before `now`, and not after it, within the leeway.
fn within(second: i64, now: Timestamp, back: SignedDuration) -> bool {
    let age = now.as_second().saturating_sub(second);
    (-LEEWAY.as_secs()..=back.as_secs().saturating_add(LEEWAY.as_secs())).contains(&age)
}

fn instant(at: Timestamp) -> Result<DateTime<Utc>, Check> {
    DateTime::from_timestamp(at.as_second(), 0).ok_or(Check::Malformed)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use openidconnect::{
        JsonWebKeyId, PrivateSigningKey as _,
        core::{CoreEdDsaPrivateSigningKey, CoreHmacKey},
    };
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key(kid: &str) -> CoreEdDsaPrivateSigningKey {
        // Two keys that everybody knows.
        let seed = if kid == "a" { [1; 32] } else { [2; 32] };
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(seed);
        let body = base64::prelude::BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(kid.into()))).unwrap()
    }

    static A: LazyLock<CoreEdDsaPrivateSigningKey> = LazyLock::new(|| key("a"));

    fn good() -> Value {
        json!({"iss": "https://idp.acme.example", "aud": "usher", "sub": "1", "iat": NOW, "exp": NOW + 300, "nonce": "n"})
    }

    fn sign(header: &Value, claims: &Value, with: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(with(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn minted(claims: &Value) -> String {
        sign(&json!({"alg": "EdDSA", "kid": "a"}), claims, |text| {
            A.sign(&CoreJwsSigningAlgorithm::EdDsa, text).unwrap()
        })
    }

    fn judge(token: &str) -> Result<Value, Check> {
        judge_as(token, Answers::This(&Nonce::new("n".into())))
    }

    fn judge_as(token: &str, answers: Answers<'_>) -> Result<Value, Check> {
        let Ok(token) = token.parse::<CoreIdToken>() else { return Err(Check::Malformed) };
        verify(
            &token,
            &Expected {
                issuer: &IssuerUrl::new("https://idp.acme.example".into()).unwrap(),
                client: &ClientId::new("usher".into()),
                algorithms: &[CoreJwsSigningAlgorithm::EdDsa],
                keys: &CoreJsonWebKeySet::new(vec![A.as_verification_key()]),
                answers,
                access_token: &AccessToken::new("access".into()),
                now: Timestamp::from_second(NOW).unwrap(),
            },
        )
    }

    /// The good token with other claims.
    fn with(changes: &Value) -> Result<Value, Check> {
        let mut claims = good();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        judge(&minted(&claims))
    }

    #[test]
    fn a_token_that_is_what_it_must_be_is_let_through_as_it_was_signed() {
        assert_eq!(judge(&minted(&good())), Ok(good()));
    }

    #[test]
    fn a_token_of_another_issuer_is_refused() {
        for issuer in ["https://other.acme.example", "https://idp.acme.example/", "HTTPS://idp.acme.example"]
        {
            assert_eq!(with(&json!({"iss": issuer})), Err(Check::Issuer), "{issuer}");
        }
        assert_eq!(with(&json!({"iss": null})), Err(Check::Malformed));
    }

    #[test]
    fn a_token_for_somebody_else_is_refused_and_so_is_one_for_others_too() {
        for audience in [json!("other"), json!(["other"]), json!(["usher", "other"]), json!([])] {
            assert_eq!(with(&json!({"aud": audience})), Err(Check::Audience), "{audience}");
        }
        assert!(with(&json!({"aud": ["usher"]})).is_ok());
    }

    #[test]
    fn a_token_that_another_client_asked_for_is_refused() {
        assert_eq!(with(&json!({"azp": "other"})), Err(Check::AuthorizedParty));
        assert!(with(&json!({"azp": "usher"})).is_ok());
    }

    #[test]
    fn a_token_that_answers_another_request_is_refused() {
        assert_eq!(with(&json!({"nonce": "m"})), Err(Check::Nonce));
        assert_eq!(with(&json!({"nonce": null})), Err(Check::Nonce));
    }

    #[test]
    fn a_token_that_comes_when_it_is_asked_again_has_the_nonce_of_the_sign_in_or_none() {
        let judged = |nonce: &Value| {
            let mut claims = good();
            claims["nonce"] = nonce.clone();
            if nonce.is_null() {
                claims.as_object_mut().unwrap().remove("nonce");
            }
            judge_as(&minted(&claims), Answers::Again(&Nonce::new("n".into()))).map(|_| ())
        };
        assert_eq!((judged(&json!("n")), judged(&json!(null))), (Ok(()), Ok(())));
        assert_eq!(judged(&json!("m")), Err(Check::Nonce));
    }

    #[test]
    fn times_hold_within_a_minute_of_leeway() {
        for (changes, outcome) in [
            (json!({"exp": NOW - 59}), Ok(())),
            (json!({"exp": NOW - 60}), Err(Check::Expired)),
            (json!({"iat": NOW + 60}), Ok(())),
            (json!({"iat": NOW + 61}), Err(Check::IssuedAt)),
            (json!({"iat": NOW - 660}), Ok(())),
            (json!({"iat": NOW - 661}), Err(Check::IssuedAt)),
            (json!({"nbf": NOW + 60}), Ok(())),
            (json!({"nbf": NOW + 61}), Err(Check::NotBefore)),
            (json!({"exp": null}), Err(Check::Malformed)),
            (json!({"iat": null}), Err(Check::Malformed)),
        ] {
            assert_eq!(with(&changes).map(|_| ()), outcome, "{changes}");
        }
    }

    #[test]
    fn an_access_token_that_was_put_in_its_place_is_noticed() {
        let hash = |token: &str| {
            let key = A.as_verification_key();
            AccessTokenHash::from_token(
                &AccessToken::new(token.into()),
                &CoreJwsSigningAlgorithm::EdDsa,
                &key,
            )
            .unwrap()
        };
        assert!(with(&json!({"at_hash": hash("access").as_str()})).is_ok());
        assert_eq!(with(&json!({"at_hash": hash("other").as_str()})), Err(Check::AccessTokenHash));
    }

    #[test]
    fn no_algorithm_but_those_that_are_named_is_let_through() {
        let none = sign(&json!({"alg": "none"}), &good(), |_| vec![]);
        assert_eq!(judge(&none), Err(Check::Algorithm));
        // The oldest trick: the public key, which everybody knows, or the client secret, as a shared one.
        let public = serde_json::to_vec(&A.as_verification_key()).unwrap();
        for secret in [public.as_slice(), b"for development only"] {
            let mac = CoreHmacKey::new(secret.to_vec());
            let forged = sign(&json!({"alg": "HS256", "kid": "a"}), &good(), |text| {
                mac.sign(&CoreJwsSigningAlgorithm::HmacSha256, text).unwrap()
            });
            assert_eq!(judge(&forged), Err(Check::Algorithm));
        }
        let renamed = sign(&json!({"alg": "ES256", "kid": "a"}), &good(), |text| {
            A.sign(&CoreJwsSigningAlgorithm::EdDsa, text).unwrap()
        });
        assert_eq!(judge(&renamed), Err(Check::Algorithm));
    }

    #[test]
    fn only_the_providers_keys_count_and_not_what_a_token_brings_along() {
        let other = key("b");
        let by = |header: &Value| {
            sign(header, &good(), |text| other.sign(&CoreJwsSigningAlgorithm::EdDsa, text).unwrap())
        };
        assert_eq!(judge(&by(&json!({"alg": "EdDSA", "kid": "a"}))), Err(Check::Signature));
        assert_eq!(judge(&by(&json!({"alg": "EdDSA", "kid": "b"}))), Err(Check::Key));
        let brought = serde_json::to_value(other.as_verification_key()).unwrap();
        assert!(
            judge(&by(&json!({"alg": "EdDSA", "kid": "a", "jwk": brought, "jku": "https://evil.example/"})))
                .is_err()
        );
    }

    #[test]
    fn a_token_whose_claims_were_changed_is_refused() {
        let token = minted(&good());
        let mut parts: Vec<&str> = token.split('.').collect();
        let changed =
            BASE64_URL_SAFE_NO_PAD.encode(good().to_string().replace(r#""sub":"1""#, r#""sub":"2""#));
        parts[1] = &changed;
        assert_eq!(judge(&parts.join(".")), Err(Check::Signature));
    }

    #[test]
    fn the_key_that_a_token_names_is_read_from_its_header() {
        assert_eq!(unverified_kid(&minted(&good()).parse().unwrap()), Some("a".into()));
    }
}
