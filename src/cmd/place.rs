//! Where the ledger is: the same argument of each command that opens it.

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};

use crate::ledger::Place;

/// Which ledger.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LedgerArgs {
    /// The ledger: a SQLite file, or the URL of a PostgreSQL database (postgres://usher@host/usher). A URL with a password
    /// belongs into the variable, not on the command line.
    #[arg(
        long,
        value_name = "FILE|URL",
        env = "USHER_LEDGER",
        hide_env_values = true,
        default_value = "/var/lib/usher/ledger.db",
        value_parser = place()
    )]
    pub(super) ledger: Place,
}

fn place() -> ValueParser {
    OsStringValueParser::new().map(Place::from).into()
}
