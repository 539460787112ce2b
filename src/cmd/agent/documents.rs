//! What the program reads: the document, its key set, and how it stands. Each file is replaced as a whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use usher_client::{Activation, Problem, write_atomically};

use crate::cmd::Failure;

/// How it stands, in `status.json`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum Status {
    /// All is well.
    Good {
        /// Until then.
        until: u64,
    },
    /// The server has not been reached for a whole lease.
    Grace {
        /// When the document ends.
        ends: u64,
        /// Why it was not reached.
        why: String,
    },
    /// The server refuses.
    Refused {
        /// When the document ends.
        ends: u64,
        /// The stable code.
        code: String,
        /// What happened, and what to do.
        why: String,
    },
    /// Nothing may run.
    Over {
        /// Why.
        why: String,
    },
}

impl Status {
    pub(super) fn refused(problem: &Problem, ends: u64) -> Self {
        Self::Refused { ends, code: problem.code.clone(), why: problem.to_string() }
    }
}

/// The folder, and what is in it.
pub(super) struct Documents {
    folder: PathBuf,
    told: Option<Status>,
}

const DOCUMENT: &str = "license.jws";
const KEY_SET: &str = "keys.jws";
const STATUS: &str = "status.json";

impl Documents {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), told: None })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key set first: whoever reads a new document has the keys to it.
    pub(super) fn write(&self, activation: &Activation) -> Result<(), Failure> {
        self.put(KEY_SET, activation.keys.as_bytes())?;
        self.put(DOCUMENT, activation.document.as_bytes())
    }

    /// Says how it stands, if that is new. Gives whether it is.
    pub(super) fn tell(&mut self, status: &Status) -> Result<bool, Failure> {
        if self.told.as_ref() == Some(status) {
            return Ok(false);
        }
        self.put(STATUS, &serde_json::to_vec(status)?)?;
        self.told = Some(status.clone());
        Ok(true)
    }

    /// Takes all of it away: the place was given back.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        for name in [DOCUMENT, STATUS, KEY_SET] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(name, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_atomically(&self.folder.join(name), bytes).map_err(|error| self.failed(name, &error))
    }

    fn failed(&self, name: &str, error: &io::Error) -> Failure {
        format!("cannot write {}: {error}", self.folder.join(name).display()).into()
    }
}
