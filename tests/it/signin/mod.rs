//! Signing in, at a real identity provider and in a real browser.

mod oidc;
