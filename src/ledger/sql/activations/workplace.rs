//! What workloads hold.

use sqlx::Row as _;

use super::{Connection, Row, contract, count, seen};
use crate::{
    domain::{
        license::{Key, Uid},
        workload::Slot,
    },
    ledger::activations::{Slotted, Workplace},
};

/// The slot of an activation, if a workload has made it.
pub(super) fn slotted(row: &Row) -> Result<Option<Slotted>, sqlx::Error> {
    let Some(owner) = row.try_get::<Option<String>, _>("owner")? else { return Ok(None) };
    let slot = Slot::try_from(row.try_get::<String, _>("slot")?);
    let slot = slot.map_err(|why| sqlx::Error::Decode(why.into()))?;
    Ok(Some(Slotted { owner, slot, pod: Uid(row.try_get("pod")?) }))
}

/// The License of this name, and what `owner` holds of it.
pub(super) async fn workplace(
    connection: &mut Connection,
    license: &Key,
    owner: &str,
) -> Result<Option<Workplace>, sqlx::Error> {
    // A License that was made again has a row beside the former one's until that is gone; what the former has begun ends with it.
    let found = sqlx::query(
        "SELECT uid, contract, turn, (SELECT incarnation FROM ledger_meta) AS incarnation
         FROM licenses WHERE namespace = $1 AND name = $2 ORDER BY contract IS NULL, uid LIMIT 1",
    )
    .bind(&license.namespace)
    .bind(&license.name)
    .try_map(|row: Row| {
        Ok(Workplace {
            license: Uid(row.try_get("uid")?),
            contract: contract(&row)?,
            turn: row.try_get("turn")?,
            incarnation: count(row.try_get("incarnation")?)?,
            held: Vec::new(),
        })
    })
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let held = sqlx::query(
        "SELECT * FROM activations WHERE license = $1 AND owner = $2 AND state IN ('active', 'quarantined', 'lapsed')
         ORDER BY ordinal",
    )
    .bind(&found.license.0)
    .bind(owner)
    .try_map(|row: Row| seen(&row))
    .fetch_all(connection)
    .await?;
    Ok(Some(Workplace { held, ..found }))
}
