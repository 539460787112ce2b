//! The ledger in an embedded SQLite database: one process, one writer.
//!
//! WAL with `synchronous = FULL`: a commit is on disk before it is answered. A second owner is kept out
//! by a lock on a file beside the database, which the kernel releases however this process ends. Beside the owner
//! others may read ([`Sqlite::to_read`]) and do single short transactions ([`Sqlite::beside`]). What is deleted is
//! overwritten (`secure_delete`): it may have been a name.

mod activations;
mod audit;
mod authorities;
pub mod backup;
mod beside;
mod claims;
mod commit;
mod files;
mod keys;
mod lead;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    Row as _, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use crate::{
    domain::{
        allocation::Binding,
        license::{Key, Uid},
        witness::{Head, Loss, Witness},
    },
    ledger::{
        Change, CommitError, CopyClaim, Document, Facts, Freed, Ledger, SecretClaim, Terms, Unavailable,
    },
};

use activations::Group;

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/sqlite/migrations");

/// How many may read at once.
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

/// The ledger in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    write: SqlitePool,
    read: SqlitePool,
    group: Arc<Group>,
    /// Held while this process lives, by the owner.
    lock: Option<Arc<File>>,
    /// The epoch in which this handle leads: see [`lead`].
    epoch: AtomicI64,
    /// A commit was refused because another handle leads.
    deposed: AtomicBool,
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
        let read = pool(path, READERS, options).await?;
        Ok(Self::over(write, read, Some(Arc::new(lock))))
    }

    fn over(write: SqlitePool, read: SqlitePool, lock: Option<Arc<File>>) -> Self {
        let group = Arc::new(Group::start(write.clone()));
        Self { write, read, group, lock, epoch: 0.into(), deposed: false.into() }
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

async fn pool(path: &Path, most: u32, options: SqliteConnectOptions) -> Result<SqlitePool, OpenError> {
    let pool = SqlitePoolOptions::new().max_connections(most).connect_with(options).await;
    pool.map_err(|source| OpenError::Open { path: path.to_owned(), source })
}

fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> Unavailable {
    move |source| Unavailable { doing, source }
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn instant(seconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_second(seconds).map_err(damaged)
}

fn document(row: &SqliteRow) -> Result<Document, sqlx::Error> {
    Ok(Document {
        subject: Uid(row.try_get("subject")?),
        serial: row.try_get("serial")?,
        digest: row.try_get("digest")?,
        key_id: row.try_get("key_id")?,
        jws: row.try_get("jws")?,
        keys_jws: row.try_get("keys_jws")?,
        issued_at: instant(row.try_get("issued_at")?)?,
        expires_at: instant(row.try_get("expires_at")?)?,
        renew_at: row.try_get::<Option<i64>, _>("renew_at")?.map(instant).transpose()?,
    })
}

fn count(number: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(number).map_err(damaged)
}

fn terms(row: &SqliteRow) -> Result<Terms, sqlx::Error> {
    Ok(Terms {
        product: row.try_get("product")?,
        provisioning: row.try_get::<String, _>("provisioning")?.parse().map_err(damaged)?,
        max_per_user: row.try_get::<Option<i64>, _>("max_per_user")?.map(count).transpose()?,
        contract: activations::contract(row)?,
    })
}

impl Sqlite {
    /// All that is known of one License, as of one moment.
    async fn facts_of(
        connection: &mut sqlx::SqliteConnection,
        row: &SqliteRow,
    ) -> Result<Facts, sqlx::Error> {
        let license: String = row.try_get("uid")?;
        let bindings =
            sqlx::query("SELECT seat, holder, ordinal FROM bindings WHERE license = $1 ORDER BY ordinal")
                .bind(&license)
                .try_map(|row: SqliteRow| {
                    Ok(Binding {
                        seat: Uid(row.try_get(0)?),
                        holder: row.try_get(1)?,
                        ordinal: row.try_get(2)?,
                    })
                })
                .fetch_all(&mut *connection)
                .await?;
        let cooling = sqlx::query(
            "SELECT holder, freed_at, expires_at FROM cooling WHERE license = $1 ORDER BY freed_at, holder",
        )
        .bind(&license)
        .try_map(|row: SqliteRow| {
            Ok(Freed {
                holder: row.try_get(0)?,
                freed_at: instant(row.try_get(1)?)?,
                expires_at: instant(row.try_get(2)?)?,
            })
        })
        .fetch_all(&mut *connection)
        .await?;
        let documents = sqlx::query("SELECT * FROM documents WHERE license = $1 ORDER BY subject")
            .bind(&license)
            .try_map(|row: SqliteRow| document(&row))
            .fetch_all(&mut *connection)
            .await?;
        let secrets = sqlx::query(
            "SELECT s.name, s.subject, s.removing FROM secrets s JOIN licenses l ON l.uid = s.license
             WHERE s.license = $1 AND s.namespace = l.namespace ORDER BY s.name",
        )
        .bind(&license)
        .try_map(|row: SqliteRow| {
            Ok(SecretClaim {
                name: row.try_get(0)?,
                subject: Uid(row.try_get(1)?),
                removing: row.try_get(2)?,
            })
        })
        .fetch_all(&mut *connection)
        .await?;
        let copies = sqlx::query(
            "SELECT s.namespace, s.name, s.removing FROM secrets s JOIN licenses l ON l.uid = s.license
             WHERE s.license = $1 AND s.namespace <> l.namespace ORDER BY s.namespace, s.name",
        )
        .bind(&license)
        .try_map(|row: SqliteRow| {
            let secret = Key { namespace: row.try_get(0)?, name: row.try_get(1)? };
            Ok(CopyClaim { secret, removing: row.try_get(2)? })
        })
        .fetch_all(&mut *connection)
        .await?;
        let keys = sqlx::query_as("SELECT name, hash FROM activation_keys WHERE license = $1")
            .bind(&license)
            .fetch_all(&mut *connection)
            .await?;
        let (activated, forked) = activations::of_license(connection, &license).await?;
        Ok(Facts {
            license: Uid(license),
            version: row.try_get("version")?,
            incarnation: row.try_get("incarnation")?,
            seats: count(row.try_get("seats")?)?,
            terms: terms(row)?,
            bindings,
            cooling,
            documents,
            secrets,
            keys: keys.into_iter().collect(),
            copies,
            activated,
            forked,
        })
    }
}

impl Ledger for Sqlite {
    async fn lead(&self) -> Result<i64, Unavailable> {
        self.take_lead().await
    }

    fn deposed(&self) -> bool {
        self.deposed.load(Ordering::SeqCst)
    }

    async fn head(&self) -> Result<Head, Unavailable> {
        self.read_head().await
    }

    async fn recover(&self, loss: Loss, witness: Option<&Witness>, at: Timestamp) -> Result<(), CommitError> {
        self.begin_incarnation(loss, witness, at).await
    }

    async fn licenses(&self) -> Result<Vec<Key>, Unavailable> {
        sqlx::query("SELECT DISTINCT namespace, name FROM licenses ORDER BY namespace, name")
            .try_map(|row: SqliteRow| {
                Ok(Key { namespace: row.try_get("namespace")?, name: row.try_get("name")? })
            })
            .fetch_all(&self.read)
            .await
            .map_err(while_doing("listing the licenses"))
    }

    async fn facts(&self, key: &Key) -> Result<Vec<Facts>, Unavailable> {
        let failed = while_doing("reading what is known of a license");
        // One read transaction: bindings and documents are of one moment.
        let mut snapshot = self.read.begin().await.map_err(&failed)?;
        let licenses = sqlx::query("SELECT * FROM licenses WHERE namespace = $1 AND name = $2 ORDER BY uid")
            .bind(&key.namespace)
            .bind(&key.name)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(&failed)?;
        let mut all = Vec::with_capacity(licenses.len());
        for license in licenses {
            all.push(Self::facts_of(&mut snapshot, &license).await.map_err(&failed)?);
        }
        Ok(all)
    }

    async fn held_elsewhere(
        &self,
        namespace: &str,
        product: &str,
        except: &Uid,
    ) -> Result<BTreeMap<String, u32>, Unavailable> {
        let counts = sqlx::query(
            "SELECT holder, COUNT(*) FROM bindings JOIN licenses ON licenses.uid = bindings.license
             WHERE namespace = $1 AND product = $2 AND uid <> $3 GROUP BY holder",
        )
        .bind(namespace)
        .bind(product)
        .bind(&except.0)
        .try_map(|row: SqliteRow| Ok((row.try_get::<String, _>(0)?, count(row.try_get(1)?)?)))
        .fetch_all(&self.read)
        .await;
        Ok(counts.map_err(while_doing("counting the seats of a product"))?.into_iter().collect())
    }

    async fn commit(&self, change: &Change) -> Result<Vec<String>, CommitError> {
        commit::license(self, change).await
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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
        let mut change = Change::new(key.clone(), Uid("l".into()), None, instant(5).unwrap(), [7; 32]);
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
    async fn a_second_process_is_told_that_the_ledger_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let _first = Sqlite::open(&path).await.unwrap();
        assert!(matches!(Sqlite::open(&path).await, Err(OpenError::InUse(_))));
    }
}
