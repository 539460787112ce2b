//! The key of an installation, or of a login, and proofs that whoever sends a request has it (RFC 9449).
//!
//! It is an Ed25519 key that is drawn on this machine and never leaves it. The server binds to it what it gives with the first proof: from then on
//! whoever has the token alone has nothing.

use std::{io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::now,
    error::Error,
    store::{StateError, read, write_atomically},
};

/// The private key of an installation, or of a login.
#[derive(Clone)]
pub struct Key(SigningKey);

/// Without the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").finish_non_exhaustive()
    }
}

/// The form of a key (RFC 8037, section 2). The order of its members is that of RFC 7638.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    crv: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    kty: String,
    x: String,
}

#[derive(Serialize)]
struct Header {
    typ: &'static str,
    alg: &'static str,
    jwk: Jwk,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// The request that a proof is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Without query and fragment.
    pub(crate) url: &'a str,
    /// The token that goes along.
    pub(crate) token: Option<&'a str>,
    /// The last one that the server has given.
    pub(crate) nonce: Option<&'a str>,
}

impl Key {
    /// A new one, of the kernel's randomness.
    pub(crate) fn draw() -> Result<Self, Error> {
        drawn().map(|secret| Self(SigningKey::from_bytes(&secret)))
    }

    /// The one in this file, if there is one.
    pub(crate) fn kept(path: &Path) -> Result<Option<Self>, StateError> {
        let Some(text) = read(path)? else { return Ok(None) };
        let damaged = || StateError::Damaged { path: path.to_owned(), why: "it holds no Ed25519 key".into() };
        Self::parse(&text).ok_or_else(damaged).map(Some)
    }

    /// The one that this is the text of.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_slice(text).ok()?;
        let secret: [u8; 32] = URL_SAFE_NO_PAD.decode(jwk.d.as_ref()?).ok()?.try_into().ok()?;
        let key = Self(SigningKey::from_bytes(&secret));
        (jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.x == key.public().x).then_some(key)
    }

    /// All of it, as a JWK: that is a secret.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Jwk { d: Some(URL_SAFE_NO_PAD.encode(self.0.to_bytes())), ..self.public() })
    }

    /// Puts it there. When this returns, it is on the disk.
    pub(crate) fn keep(&self, path: &Path) -> Result<(), StateError> {
        let written = self.text().map_err(io::Error::other);
        let written = written.and_then(|text| write_atomically(path, text.as_bytes()));
        written.map_err(|source| StateError::Io { doing: "write", path: path.to_owned(), source })
    }

    fn public(&self) -> Jwk {
        let x = URL_SAFE_NO_PAD.encode(self.0.verifying_key().to_bytes());
        Jwk { crv: "Ed25519".into(), d: None, kty: "OKP".into(), x }
    }

    /// A proof for this request, made now: each time another one.
    pub(crate) fn prove(&self, request: &Request<'_>) -> Result<String, Error> {
        let header = Header { typ: "dpop+jwt", alg: "EdDSA", jwk: self.public() };
        let jti = drawn().map(|bytes| URL_SAFE_NO_PAD.encode(bytes.get(..16).unwrap_or_default()))?;
        let ath = request.token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        let Request { method: htm, url: htu, nonce, .. } = *request;
        let claims = Claims { jti, htm, htu, iat: now(), ath, nonce };
        let part = |json: serde_json::Result<Vec<u8>>| json.map(|json| URL_SAFE_NO_PAD.encode(json));
        let text = part(serde_json::to_vec(&header))
            .and_then(|header| part(serde_json::to_vec(&claims)).map(|claims| format!("{header}.{claims}")));
        let text = text.map_err(|error| Error::Usage(error.to_string()))?;
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}.{signature}"))
    }
}

#[expect(clippy::disallowed_methods, reason = "must be of this moment, whatever the caller was copied from")]
fn drawn() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Usage(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signature;
    use serde_json::Value;

    use super::*;

    const REQUEST: Request<'_> = Request {
        method: "POST",
        url: "https://usher.acme.example/v1/heartbeat",
        token: Some("usher_act_0000"),
        nonce: Some("n"),
    };

    fn part(proof: &str, at: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(proof.split('.').nth(at).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_proves_what_it_is_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.jwk");
        assert!(Key::kept(&path).unwrap().is_none());
        Key::draw().unwrap().keep(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let key = Key::kept(&path).unwrap().unwrap();
        let proof = key.prove(&REQUEST).unwrap();
        let signature = Signature::from_slice(&part(&proof, 2)).unwrap();
        let (text, _) = proof.rsplit_once('.').unwrap();
        key.0.verifying_key().verify_strict(text.as_bytes(), &signature).unwrap();
        let header: Value = serde_json::from_slice(&part(&proof, 0)).unwrap();
        assert_eq!((&header["typ"], &header["alg"]), (&"dpop+jwt".into(), &"EdDSA".into()));
        assert!(header["jwk"].get("d").is_none(), "the key stays here");
        let claims: Value = serde_json::from_slice(&part(&proof, 1)).unwrap();
        assert_eq!((&claims["htm"], &claims["htu"]), (&REQUEST.method.into(), &REQUEST.url.into()));
        // printf usher_act_0000 | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(claims["ath"].as_str().unwrap().len(), 43);
        assert_eq!(claims["nonce"], "n");
        assert_ne!(key.prove(&REQUEST).unwrap(), proof, "each is good once");
        assert!(!format!("{key:?}").contains(&URL_SAFE_NO_PAD.encode(key.0.to_bytes())));
    }

    #[test]
    fn a_damaged_key_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.jwk");
        Key::draw().unwrap().keep(&path).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let other = Key::draw().unwrap().public().x;
        let mut swapped: Value = serde_json::from_str(&good).unwrap();
        swapped["x"] = other.into();
        for bad in [
            "",
            "{}",
            "[]",
            &good.replace("Ed25519", "X25519"),
            &good.replace("OKP", "EC"),
            &swapped.to_string(),
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Key::kept(&path), Err(StateError::Damaged { .. })), "{bad}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), *bad);
        }
    }
}
