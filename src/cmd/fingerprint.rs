//! `usher fingerprint`: which device this machine is.

use std::process::ExitCode;

use usher_client::{Device, fingerprint};

use crate::cmd::{Failure, print};

/// Prints the fingerprint of this machine, by which devices are told apart.
#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub(super) struct Args {
    /// Print a line `id,name` with its heading, to collect from many machines.
    #[arg(long)]
    csv: bool,
    /// What people call the device, for --csv; its name in the network if not given.
    #[arg(long, requires = "csv")]
    name: Option<String>,
}

const SOURCES: &str = "\
It is a SHA-256 of what the system tells machines apart by:
  Linux    /etc/machine-id, else /var/lib/dbus/machine-id
  macOS    IOPlatformUUID, as ioreg -rd1 -c IOPlatformExpertDevice prints it
  Windows  MachineGuid in HKLM\\SOFTWARE\\Microsoft\\Cryptography
It is no secret, and a copy of a machine has the same: the chain of nonces catches copies, not this.
Containers have none of their own: there, give the device a name that your inventory knows.";

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let id = fingerprint::of_this_machine()?;
    if args.csv {
        let name = args.name.clone().or(Device::of_this_machine().hostname).unwrap_or_default();
        print(&format!("id,name\r\n{id},{}\r\n", field(&name)))?;
    } else {
        print(&format!("{id}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As RFC 4180 quotes it, and so that no spreadsheet computes it.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_field_and_is_nothing_to_compute() {
        let fields = ["lab-3", "Lab 3, left", "the \"big\" one", "=1+1"].map(field);
        assert_eq!(fields, ["lab-3", "\"Lab 3, left\"", "\"the \"\"big\"\" one\"", "'=1+1"]);
    }
}
