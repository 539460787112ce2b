//! The house itself: what STYLE and ARCHITECTURE.md promise of the source, held by tests.
//!
//! Each rule is a function from a [`House`] to the places that break it, so that a test can also hand it a house in
//! which something was planted, and see that it is found.
//!
//! | file | rules |
//! |---|---|
//! | [`imports`] | which room may enter which, and which foreign crate stays where |
//! | [`habits`] | what code does not do: panic, sleep, skip tests, grow long, name machines |
//! | [`orphans`] | nothing lies about undeclared or unused |
//! | [`measures`] | metrics, dashboard, alerts and runbooks speak of the same things |
//! | [`mirrors`] | what is written twice says the same twice |
//! | [`statements`] | no statement of the ledger walks over what grows |
//! | [`code`] | reading Rust just far enough for all of these |

mod code;
mod habits;
mod imports;
mod measures;
mod mirrors;
mod orphans;
mod statements;

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

/// Folders that are no part of the source.
const NOT_OURS: [&str; 8] =
    [".git", ".up", "__pycache__", "artifacts", "corpus", "mutants.out", "node_modules", "target"];

/// All text files of the repository, by their path from its root.
pub struct House(BTreeMap<String, String>);

impl House {
    /// The one that we live in.
    pub fn ours() -> &'static Self {
        static OURS: LazyLock<House> = LazyLock::new(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut files = BTreeMap::new();
            collect(root, root, &mut files);
            assert!(files.len() > 100, "only {} files under {}", files.len(), root.display());
            House(files)
        });
        &OURS
    }

    /// One of these files only.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Every file: its path and its text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file: its path and its text.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        // What links elsewhere is looked at there; what is no text has no rules.
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(root, &entry.path(), files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(path, text);
        }
    }
}

/// Fails with everything that breaks a rule, one place a line.
#[track_caller]
pub fn none(broken: &[String]) {
    assert!(broken.is_empty(), "{} of these:\n{}\n", broken.len(), broken.join("\n"));
}
