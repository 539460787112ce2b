//! Usher's signed license document, and how to verify it.
//!
//! This is the part of Usher that other people's programs link: no async, no clock, no I/O, few dependencies, and it builds
//! for `wasm32-unknown-unknown`. It holds no private key and signs nothing.
//!
//! # The document
//! A compact JWS (RFC 7515) over a JSON payload (RFC 7519), signed with Ed25519 (RFC 8037):
//!
//! ```text
//! base64url({"alg":"EdDSA","typ":"license+jwt","kid":"<RFC 7638 thumbprint>"}) . base64url(<Claims>) . base64url(<64 bytes>)
//! ```
//! The payload is [`Claims`]; `schema/license.v1.json` is its JSON schema. Any JOSE library can verify it, if it checks what
//! is listed below.
//!
//! # What [`verify`] demands, in this order
//! | step | refused with |
//! |---|---|
//! | **shape**: at most [`MAX_BYTES`], three parts, canonical base64url, a signature of 64 bytes | `oversized`, `malformed` |
//! | **header**: strict JSON; none of `jwk jku x5u x5c x5t x5t#S256 crit b64`; exactly `typ: license+jwt`; `alg` `EdDSA` or `Ed25519` (RFC 9864); a `kid` | `duplicate-member`, `too-deep`, `malformed`, `forbidden-header`, `wrong-type`, `wrong-algorithm` |
//! | **key**: the `kid` is trusted, and the key's not-after has not come | `unknown-key`, `key-expired` |
//! | **signature**: RFC 8032, without small-order points (`verify_strict`) | `bad-signature` |
//! | **claims**: strict JSON, `schema` 1, the types of [`Claims`] | `duplicate-member`, `too-deep`, `malformed`, `unsupported-schema` |
//! | exactly the issuer and the product of the [`Trust`] | `wrong-issuer`, `wrong-product` |
//! | `nbf` ≤ now < `exp`, as RFC 7519 means them | `not-yet-valid`, `expired` |
//! | `state` is `active` | `suspended`, `expired` |
//!
//! Nothing of the payload is looked at before the signature is proven. *Strict JSON* means: no member twice in one object, at
//! any depth, and at most [`MAX_DEPTH`] levels; two parsers then cannot read two things from one document.
//!
//! # Whom to trust
//! [`Trust::pinned`] takes the thumbprint of an authority's root key, which your program carries, and the key set (`keys.jws`)
//! that the root signed; the key set may come from anywhere, also from beside the document. [`Trust::jwks`] takes a JWK set,
//! which must come from a place that you trust by other means. See [`KeySet`].
//!
//! ```
//! use usher_license::{Error, Thumbprint, Trust, verify};
//!
//! fn may_render(document: &[u8], keys_jws: &[u8], root: &Thumbprint, now: u64) -> Result<bool, Error> {
//!     let trust = Trust::pinned(root, keys_jws, "https://usher.acme.example/a/default", "cad", now)?;
//!     let license = verify(document, &trust, now)?;
//!     Ok(license.has_feature("render"))
//! }
//! ```
//!
//! # How far trust has come shows in the type
//! ```text
//! bytes ── License::parse ──► License<Unverified>    well-formed, says who knows what   (for `inspect`)
//! bytes ── check_signature ─► License<Unproven>      some given key signed it           ("signature ok, key unproven")
//! bytes ── verify ──────────► License<Verified>      all of the table above
//! ```

mod checkpoint;
mod claims;
mod encode;
mod error;
mod json;
mod jwk;
mod jws;
mod key_set;
mod keys;
mod license;
mod trust;

pub use checkpoint::{Checkpoint, CheckpointClaims};
pub use claims::{
    Bound, Claims, Device, Feature, Holder, Lease, LicenseRef, Limits, Quota, Schema, State, User,
};
pub use encode::{Typ, attach, signing_input};
pub use error::{Error, Expiry};
pub use json::MAX_DEPTH;
pub use jwk::{Jwk, PublishedKey, Thumbprint};
pub use jws::MAX_BYTES;
pub use key_set::{KeySet, KeySetClaims};
pub use keys::{Jwks, Keys};
pub use license::{License, Unproven, Unverified, Verified, check_signature, verify};
pub use trust::{MAX_LEEWAY_SECONDS, Trust};
