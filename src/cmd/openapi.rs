//! `usher openapi`: the contract of the runtime API.

use std::process::ExitCode;

use crate::{
    cmd::{Exit, Failure, print},
    http,
};

/// The OpenAPI document of the runtime API, to standard output. A running Usher serves it at /v1/openapi.json.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run() -> Result<ExitCode, Failure> {
    print(&http::document())?;
    Ok(Exit::Done.into())
}
