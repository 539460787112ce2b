//! What is good once.

use jiff::Timestamp;

use super::{Connection, Pool, SWEPT};
use crate::ledger::people::Pass;

pub(super) async fn keep(
    connection: &mut Connection,
    pass: &Pass,
    at_most: Option<u32>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "DELETE FROM passes WHERE hash IN (SELECT hash FROM passes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.as_second())
    .bind(i64::from(SWEPT))
    .execute(&mut *connection)
    .await?;
    let kept = sqlx::query(
        "INSERT INTO passes (hash, content, expires_at) SELECT $1, $2, $3 WHERE (SELECT COUNT(*) FROM passes) < $4",
    )
    .bind(&pass.hash)
    .bind(&pass.content)
    .bind(pass.until.as_second())
    .bind(at_most.map_or(i64::MAX, i64::from))
    .execute(connection)
    .await?;
    Ok(kept.rows_affected() == 1)
}

pub(super) async fn read(pool: &Pool, hash: &str, now: Timestamp) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT content FROM passes WHERE hash = $1 AND expires_at >= $2 AND spent_by IS NULL")
        .bind(hash)
        .bind(now.as_second())
        .fetch_optional(pool)
        .await
}

pub(super) async fn take(
    connection: &mut Connection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "DELETE FROM passes WHERE hash = $1 AND expires_at >= $2 AND spent_by IS NULL RETURNING content",
    )
    .bind(hash)
    .bind(now.as_second())
    .fetch_optional(connection)
    .await
}

pub(super) async fn spent_by(pool: &Pool, hash: &str) -> Result<Option<String>, sqlx::Error> {
    let spent: Option<Option<String>> = sqlx::query_scalar("SELECT spent_by FROM passes WHERE hash = $1")
        .bind(hash)
        .fetch_optional(pool)
        .await?;
    Ok(spent.flatten())
}

/// Whoever inserts it first uses it.
pub(super) async fn use_assertion(
    connection: &mut Connection,
    hash: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "DELETE FROM assertions WHERE hash IN (SELECT hash FROM assertions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.as_second())
    .bind(i64::from(SWEPT))
    .execute(&mut *connection)
    .await?;
    let used = sqlx::query(
        "INSERT INTO assertions (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(hash)
    .bind(until.as_second())
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}
