//! The outer form of documents and key sets: shape, header, signature. What the payload says is not looked at here.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    encode::Typ,
    error::{Error, quoted_or_none},
    json::Strict,
};

/// The most bytes that a document, a key set or a JWK set may have. Genuine documents have one or two kilobytes; a License
/// with a thousand features stays below.
pub const MAX_BYTES: usize = 64 * 1024;

/// Header members that bring a key along, or change how the rest is to be read (RFC 7515 §4.1, RFC 7797). RFC 8725 tells why
/// a verifier that knows its keys has no use for them.
const FORBIDDEN: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64"];

/// A compact JWS of one [`Typ`] with a permitted header; its signature is not proven.
pub(crate) struct Jws<'a> {
    signing_input: &'a [u8],
    payload: Vec<u8>,
    signature: Signature,
    kid: String,
}

impl<'a> Jws<'a> {
    /// The steps *shape* and *header*.
    pub(crate) fn parse(bytes: &'a [u8], typ: Typ) -> Result<Self, Error> {
        let what = typ.noun();
        bounded(what, bytes)?;
        let mut parts = bytes.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let found = bytes.iter().filter(|byte| **byte == b'.').count() + 1;
            return Err(Error::malformed(
                what,
                format_args!("expected three parts between dots, found {found}"),
            ));
        };
        let signing_input = bytes.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let header = decode("header", header)?;
        let payload = decode("payload", payload)?;
        let signature = decode("signature", signature)?;
        let signature = Signature::from_slice(&signature).map_err(|_| {
            Error::malformed("signature", format_args!("expected 64 bytes, found {}", signature.len()))
        })?;
        let kid = read_header(&header, typ)?;
        Ok(Self { signing_input, payload, signature, kid })
    }

    pub(crate) fn unverified_kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The step *signature*. `key` is the one that the `kid` names.
    pub(crate) fn check_signature(&self, key: &VerifyingKey) -> Result<(), Error> {
        key.verify_strict(self.signing_input, &self.signature)
            .map_err(|_| Error::BadSignature { kid: self.kid.clone() })
    }

    pub(crate) fn into_parts(self) -> (String, Vec<u8>) {
        (self.kid, self.payload)
    }
}

pub(crate) fn bounded(what: &'static str, bytes: &[u8]) -> Result<(), Error> {
    let found = bytes.len();
    if found > MAX_BYTES {
        return Err(Error::Oversized { what, limit: MAX_BYTES, found });
    }
    Ok(())
}

/// Canonical base64url: no padding, no trailing bits, no white space (RFC 7515 §2). Else one signature would fit many texts.
fn decode(what: &'static str, part: &[u8]) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| Error::malformed(what, error))
}

#[derive(Deserialize)]
struct Header {
    typ: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
}

/// The step *header*; returns the `kid`.
fn read_header(json: &[u8], typ: Typ) -> Result<String, Error> {
    let strict = Strict::check("header", json)?;
    let members: BTreeMap<String, IgnoredAny> = strict.read()?;
    if let Some(member) = FORBIDDEN.into_iter().find(|member| members.contains_key(*member)) {
        return Err(Error::ForbiddenHeader { member });
    }
    let header: Header = strict.read()?;
    if header.typ.as_deref() != Some(typ.as_str()) {
        return Err(Error::WrongType {
            expected: typ.as_str(),
            found: quoted_or_none(header.typ.as_deref()),
        });
    }
    if !matches!(header.alg.as_deref(), Some("EdDSA" | "Ed25519")) {
        return Err(Error::WrongAlgorithm { found: quoted_or_none(header.alg.as_deref()) });
    }
    header.kid.ok_or_else(|| Error::malformed("header", "it has no `kid`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_byte_too_many_is_not_read() {
        let bytes = vec![b'A'; 65_537];
        assert_eq!(bounded("key set", &bytes[..65_536]), Ok(()));
        assert_eq!(
            bounded("key set", &bytes),
            Err(Error::Oversized { what: "key set", limit: 65_536, found: 65_537 })
        );
    }
}
