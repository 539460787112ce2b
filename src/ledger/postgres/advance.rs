//! Activations that go on, all in one statement: the server is far, and asked once.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::ledger::activations::Advancing;

/// Writes each that still has its version; of two that are the same activation, one. Returns which have been written, by their places.
pub(super) async fn advance(
    connection: &mut PgConnection,
    all: &[Advancing<'_>],
) -> Result<Vec<bool>, sqlx::Error> {
    let mut known = HashSet::new();
    let first: Vec<bool> = all.iter().map(|one| known.insert(one.id)).collect();
    let rows: Vec<&Advancing<'_>> =
        all.iter().zip(&first).filter(|(_, first)| **first).map(|(one, _)| one).collect();
    let written: Vec<String> = sqlx::query_scalar(
        "UPDATE activations a SET state = n.state, chain = n.chain, answer = COALESCE(n.answer, a.answer), expires_at = n.expires_at,
                ended_at = n.ended_at, recovery = n.recovery, pod = COALESCE(n.pod, a.pod), heard_at = COALESCE(n.heard_at, a.heard_at),
                version = a.version + 1
         FROM UNNEST($1::TEXT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[], $8::BOOLEAN[], $9::TEXT[],
                     $10::BIGINT[])
              AS n (id, version, state, chain, answer, expires_at, ended_at, recovery, pod, heard_at)
         WHERE a.id = n.id AND a.version = n.version RETURNING a.id",
    )
    .bind(column(&rows, |one| one.id))
    .bind(column(&rows, |one| one.version))
    .bind(column(&rows, |one| one.state))
    .bind(column(&rows, |one| one.chain.as_str()))
    .bind(column(&rows, |one| one.answer))
    .bind(column(&rows, |one| one.expires_at))
    .bind(column(&rows, |one| one.ended_at))
    .bind(column(&rows, |one| one.recovery))
    .bind(column(&rows, |one| one.pod))
    .bind(column(&rows, |one| one.heard_at))
    .fetch_all(connection)
    .await?;
    let written: HashSet<&str> = written.iter().map(String::as_str).collect();
    Ok(all.iter().zip(first).map(|(one, first)| first && written.contains(one.id)).collect())
}

fn column<'a, T>(rows: &[&'a Advancing<'a>], of: impl Fn(&'a Advancing<'a>) -> T) -> Vec<T> {
    rows.iter().map(|one| of(one)).collect()
}
