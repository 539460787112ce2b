//! Who holds a place of a License: whoever has a Seat that is bound, and whoever has an activation and no Seat.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Row, carries, count, instant, seen};
use crate::{
    domain::license::Uid,
    ledger::activations::{Question, Taken},
};

/// Holders of a place, among those whose document has not ended at the second `$2`. Of activations without a Seat only those of one workload's
/// slot have one holder: so they alone are counted by it, found by their own
/// index (`owner > ''`), and the many by themselves.
const COUNT: &str = "SELECT (SELECT COUNT(*) FROM bindings WHERE license = $1)
     + (SELECT COUNT(*) FROM activations WHERE license = $1 AND state IN ('active', 'quarantined') AND expires_at >= $2
        AND holder NOT IN (SELECT holder FROM bindings WHERE license = $1))
     - (SELECT COUNT(*) - COUNT(DISTINCT holder) FROM activations WHERE license = $1 AND owner > ''
        AND state IN ('active', 'quarantined') AND expires_at >= $2)";

/// When places of the License were given back. A pod that ends does so without being a transfer: who it is, Kubernetes says.
const TRANSFERS: &str =
    "SELECT ended_at FROM activations WHERE license = $1 AND state = 'deactivated' AND ended_at > $2
     AND $4 <> '' AND $5 = '' AND owner IS NULL ORDER BY ended_at DESC LIMIT $3";
/// When the holder gave places back.
const OWN_TRANSFERS: &str =
    "SELECT ended_at FROM activations WHERE license = $1 AND state = 'deactivated' AND ended_at > $2
     AND holder = $4 AND $5 <> '' ORDER BY ended_at DESC LIMIT $3";

/// When the holder's activations were superseded and it counted; of a person, those on the device.
const RECOVERIES: &str =
    "SELECT ended_at FROM activations WHERE license = $1 AND holder = $4 AND recovery AND ended_at > $2
     AND ($5 = '' OR fingerprint = $5) ORDER BY ended_at DESC LIMIT $3";

/// On how many devices a person's seat is active.
async fn devices(connection: &mut Connection, question: &Question<'_>) -> Result<u32, sqlx::Error> {
    if question.device.is_none() {
        return Ok(0);
    }
    let active = sqlx::query_scalar(
        "SELECT COUNT(*) FROM activations WHERE license = $1 AND holder = $2 AND state IN ('active', 'quarantined')
         AND expires_at >= $3",
    );
    let active = active.bind(&question.license.0).bind(question.holder).bind(question.now.as_second());
    count(active.fetch_one(connection).await?)
}

/// How many have ended and are not forgotten.
async fn ended(connection: &mut Connection, question: &Question<'_>) -> Result<i64, sqlx::Error> {
    let ended = sqlx::query_scalar(
        "SELECT COUNT(*) FROM (SELECT 1 FROM activations WHERE license = $1
         AND state IN ('deactivated', 'superseded', 'withdrawn') LIMIT $2) AS ended",
    );
    ended.bind(&question.license.0).bind(i64::from(question.ended_at_most)).fetch_one(connection).await
}

/// How many hold a place.
pub async fn held(connection: &mut Connection, license: &Uid, now: Timestamp) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(COUNT).bind(&license.0).bind(now.as_second()).fetch_one(connection).await
}

/// Whose document has ended gives the place back.
pub async fn lapse(connection: &mut Connection, license: &Uid, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE activations SET state = 'lapsed', version = version + 1
         WHERE license = $1 AND state IN ('active', 'quarantined') AND expires_at < $2",
    )
    .bind(&license.0)
    .bind(now.as_second())
    .execute(connection)
    .await?;
    Ok(())
}

/// The last instants, in order.
async fn instants(
    connection: &mut Connection,
    query: &'static str,
    question: &Question<'_>,
    after: Timestamp,
) -> Result<Vec<Timestamp>, sqlx::Error> {
    sqlx::query(query)
        .bind(&question.license.0)
        .bind(after.as_second())
        .bind(i64::from(question.at_most))
        .bind(question.holder)
        .bind(question.device.unwrap_or_default())
        .try_map(|row: Row| instant(row.try_get(0)?))
        .fetch_all(connection)
        .await
}

/// What is taken, as of one moment.
pub(super) async fn taken(
    connection: &mut Connection,
    question: &Question<'_>,
) -> Result<Taken, sqlx::Error> {
    let license = &question.license.0;
    let turn = sqlx::query_scalar("SELECT turn FROM licenses WHERE uid = $1").bind(license);
    let turn = turn.fetch_one(&mut *connection).await?;
    let seat = sqlx::query("SELECT features, suspended FROM bindings WHERE license = $1 AND holder = $2")
        .bind(license)
        .bind(question.holder)
        .try_map(|row: Row| carries(&row))
        .fetch_optional(&mut *connection)
        .await?;
    let former = sqlx::query(
        "SELECT * FROM activations WHERE license = $1 AND holder = $2 AND state IN ('active', 'quarantined', 'lapsed')
         AND ($3 = '' OR fingerprint = $3) ORDER BY ordinal DESC LIMIT 1",
    );
    let former = former
        .bind(license)
        .bind(question.holder)
        .bind(question.device.unwrap_or_default())
        .try_map(|row: Row| seen(&row))
        .fetch_optional(&mut *connection)
        .await?;
    Ok(Taken {
        turn,
        places: count(held(connection, question.license, question.now).await?)?,
        has_seat: seat.is_some(),
        carries: seat.unwrap_or_default(),
        devices: devices(connection, question).await?,
        transfers: instants(
            connection,
            if question.device.is_some() { OWN_TRANSFERS } else { TRANSFERS },
            question,
            question.transfers_after,
        )
        .await?,
        recovered: instants(connection, RECOVERIES, question, question.recoveries_after).await?,
        ended: count(ended(connection, question).await?)?,
        former,
    })
}
