//! Activation keys: made, and ended when the License does not have their names any more.

use super::{
    Connection,
    commit::{conflict_or_failed, failed},
};
use crate::{
    domain::license::Uid,
    ledger::{Change, CommitError, Terms},
};

/// Ends the keys whose names these terms do not have.
pub(super) async fn end(
    connection: &mut Connection,
    change: &Change,
    terms: &Terms,
) -> Result<(), CommitError> {
    let declared = terms.contract.iter().flat_map(|contract| &contract.license.activation_keys);
    let declared: Vec<&str> = declared.map(|key| key.name.as_str()).collect();
    let made: Vec<String> = sqlx::query_scalar("SELECT name FROM activation_keys WHERE license = $1")
        .bind(&change.license.0)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    for name in made.iter().filter(|name| !declared.contains(&name.as_str())) {
        sqlx::query("DELETE FROM activation_keys WHERE license = $1 AND name = $2")
            .bind(&change.license.0)
            .bind(name)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Keeps the hashes of keys that were made; nobody has activated by them yet.
pub(super) async fn made(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
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
pub(super) async fn forget(connection: &mut Connection, license: &Uid) -> Result<(), CommitError> {
    sqlx::query("DELETE FROM activation_keys WHERE license = $1")
        .bind(&license.0)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}
