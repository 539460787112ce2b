//! The real program, as a process.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{Ground, PATIENCE};

/// A file beside `ledger` by which Usher reaches `ground`, under its own ServiceAccount.
pub fn kubeconfig_beside(ledger: &Path, ground: &Ground) -> PathBuf {
    let path = ledger.with_file_name("kubeconfig");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(ground.kubeconfig_of_usher().as_bytes()).unwrap();
    path
}

/// A port of this machine that nobody listens at.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with us: when this is dropped, when this thread ends, and so when this process does.
pub struct Usher {
    child: Child,
    at_work: watch::Receiver<bool>,
    said: Arc<Mutex<VecDeque<String>>>,
}

/// How much of what a process said last is told when a test fails.
const LAST: usize = 20;

impl Usher {
    /// Starts `usher run`, with these options beside.
    pub fn start(kubeconfig: &Path, ledger: &Path, options: &[&str]) -> Self {
        Self::start_by(&[], kubeconfig, ledger, options)
    }

    /// The same, on a disk of its own of that size, which only it sees: it is where `ledger` is.
    pub fn start_on_disk(size: &str, kubeconfig: &Path, ledger: &Path, options: &[&str]) -> Self {
        let mount = format!("mount -t tmpfs -o size={size} usher \"$0\" && exec \"$@\"");
        let disk = ledger.parent().unwrap().to_str().unwrap();
        let by = ["unshare", "--map-root-user", "--mount", "sh", "-c", &mount, disk];
        Self::start_by(&by, kubeconfig, ledger, options)
    }

    fn start_by(by: &[&str], kubeconfig: &Path, ledger: &Path, options: &[&str]) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(by)
            .args([env!("CARGO_BIN_EXE_usher"), "run"])
            .arg("--ledger")
            .arg(ledger)
            .args(options)
            .env("KUBECONFIG", kubeconfig)
            .env("USHER_OPS_LISTEN", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, at_work) = watch::channel(false);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let kept = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("at work") {
                    told.send_replace(true);
                }
                let mut kept = kept.lock().unwrap();
                kept.push_back(line);
                let more = kept.len().saturating_sub(LAST);
                kept.drain(..more);
            }
        });
        Self { child, at_work, said }
    }

    /// Waits until it says so.
    pub async fn is_at_work(&mut self) {
        let told = tokio::time::timeout(PATIENCE, self.at_work.wait_for(|at_work| *at_work)).await;
        assert!(told.is_ok_and(|told| told.is_ok()), "usher did not get to work");
    }

    /// `path`, as it sees it.
    pub fn sees(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap())
    }

    /// Waits until it says so. What it has said until then is not looked at again.
    pub async fn says(&self, text: &str) {
        super::until(text, async || {
            let mut said = self.said.lock().unwrap();
            let at = said.iter().position(|line| line.contains(text))?;
            said.drain(..=at);
            Some(())
        })
        .await;
    }

    /// Kills it; it is gone when this returns.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "usher ({ended:?}) said last:\n{}",
                self.said.lock().unwrap().make_contiguous().join("\n")
            );
        }
    }
}
