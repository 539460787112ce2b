//! The state on the disk: one folder, one lock, one file that is replaced and never edited.
//!
//! A write goes to a new file, which is synced, takes the old one's place, and then the folder is synced: after a crash at any
//! point there is the former state or the new one, whole. The lock is the kernel's, so it ends with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::state::Kept;

/// The most that the file holds, in bytes: two documents, a key set and a request.
const MAX_BYTES: u64 = 1 << 20;

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it.
    #[error(
        "{0} is in use by another process: one program keeps one activation; give each installation a folder of its own"
    )]
    InUse(PathBuf),
    /// The system refuses.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The credential store of the operating system does not do what it is asked to.
    #[error("the credential store of the operating system cannot be used: {0}")]
    OsStore(String),
    /// The file is not what this crate wrote.
    #[error("{path} is not the state of an installation: {why}; restore it, or remove it and activate again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The folder of one installation, which nobody else has.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    kept: Kept,
    _lock: File,
}

impl Store {
    /// Opens the folder, making it if there is none.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        private_folder(folder)?;
        let lock = lock(&folder.join("lock"))?;
        let path = folder.join("state.json");
        let kept = match read(&path)? {
            Some(text) => Kept::parse(&text).map_err(|why| StateError::Damaged { path, why })?,
            None => Kept::default(),
        };
        Ok(Self { folder: folder.to_owned(), kept, _lock: lock })
    }

    /// Where the key is, beside the state.
    pub(crate) fn key_path(&self) -> PathBuf {
        self.folder.join("key.jwk")
    }

    /// What is on the disk.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Puts this in its place. When it returns, it is on the disk.
    pub(crate) fn keep(&mut self, kept: Kept) -> Result<(), StateError> {
        let text = serde_json::to_vec(&kept).map_err(io::Error::other);
        let text = text.map_err(failed("write", &self.folder))?;
        let path = self.folder.join("state.json");
        write_atomically(&path, &text).map_err(failed("write", &path))?;
        self.kept = kept;
        Ok(())
    }
}

/// Replaces the file at `path`, which only its owner may read, as a whole. When it returns, it is on the disk.
///
/// # Errors
/// What the system says.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
    let mut beside = name.to_owned();
    beside.push(".new");
    let new = path.with_file_name(beside);
    // What a crash left may have been made by somebody else, with other rights.
    if let Err(error) = std::fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// A name in a folder is as durable as the folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Windows cannot open a folder, and does not need to.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { doing, path: path.to_owned(), source }
}

/// Waits until nobody has the file.
pub(crate) fn lock_waiting(path: &Path) -> Result<File, StateError> {
    let options = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path);
    let file = options.map_err(failed("open", path))?;
    file.lock().map_err(failed("lock", path))?;
    Ok(file)
}

fn lock(path: &Path) -> Result<File, StateError> {
    let options = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path);
    let file = options.map_err(failed("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.parent().unwrap_or(path).to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let length = std::fs::metadata(path).map(|there| there.len());
    if length.as_ref().is_ok_and(|length| *length > MAX_BYTES) {
        return Err(StateError::Damaged { path: path.to_owned(), why: "it is too large".into() });
    }
    match length.and_then(|_| std::fs::read(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path)(source)),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(crate) fn private_folder(folder: &Path) -> Result<(), StateError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(failed("make", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Operation, Pending};

    #[test]
    fn what_was_kept_is_there_for_who_opens_it_next_and_only_one_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cad");
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.kept(), &Kept::default());
        let pending = Pending { operation: Operation::Activate, key: "k".into(), body: "{}".into() };
        let kept = Kept { pending: Some(pending), ..Kept::default() };
        store.keep(kept.clone()).unwrap();
        assert!(matches!(Store::open(&path), Err(StateError::InUse(folder)) if folder == path));
        drop(store);
        assert_eq!(Store::open(&path).unwrap().kept(), &kept);
    }

    #[test]
    fn a_damaged_file_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "{").unwrap();
        let said = Store::open(folder.path()).unwrap_err().to_string();
        assert!(said.contains("state.json is not the state of an installation"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), b"{");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_what_a_crash_left_is_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cad");
        let mut store = Store::open(&path).unwrap();
        std::fs::write(path.join("state.json.new"), "half").unwrap();
        store.keep(Kept::default()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("state.json"))), (0o700, 0o600));
        assert!(!path.join("state.json.new").exists());
    }
}
