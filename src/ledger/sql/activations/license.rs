//! Activations as the look at their License sees them.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Pool, Row, damaged, failed, instant};
use crate::{
    domain::license::Uid,
    ledger::{
        Change, CommitError,
        activations::{Activated, Holding, Keep, User},
    },
};

/// Those that hold a place of the License `$1` by themselves at the second `$2`.
macro_rules! holding {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM activations WHERE license = $1 AND state IN ('active', 'quarantined') AND expires_at >= $2
             AND holder NOT IN (SELECT holder FROM bindings WHERE license = $1) ",
            $rest
        )
    };
}

/// How many there are, and who of these is among their holders.
pub async fn holding(
    connection: &mut Connection,
    license: &Uid,
    among: &[String],
    now: Timestamp,
) -> Result<Holding, sqlx::Error> {
    let (places, first_end): (i64, Option<i64>) = sqlx::query_as(holding!(
        "COUNT(*) - (SELECT COUNT(*) - COUNT(DISTINCT holder) FROM activations WHERE license = $1 AND owner > ''
             AND state IN ('active', 'quarantined') AND expires_at >= $2), MIN(expires_at)",
        ""
    ))
        .bind(&license.0)
        .bind(now.as_second())
        .fetch_one(&mut *connection)
        .await?;
    let mut holders = Vec::new();
    for holder in among.iter().filter(|_| places > 0) {
        let there: Option<String> = sqlx::query_scalar(holding!("holder", "AND holder = $3 LIMIT 1"))
            .bind(&license.0)
            .bind(now.as_second())
            .bind(holder)
            .fetch_optional(&mut *connection)
            .await?;
        holders.extend(there);
    }
    let first_end = first_end.map(instant).transpose()?;
    Ok(Holding { places: usize::try_from(places).map_err(damaged)?, first_end, holders })
}

/// Those of the holders who began last.
pub async fn last_activated(
    connection: &mut Connection,
    license: &Uid,
    at_most: usize,
    now: Timestamp,
) -> Result<Vec<Activated>, sqlx::Error> {
    sqlx::query(concat!(
        holding!("id, holder", "AND holder IN ("),
        holding!("holder", "ORDER BY ordinal DESC LIMIT $3) ORDER BY ordinal DESC")
    ))
    .bind(&license.0)
    .bind(now.as_second())
    .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
    .try_map(|row: Row| Ok(Activated { id: row.try_get(0)?, holder: row.try_get(1)? }))
    .fetch_all(connection)
    .await
}

/// The people who hold its seats, after `after`.
pub async fn users(pool: &Pool, license: &Uid, after: i64, at_most: u32) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query(
        "SELECT ordinal, holder, issuer, subject FROM bindings WHERE license = $1 AND ordinal > $2 AND NOT suspended
         AND (holder LIKE 'email:%' OR holder LIKE 'identity:%') ORDER BY ordinal LIMIT $3",
    )
    .bind(&license.0)
    .bind(after)
    .bind(i64::from(at_most))
    .try_map(|row: Row| {
        let pinned: (Option<String>, Option<String>) = (row.try_get("issuer")?, row.try_get("subject")?);
        Ok(User {
            ordinal: row.try_get("ordinal")?,
            holder: row.try_get("holder")?,
            pinned: pinned.0.zip(pinned.1),
        })
    })
    .fetch_all(pool)
    .await
}

/// Those of which two copies are known.
pub async fn forked(connection: &mut Connection, license: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT DISTINCT id FROM forks JOIN activations ON id = activation
         WHERE license = $1 AND state IN ('active', 'quarantined') ORDER BY id",
    )
    .bind(license)
    .fetch_all(connection)
    .await
}

/// Ends those of the License `$1` that are meant by `$2`.
macro_rules! withdraw {
    ($which:literal) => {
        concat!(
            "UPDATE activations SET state = 'withdrawn', version = version + 1, ended_at = $3
             WHERE license = $1 AND state IN ('active', 'quarantined', 'lapsed') AND ",
            $which,
            " RETURNING id"
        )
    };
}

/// Ends what has lost its place: the activations of whoever loses a seat, those of the person to whom a Seat that was deleted was pinned,
/// and those that the change names. Returns them.
pub async fn withdrawn(connection: &mut Connection, change: &Change) -> Result<Vec<String>, CommitError> {
    const OF_SEAT: &str =
        withdraw!("holder IN (SELECT holder FROM bindings WHERE license = $1 AND seat = $2)");
    const OF_PERSON: &str = withdraw!(
        "holder IN (SELECT holder FROM bindings WHERE license = $1 AND seat = $2 AND issuer IS NOT NULL)"
    );
    const NAMED: &str = withdraw!("id = $2");
    let seats = change.free.iter().map(|seat| (OF_SEAT, seat.0.as_str()));
    let deleted = change.moved.iter().map(|(from, _)| (OF_PERSON, from.0.as_str()));
    let named = change.end.iter().map(|id| (NAMED, id.as_str()));
    let mut ended = Vec::new();
    for (query, of) in seats.chain(deleted).chain(named) {
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

/// Forgets those that are not to be kept.
pub async fn forget_ended(
    connection: &mut Connection,
    license: &Uid,
    keep: Keep,
    at_most: u32,
) -> Result<usize, sqlx::Error> {
    let ended: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM activations WHERE license = $1 AND ((ended_at IS NULL AND expires_at < $2)
         OR (ended_at < $3 AND expires_at < $3 AND (NOT recovery OR ended_at < $4))) LIMIT $5",
    )
    .bind(&license.0)
    .bind(keep.silent_since.as_second())
    .bind(keep.ended_since.as_second())
    .bind(keep.recovered_since.as_second())
    .bind(i64::from(at_most))
    .fetch_all(&mut *connection)
    .await?;
    for id in &ended {
        for query in [
            "DELETE FROM sessions WHERE activation = $1",
            "DELETE FROM forks WHERE activation = $1",
            "DELETE FROM activations WHERE id = $1",
        ] {
            sqlx::query(query).bind(id).execute(&mut *connection).await?;
        }
    }
    Ok(ended.len())
}

/// The License is gone.
pub async fn forget(connection: &mut Connection, license: &Uid) -> Result<(), CommitError> {
    for query in [
        "DELETE FROM sessions WHERE license = $1",
        "DELETE FROM forks WHERE activation IN (SELECT id FROM activations WHERE license = $1)",
        "DELETE FROM activations WHERE license = $1",
        "DELETE FROM asking WHERE license = $1",
    ] {
        sqlx::query(query).bind(&license.0).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}
