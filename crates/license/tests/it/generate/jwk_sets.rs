//! `jwks.json`.

use usher_license::{Jwks, MAX_DEPTH};

use super::{
    JwkSets, JwksCase,
    keys::{add, base64url, both_keys, jwk, nested, stranger, text},
};

pub(super) fn jwk_sets() -> Result<JwkSets, serde_json::Error> {
    let good = text(&Jwks { keys: both_keys() })?;
    let mut cases = Vec::new();
    let mut case = |expect: &str, keys: usize, name: &str, jwks: String| {
        cases.push(JwksCase { name: name.to_owned(), jwks, expect: expect.to_owned(), keys });
    };
    let before = |key: &str| good.replacen(r#""keys":["#, &format!(r#""keys":[{key},"#), 1);
    case("ok", 2, "two keys", good.clone());
    case("ok", 1, "a bare key", format!(r#"{{"keys":[{}]}}"#, text(&jwk(&stranger()))?));
    case("ok", 2, "alg Ed25519 of RFC 9864", good.replacen(r#""alg":"EdDSA""#, r#""alg":"Ed25519""#, 1));
    case("ok", 0, "no key", r#"{"keys":[]}"#.to_owned());
    case("ok", 2, "an RSA key", before(r#"{"kty":"RSA","use":"sig","kid":"a","n":"AQAB","e":"AQAB"}"#));
    case("ok", 2, "a key for encryption", before(r#"{"kty":"OKP","crv":"Ed25519","x":"AA","use":"enc"}"#));
    case("ok", 2, "a key of another curve", before(r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#));
    case(
        "ok",
        2,
        "a key for another algorithm",
        before(r#"{"kty":"OKP","crv":"Ed25519","x":"AA","alg":"ES256"}"#),
    );
    case(
        "kid-mismatch",
        0,
        "a kid that is not the thumbprint",
        good.replacen(r#""kid":""#, r#""kid":"x"#, 1),
    );
    case("malformed", 0, "a short key", before(r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#));
    case("malformed", 0, "a point of small order", before(&small_order()));
    case("malformed", 0, "a list", "[]".to_owned());
    case("malformed", 0, "a private key", good.replacen(r#""use":"#, r#""d":"AA","use":"#, 1));
    case("duplicate-member", 0, "keys twice", add(&good, r#""keys":[]"#));
    case("duplicate-member", 0, "x twice", good.replacen(r#""x":"#, r#""x":"AA","x":"#, 1));
    case("too-deep", 0, "a deep set", add(&good, &format!(r#""later":{}"#, nested(MAX_DEPTH))));
    Ok(JwkSets { cases })
}

/// The neutral element, under which anybody can sign anything if small orders are taken.
fn small_order() -> String {
    let mut neutral = [0; 32];
    if let Some(first) = neutral.first_mut() {
        *first = 1;
    }
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url(neutral))
}
