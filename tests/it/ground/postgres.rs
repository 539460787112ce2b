//! A PostgreSQL of this process: started when it is first asked for, gone when the process is, however that ends.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

struct Server {
    url: String,
    /// It ends when its standard input does, and that is held here.
    _supervisor: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let mut supervisor = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/postgres"))
        .arg("run")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let url = said.trim().strip_prefix("URL=").expect("dev/postgres says what is missing").to_owned();
    Server { url, _supervisor: supervisor }
});

/// The URL of a new, empty database.
pub async fn database() -> String {
    database_at(&SERVER.url).await
}

/// The URL of a new, empty database of the server at `url`.
pub async fn database_at(url: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("ledger{}", MADE.fetch_add(1, Ordering::Relaxed));
    let mut administrator = PgConnection::connect(url).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut administrator).await.unwrap();
    administrator.close().await.unwrap();
    url.replace("/postgres?", &format!("/{name}?"))
}

/// Lets the database at `url` only be read from now on, or be written again, by whoever connects; who is connected is sent away.
pub async fn read_only(url: &str, only: bool) {
    let mut administrator = PgConnection::connect(url).await.unwrap();
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut administrator).await.unwrap();
    for statement in [
        "SET default_transaction_read_only = off".to_owned(),
        format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {}",
            if only { "on" } else { "off" }
        ),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
            .to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut administrator).await.unwrap();
    }
    administrator.close().await.unwrap();
}
