//! Usher's own manifests, as its chart renders them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// Where Helm is.
pub fn helm_programs() -> &'static Path {
    static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
        let printed = Command::new(super::root().join("dev/get-helm")).output().unwrap();
        PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim())
    });
    &PROGRAMS
}

/// Runs Helm from the root of the repository; whether it went well, and everything it said.
pub fn helm(arguments: &[&str], kubeconfig: Option<&Path>) -> (bool, String) {
    let mut command = Command::new(helm_programs().join("helm"));
    command.args(arguments).current_dir(super::root());
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let output = command.output().expect("helm runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}

/// What `dev/manifests` prints: the operator runs in the tests' own process. `wide`, with rights on all Secrets.
pub fn manifests(wide: bool) -> &'static str {
    fn render(wide: bool) -> String {
        let wide = format!("secrets.clusterWide={wide}");
        let output = Command::new(super::root().join("dev/manifests")).arg(wide).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
    static WIDE: LazyLock<String> = LazyLock::new(|| render(true));
    static NARROW: LazyLock<String> = LazyLock::new(|| render(false));
    if wide { &WIDE } else { &NARROW }
}

impl super::Ground {
    /// Lets Usher into a namespace, as its owner does.
    pub fn grant(&self, namespace: &str) {
        let binding = ["create", "rolebinding", "usher-documents", "-n", namespace];
        let role = ["--clusterrole=usher-documents", "--serviceaccount=usher-system:usher"];
        self.kubectl(&[&binding[..], &role].concat());
    }

    /// Takes that back.
    pub fn revoke(&self, namespace: &str) {
        self.kubectl(&["delete", "rolebinding", "usher-documents", "-n", namespace]);
    }
}
