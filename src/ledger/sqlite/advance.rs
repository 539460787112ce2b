//! Activations that go on, one statement each: there is nobody to wait for between two.

use sqlx::SqliteConnection;

use crate::ledger::activations::Advancing;

/// Writes each that still has its version. Returns which have been written, by their places.
pub(super) async fn advance(
    connection: &mut SqliteConnection,
    all: &[Advancing<'_>],
) -> Result<Vec<bool>, sqlx::Error> {
    let mut written = Vec::with_capacity(all.len());
    for one in all {
        let advanced = sqlx::query(
            "UPDATE activations SET state = $3, chain = $4, answer = COALESCE($5, answer), expires_at = $6, ended_at = $7,
                    recovery = $8, pod = COALESCE($9, pod), heard_at = COALESCE($10, heard_at), version = version + 1
             WHERE id = $1 AND version = $2",
        )
        .bind(one.id)
        .bind(one.version)
        .bind(one.state)
        .bind(&one.chain)
        .bind(one.answer)
        .bind(one.expires_at)
        .bind(one.ended_at)
        .bind(one.recovery)
        .bind(one.pod)
        .bind(one.heard_at)
        .execute(&mut *connection)
        .await?;
        written.push(advanced.rows_affected() == 1);
    }
    Ok(written)
}
