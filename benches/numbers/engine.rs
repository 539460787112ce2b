//! The engines of the ledger, each with a ledger that is nobody's yet.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::{Failure, ground::Ground};

/// An engine of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A ledger, and its server if it has one; gone when this is dropped or this process ends.
pub struct Ledger {
    /// As `usher run --ledger` takes it.
    pub at: String,
    pub engine: Engine,
    server: Option<Child>,
}

impl Engine {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// An empty ledger, which syncs to disk.
    pub fn ledger(self, ground: &Ground) -> Result<Ledger, Failure> {
        if self == Self::Sqlite {
            let at = ground.path("ledger.db").to_string_lossy().into_owned();
            return Ok(Ledger { at, engine: self, server: None });
        }
        let mut server = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/postgres"))
            .arg("run")
            .env("POSTGRES_FSYNC", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(server.stdout.take().ok_or("PostgreSQL says nothing")?).read_line(&mut line)?;
        let at = line.trim().strip_prefix("URL=").ok_or("PostgreSQL did not start")?.to_owned();
        Ok(Ledger { at, engine: self, server: Some(server) })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // The supervisor ends the server when its input ends.
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }
}

/// A connection past Usher, to put rows there.
pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Connects.
    pub async fn to(ledger: &Ledger) -> Result<Self, Failure> {
        Ok(match ledger.engine {
            Engine::Sqlite => {
                Self::Sqlite(SqliteConnection::connect(&format!("sqlite:{}", ledger.at)).await?)
            }
            Engine::Postgres => Self::Postgres(PgConnection::connect(&ledger.at).await?),
        })
    }

    /// Does what this text of ours says.
    pub async fn execute(&mut self, sql: String) -> Result<(), Failure> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(connection) => sql.execute(connection).await.map(drop)?,
            Self::Postgres(connection) => sql.execute(connection).await.map(drop)?,
        }
        Ok(())
    }
}
