//! Whose a Secret is: claims, in the transaction of the change that makes them.

use super::{Connection, commit::failed};
use crate::{
    domain::license::Uid,
    ledger::{Change, CommitError},
};

/// Settles, releases, then claims. Returns the names that are somebody else's.
pub(super) async fn secrets(
    connection: &mut Connection,
    change: &Change,
) -> Result<Vec<String>, CommitError> {
    let namespace = &change.key.namespace;
    for name in &change.settle {
        settle(connection, change, namespace, name).await?;
    }
    for name in &change.release {
        release(connection, change, namespace, name).await?;
    }
    let mut refused = Vec::new();
    for (name, subject) in &change.claim {
        if !claim(connection, change, (namespace, name), subject).await? {
            refused.push(name.clone());
        }
    }
    Ok(refused)
}

/// The same of copies, which hold the License's own document.
pub(super) async fn copies(connection: &mut Connection, change: &Change) -> Result<Vec<String>, CommitError> {
    for copy in &change.copies.settle {
        settle(connection, change, &copy.namespace, &copy.name).await?;
    }
    for copy in &change.copies.release {
        release(connection, change, &copy.namespace, &copy.name).await?;
    }
    let mut refused = Vec::new();
    for copy in &change.copies.claim {
        if !claim(connection, change, (&copy.namespace, &copy.name), &change.license).await? {
            refused.push(copy.to_string());
        }
    }
    Ok(refused)
}

async fn settle(
    connection: &mut Connection,
    change: &Change,
    namespace: &str,
    name: &str,
) -> Result<(), CommitError> {
    sqlx::query("DELETE FROM secrets WHERE namespace = $1 AND name = $2 AND license = $3 AND removing")
        .bind(namespace)
        .bind(name)
        .bind(&change.license.0)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn release(
    connection: &mut Connection,
    change: &Change,
    namespace: &str,
    name: &str,
) -> Result<(), CommitError> {
    sqlx::query("UPDATE secrets SET removing = TRUE WHERE namespace = $1 AND name = $2 AND license = $3")
        .bind(namespace)
        .bind(name)
        .bind(&change.license.0)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether the name is ours now.
async fn claim(
    connection: &mut Connection,
    change: &Change,
    (namespace, name): (&str, &str),
    subject: &Uid,
) -> Result<bool, CommitError> {
    let claimed = sqlx::query(
        "INSERT INTO secrets (namespace, name, subject, license, removing) VALUES ($1, $2, $3, $4, FALSE)
         ON CONFLICT (namespace, name) DO UPDATE SET removing = FALSE
         WHERE secrets.subject = excluded.subject AND secrets.license = excluded.license",
    )
    .bind(namespace)
    .bind(name)
    .bind(&subject.0)
    .bind(&change.license.0)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(claimed.rows_affected() != 0)
}
