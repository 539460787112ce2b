//! The files of the ledger: one process has them, and nobody else reads them.

use std::{
    fs::{File, Permissions, TryLockError},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{OpenError, Sqlite};
use crate::domain::hex;

/// Who holds a seat, and what was signed for them, is nobody's business but Usher's. SQLite gives its `-wal` and `-shm` the mode of the database.
const MODE: u32 = 0o600;

/// The database is there, and it and what lies beside it is for its owner only. The directory is left as it is.
pub(super) fn make_private(path: &Path) -> Result<(), OpenError> {
    let opened = |source: std::io::Error| OpenError::Open { path: path.to_owned(), source: source.into() };
    File::options().create(true).append(true).mode(MODE).open(path).map_err(opened)?;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = beside(path, suffix);
        let Ok(found) = std::fs::metadata(&path) else { continue };
        if found.permissions().mode() & 0o777 & !MODE != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(MODE))
                .map_err(|source| OpenError::Private { path, source })?;
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Keeps every other process out while the file that this returns is open.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let failed = |source| OpenError::Lock { path: lock_path.clone(), source };
    let mut options = File::options();
    let file =
        options.create(true).truncate(false).write(true).mode(MODE).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Sqlite {
    /// A name for whoever owns this database, which whoever owned it before had too, on this machine and since it was
    /// started: the lock changes hands only when its owner is dead. A copy of the database is another one's.
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let file = self.guard.as_ref()?.metadata().ok()?;
        let digest = Sha256::digest(format!("{boot} {} {}", file.dev(), file.ino()));
        digest.get(..8).map(hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_ledger_is_for_its_owner_only_whoever_made_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let modes = || {
            let files = ["", "-wal", "-shm", ".lock"].map(|suffix| beside(&path, suffix));
            files.map(|file| std::fs::metadata(file).unwrap().permissions().mode() & 0o777)
        };
        let ledger = Sqlite::open(&path).await.unwrap();
        assert_eq!(modes(), [0o600; 4]);
        drop(ledger);
        // A former Usher left them as it found the umask.
        for suffix in ["", ".lock"] {
            std::fs::set_permissions(beside(&path, suffix), Permissions::from_mode(0o644)).unwrap();
        }
        let _ledger = Sqlite::open(&path).await.unwrap();
        assert_eq!(modes(), [0o600; 4]);
    }
}
