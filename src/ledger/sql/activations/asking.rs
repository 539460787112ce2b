//! Devices that asked, and are not named.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Pool, Row, damaged, instant};
use crate::{
    domain::{license::Uid, text::DeviceName},
    ledger::activations::asking::{ASKING, Asking, PAUSE},
};

/// Remembers them, and of each License no more than there are to be.
pub async fn note(connection: &mut Connection, asking: &[Asking]) -> Result<(), sqlx::Error> {
    for one in asking {
        let written = sqlx::query(
            "INSERT INTO asking (license, device, name, asked_at) SELECT uid, $2, $3, $4 FROM licenses WHERE uid = $1
             ON CONFLICT (license, device) DO UPDATE SET name = excluded.name, asked_at = excluded.asked_at
             WHERE asking.asked_at <= excluded.asked_at - $5",
        )
        .bind(&one.license.0)
        .bind(one.device.as_str())
        .bind(one.name.as_ref().map(DeviceName::as_str))
        .bind(one.at.as_second())
        .bind(PAUSE)
        .execute(&mut *connection)
        .await?;
        if written.rows_affected() > 0 {
            sqlx::query(
                "DELETE FROM asking WHERE license = $1 AND device NOT IN
                 (SELECT device FROM asking WHERE license = $1 ORDER BY asked_at DESC, device LIMIT $2)",
            )
            .bind(&one.license.0)
            .bind(i64::from(ASKING))
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

/// Those of a License that asked since then.
pub async fn since(pool: &Pool, license: &Uid, since: Timestamp) -> Result<Vec<Asking>, sqlx::Error> {
    sqlx::query("SELECT * FROM asking WHERE license = $1 AND asked_at >= $2 ORDER BY asked_at DESC, device")
        .bind(&license.0)
        .bind(since.as_second())
        .try_map(|row: Row| {
            let name: Option<String> = row.try_get("name")?;
            Ok(Asking {
                license: Uid(row.try_get("license")?),
                device: row.try_get::<String, _>("device")?.parse().map_err(damaged)?,
                name: name.map(|name| name.parse()).transpose().map_err(damaged)?,
                at: instant(row.try_get("asked_at")?)?,
            })
        })
        .fetch_all(pool)
        .await
}
