//! Copies of a ledger: made while it is at work, and put in its place.
//!
//! ```text
//!   backup:   ledger ──VACUUM INTO──► FILE.partial ──checked, synced──► FILE
//!   restore:  FILE ──checked──► ledger.restoring ──marked, synced──► ledger        (the former one ──► ledger.replaced)
//! ```
//!
//! 1. A backup is of one moment, whatever is committed meanwhile, and needs no lock: readers do not stop the writer.
//! 2. Only its owner may read it: it holds who holds what.
//! 3. Nothing is restored under a process that has the ledger, nor from what is no ledger, is damaged or is newer.
//! 4. What is restored says so itself. Whoever leads next compares it with the cluster, whatever its count says.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    domain::witness::Mark,
    ledger::sqlite::{BUSY_TIMEOUT, MIGRATIONS, OpenError, files::lock},
};

/// Only its owner may read it.
const MODE: u32 = 0o600;
/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why there is no copy, or why it was not put in place.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error("there is no ledger {0}: give its path with --ledger")]
    NoLedger(PathBuf),
    /// It would be overwritten.
    #[error("{0} exists and is not overwritten: give another name")]
    Exists(PathBuf),
    /// It is something else.
    #[error("{0} is not a ledger of Usher")]
    NotALedger(PathBuf),
    /// It is the ledger itself.
    #[error("{0} is the ledger itself: give the file of a backup")]
    Itself(PathBuf),
    /// SQLite finds it broken.
    #[error("{path} is damaged ({said}): take another backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        said: String,
    },
    /// It was written by a later version.
    #[error("{0} was written by a newer Usher: restore it with that version or a later one")]
    Newer(PathBuf),
    /// The ledger is in use, or cannot be locked.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk.
    #[error("cannot {doing} {path}: {source}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The database.
    #[error("cannot copy the ledger {path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

fn disk(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> CopyError {
    move |source| CopyError::Disk { doing, path: path.to_owned(), source }
}

fn database(path: &Path) -> impl Fn(sqlx::Error) -> CopyError {
    move |source| CopyError::Database { path: path.to_owned(), source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies the ledger at `ledger`, which may be in use, to the new file `to`. Returns how far the copy has come.
///
/// # Errors
/// When there is no ledger, `to` exists, or a disk is full; then there is no file `to`.
pub async fn backup(ledger: &Path, to: &Path) -> Result<Mark, CopyError> {
    if !ledger.exists() {
        return Err(CopyError::NoLedger(ledger.to_owned()));
    }
    if to.exists() {
        return Err(CopyError::Exists(to.to_owned()));
    }
    let partial = beside(to, ".partial");
    let copied = copy(ledger, &partial).await;
    let done = copied.and_then(|mark| {
        fs::rename(&partial, to).map_err(disk("make", to))?;
        sync_folder(to)?;
        Ok(mark)
    });
    if done.is_err() {
        // What is half done is of no use; that it cannot be removed is no second reason.
        let _ = fs::remove_file(&partial);
    }
    done
}

async fn copy(ledger: &Path, partial: &Path) -> Result<Mark, CopyError> {
    // An empty file is what SQLite would make itself, but for whom may read it.
    let new = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(partial);
    drop(new.map_err(disk("write", partial))?);
    let mut connection = SqliteConnectOptions::new()
        .filename(ledger)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("temp_store", "memory")
        .connect()
        .await
        .map_err(database(ledger))?;
    let into = partial.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO $1").bind(into).execute(&mut connection).await.map_err(database(ledger))?;
    connection.close().await.map_err(database(ledger))?;
    let mark = inspect(partial).await?;
    sync(partial)?;
    Ok(mark)
}

/// Puts the backup `from` in the place of the ledger at `ledger`. Returns how far it has come, and where the former ledger
/// is kept, if there was one.
///
/// # Errors
/// When a process has the ledger, `from` is not what may be put there, or the disk fails; then nothing is changed.
pub async fn restore(from: &Path, ledger: &Path) -> Result<(Mark, Option<PathBuf>), CopyError> {
    let _lock = lock(ledger)?;
    if same(from, ledger) {
        return Err(CopyError::Itself(from.to_owned()));
    }
    let mark = inspect(from).await?;
    let new = beside(ledger, ".restoring");
    mark_restored(from, &new).await?;
    let replaced = beside(ledger, ".replaced");
    let was_there = ledger.exists();
    let mut moved = Vec::new();
    if let Err(error) = exchange(&new, ledger, &replaced, &mut moved) {
        // Half a ledger is none: what was moved goes back where it was.
        for (old, kept) in moved.into_iter().rev() {
            drop(fs::rename(kept, old));
        }
        return Err(error);
    }
    sync_folder(ledger)?;
    Ok((mark, was_there.then_some(replaced)))
}

/// Moves the ledger away, if there is one, and `new` to its place. `moved` is told what went where.
fn exchange(
    new: &Path,
    ledger: &Path,
    replaced: &Path,
    moved: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), CopyError> {
    // With its write-ahead log, which SQLite finds by its name.
    for suffix in ["", "-wal", "-shm"] {
        let (old, kept) = (beside(ledger, suffix), beside(replaced, suffix));
        match fs::rename(&old, &kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(fs::remove_file(&kept)),
            Err(error) => return Err(disk("move", &old)(error)),
            Ok(()) => moved.push((old, kept)),
        }
    }
    fs::rename(new, ledger).map_err(disk("make", ledger))
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// Copies `from` to `new`, up to date, and says in it that it was restored.
async fn mark_restored(from: &Path, new: &Path) -> Result<(), CopyError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(beside(new, suffix)));
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(MODE).open(new).map_err(disk("write", new))?;
    let mut backup = File::open(from).map_err(disk("read", from))?;
    io::copy(&mut backup, &mut file).map_err(disk("write", new))?;
    let mut connection = SqliteConnectOptions::new()
        .filename(new)
        .pragma("temp_store", "memory")
        .connect()
        .await
        .map_err(database(new))?;
    MIGRATIONS
        .run(&mut connection)
        .await
        .map_err(|source| OpenError::Migrate { path: new.to_owned(), source })?;
    sqlx::query("UPDATE ledger_meta SET restored = TRUE, lost = NULL")
        .execute(&mut connection)
        .await
        .map_err(database(new))?;
    connection.close().await.map_err(database(new))?;
    sync(new)
}

/// How far the ledger in `path` has come, if it is one that this program can work with.
async fn inspect(path: &Path) -> Result<Mark, CopyError> {
    let mut begins = [0; 16];
    let mut file = File::open(path).map_err(disk("read", path))?;
    if file.read_exact(&mut begins).is_err() || begins != *MAGIC {
        return Err(CopyError::NotALedger(path.to_owned()));
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
    let mut connection = options.connect().await.map_err(database(path))?;
    let found = examine(path, &mut connection).await;
    connection.close().await.map_err(database(path))?;
    found
}

async fn examine(path: &Path, connection: &mut SqliteConnection) -> Result<Mark, CopyError> {
    let damaged = |said: String| CopyError::Damaged { path: path.to_owned(), said };
    let checked: Result<String, _> =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await;
    match checked {
        Ok(said) if said == "ok" => {}
        Ok(said) => return Err(damaged(said)),
        Err(error) => return Err(damaged(error.to_string())),
    }
    let not_a_ledger = |_| CopyError::NotALedger(path.to_owned());
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut *connection)
        .await
        .map_err(not_a_ledger)?;
    if applied.iter().any(|version| MIGRATIONS.iter().all(|known| known.version != *version)) {
        return Err(CopyError::Newer(path.to_owned()));
    }
    sqlx::query("SELECT COUNT(*) FROM licenses").execute(&mut *connection).await.map_err(not_a_ledger)?;
    let mark: Result<(i64, i64), _> =
        sqlx::query_as("SELECT incarnation, commits FROM ledger_meta").fetch_one(&mut *connection).await;
    // A ledger from before there was a count.
    let (incarnation, commits) = mark.unwrap_or((1, 0));
    Ok(Mark { incarnation, commits })
}

fn sync(path: &Path) -> Result<(), CopyError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(disk("sync", path))
}

fn sync_folder(path: &Path) -> Result<(), CopyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(folder)
}

#[cfg(test)]
mod tests;
