//! What README.md shows of the API is what a shell and curl get.

use std::{path::Path, process::Command, sync::LazyLock};

use regex_lite::Regex;

use crate::{
    ground::{served, shared},
    scenarios::Place,
};

const README: &str = include_str!("../../../README.md");

/// Commands of the transcript in which `ask` is defined, each with what it prints.
fn transcript() -> Vec<(String, String)> {
    let blocks = README.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.filter(|block| block.starts_with("$ ask()")).collect::<String>();
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_owned(), String::new())),
            (None, Some((_, printed))) => printed.push_str(&format!("{line}\n")),
            (None, None) => panic!("{line} is no command"),
        }
    }
    steps
}

/// Without what is another one each time.
fn alike(printed: &str) -> String {
    static VARIES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"[0-9a-f]{32}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|test-[0-9-]+").unwrap()
    });
    let same = VARIES.replace_all(printed, "…");
    same.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_transcript_of_the_api_in_the_readme_is_what_a_shell_gets() {
    let place = Place::new(shared()).await;
    for manifest in ["edition", "lab"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{manifest}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let own = text.replace("namespace: design", &format!("namespace: {}", place.namespace));
        let (ok, said) = shared().try_kubectl(&["apply", "-f", "-"], &own);
        assert!(ok, "{said}");
    }
    place.license_says("lab", "Issued").await;
    crate::ground::wait_for(&place.secrets, "lab-activation-keys", "is there", |_| true).await;

    let (steps, folder) = (transcript(), tempfile::tempdir().unwrap());
    assert!(steps.len() > 8, "{steps:?}");
    std::fs::write(folder.path().join("ca.crt"), &served().ca).unwrap();
    const END: &str = "--end of a step--";
    let script = steps.iter().map(|(command, _)| format!("{command}\necho '{END}'\n")).collect::<String>();
    let in_namespace = script.replace("design", &place.namespace);
    let programs =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/control-plane")).arg("bin").output();
    let programs = String::from_utf8(programs.unwrap().stdout).unwrap();
    let shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &in_namespace])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{}", programs.trim(), std::env::var("PATH").unwrap()))
        .env("KUBECONFIG", shared().kubeconfig())
        .env("USHER_URL", &served().url)
        .env("USHER_CA", folder.path().join("ca.crt"))
        .output()
        .unwrap();
    let printed = String::from_utf8(shell.stdout).unwrap();
    assert!(shell.status.success(), "{printed}{}", String::from_utf8_lossy(&shell.stderr));
    for ((command, shown), printed) in steps.iter().zip(printed.split(&format!("{END}\n"))) {
        assert_eq!(alike(printed), alike(shown), "{command}");
    }
}
