//! Opening a database beside the process that owns it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::{MIGRATIONS, OpenError, Sqlite, options};

impl Sqlite {
    /// Opens a database that another process owns, for a short transaction.
    ///
    /// # Errors
    /// When there is none, it is of another version, or it cannot be opened.
    pub async fn beside(path: &Path) -> Result<Self, OpenError> {
        Self::of_another(path, SqlitePoolOptions::new().max_connections(1), options(path)).await
    }

    /// Opens a database to read it as of one moment, whoever owns it.
    ///
    /// # Errors
    /// When there is none, it is of another version, or it cannot be opened.
    pub async fn to_read(path: &Path) -> Result<Self, OpenError> {
        let one_moment = SqlitePoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let one_moment = one_moment.after_connect(|connection, _| {
            Box::pin(async move { sqlx::query("BEGIN").execute(connection).await.map(|_| ()) })
        });
        Self::of_another(path, one_moment, options(path).read_only(true)).await
    }

    async fn of_another(
        path: &Path,
        pool: SqlitePoolOptions,
        options: SqliteConnectOptions,
    ) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let opened = |source| OpenError::Open { path: path.to_owned(), source };
        let pool = pool.connect_with(options).await.map_err(opened)?;
        let there: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&pool)
                .await
                .map_err(opened)?;
        if !there.iter().eq(MIGRATIONS.iter().map(|migration| &migration.version)) {
            return Err(OpenError::OtherVersion(path.to_owned()));
        }
        Ok(Self::over(pool.clone(), pool, None))
    }
}
