//! Identity providers → [`Principal`]: who somebody is, as the company's own identity provider proves it.
//!
//! ```text
//!   browser ──► begin: where to go, and what to keep of it ──► provider ──► finish: code and iss ──► Principal
//!                                                                 ▲                 │
//!                                                  discovery, keys, token endpoint ◄┘
//! ```
//!
//! What a provider says is `unverified` until [`oidc::token`] has let it through; which lines of the field's check list are held, and by which
//! test, is in docs/sign-in-checks.md.

mod claims;
pub mod fetch;
pub mod oidc;

pub use crate::domain::principal::Principal;
pub use claims::Claims;
pub use openidconnect::url::Url;
