//! A control plane of its own, whose etcd syncs to disk.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;

use crate::{Failure, machine};

const USHER: &str = "system:serviceaccount:usher-system:usher";

/// A control plane with Usher's resources and rights; gone when this is dropped or this process ends.
pub struct Ground {
    directory: tempfile::TempDir,
    supervisor: Child,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Ground {
    /// Starts one.
    pub fn start() -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("usher-bench-").tempdir()?;
        let supervisor = Command::new(root().join("dev/control-plane"))
            .arg("run")
            .args([directory.path(), &root().join("crds")])
            .env("ETCD_FSYNC", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ground = Self { directory, supervisor };
        let mut line = String::new();
        let stdout = ground.supervisor.stdout.take().ok_or("the control plane says nothing")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if !line.starts_with("KUBECONFIG=") {
            return Err("the control plane did not start".into());
        }
        let rendered = Command::new(root().join("dev/manifests")).output()?;
        std::fs::write(ground.path("manifests.yaml"), rendered.stdout)?;
        ground.kubectl(&["apply", "-f", &ground.path("manifests.yaml").to_string_lossy()])?;
        Ok(ground)
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String, Failure> {
        let programs = Command::new(root().join("dev/control-plane")).arg("bin").output()?;
        let kubectl = Path::new(String::from_utf8(programs.stdout)?.trim()).join("kubectl");
        let output =
            Command::new(kubectl).args(arguments).env("KUBECONFIG", self.path("kubeconfig")).output()?;
        if !output.status.success() {
            return Err(format!("kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A file of this control plane, or for whoever uses it: gone with it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The administrator's client.
    pub async fn admin(&self) -> Result<Client, Failure> {
        let kubeconfig = Kubeconfig::read_from(self.path("kubeconfig"))?;
        Ok(Client::try_from(
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?,
        )?)
    }

    /// A client with Usher's rights.
    pub async fn usher(&self) -> Result<Client, Failure> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig_of_usher()?)?;
        Ok(Client::try_from(
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?,
        )?)
    }

    /// A kubeconfig with Usher's rights.
    pub fn kubeconfig_of_usher(&self) -> Result<PathBuf, Failure> {
        let token = self.kubectl(&["create", "token", "usher", "-n", "usher-system", "--duration=24h"])?;
        let mut config = Kubeconfig::read_from(self.path("kubeconfig"))?;
        for user in &mut config.auth_infos {
            user.auth_info =
                Some(AuthInfo { token: Some(token.trim().to_owned().into()), ..AuthInfo::default() });
        }
        let path = self.path("usher.kubeconfig");
        // YAML is a superset of JSON.
        std::fs::write(&path, serde_json::to_string(&config)?)?;
        Ok(path)
    }

    /// The processor time that the API server, etcd and the controllers have had so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        machine::children(self.supervisor.id())?.into_iter().map(machine::cpu).sum()
    }

    /// Where the audit log ends now.
    pub fn audited(&self) -> Result<u64, Failure> {
        Ok(std::fs::metadata(self.path("audit.log"))?.len())
    }

    /// Usher's requests that the audit log has from `offset` on.
    pub fn requests_since(&self, offset: u64) -> Result<Vec<Request>, Failure> {
        let (mut log, mut text) = (File::open(self.path("audit.log"))?, String::new());
        log.seek(SeekFrom::Start(offset))?;
        log.read_to_string(&mut text)?;
        // The last line may be half there.
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        let ours = entries.filter(|entry| entry.user.username == USHER && entry.stage == "ResponseComplete");
        Ok(ours
            .map(|Entry { verb, object, .. }| Request { verb, resource: object.unwrap_or_default().resource })
            .collect())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The supervisor tears everything down when its input ends.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// One request to the API server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `create`, `patch`, …
    pub verb: String,
    /// `secrets`, …
    pub resource: String,
}

impl Request {
    /// Whether it changed something. A review is created to ask, and kept nowhere.
    pub fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str()) && !self.resource.ends_with("accessreviews")
    }
}

#[derive(Deserialize)]
struct Entry {
    verb: String,
    stage: String,
    user: User,
    #[serde(rename = "objectRef")]
    object: Option<Object>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
struct Object {
    #[serde(default)]
    resource: String,
}
