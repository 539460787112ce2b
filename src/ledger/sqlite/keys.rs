//! Activation keys: made, and ended when the License does not have their names any more.

use sqlx::SqliteConnection;

use super::commit::{conflict_or_failed, failed};
use crate::{
    domain::license::Uid,
    ledger::{Change, CommitError, Terms},
};

/// Ends the keys whose names these terms do not have.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    change: &Change,
    terms: &Terms,
) -> Result<(), CommitError> {
    let declared = terms.contract.iter().flat_map(|contract| &contract.license.activation_keys);
    let names: Vec<&str> = declared.map(|key| key.name.as_str()).collect();
    let names =
        serde_json::to_string(&names).map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
    sqlx::query(
        "DELETE FROM activation_keys WHERE license = $1 AND name NOT IN (SELECT value FROM json_each($2))",
    )
    .bind(&change.license.0)
    .bind(names)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Keeps the hashes of keys that were made; nobody has activated by them yet.
pub(super) async fn made(connection: &mut SqliteConnection, change: &Change) -> Result<(), CommitError> {
    for (name, hash) in &change.keys {
        sqlx::query(
            "INSERT INTO activation_keys (license, name, hash) VALUES ($1, $2, $3)
             ON CONFLICT (license, name) DO UPDATE SET hash = excluded.hash, used = 0",
        )
        .bind(&change.license.0)
        .bind(name)
        .bind(hash)
        .execute(&mut *connection)
        .await
        .map_err(conflict_or_failed)?;
    }
    Ok(())
}

/// The License is gone.
pub(super) async fn forget(connection: &mut SqliteConnection, license: &Uid) -> Result<(), CommitError> {
    sqlx::query("DELETE FROM activation_keys WHERE license = $1")
        .bind(&license.0)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}
