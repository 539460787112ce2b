//! Proof of possession (RFC 9449): whoever sends a request has the private key to which a token is bound. Pure.
//!
//! ```text
//!   header DPoP ──► its form, its key, its signature ──► this request? this token? made now? ──► Proven: whose key it is
//! ```
//!
//! 1. The proof is a JWS with `typ: dpop+jwt`, an `alg` of [`ALGORITHMS`], and the public key in `jwk`. `crit` is refused: we know no extension.
//! 2. `htm` is the request's method. `htu` is its path at one of the names of this server, over https. The port is not compared: Services, port-forwards and
//!    load balancers change it, and this server does not see which one its caller sees.
//! 3. `ath` is the hash of the token that comes along.
//! 4. A `nonce` of ours says when the proof was made, by our own clock; a proof without one says it in `iat`, by its maker's.
//!
//! That a proof is used once is for whoever keeps records: [`Proven::id`].

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use openidconnect::{
    JsonWebKey as _,
    core::{CoreJsonCurveType, CoreJsonWebKey, CoreJwsSigningAlgorithm},
    url::Url,
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use sha2::{Digest as _, Sha256};

/// In which ways a proof may be signed. Both are asymmetric.
pub const ALGORITHMS: [&str; 2] = ["EdDSA", "ES256"];
/// How far `iat` may be from now, to either side, in seconds: two clocks that are set, and a request on its way.
pub const LEEWAY: i64 = 60;
/// How old a nonce of ours may be, in seconds. Each answer brings a new one, so this is for programs that ask seldom: they are told to try again.
pub const NONCE_AGE: i64 = 300;
/// The longest proof, in bytes: ours have some 500.
const LONGEST: usize = 2_048;
/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 128;
/// The bytes of a key's coordinate, of both kinds.
const COORDINATE: usize = 32;

/// What did not hold. Each is tried by an attack of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Check {
    /// It is no such JWS.
    #[error("it is no JWS of 2,048 bytes at most with typ, alg, jwk, jti, htm, htu and iat")]
    Malformed,
    /// It is a JWS for something else.
    #[error("typ must be dpop+jwt")]
    Type,
    /// It is signed in a way that is not allowed, or not at all.
    #[error("alg must be EdDSA or ES256")]
    Algorithm,
    /// It has an extension.
    #[error("crit names what is not known here")]
    Critical,
    /// Its key is not a public key of its algorithm.
    #[error("jwk must be the public key of alg, on Ed25519 or P-256, and nothing more")]
    Key,
    /// The signature is wrong.
    #[error("the signature is not by jwk")]
    Signature,
    /// It is for another method.
    #[error("htm is not the request's method")]
    Method,
    /// It is for another address.
    #[error(
        "htu is not the request's URL, at a name of this server (--public-url, --tls-name, an Authority's issuer), without query and fragment"
    )]
    Address,
    /// It was made for another token, or for none.
    #[error("ath is not the hash of the token that comes along")]
    Token,
    /// `jti` is empty or too long.
    #[error("jti must have 1 to 128 bytes")]
    Id,
    /// Nobody can say when it was made: its nonce is none of ours or too old, or it has none and its `iat` is not now.
    #[error("it is not of now: take the nonce of the header DPoP-Nonce")]
    Stale,
}

/// What a proof is held against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Its path, as this server serves it.
    pub path: &'a str,
    /// What this server is called, without ports.
    pub names: &'a [String],
    /// The token that comes along.
    pub token: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
    /// When we made this nonce, in Unix seconds, if we did.
    pub nonce_made: &'a dyn Fn(&str) -> Option<i64>,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The thumbprint of the key (RFC 7638).
    pub thumbprint: String,
    /// Of this key and its `jti`: no other proof has it.
    pub id: [u8; 32],
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// A public key. What only private and symmetric keys have is named, so that it is found (RFC 7518, section 6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    d: bool,
    #[serde(default, deserialize_with = "is_there")]
    k: bool,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Whatever it is.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Whose key proves what this `proof` says.
///
/// # Errors
/// The first check that did not hold.
pub fn verify(proof: &str, expected: &Expected<'_>) -> Result<Proven, Check> {
    let (claims, thumbprint) = signed(proof)?;
    if claims.htm != expected.method {
        return Err(Check::Method);
    }
    if !is_at(&claims.htu, expected) {
        return Err(Check::Address);
    }
    if claims.ath != expected.token.map(|token| encoded(token.as_bytes())) {
        return Err(Check::Token);
    }
    if !(1..=LONGEST_ID).contains(&claims.jti.len()) {
        return Err(Check::Id);
    }
    let age_of = |made: i64| expected.now.as_second().saturating_sub(made);
    let is_of_now = match &claims.nonce {
        // Replicas' clocks differ, too.
        Some(nonce) => {
            (expected.nonce_made)(nonce).is_some_and(|at| (-LEEWAY..=NONCE_AGE).contains(&age_of(at)))
        }
        None => (-LEEWAY..=LEEWAY).contains(&age_of(claims.iat)),
    };
    if !is_of_now {
        return Err(Check::Stale);
    }
    let id = Sha256::new().chain_update(&thumbprint).chain_update(&claims.jti).finalize().into();
    Ok(Proven { thumbprint, id })
}

/// What it says, and the thumbprint of the key by which that is signed.
fn signed(proof: &str) -> Result<(Claims, String), Check> {
    let malformed = |_| Check::Malformed;
    if proof.len() > LONGEST {
        return Err(Check::Malformed);
    }
    let (text, signature) = proof.rsplit_once('.').ok_or(Check::Malformed)?;
    let (header, payload) = text.split_once('.').ok_or(Check::Malformed)?;
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(malformed)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(malformed)?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| Check::Malformed)?;
    if header.crit {
        return Err(Check::Critical);
    }
    if header.typ != "dpop+jwt" {
        return Err(Check::Type);
    }
    let algorithm = match header.alg.as_str() {
        "EdDSA" => CoreJwsSigningAlgorithm::EdDsa,
        "ES256" => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        _ => return Err(Check::Algorithm),
    };
    let (key, thumbprint) = header.jwk.key(&algorithm).ok_or(Check::Key)?;
    key.verify_signature(&algorithm, text.as_bytes(), &signature).map_err(|_| Check::Signature)?;
    let claims = serde_json::from_slice(&payload).map_err(|_| Check::Malformed)?;
    Ok((claims, thumbprint))
}

impl Jwk {
    /// The key, if it is a public one of this algorithm, and its thumbprint (RFC 7638, section 3; RFC 8037, appendix A.3).
    fn key(&self, algorithm: &CoreJwsSigningAlgorithm) -> Option<(CoreJsonWebKey, String)> {
        if self.d || self.k {
            return None;
        }
        // One key has one text: the decoder takes no other form of the same bytes.
        let coordinate = |text: &Option<String>| {
            let text = text.as_ref()?;
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == COORDINATE)?;
            Some((text.clone(), bytes))
        };
        let (x, x_bytes) = coordinate(&self.x)?;
        match (algorithm, self.kty.as_str(), self.crv.as_deref()?, &self.y) {
            (CoreJwsSigningAlgorithm::EdDsa, "OKP", "Ed25519", None) => {
                let key = CoreJsonWebKey::new_okp(x_bytes, CoreJsonCurveType::Ed25519, None);
                Some((key, encoded(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes())))
            }
            (CoreJwsSigningAlgorithm::EcdsaP256Sha256, "EC", "P-256", Some(_)) => {
                let (y, y_bytes) = coordinate(&self.y)?;
                let key = CoreJsonWebKey::new_ec(x_bytes, y_bytes, CoreJsonCurveType::P256, None);
                Some((
                    key,
                    encoded(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()),
                ))
            }
            _ => None,
        }
    }
}

/// The SHA-256 of `bytes`, as base64url.
fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Whether `htu` is where the request was sent. A URL is compared as it is normalized (RFC 3986, section 6.2.2).
fn is_at(htu: &str, expected: &Expected<'_>) -> bool {
    let Ok(url) = Url::parse(htu) else { return false };
    let plain = url.scheme() == "https"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    plain && url.path() == expected.path && expected.names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests;
