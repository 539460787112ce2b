//! What is kept of a login, in a folder of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{Key, Tokens};
use crate::{
    error::Error,
    store::{StateError, lock_waiting, private_folder, read, write_atomically},
};

/// The files in which tokens and their key are kept, and the lock on them.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    key: PathBuf,
    _lock: File,
}

impl Kept {
    /// Waits for whoever has it, then has it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        private_folder(folder)?;
        let (path, key) = (folder.join("login.json"), folder.join("login.jwk"));
        Ok(Self { path, key, _lock: lock_waiting(&folder.join("login.lock"))? })
    }

    /// The key that is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self) -> Result<Option<Key>, StateError> {
        Key::kept(&self.key)
    }

    /// The key that is kept, or a new one that is kept from now on: it is there before anything is bound to it.
    ///
    /// # Errors
    /// When it cannot be read or written, or the system has no randomness.
    pub fn key_or_new(&self) -> Result<Key, Error> {
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        let key = Key::draw()?;
        key.keep(&self.key)?;
        Ok(key)
    }

    /// What is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tokens(&self) -> Result<Option<Tokens>, StateError> {
        let Some(text) = read(&self.path)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| StateError::Damaged {
            path: self.path.clone(),
            why: error.to_string(),
        };
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Keeps these instead.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, tokens: &Tokens) -> Result<(), StateError> {
        let written = serde_json::to_vec(tokens)
            .map_err(std::io::Error::other)
            .and_then(|text| write_atomically(&self.path, &text));
        written.map_err(|source| StateError::Io { doing: "write", path: self.path.clone(), source })
    }

    /// Keeps none.
    ///
    /// # Errors
    /// When the file stays.
    pub fn forget(&self) -> Result<(), StateError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::Io { doing: "remove", path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}
