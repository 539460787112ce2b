//! Copies of databases, as backups are.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A copy of the database at `url`, as it is now: its URL. Who is connected to it is sent away.
pub async fn copied(url: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = url.split_once('?').unwrap().0.rsplit_once('/').unwrap().1;
    let server = url.replace(&format!("/{name}?"), "/postgres?");
    let mut administrator = PgConnection::connect(&server).await.unwrap();
    let copy = format!("copy{}", MADE.fetch_add(1, Ordering::Relaxed));
    for statement in [
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        format!("CREATE DATABASE {copy} TEMPLATE {name}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut administrator).await.unwrap();
    }
    administrator.close().await.unwrap();
    url.replace(&format!("/{name}?"), &format!("/{copy}?"))
}
