//! What is kept of a login, in a folder of its own.
//!
//! | file | holds |
//! |---|---|
//! | `login.json` | at which server, until when, whose; and the tokens, unless those are in the credential store of the operating system |
//! | `login.jwk` | the key, unless it is there as well |
//! | `login.store` | `os`, if they are |
//! | `login.lock` | nothing: it is held from reading to writing, wherever the secrets are |

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Key, Tokens, os::OsStore};
use crate::{
    error::Error,
    store::{StateError, lock_waiting, private_folder, read, write_atomically},
};

const LOGIN: &str = "login.json";
const KEY: &str = "login.jwk";
const STORE: &str = "login.store";
const LOCK: &str = "login.lock";
/// What [`STORE`] says where the secrets are not in files.
const OS: &[u8] = b"os";
/// What is secret of [`Tokens`].
const SECRET: [&str; 2] = ["access_token", "device_token"];
/// What the secrets are called in the credential store.
const TOKENS_NAMED: &str = "login";
const KEY_NAMED: &str = "key";

/// Where secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vault {
    /// In files that only their owner may read.
    File,
    /// In the credential store of the operating system.
    Os,
}

/// What is kept of a login, and the lock on it.
#[derive(Debug)]
pub struct Kept {
    place: Place,
    _lock: File,
}

/// What anybody may look at without the lock, for each file is replaced as a whole.
#[derive(Deserialize)]
pub(super) struct Seen {
    pub(super) server: String,
    pub(super) access_until: u64,
}

impl Kept {
    /// What is kept in `folder` at this moment, beside the secrets.
    pub(super) fn seen(folder: &Path) -> Result<Option<Seen>, StateError> {
        parsed(&folder.join(LOGIN))
    }

    /// The key that is kept of the login in `folder`.
    pub(super) fn key_seen(folder: &Path) -> Result<Option<Key>, StateError> {
        Place::of(folder)?.key()
    }

    /// Waits for whoever has it, then has it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        private_folder(folder)?;
        let lock = lock_waiting(&folder.join(LOCK))?;
        Ok(Self { place: Place::of(folder)?, _lock: lock })
    }

    /// From now on secrets are kept as is `wanted`; if nothing is, in the credential store of the operating system if that keeps them, else in files. What is kept
    /// already comes along. Gives why they are in files, if nobody has asked for that.
    ///
    /// # Errors
    /// When the store is wanted and does not answer, or something cannot be read or written.
    pub fn choose(&mut self, wanted: Option<Vault>) -> Result<Option<String>, StateError> {
        let (vault, why) = match wanted {
            Some(Vault::File) => (Vault::File, None),
            wanted => match self.place.os.answers() {
                Ok(()) => (Vault::Os, None),
                Err(why) if wanted.is_some() => return Err(StateError::OsStore(why)),
                Err(why) => (
                    Vault::File,
                    Some(format!("the credential store of the operating system cannot be used ({why})")),
                ),
            },
        };
        self.move_to(vault)?;
        Ok(why)
    }

    fn move_to(&mut self, vault: Vault) -> Result<(), StateError> {
        if self.place.vault == vault {
            return Ok(());
        }
        let (key, tokens) = match self.place.vault {
            Vault::File => (self.place.key()?, self.place.tokens()?),
            // A store that cannot be asked any more keeps what it has.
            Vault::Os => (self.place.key().unwrap_or_default(), self.place.tokens().unwrap_or_default()),
        };
        let next = Place { vault, ..self.place.clone() };
        key.as_ref().map_or(Ok(()), |key| next.keep_key(key))?;
        // Whoever reads it without the lock finds the key in either place, until the former one is forgotten.
        match vault {
            Vault::Os => write(&next.path(STORE), OS)?,
            Vault::File => remove(&next.path(STORE))?,
        }
        tokens.as_ref().map_or(Ok(()), |tokens| next.keep(tokens))?;
        let former = std::mem::replace(&mut self.place, next);
        match former.vault {
            Vault::File => remove(&former.path(KEY)),
            Vault::Os => {
                let _ = former.os.forget(TOKENS_NAMED).and_then(|()| former.os.forget(KEY_NAMED));
                Ok(())
            }
        }
    }

    /// The file that says who is signed in.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.path(LOGIN)
    }

    /// The key that is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self) -> Result<Option<Key>, StateError> {
        self.place.key()
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
        self.place.keep_key(&key)?;
        Ok(key)
    }

    /// What is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tokens(&self) -> Result<Option<Tokens>, StateError> {
        self.place.tokens()
    }

    /// Keeps these instead.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, tokens: &Tokens) -> Result<(), StateError> {
        self.place.keep(tokens)
    }

    /// Keeps none. The key stays: what was activated is bound to it.
    ///
    /// # Errors
    /// When something stays.
    pub fn forget(&self) -> Result<(), StateError> {
        remove(&self.path())?;
        match self.place.vault {
            Vault::File => Ok(()),
            Vault::Os => self.place.os.forget(TOKENS_NAMED).map_err(StateError::OsStore),
        }
    }
}

/// Where it is.
#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    os: OsStore,
    vault: Vault,
}

impl Place {
    fn of(folder: &Path) -> Result<Self, StateError> {
        let is_os = read(&folder.join(STORE))?.is_some_and(|said| said == OS);
        let vault = if is_os { Vault::Os } else { Vault::File };
        Ok(Self { folder: folder.to_owned(), os: OsStore::of(folder), vault })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn key(&self) -> Result<Option<Key>, StateError> {
        match self.vault {
            Vault::File => Key::kept(&self.path(KEY)),
            Vault::Os => {
                let Some(text) = self.os.read(KEY_NAMED).map_err(StateError::OsStore)? else {
                    return Ok(None);
                };
                let damaged = || StateError::OsStore("it holds no Ed25519 key".to_owned());
                Key::parse(text.as_bytes()).ok_or_else(damaged).map(Some)
            }
        }
    }

    fn keep_key(&self, key: &Key) -> Result<(), StateError> {
        match self.vault {
            Vault::File => key.keep(&self.path(KEY)),
            Vault::Os => {
                let text = key.text().map_err(|error| StateError::OsStore(error.to_string()))?;
                self.os.keep(KEY_NAMED, &text).map_err(StateError::OsStore)
            }
        }
    }

    fn tokens(&self) -> Result<Option<Tokens>, StateError> {
        let path = self.path(LOGIN);
        let Some(mut all) = parsed::<Map<String, Value>>(&path)? else { return Ok(None) };
        if self.vault == Vault::Os {
            // Whoever takes them out of their store has signed out.
            let Some(secret) = self.os.read(TOKENS_NAMED).map_err(StateError::OsStore)? else {
                return Ok(None);
            };
            let damaged = |error: serde_json::Error| StateError::OsStore(error.to_string());
            all.extend(serde_json::from_str::<Map<String, Value>>(&secret).map_err(damaged)?);
        }
        let tokens = serde_json::from_value(Value::Object(all));
        tokens.map(Some).map_err(|error| StateError::Damaged { path, why: error.to_string() })
    }

    /// The secrets first: what is said beside them may be older, and then only asks for the next ones too early.
    fn keep(&self, tokens: &Tokens) -> Result<(), StateError> {
        let path = self.path(LOGIN);
        let damaged =
            |error: serde_json::Error| StateError::Damaged { path: path.clone(), why: error.to_string() };
        let mut all: Map<String, Value> =
            serde_json::to_value(tokens).and_then(serde_json::from_value).map_err(damaged)?;
        if self.vault == Vault::Os {
            let secret: Map<String, Value> =
                SECRET.iter().filter_map(|name| all.remove_entry(*name)).collect();
            self.os.keep(TOKENS_NAMED, &Value::Object(secret).to_string()).map_err(StateError::OsStore)?;
        }
        write(&path, Value::Object(all).to_string().as_bytes())
    }
}

fn parsed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let damaged =
        |error: serde_json::Error| StateError::Damaged { path: path.to_owned(), why: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

fn write(path: &Path, text: &[u8]) -> Result<(), StateError> {
    write_atomically(path, text).map_err(|source| StateError::Io {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

fn remove(path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StateError::Io { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
