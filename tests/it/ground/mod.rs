//! The ground that tests stand on: a real control plane, the operator with its own rights, and looks from outside.
//!
//! | what | for whom |
//! |---|---|
//! | [`shared`] | one control plane and one operator for all scenarios, a namespace each; `dev/borrow` lends it one |
//! | [`Served`] | the same with where it serves programs, on SQLite or on PostgreSQL |
//! | [`Ground::own`] | a control plane that a test may hurt |
//! | [`idp`] | Keycloak and a browser, shared by all that need them |
//! | [`axe`] | what keeps people from using a page |
//! | [`issuer::Issuer`] | an issuer that a test may stop |
//! | [`Operator`] | the operator in this process, with any clock and any client |
//! | [`outside::Watcher`] | what somebody who only watches gets to see |
//! | [`Ground::forbidden`] | what Usher had no right to ask for: asked at the end of every test |
//! | [`Ground::writes`] | every write that Usher made, from the API server's own audit log |

pub mod axe;
pub mod cable;
mod chart;
pub mod copied;
pub mod crashable;
mod files;
pub mod idp;
pub mod issuer;
mod objects;
pub mod operator;
pub mod outside;
pub mod postgres;
pub mod process;
pub mod proxy;
mod served;
mod supervised;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

pub use chart::{helm, helm_programs};
pub use objects::{apply, license, seat, wait_for};
pub use operator::{Listening, Machine, Operator, saml_key};
pub use served::{FEW, Served, served, shared};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(240);

const USHER: &str = "system:serviceaccount:usher-system:usher";

/// What marks a namespace, an Authority or an IdentityProvider as made for a test: `dev/borrow` removes it.
pub const MARK: (&str, &str) = ("usher.dev/test", "true");

/// A cluster to stand on.
pub struct Ground {
    /// The administrator's.
    kubeconfig: PathBuf,
    /// Only the API server's own log, or who carried Usher's requests, knows what was forbidden.
    witness: Witness,
}

enum Witness {
    /// A control plane of its own, gone when this is dropped or this process ends, however it ends.
    Own { directory: tempfile::TempDir, supervisor: Child, refused: Mutex<files::Refused> },
    /// A cluster of the caller's: its audit log is not ours to read.
    Borrowed { forbidden: operator::Forbidden },
}

/// Waits until `look` finds something; fails with `what` if it never does.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        // A look that blocks this thread must leave it to the operator in between, however long it took.
        pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pause.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("never came true: {what}"))
}

/// Where the repository is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where kubectl is.
pub fn programs() -> &'static Path {
    static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
        let printed = Command::new(root().join("dev/control-plane")).arg("bin").output().unwrap();
        PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim())
    });
    &PROGRAMS
}

impl Ground {
    /// A control plane that a test may hurt, with Usher's resources and rights applied: the wide ones.
    pub fn own() -> Self {
        Self::with(true)
    }

    /// The same without rights on Secrets outside of Usher's own namespace.
    pub fn narrow() -> Self {
        Self::with(false)
    }

    fn with(wide: bool) -> Self {
        // At once, for the garbage collector's sake (dev/control-plane help).
        let ground = Self::start(&[root().join("crds")]);
        ground.installs(wide);
        ground
    }

    /// One that knows Usher's resources as they were, in `crds`, and nothing else of it.
    pub fn of_old(crds: PathBuf) -> Self {
        Self::start(&[crds])
    }

    /// Usher's resources are as they are today, from now on, and its rights: the wide ones.
    pub fn upgrades(&self) {
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "crds/"]);
        self.kubectl(&["wait", "--for=condition=Established", "-f", "crds/", "--timeout=60s"]);
        self.installs(true);
    }

    fn installs(&self, wide: bool) {
        let (ok, said) = self.try_kubectl(&["apply", "-f", "-"], chart::manifests(wide));
        assert!(ok, "{said}");
    }

    /// A control plane that knows nothing of Usher.
    pub fn bare() -> Self {
        Self::start(&[])
    }

    fn start(manifests: &[PathBuf]) -> Self {
        let directory = tempfile::Builder::new().prefix("usher-ground-").tempdir().unwrap();
        let mut supervisor = Command::new(root().join("dev/control-plane"))
            .arg("run")
            .arg(directory.path())
            .args(manifests)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dev/control-plane runs");
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("KUBECONFIG="), "the control plane did not start: {line}");
        let kubeconfig = directory.path().join("kubeconfig");
        Self { kubeconfig, witness: Witness::Own { directory, supervisor, refused: Mutex::default() } }
    }

    /// The cluster that `dev/borrow` lends, with Usher's resources and rights applied.
    fn borrowed(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, witness: Witness::Borrowed { forbidden: operator::Forbidden::default() } }
    }

    /// Runs kubectl as the administrator and returns what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.try_kubectl(arguments, "");
        assert!(ok, "kubectl {arguments:?}: {text}");
        text
    }

    /// Runs kubectl with `input`; whether it went well, and everything it said.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut child = Command::new(programs().join("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }

    /// A client with all rights.
    pub async fn admin(&self) -> Client {
        Client::try_from(self.config().await).unwrap()
    }

    /// How Usher reaches the API server: with the rights of its ServiceAccount and no others.
    pub async fn usher_config(&self) -> Config {
        let mut config = self.config().await;
        let token = self.kubectl(&["create", "token", "usher", "-n", "usher-system", "--duration=24h"]);
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.trim().to_owned().into()),
            ..kube::config::AuthInfo::default()
        };
        config
    }

    /// The same, as a kubeconfig for another process.
    pub fn kubeconfig_of_usher(&self) -> String {
        let token = self.kubectl(&["create", "token", "usher", "-n", "usher-system", "--duration=24h"]);
        let mut config = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        for user in &mut config.auth_infos {
            user.auth_info = Some(kube::config::AuthInfo {
                token: Some(token.trim().to_owned().into()),
                ..kube::config::AuthInfo::default()
            });
        }
        // YAML is a superset of JSON.
        serde_json::to_string(&config).unwrap()
    }

    /// Every request that Usher had no right to make, and what it was told.
    pub fn forbidden(&self) -> Vec<String> {
        match &self.witness {
            Witness::Own { .. } => self.refused(),
            Witness::Borrowed { forbidden } => forbidden.so_far(),
        }
    }

    /// Asked of every test at its end.
    #[track_caller]
    fn assert_nothing_was_forbidden(&self) {
        let forbidden = self.forbidden();
        assert!(std::thread::panicking() || forbidden.is_empty(), "Usher had no right to: {forbidden:#?}");
    }

    /// A namespace for one test, and an Authority `default` that signs for all.
    pub async fn namespace(&self) -> (Client, String) {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let client = self.admin().await;
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let marked = json!({"metadata": {"name": name, "labels": {MARK.0: MARK.1}}});
        let namespace: Namespace = serde_json::from_value(marked).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        apply(&client, "", &json!({
            "kind": "Authority", "metadata": {"name": "default"},
            "spec": {"issuer": "https://usher.acme.example/a/default", "allowedNamespaces": {"from": "All"}},
        }))
        .await
        .unwrap();
        (client, name)
    }
}

/// One request of Usher's.
pub struct Call {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub code: u64,
    pub said: String,
}

impl Call {
    /// The resource, with its subresource as roles write it.
    pub fn what(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.resource, self.subresource)
    }
}

/// Whoever stands on the shared ground, which is never dropped: at their end it is asked whether anything was forbidden.
pub struct Guest(());

impl Guest {
    /// Nobody, where the ground is a test's own: it is asked when that is dropped.
    pub fn of(ground: &Ground) -> Option<Self> {
        served::is_shared(ground).then_some(Self(()))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        shared().assert_nothing_was_forbidden();
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.assert_nothing_was_forbidden();
        // The supervisor tears everything down when its input ends.
        if let Witness::Own { supervisor, .. } = &mut self.witness {
            drop(supervisor.stdin.take());
            let _ = supervisor.wait();
        }
    }
}

/// What `dev/borrow` lends. `CLUSTER=existing` without it would silently mean another cluster.
fn lent() -> Option<PathBuf> {
    let lent = std::env::var_os("USHER_BORROWED").map(PathBuf::from);
    let asked = std::env::var_os("CLUSTER").is_some_and(|cluster| cluster == "existing");
    assert!(
        lent.is_some() || !asked,
        "CLUSTER=existing: run this as `dev/borrow cargo test …`, or `make test`"
    );
    lent
}
