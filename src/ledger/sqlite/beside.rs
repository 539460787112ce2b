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
        Ok(Self::over(pool.clone(), pool.clone(), pool.clone(), pool, None))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        domain::license::{Key, Uid},
        ledger::{Audit as _, Bind, Change, Ledger as _, Trail as _, sqlite::tests::tamper},
    };

    /// A ledger of which Ann has held a seat, and freed it.
    async fn after_ann(path: &Path) -> Sqlite {
        let ledger = Sqlite::open(path).await.unwrap();
        let at = Timestamp::from_second(5).unwrap();
        let mut change = Change::new(Key::new("design", "cad"), Uid("l".into()), None, at, [7; 32]);
        change.seats = Some(1);
        change.bind = vec![Bind { seat: Uid("s".into()), holder: "email:ann@acme.example".into() }];
        ledger.commit(&change).await.unwrap();
        let mut freed = Change::new(change.key, change.license, Some(1), at, [7; 32]);
        freed.free = vec![Uid("s".into())];
        ledger.commit(&freed).await.unwrap();
        ledger
    }

    #[tokio::test]
    async fn a_reader_beside_the_owner_sees_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let owner = after_ann(&path).await;
        let reader = Sqlite::to_read(&path).await.unwrap();
        assert_eq!(reader.audit(0, 10).await.unwrap().len(), 2);
        owner.erase(&["email:ann@acme.example".into()], Timestamp::from_second(6).unwrap()).await.unwrap();
        assert_eq!(owner.audit(0, 10).await.unwrap().len(), 3);
        assert_eq!(reader.audit(0, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn of_whoever_was_erased_beside_the_owner_not_a_byte_is_left_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let _owner = after_ann(&path).await;
        let left = || {
            let files = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path());
            let named = |path: &std::path::PathBuf| {
                let bytes = std::fs::read(path).unwrap();
                bytes.windows(16).any(|window| window == b"ann@acme.example")
            };
            files.filter(named).count()
        };
        assert!(left() > 0);
        let beside = Sqlite::beside(&path).await.unwrap();
        let at = Timestamp::from_second(6).unwrap();
        assert_eq!(beside.erase(&["email:ann@acme.example".into()], at).await.unwrap(), 1);
        assert_eq!(left(), 0);
    }

    #[tokio::test]
    async fn what_is_no_ledger_or_one_of_another_version_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        assert!(matches!(Sqlite::to_read(&path).await.err(), Some(OpenError::Missing(_))));
        drop(after_ann(&path).await);
        let newer = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time
                     FROM _sqlx_migrations LIMIT 1";
        tamper(&path, newer).await;
        assert!(matches!(Sqlite::beside(&path).await.err(), Some(OpenError::OtherVersion(_))));
    }
}
