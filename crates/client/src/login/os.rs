//! The credential store of the operating system: the Secret Service on Linux, the Keychain on macOS, the Credential Manager on Windows.
//!
//! What is kept there is read by programs of this user alone, and is encrypted while they are not logged in. Each secret has a name, and is replaced as a whole. The
//! store may ask somebody something, or hang: so each call has a thread of its own, and is waited for so long and no longer.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use keyring_core::{CredentialStore, Entry, Error};

/// Under which name people find it in their store.
const SERVICE: &str = "usher";
/// How long a call may take: somebody may have to type the password of their store.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is kept there of the login in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OsStore {
    /// The folder, by which logins are told from each other.
    of: String,
}

impl OsStore {
    pub(super) fn of(folder: &Path) -> Self {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Self { of: folder.display().to_string() }
    }

    /// Whether it keeps what it is given: that is tried.
    pub(super) fn answers(&self) -> Result<(), String> {
        const TRIED: &str = "try";
        self.keep(TRIED, "try")?;
        let found = self.read(TRIED)?;
        self.forget(TRIED)?;
        if found.as_deref() == Some("try") {
            Ok(())
        } else {
            Err("it does not keep what it is given".to_owned())
        }
    }

    pub(super) fn read(&self, name: &'static str) -> Result<Option<String>, String> {
        self.with(name, |entry| match entry.get_password() {
            Err(Error::NoEntry) => Ok(None),
            found => found.map(Some),
        })
    }

    pub(super) fn keep(&self, name: &'static str, secret: &str) -> Result<(), String> {
        let secret = secret.to_owned();
        self.with(name, move |entry| entry.set_password(&secret))
    }

    pub(super) fn forget(&self, name: &'static str) -> Result<(), String> {
        self.with(name, |entry| match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            gone => gone,
        })
    }

    fn with<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let user = format!("{name} {}", self.of);
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            let worked = opened()
                .and_then(|store| Entry::new_in_store(&store, SERVICE, &user))
                .and_then(|entry| work(&entry));
            // Whoever waited may have gone.
            let _ = done.send(worked.map_err(|error| error.to_string()));
        });
        is_done.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("it does not answer".to_owned()))
    }
}

#[cfg(all(feature = "os-store", target_os = "linux"))]
fn opened() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(all(feature = "os-store", target_os = "macos"))]
fn opened() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(all(feature = "os-store", target_os = "windows"))]
fn opened() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(all(feature = "os-store", any(target_os = "linux", target_os = "macos", target_os = "windows"))))]
fn opened() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(Error::NotSupportedByStore("this program knows none".to_owned()))
}
