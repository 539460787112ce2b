//! `usher completion`: what shells need to complete the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::cmd::{Exit, Failure, print};

/// The script goes to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
To use it, for example:
  bash  usher completion bash > ~/.local/share/bash-completion/completions/usher
  zsh   usher completion zsh > \"${fpath[1]}/_usher\"
  fish  usher completion fish > ~/.config/fish/completions/usher.fish")]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<ExitCode, Failure> {
    print(&script(args.shell, &mut command))?;
    Ok(Exit::Done.into())
}

fn script(shell: Shell, command: &mut clap::Command) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, ValueEnum as _};

    use super::*;
    use crate::cmd::Cli;

    #[test]
    fn every_shell_completes_the_subcommands() {
        for shell in Shell::value_variants() {
            let script = script(*shell, &mut Cli::command());
            for subcommand in Cli::command().get_subcommands() {
                assert!(script.contains(subcommand.get_name()), "{shell}: {}", subcommand.get_name());
            }
        }
    }
}
