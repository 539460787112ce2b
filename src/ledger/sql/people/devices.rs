//! Devices that wait until somebody has signed in for them elsewhere.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Pool, Row, SWEPT, damaged, instant, passes};
use crate::{
    domain::device::{Answer, NotYet, PAUSE, REMEMBERED, Wait},
    ledger::people::{Pass, WAITING, Waiting},
};

const NOTHING: &str = "None";
const YES: &str = "Yes";
const NO: &str = "No";

pub(super) async fn wait(
    connection: &mut Connection,
    waiting: &Waiting,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "DELETE FROM device_codes WHERE hash IN (SELECT hash FROM device_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.as_second().saturating_sub(REMEMBERED))
    .bind(i64::from(SWEPT))
    .execute(&mut *connection)
    .await?;
    let waits = sqlx::query(
        "INSERT INTO device_codes (hash, user_code, device, answer, pause, expires_at)
         SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT COUNT(*) FROM device_codes) < $7 ON CONFLICT DO NOTHING",
    )
    .bind(&waiting.hash)
    .bind(&waiting.user_code)
    .bind(&waiting.device)
    .bind(NOTHING)
    .bind(PAUSE)
    .bind(waiting.until.as_second())
    .bind(i64::from(WAITING))
    .execute(connection)
    .await?;
    Ok(waits.rows_affected() == 1)
}

pub(super) async fn waiting(
    pool: &Pool,
    user_code: &str,
    now: Timestamp,
) -> Result<Option<Waiting>, sqlx::Error> {
    sqlx::query(
        "SELECT hash, user_code, device, expires_at FROM device_codes
         WHERE user_code = $1 AND expires_at >= $2 AND answer = $3",
    )
    .bind(user_code)
    .bind(now.as_second())
    .bind(NOTHING)
    .try_map(|row: Row| {
        Ok(Waiting {
            hash: row.try_get("hash")?,
            user_code: row.try_get("user_code")?,
            device: row.try_get("device")?,
            until: instant(row.try_get("expires_at")?)?,
        })
    })
    .fetch_optional(pool)
    .await
}

/// Whether it was answered. If not, what was done is to be left undone.
pub(super) async fn answer(
    connection: &mut Connection,
    hash: &str,
    yes: Option<&Pass>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let answered = sqlx::query(
        "UPDATE device_codes SET answer = $2 WHERE hash = $1 AND expires_at >= $3 AND answer = $4",
    )
    .bind(hash)
    .bind(if yes.is_some() { YES } else { NO })
    .bind(now.as_second())
    .bind(NOTHING)
    .execute(&mut *connection)
    .await?;
    match yes {
        _ if answered.rows_affected() == 0 => Ok(false),
        Some(pass) => passes::keep(connection, pass, None, now).await,
        None => Ok(true),
    }
}

pub(super) async fn ask(
    connection: &mut Connection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Result<(), NotYet>>, sqlx::Error> {
    let wait = sqlx::query("SELECT answer, asked_at, pause, expires_at FROM device_codes WHERE hash = $1")
        .bind(hash)
        .try_map(|row: Row| wait_of(&row))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(wait) = wait else { return Ok(None) };
    let (told, next) = wait.asked(now);
    sqlx::query("UPDATE device_codes SET asked_at = $2, pause = $3 WHERE hash = $1")
        .bind(hash)
        .bind(next.asked_at.map(Timestamp::as_second))
        .bind(next.pause)
        .execute(connection)
        .await?;
    Ok(Some(told))
}

fn wait_of(row: &Row) -> Result<Wait, sqlx::Error> {
    let asked_at: Option<i64> = row.try_get("asked_at")?;
    Ok(Wait {
        answer: match row.try_get::<&str, _>("answer")? {
            NOTHING => Answer::None,
            YES => Answer::Yes,
            NO => Answer::No,
            other => return Err(damaged(std::io::Error::other(format!("no answer of a person: {other}")))),
        },
        asked_at: asked_at.map(instant).transpose()?,
        pause: row.try_get("pause")?,
        until: instant(row.try_get("expires_at")?)?,
    })
}
