//! The ledger in a PostgreSQL database: several processes, of which one writes at a time.
//!
//! Each transaction that writes begins by counting itself in the one row of `ledger_meta`, and so waits there for whoever
//! writes. From then on it sees all that was committed before, as the one writer of SQLite does: limits that reach over
//! several Licenses hold, and the audit is one chain. Whoever falls silent in the middle is cut off by the server.

mod advance;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "each engine compiles the statements with its own database")]
mod sql;

use std::time::Duration;

use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

pub use sql::Handle as Postgres;

/// What the statements need to know of this engine.
mod engine {
    pub(super) use super::advance::advance;

    pub type Db = sqlx::Postgres;

    /// The server keeps what is to be kept.
    #[derive(Debug, Clone)]
    pub struct Guard;

    /// Begins to write. What a statement sees was committed before it began, so one that has waited sees what it has waited for.
    pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
    /// Whether what was begun to write cannot be: a standby, or a database that was made read-only.
    pub const READ_ONLY: &str = "SELECT current_setting('transaction_read_only') = 'on'";
    /// Begins to read as of one moment.
    pub const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    /// Takes the name of holder `$1` from seats that cool.
    pub const NOBODY: &str = "UPDATE cooling SET holder = 'forgotten:' || COALESCE(
         (SELECT reference FROM people WHERE identity = $1), replace(gen_random_uuid()::text, '-', '')) WHERE holder = $1";
    /// A row that was deleted is there until it is vacuumed.
    pub const ERASED: &str = "VACUUM people, cooling, bindings, principals, logins, passes";
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/postgres/migrations");

/// How many of this process may write, of those who reconcile and of those who answer programs each: one after the other they wait for the
/// same row, and none of them for a connection of the others.
const WRITERS: u32 = 1;
/// How many of this process may read at once: of those who reconcile, and of programs.
const READERS: u32 = 4;
/// How long we wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the server lets us wait for whoever writes, and lets whoever writes say nothing.
const LIMITS: [(&str, &str); 2] = [("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "5s")];
/// An answer that was given is on disk, whatever the database's own default is.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', FALSE)
     WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Why the database could not be opened. Nothing of this says the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be understood.
    #[error(
        "the address of the ledger is none of a PostgreSQL database: {0}; it is like postgres://usher@host/usher"
    )]
    Address(sqlx::Error),
    /// It cannot be reached, or does not let us in.
    #[error("cannot open the ledger {place}: {source}")]
    Open {
        /// Host and database.
        place: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// There is none, or another version of the program keeps it.
    #[error(
        "in {place} is no ledger of this version of usher: use the program of the version that keeps it, such as in its pod"
    )]
    OtherVersion {
        /// Host and database.
        place: String,
    },
    /// It was written by a newer Usher, or we may not make tables.
    #[error("cannot bring the ledger {place} up to date: {source}")]
    Migrate {
        /// Host and database.
        place: String,
        /// What is wrong.
        source: MigrateError,
    },
}

impl Postgres {
    /// Opens the database at `url`, making its tables or bringing them up to date as needed.
    ///
    /// The connection is encrypted and the server's name verified, unless it is on this machine or the URL says `sslmode`
    /// `disable` or `require`. What the URL does not say, such as the password, is taken from `PGPASSWORD` and its kin.
    ///
    /// # Errors
    /// When it cannot be reached, or was written by a newer Usher.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let place = place(&options);
        let opened = |source| OpenError::Open { place: place.clone(), source };
        let write = pool(WRITERS, options.clone()).await.map_err(opened)?;
        let migrated = MIGRATIONS.run(&write).await;
        migrated.map_err(|source| OpenError::Migrate { place: place.clone(), source })?;
        let steps = pool(WRITERS, options.clone()).await.map_err(opened)?;
        let read = pool(READERS, options.clone()).await.map_err(opened)?;
        let ask = pool(READERS, options).await.map_err(opened)?;
        Ok(Self::over(write, steps, read, ask, engine::Guard))
    }

    /// Opens a database that others work with, for a short transaction.
    ///
    /// # Errors
    /// When it cannot be reached, or is not a ledger of this version.
    pub async fn beside(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let place = place(&options);
        let there =
            pool(1, options).await.map_err(|source| OpenError::Open { place: place.clone(), source })?;
        Self::of_this_version(there, place).await
    }

    /// Opens a database to read it as of one moment, whoever works with it.
    ///
    /// # Errors
    /// When it cannot be reached, or is not a ledger of this version.
    pub async fn to_read(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let place = place(&options);
        let one_moment = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let one_moment = one_moment.acquire_timeout(PATIENCE).after_connect(|connection, _| {
            Box::pin(async move { sqlx::query(engine::SNAPSHOT).execute(connection).await.map(|_| ()) })
        });
        // Whoever reads may take their time.
        let there =
            one_moment.connect_with(options.options([("idle_in_transaction_session_timeout", "0")])).await;
        Self::of_this_version(
            there.map_err(|source| OpenError::Open { place: place.clone(), source })?,
            place,
        )
        .await
    }

    async fn of_this_version(there: PgPool, place: String) -> Result<Self, OpenError> {
        const TABLE: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        const VERSIONS: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
        let opened = |source| OpenError::Open { place: place.clone(), source };
        let is_ledger: bool = sqlx::query_scalar(TABLE).fetch_one(&there).await.map_err(opened)?;
        let mut versions: Vec<i64> = Vec::new();
        if is_ledger {
            versions = sqlx::query_scalar(VERSIONS).fetch_all(&there).await.map_err(opened)?;
        }
        if !versions.iter().eq(MIGRATIONS.iter().map(|migration| &migration.version)) {
            return Err(OpenError::OtherVersion { place });
        }
        Ok(Self::over(there.clone(), there.clone(), there.clone(), there, engine::Guard))
    }
}

impl OpenError {
    /// Whether it may be there in a moment: the server does not answer, starts, dies meanwhile, or has too many guests.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let source = match self {
            Self::Open { source, .. } => source,
            Self::Migrate { source: MigrateError::Execute(source), .. }
            | Self::Migrate { source: MigrateError::ExecuteMigration(source, _), .. } => source,
            Self::Address(_) | Self::OtherVersion { .. } | Self::Migrate { .. } => return false,
        };
        match source {
            // What sits before a server that is away, such as a load balancer, takes connections and closes them: to sqlx that is an
            // answer that it does not understand.
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
            // Class 57: shutting down or starting up; 53300: too many connections.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code.starts_with("57") || code == "53300")
            }
            _ => false,
        }
    }
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Address(sqlx::Error::Configuration("it begins with another scheme".into())));
    }
    let options: PgConnectOptions = url.parse().map_err(OpenError::Address)?;
    let here = options.get_socket().is_some()
        || ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&options.get_host());
    let options = match options.get_ssl_mode() {
        PgSslMode::Prefer | PgSslMode::Allow if !here => options.ssl_mode(PgSslMode::VerifyFull),
        _ => options,
    };
    Ok(options.application_name("usher").options(LIMITS))
}

/// What a database is called where its name might tell a secret.
const UNNAMED: &str = "a database";

/// Where `url` leads to, for people; without anything secret.
pub(super) fn place_of(url: &str) -> String {
    options(url).map_or_else(|_| UNNAMED.to_owned(), |options| place(&options))
}

/// Where it is, for people; without anything secret.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    // A password with a slash in it ends the host too early, and what is left of it is taken for the database.
    if database.contains(['@', '/']) {
        return UNNAMED.to_owned();
    }
    format!("postgres://{}/{database}", options.get_host())
}

async fn pool(most: u32, options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::query(DURABLE).execute(connection).await.map(|_| ()) })
        })
        .connect_with(options)
        .await
}

#[cfg(test)]
#[path = "../../../tests/it/ground/postgres.rs"]
mod server;
#[cfg(test)]
mod tests;
