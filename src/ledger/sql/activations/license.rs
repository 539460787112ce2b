//! Activations as the look at their License sees them.

use sqlx::Row as _;

use super::{Connection, Row, failed, instant};
use crate::{
    domain::license::Uid,
    ledger::{Activated, Change, CommitError},
};

/// Those that hold a place by themselves, and those of which two copies are known.
pub async fn of_license(
    connection: &mut Connection,
    license: &str,
) -> Result<(Vec<Activated>, Vec<String>), sqlx::Error> {
    let activated = sqlx::query(
        "SELECT id, holder, expires_at FROM activations WHERE license = $1 AND state IN ('active', 'quarantined')
         AND holder NOT IN (SELECT holder FROM bindings WHERE license = $1) ORDER BY ordinal",
    )
    .bind(license)
    .try_map(|row: Row| {
        Ok(Activated { id: row.try_get(0)?, holder: row.try_get(1)?, expires_at: instant(row.try_get(2)?)? })
    })
    .fetch_all(&mut *connection)
    .await?;
    let forked = sqlx::query_scalar(
        "SELECT DISTINCT id FROM forks JOIN activations ON id = activation
         WHERE license = $1 AND state IN ('active', 'quarantined') ORDER BY id",
    )
    .bind(license)
    .fetch_all(connection)
    .await?;
    Ok((activated, forked))
}

/// Ends what has lost its place: the activations of whoever loses a seat, and those that the change names. Returns them.
pub async fn withdrawn(connection: &mut Connection, change: &Change) -> Result<Vec<String>, CommitError> {
    const OF_SEAT: &str = "UPDATE activations SET state = 'withdrawn', version = version + 1, ended_at = $3
         WHERE license = $1 AND state IN ('active', 'quarantined', 'lapsed')
         AND holder IN (SELECT holder FROM bindings WHERE license = $1 AND seat = $2) RETURNING id";
    const NAMED: &str = "UPDATE activations SET state = 'withdrawn', version = version + 1, ended_at = $3
         WHERE license = $1 AND state IN ('active', 'quarantined', 'lapsed') AND id = $2 RETURNING id";
    let seats = change.free.iter().map(|seat| (OF_SEAT, seat.0.as_str()));
    let named = change.end.iter().map(|id| (NAMED, id.as_str()));
    let mut ended = Vec::new();
    for (query, of) in seats.chain(named) {
        let these: Vec<String> = sqlx::query_scalar(query)
            .bind(&change.license.0)
            .bind(of)
            .bind(change.at.as_second())
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        ended.extend(these);
    }
    Ok(ended)
}

/// The License is gone.
pub async fn forget(connection: &mut Connection, license: &Uid) -> Result<(), CommitError> {
    for query in [
        "DELETE FROM sessions WHERE license = $1",
        "DELETE FROM forks WHERE activation IN (SELECT id FROM activations WHERE license = $1)",
        "DELETE FROM activations WHERE license = $1",
    ] {
        sqlx::query(query).bind(&license.0).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}
