//! The real program, released, as a process.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Failure, machine};

/// `usher run`; killed when this is dropped.
pub struct Usher {
    child: Child,
}

impl Usher {
    /// Starts it. It is not at work yet.
    pub fn start(kubeconfig: &Path, ledger: impl AsRef<OsStr>) -> Result<Self, Failure> {
        Self::start_as("usher", kubeconfig, ledger)
    }

    /// The same by another name in the Lease, such as another pod has.
    pub fn start_as(name: &str, kubeconfig: &Path, ledger: impl AsRef<OsStr>) -> Result<Self, Failure> {
        Self::begin(name, kubeconfig, ledger, 0)
    }

    /// The same, serving programs at this port.
    pub fn listening(kubeconfig: &Path, ledger: impl AsRef<OsStr>, port: u16) -> Result<Self, Failure> {
        Self::begin("usher", kubeconfig, ledger, port)
    }

    fn begin(name: &str, kubeconfig: &Path, ledger: impl AsRef<OsStr>, port: u16) -> Result<Self, Failure> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_usher"), "run"])
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .args(["--ops-listen", "127.0.0.1:0", "--name", name, "--ledger"])
            .arg(ledger)
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stderr.take().ok_or("usher says nothing")?).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("ERROR") {
                    eprintln!("usher: {line}");
                }
            }
        });
        Ok(Self { child })
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The processor time that it has had so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        machine::cpu(self.child.id())
    }

    /// The most memory that it has had resident so far, in MiB.
    pub fn most_memory(&self) -> Result<f64, Failure> {
        let kibibytes = machine::kibibytes(&format!("/proc/{}/status", self.child.id()), "VmHWM:")?;
        Ok(f64::from(u32::try_from(kibibytes)?) / 1024.0)
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        self.kill();
    }
}
