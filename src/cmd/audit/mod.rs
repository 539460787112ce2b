//! `usher audit`: reading the audit, and giving up a key of it that is lost. The ledger is only read, as of one moment, also beside a
//! running operator.

mod checkpoints;
mod list;
mod rekey;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cmd::{Failure, place::LedgerArgs};

/// Who was bound, freed, and given documents: is the record whole, and what does it say?
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the audit is whole: nothing changed, removed, reordered or inserted.
    Verify(verify::Args),
    /// Show the entries.
    List(list::Args),
    /// Tell the operator that the audit key is lost for good, and that it may make another.
    Rekey(rekey::Args),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &args.command {
        Command::Verify(args) => runtime.block_on(verify::run(args)),
        Command::List(args) => runtime.block_on(list::run(args)),
        Command::Rekey(args) => runtime.block_on(rekey::run(args)),
    }
}
