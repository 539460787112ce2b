//! Whoever follows a page: its manifests are applied and its commands run, in its order and as they stand there, in one shell
//! at one desk, against an API server of their own and an Usher that the page's own commands have installed.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use regex_lite::{NoExpand, Regex};
use serde_json::Value;
use usher::{
    domain::license::Uid,
    ledger::{Claim, Ledger as _, sqlite::Sqlite},
    service::edge::Edge as _,
};

use super::{
    blocks,
    tables::{BEFORE, INSTEAD, NOT_RUN, SEEN},
};
use crate::ground::{Ground, Machine, helm_programs, process::free_port, programs, root, until};

/// What a reader knows: to find nothing is no failure.
const TAUGHT: &str = r#"grep() { command grep "$@" || [[ $? == 1 ]]; }"#;

pub struct Reader {
    ground: Ground,
    /// Where the reader works. It has what the repository has, as far as pages name it.
    desk: tempfile::TempDir,
    port: u16,
    operations: u16,
    usher: Option<Usher>,
}

/// Ends with us.
struct Usher(Child);

impl Drop for Usher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commands of a block, each with the lines that belong to it.
pub fn commands(block: &str) -> Vec<String> {
    let (mut commands, mut open): (Vec<String>, String) = (Vec::new(), String::new());
    for line in block.lines() {
        open.push_str(line);
        let goes_on = line.ends_with('\\') || (open.contains("<<EOF") && line != "EOF");
        if goes_on {
            open.push('\n');
        } else {
            commands.push(std::mem::take(&mut open));
        }
    }
    commands.retain(|command| !command.trim().is_empty() && !command.starts_with('#'));
    commands
}

impl Reader {
    pub fn new() -> Self {
        let desk = tempfile::tempdir().unwrap();
        for name in ["charts", "crds", "docs"] {
            symlink(root().join(name), desk.path().join(name)).unwrap();
        }
        let port = free_port();
        let curl =
            format!("silent\nshow-error\nfail\nconnect-to = \"usher.acme.example:443:127.0.0.1:{port}\"\n");
        fs::write(desk.path().join(".curlrc"), curl).unwrap();
        let reader = Self { ground: Ground::bare(), desk, port, operations: free_port(), usher: None };
        reader.remembers("PORT", &port.to_string());
        reader
    }

    /// Does what the page says.
    pub async fn follows(&mut self, page: &str) {
        let blocks = blocks(page);
        // The one manifest that is to be put into a file.
        let restore = |text: &str| text.contains("{name: usher-restore,");
        let (to_file, blocks): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| restore(&block.text));
        for block in to_file {
            fs::write(self.at("restore-pod.yaml"), block.text).unwrap();
        }
        for block in blocks {
            match block.language {
                "yaml" if block.text.contains("apiVersion:") => self.applies(&block.text).await,
                "sh" => {
                    for command in commands(&block.text) {
                        self.does(&command).await;
                    }
                }
                _ => {}
            }
        }
    }

    async fn applies(&mut self, manifest: &str) {
        self.prepares(manifest).await;
        self.is_settled().await;
        let root = self.variable("ROOT");
        let (ok, said) =
            self.ground.try_kubectl(&["apply", "-f", "-"], &instead(manifest).replace("$ROOT", &root));
        assert!(ok, "{manifest}\n{said}");
    }

    /// Runs a command, and waits until what is to be seen is seen.
    pub async fn does(&mut self, command: &str) {
        if NOT_RUN.iter().any(|(what, _)| command.contains(what)) {
            return;
        }
        self.prepares(command).await;
        self.is_settled().await;
        let (mut last, text) = (String::new(), instead(command));
        let (told, said) = until(&format!("it says what it should: {command}"), async || {
            let (told, said) = self.shell(&text);
            if said != last {
                println!("$ {command}\n{said}");
                last.clone_from(&said);
            }
            let seen = seen(command);
            let wanted =
                seen.iter().all(|(told_no, pattern)| told != *told_no && pattern.is_match(said.trim_end()));
            (wanted || seen.is_empty()).then_some((told, said))
        })
        .await;
        assert!(told || !seen(command).is_empty(), "{command}\n{said}");
        self.follows_from(command, &said).await;
    }

    /// What the page says in words.
    async fn prepares(&mut self, step: &str) {
        if step.starts_with("usher ledger rebuild") {
            self.usher = None;
            self.without_ledger();
            self.starts(&["--on-loss", "refuse"], false).await;
            self.authority_says("LedgerMissing").await;
        }
        // Before its rights go with the chart.
        if step.starts_with("helm uninstall") {
            self.usher = None;
        }
        if step.contains("LedgerForeign") {
            self.usher = None;
            self.gives_the_ledger_away().await;
            self.starts(&[], false).await;
        }
        for (_, commands) in BEFORE.iter().filter(|(what, _)| step.contains(what)) {
            self.is_settled().await;
            let (ok, said) = self.shell(commands);
            assert!(ok, "{commands}\n{said}");
        }
    }

    /// What becomes of the pods, where there is a node; and what the reader keeps in mind.
    async fn follows_from(&mut self, command: &str, said: &str) {
        if command.starts_with("helm upgrade --install") {
            let (ok, said) = self.shell("kubectl wait --for=condition=Established -f crds/ --timeout=60s");
            assert!(ok, "{said}");
        }
        if command.contains("--replicas=0") || command.contains("rollout restart") {
            self.usher = None;
        }
        if command.starts_with("helm upgrade --install")
            || command.contains("--replicas=1")
            || command.contains("rollout restart")
        {
            self.starts(&[], true).await;
        }
        if command.starts_with("usher ledger rebuild") || command.starts_with("usher ledger adopt") {
            self.is_ready().await;
        }
        if command.starts_with("usher keygen") {
            let thumbprint = Regex::new(r"thumbprint +(\S+)").unwrap();
            self.remembers("ROOT", &thumbprint.captures(said).unwrap()[1]);
        }
        if let Some((_, owner)) = said.trim_end().rsplit_once("usher ledger adopt ") {
            self.remembers("OWNER", owner);
        }
    }

    /// Runs `script` in the reader's shell; whether it went well, and everything it said.
    pub fn shell(&self, script: &str) -> (bool, String) {
        let kept = self.at(".variables");
        let script = format!(
            "set -euo pipefail\nexec 2>&1\n{TAUGHT}\nset -a\n{script}\nenv -0 > {}\n",
            kept.display()
        );
        let variables = fs::read_to_string(&kept).unwrap();
        let variables = variables.split('\0').filter_map(|variable| variable.split_once('='));
        let usher = Path::new(env!("CARGO_BIN_EXE_usher")).parent().unwrap();
        let ours = [usher, programs(), helm_programs()].map(|folder| folder.to_str().unwrap()).join(":");
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.desk.path())
            .envs(variables)
            .env("PATH", format!("{ours}:{}", std::env::var("PATH").unwrap()))
            .env("CURL_HOME", self.desk.path())
            .env("KUBECONFIG", self.ground.kubeconfig())
            .env("USHER_LEDGER", self.ledger())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    fn ledger(&self) -> PathBuf {
        self.at("ledger.db")
    }

    fn remembers(&self, name: &str, value: &str) {
        let mut kept = fs::read_to_string(self.at(".variables")).unwrap_or_default();
        kept.push_str(&format!("{name}={value}\0"));
        fs::write(self.at(".variables"), kept).unwrap();
    }

    fn variable(&self, name: &str) -> String {
        let kept = fs::read_to_string(self.at(".variables")).unwrap();
        let mut variables = kept.split('\0').filter_map(|variable| variable.split_once('='));
        variables.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// Starts Usher with the rights that the chart gave it.
    async fn starts(&mut self, options: &[&str], ready: bool) {
        let kubeconfig = self.at("usher.kubeconfig");
        fs::write(&kubeconfig, self.ground.kubeconfig_of_usher()).unwrap();
        let log = File::options().create(true).append(true).open(self.at("usher.log")).unwrap();
        let (listen, operations) =
            (format!("127.0.0.1:{}", self.port), format!("127.0.0.1:{}", self.operations));
        let usher = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_usher"), "run", "--listen", &listen])
            .args(["--ops-listen", &operations, "--public-url", "https://usher.acme.example"])
            .args(["--tls-name", "usher.acme.example"])
            .args(options)
            .env("KUBECONFIG", kubeconfig)
            .env("USHER_LEDGER", self.ledger())
            .stderr(log)
            .spawn()
            .unwrap();
        self.usher = Some(Usher(usher));
        if ready {
            self.is_ready().await;
        }
    }

    async fn is_ready(&self) {
        let ask = format!("command curl --insecure https://127.0.0.1:{}/readyz", self.operations);
        until("Usher is ready", async || self.shell(&ask).0.then_some(())).await;
    }

    fn without_ledger(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(self.at(&format!("ledger.db{suffix}")));
        }
    }

    /// Another cluster's Usher leads it since, and nothing here remembers it.
    async fn gives_the_ledger_away(&self) {
        let ledger = until("the ledger is free", async || Sqlite::open(&self.ledger()).await.ok()).await;
        let adopt = ledger.head().await.unwrap().owner;
        let claim = Claim { cluster: Uid("7f3a0f0e-there".into()), adopt, token: [1; 32], at: Machine.now() };
        ledger.lead(&claim).await.unwrap();
        self.ground.kubectl(&["delete", "configmap", "usher-witness", "-n", "usher-system"]);
    }

    async fn authority_says(&self, reason: &str) {
        until(reason, async || {
            self.ground.kubectl(&["get", "authorities", "-o", "json"]).contains(reason).then_some(())
        })
        .await;
    }

    /// Waits until each of our objects says how it stands.
    async fn is_settled(&self) {
        if self.usher.is_none() || !self.shell("kubectl get crd licenses.usher.dev").0 {
            return;
        }
        until("everything is settled", async || {
            let all = self.ground.kubectl(&["get", "lic,seat,ua,auth,idp", "-A", "-o", "json"]);
            let all: Value = serde_json::from_str(&all).unwrap();
            all["items"].as_array().unwrap().iter().all(says_how_it_stands).then_some(())
        })
        .await;
    }

    pub fn ground(&self) -> &Ground {
        &self.ground
    }
}

fn says_how_it_stands(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let of_now = |condition: &Value| {
        condition["type"] == "Ready" && condition["observedGeneration"] == object["metadata"]["generation"]
    };
    conditions.is_some_and(|conditions| conditions.iter().any(of_now))
}

/// What is to be seen after `command`, and whether it says no.
fn seen(command: &str) -> Vec<(bool, Regex)> {
    let of = |what: &str| command.contains(what.trim_start_matches('!'));
    let entries = SEEN.iter().filter(|(what, _)| of(what));
    entries.map(|(what, pattern)| (what.starts_with('!'), Regex::new(pattern).unwrap())).collect()
}

/// The same with what stands for what is not there.
fn instead(text: &str) -> String {
    INSTEAD.iter().fold(text.to_owned(), |text, (pattern, other)| {
        Regex::new(pattern).unwrap().replace_all(&text, NoExpand(other)).into_owned()
    })
}
