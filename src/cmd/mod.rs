//! The command line: one file a subcommand.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done; for `verify`: the document may be used |
//! | 1 | refused: the document may not be used |
//! | 2 | the command line is wrong, or the program could not do its work |

mod crds;
mod edge;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Manages who may use licensed software: licenses and seats in Kubernetes, signed documents in Secrets.
#[derive(Debug, Parser)]
#[command(name = "usher", version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(run::Args),
    /// Print the custom resource definitions.
    Crds(crds::Args),
}

/// What a command comes to when it cannot do its work.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Crds(args) => crds::run(&args),
    };
    done.unwrap_or_else(|failure| {
        anstream::eprintln!("usher: {}", with_causes(&*failure));
        ExitCode::from(2)
    })
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
