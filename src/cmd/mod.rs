//! The command line: one file a subcommand.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done; for `verify`: it is proven that the document may be used |
//! | 1 | refused: the document may not be used; for `inspect`: it is not a document; for `audit verify`: it is broken |
//! | 2 | the command line is wrong, or the program could not do its work |
//! | 3 | for `verify` without `--trust` or `--jwks`: the signature is good, the key unproven; for `audit verify`: compared with nothing outside |

mod agent;
mod audit;
mod completion;
mod crds;
mod describe;
mod edge;
mod fingerprint;
mod forget;
mod inspect;
mod keygen;
mod ledger;
mod list;
mod login;
mod openapi;
mod place;
mod read_saml;
mod refusal;
mod revoke_key;
mod run;
mod secret;
mod sign_keys;
mod source;
mod stop;
mod uninstall;
mod verify;

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::Value;

use crate::identity::saml::SUBCOMMAND;

/// Manages who may use licensed software: licenses and seats in Kubernetes, signed documents in Secrets.
#[derive(Debug, Parser)]
#[command(name = "usher", version, arg_required_else_help = true, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for verify: it is proven that the document may be used
  1  refused: the document may not be used
  2  the command line is wrong, or the program could not do its work
  3  for verify without --trust or --jwks: the signature is good, the key unproven";

/// How a command ends; the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Refused = 1,
    Failed = 2,
    Unproven = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// For whom to write.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Human,
    /// For programs: one JSON object.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(run::Args),
    /// Print the custom resource definitions.
    Crds(crds::Args),
    /// Print the contract of the runtime API.
    Openapi(openapi::Args),
    /// Say whether a license document may be used.
    Verify(verify::Args),
    /// Show what a license document says, unverified.
    Inspect(inspect::Args),
    /// Keep an activation alive, and run a command under it.
    Agent(agent::Args),
    /// Sign in on this machine.
    Login(login::LoginArgs),
    /// Say who is signed in on this machine.
    Whoami(login::WhoamiArgs),
    /// Sign out on this machine.
    Logout(login::LogoutArgs),
    /// Say which device this machine is.
    Fingerprint(fingerprint::Args),
    /// Read the audit: is it whole, and what does it say?
    Audit(audit::Args),
    /// Erase who somebody was from the ledger.
    Forget(forget::Args),
    /// Make a root key that is kept outside of the cluster.
    Keygen(keygen::Args),
    /// Sign the key set that an Authority asks for, with a root key that is kept outside.
    SignKeys(sign_keys::Args),
    /// Take a signing key that is in wrong hands out of use.
    RevokeKey(revoke_key::Args),
    /// Back up, restore or rebuild the ledger.
    Ledger(ledger::Args),
    /// Lift Usher's finalizers, so that nothing waits for it when it is gone.
    Uninstall(uninstall::Args),
    /// Print a script that completes the command line.
    Completion(completion::Args),
    /// What the operator runs itself as, to read what providers of SAML say.
    #[command(name = SUBCOMMAND, hide = true)]
    ReadSaml,
}

/// What a command comes to when it cannot do its work.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Openapi(openapi::Args {}) => openapi::run(),
        Command::Verify(args) => verify::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Agent(args) => agent::run(args),
        Command::Login(args) => login::login(&args),
        Command::Whoami(args) => login::whoami(&args),
        Command::Logout(args) => login::logout(&args),
        Command::Fingerprint(args) => fingerprint::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::SignKeys(args) => sign_keys::run(&args),
        Command::RevokeKey(args) => revoke_key::run(&args),
        Command::Ledger(args) => ledger::run(args),
        Command::Uninstall(args) => uninstall::run(&args),
        Command::Completion(args) => completion::run(&args, Cli::command()),
        Command::ReadSaml => read_saml::run(),
    };
    done.unwrap_or_else(|failure| {
        anstream::eprintln!("usher: {}", with_causes(&*failure));
        Exit::Failed.into()
    })
}

/// To standard output; with colors only if that is a terminal.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// To standard error; with colors only if that is a terminal.
fn eprint(text: &str) -> Result<(), Failure> {
    Ok(anstream::stderr().lock().write_all(text.as_bytes())?)
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{}\n", describe::printable_json(&serde_json::to_string_pretty(value)?)))
}

/// Unix seconds, as documents count; what lies before 1970 is 0.
fn unix(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// The instant of Unix seconds, if it is one before the year 10000.
fn instant(seconds: u64) -> Option<Timestamp> {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// The cluster of KUBECONFIG, else the one that this program runs in.
async fn cluster() -> Result<kube::Config, Failure> {
    let found = kube::Config::infer().await;
    found
        .map_err(|error| format!("no cluster is configured: set KUBECONFIG, or run in a pod: {error}").into())
}

/// A failure with its causes, on one line.
fn with_causes(failure: &(dyn std::error::Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_tells_every_exit_code_that_the_program_has() {
        for exit in [Exit::Done, Exit::Refused, Exit::Failed, Exit::Unproven] {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
