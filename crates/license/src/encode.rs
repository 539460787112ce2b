//! How a document is laid out before it is signed. Who holds the key signs what [`signing_input`] gives, and [`attach`]es it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::jwk::Thumbprint;

/// The kinds of documents, told apart by `typ` so that none can pass for another (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typ {
    /// A license document: `license+jwt`.
    License,
    /// A key set: `usher-keys+jwt`.
    KeySet,
    /// A checkpoint of the audit: `usher-audit+jwt`.
    Checkpoint,
}

impl Typ {
    /// The value of the header's `typ`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::License => "license+jwt",
            Self::KeySet => "usher-keys+jwt",
            Self::Checkpoint => "usher-audit+jwt",
        }
    }

    /// What a message calls it.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::License => "document",
            Self::KeySet => "key set",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// The JWS signing input: header and payload, encoded (RFC 7515 §5.1).
#[must_use]
pub fn signing_input(typ: Typ, kid: &Thumbprint, payload_json: &[u8]) -> String {
    let header = format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{kid}"}}"#, typ.as_str()); // neither can need escaping
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload_json))
}

/// The compact JWS: the signing input and its signature.
#[must_use]
pub fn attach(signing_input: &str, signature: &[u8; 64]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
