//! `usher read-saml`: the process in which what a provider of SAML says is read. See `identity/saml/child.rs`.

use std::process::ExitCode;

use super::Failure;
use crate::identity::saml::child;

pub(super) fn run() -> Result<ExitCode, Failure> {
    child::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
