//! The program that runs under the license.

use std::{path::Path, process::ExitStatus, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::cmd::Failure;

/// How long the program may take to end once it is told to.
const GRACE: Duration = Duration::from_secs(30);
/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: u8 = 128;

pub(super) struct Child {
    process: tokio::process::Child,
    name: String,
}

impl Child {
    /// Starts it, with the folder of the documents in `USHER_DOCUMENTS`, and without what could act as this installation.
    pub(super) fn start(program: &str, arguments: &[String], documents: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("USHER_DOCUMENTS", documents)
            .env_remove("USHER_KEY_FILE")
            .env_remove("USHER_TOKEN_FILE")
            .env_remove("USHER_LOGIN")
            .kill_on_drop(true);
        let process = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
        Ok(Self { process, name: program.to_owned() })
    }

    /// Waits until it ends by itself. Gives its exit code.
    pub(super) async fn ended(&mut self) -> Result<u8, Failure> {
        let status = self.process.wait().await;
        Ok(code(status.map_err(|error| format!("cannot wait for {}: {error}", self.name))?))
    }

    /// Tells it to end, and makes it end.
    pub(super) async fn stop(&mut self) -> Result<u8, Failure> {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // If it has just ended, there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Ok(ended) = tokio::time::timeout(GRACE, self.ended()).await {
            return ended;
        }
        self.process.kill().await.map_err(|error| format!("cannot end {}: {error}", self.name))?;
        self.ended().await
    }
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
    let exited = status.code().and_then(|code| u8::try_from(code).ok());
    exited.unwrap_or_else(|| BY_SIGNAL.saturating_add(signal.unwrap_or(0)))
}
