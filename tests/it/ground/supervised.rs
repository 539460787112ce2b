//! What a script in `dev/` runs for this process: gone when the process is, however that ends.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A script that runs until its standard input ends, which is held here.
pub struct Supervised {
    said: BTreeMap<String, String>,
    _supervisor: Child,
}

impl Supervised {
    /// Starts `dev/SCRIPT ARGUMENTS` and waits until it has said these, as `NAME=value` lines.
    pub fn run(script: &str, arguments: &[&str], names: &[&str]) -> Self {
        let mut supervisor = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dev").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(supervisor.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.take(names.len()).filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let said: BTreeMap<_, _> = said.collect();
        for name in names {
            assert!(said.contains_key(*name), "dev/{script} says what is missing");
        }
        Self { said, _supervisor: supervisor }
    }

    /// What it said.
    pub fn said(&self, name: &str) -> &str {
        &self.said[name]
    }
}
