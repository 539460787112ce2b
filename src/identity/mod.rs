//! Identity providers → [`Principal`]: who somebody is, as the company's own identity provider proves it.
//!
//! ```text
//!   browser ──► begin: where to go, and what to keep of it ──► provider ──► finish: code and iss ──► Principal
//!                                                                 ▲                 │
//!                                                  discovery, keys, token endpoint ◄┘
//! ```
//!
//! By OpenID Connect that is code, `iss` and tokens; by SAML it is a response that the browser brings. What a provider says is `unverified` until
//! [`oidc::token`], or the gate of [`saml`], has let it through; which lines of the field's check list are held, and by which
//! test, is in docs/sign-in-checks.md.

mod claims;
pub mod dpop;
pub mod fetch;
mod kept;
pub mod oidc;
mod relying_party;
pub mod saml;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

pub use crate::domain::principal::Principal;
pub use claims::Claims;
pub use kept::{LOOK, PAUSE};
pub use openidconnect::url::Url;
pub use relying_party::{Known, RelyingParty, Standing};

/// A value of its own for each use of one sign-in's entropy.
fn drawn(entropy: &[u8; 32], what: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(what).chain_update(entropy).finalize())
}

/// What went wrong, with its causes, in so many characters at most.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").chars().take(300).collect()
}
