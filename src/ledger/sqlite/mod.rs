//! The ledger in an embedded SQLite database: one process, one writer.
//!
//! WAL with `synchronous = FULL`: a commit is on disk before it is answered. A second owner is kept out
//! by a lock on a file beside the database, which the kernel releases however this process ends. Beside the owner
//! others may read ([`Sqlite::to_read`]) and do single short transactions ([`Sqlite::beside`]). What is deleted is
//! overwritten (`secure_delete`): it may have been a name.

mod advance;
pub mod backup;
mod beside;
mod files;
#[cfg(test)]
mod migrations;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "each engine compiles the statements with its own database")]
mod sql;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    Connection as _, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use sql::Handle as Sqlite;

/// What the statements need to know of this engine.
mod engine {
    use std::{fs::File, sync::Arc};

    pub(super) use super::advance::advance;

    pub type Db = sqlx::Sqlite;

    /// The lock, held while this process lives, by the owner.
    pub type Guard = Option<Arc<File>>;

    /// Begins to write: one at a time.
    pub const BEGIN: &str = "BEGIN IMMEDIATE";
    /// Whether what was begun to write cannot be: it would not have begun.
    pub const READ_ONLY: &str = "SELECT FALSE";
    /// Begins to read as of one moment.
    pub const SNAPSHOT: &str = "BEGIN";
    /// Takes the name of holder `$1` from seats that cool.
    pub const NOBODY: &str = "UPDATE cooling SET holder = 'forgotten:' || COALESCE(
         (SELECT reference FROM people WHERE identity = $1), lower(hex(randomblob(16)))) WHERE holder = $1";
    /// The write-ahead log still has the pages as they were.
    pub const ERASED: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// How many may read at once: of those who reconcile, and of programs.
const READERS: u32 = 4;
/// How long a connection waits for a lock of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0} is in use by another usher process: stop that one first, one process owns a SQLite ledger")]
    InUse(PathBuf),
    /// The lock file cannot be made.
    #[error("cannot lock {path}: {source}; the directory must exist and be writable")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others can read it, and that cannot be changed.
    #[error("cannot take {path} from the eyes of others: {source}; the user that usher runs as must own it")]
    Private {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the ledger {path}: {source}")]
    Open {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// There is none.
    #[error("there is no ledger {0}: name the file that `usher run --ledger` names")]
    Missing(PathBuf),
    /// Another version of the program keeps it.
    #[error(
        "the ledger {0} is kept by another version of usher: use the program of that version, such as in its pod"
    )]
    OtherVersion(PathBuf),
    /// It was written by a newer Usher, or is damaged.
    #[error("cannot bring the ledger {path} up to date: {source}")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        source: sqlx::migrate::MigrateError,
    },
}

impl Sqlite {
    /// Opens the database at `path`, making it or bringing it up to date as needed.
    ///
    /// # Errors
    /// When another process has it, or it cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = files::lock(path)?;
        files::make_private(path)?;
        let options = options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let write = pool(path, 1, options.clone()).await?;
        MIGRATIONS
            .run(&write)
            .await
            .map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
        let read = pool(path, READERS, options.clone()).await?;
        let ask = pool(path, READERS, options).await?;
        // One writes, whoever asks.
        Ok(Self::over(write.clone(), write, read, ask, Some(Arc::new(lock))))
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // The root file system is read-only and there is no /tmp.
        .pragma("temp_store", "memory")
        .pragma("secure_delete", "on")
        .busy_timeout(BUSY_TIMEOUT)
}

/// Connections to the database. When there is no room, or a read fails, SQLite ends a transaction by itself, and the library, which then cannot end it, takes
/// the connection for one that is in it from then on: such a connection is not used again.
async fn pool(path: &Path, most: u32, options: SqliteConnectOptions) -> Result<SqlitePool, OpenError> {
    let pool = SqlitePoolOptions::new().max_connections(most).before_acquire(|connection, _| {
        let is_fit = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_fit) })
    });
    let pool = pool.connect_with(options).await;
    pool.map_err(|source| OpenError::Open { path: path.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        domain::license::{Key, Uid},
        ledger::{
            Change, Claim, CommitError, Ledger as _, activations::Activations as _,
            conformance::activations::full,
        },
    };

    /// Does to the file what somebody who owns it can do.
    pub(crate) async fn tamper(path: &Path, sql: &'static str) {
        let there = pool(path, 1, options(path)).await.unwrap();
        assert!(sqlx::query(sql).execute(&there).await.unwrap().rows_affected() > 0, "{sql}");
        there.close().await;
    }

    #[tokio::test]
    async fn sqlite_conforms() {
        crate::ledger::conformance::check(
            async || {
                let directory = tempfile::tempdir().unwrap();
                let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
                (ledger, directory)
            },
            Sqlite::another,
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_the_database_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let key = Key::new("design", "cad");
        let mut change =
            Change::new(key.clone(), Uid("l".into()), None, Timestamp::from_second(5).unwrap(), [7; 32]);
        change.seats = Some(1);
        change.bind = vec![crate::ledger::Bind { seat: Uid("s".into()), holder: "email:a@b.example".into() }];
        let ledger = Sqlite::open(&path).await.unwrap();
        ledger.commit(&change).await.unwrap();
        let before = ledger.facts(&key).await.unwrap();
        drop(ledger);
        assert_eq!(Sqlite::open(&path).await.unwrap().facts(&key).await.unwrap(), before);
        assert_eq!(before[0].bindings.len(), 1);
    }

    #[tokio::test]
    async fn while_there_is_no_room_steps_are_refused_as_such_and_go_on_when_there_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        drop(Sqlite::open(&path).await.unwrap());
        let write = pool(&path, 1, options(&path)).await.unwrap();
        let read = pool(&path, 1, options(&path)).await.unwrap();
        let ledger = Sqlite::over(write.clone(), write.clone(), read.clone(), read, None);
        // Of the connection that there is, and of those that come after it.
        let pages = async |more: i64| {
            let there: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&write).await.unwrap();
            let most = (there + more).to_string();
            write.set_connect_options(options(&path).pragma("max_page_count", most.clone()));
            let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {most}"));
            sqlx::query(limit).execute(&write).await.unwrap();
        };
        full::begin(&ledger).await;
        ledger.takes_steps().await.unwrap();
        pages(64).await;
        let (done, failed) = full::activate(&ledger, 0..50).await;
        let Some(CommitError::Unavailable(why)) = failed else { panic!("{done:?}: {failed:?}") };
        assert!(why.is_full() && why.to_string().contains("no room left"), "{why}");
        let still = ledger.takes_steps().await.unwrap_err();
        assert!(!done.is_empty() && still.is_full(), "{done:?}, {still:?}");
        for id in &done {
            assert!(ledger.activation(id).await.unwrap().is_some(), "{id} was answered");
        }

        pages(1_000).await;
        ledger.takes_steps().await.unwrap();
        let (more, failed) = full::activate(&ledger, 50..60).await;
        assert!(more.len() == 10 && failed.is_none(), "{failed:?}");
    }

    #[tokio::test]
    async fn who_leads_a_copy_under_the_same_number_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let at = Timestamp::from_second(5).unwrap();
        let mut change = Change::new(Key::new("design", "cad"), Uid("l".into()), None, at, [7; 32]);
        change.seats = Some(1);
        let ledger = Sqlite::open(&path).await.unwrap();
        let claim = Claim { cluster: Uid("here".into()), adopt: None, token: [1; 32], at };
        assert_eq!(ledger.lead(&claim).await.unwrap(), 1);
        // It was put back to before that, and somebody else has led since.
        tamper(&path, "UPDATE ledger_meta SET leader = 'another'").await;
        assert!(matches!(ledger.commit(&change).await, Err(CommitError::Deposed)));
        ledger.lead(&claim).await.unwrap();
        ledger.commit(&change).await.unwrap();
    }

    #[tokio::test]
    async fn a_second_process_is_told_that_the_ledger_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let _first = Sqlite::open(&path).await.unwrap();
        assert!(matches!(Sqlite::open(&path).await, Err(OpenError::InUse(_))));
    }
}
