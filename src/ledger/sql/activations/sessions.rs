//! Sessions: one use of one, in a transaction that others share.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;

use super::{Connection, Row, contract, count, failed, instant, state};
use crate::{
    domain::{
        license::{License, Uid},
        sessions::{self, Counted, NAMED},
    },
    ledger::{
        CommitError,
        activations::Step,
        sessions::{OpenSessions, REMEMBERED, Session, Use, Used},
    },
};

/// The sessions of the License `$1` that are open at the second `$2`.
macro_rules! open {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM sessions JOIN activations ON activations.id = sessions.activation
             JOIN licenses ON licenses.uid = sessions.license
             WHERE sessions.license = $1 AND sessions.expires_at >= $2 AND sessions.expires_at >= sessions_clock
             AND NOT closed AND sessions.turn >= sessions_from AND activations.state IN ('active', 'quarantined') ",
            $rest
        )
    };
}

/// So many that have ended are swept with each that is opened: more than one, so they never become more than they were.
const SWEPT: i64 = 4;

/// Does what `step` says to a session.
pub(super) async fn used(
    connection: &mut Connection,
    step: &Step,
    session: &Use,
) -> Result<Used, CommitError> {
    match session {
        Use::Open { id, activation, request } => open(connection, step, id, activation, request).await,
        Use::Keep { id, until } => keep(connection, id, *until, step.at).await.map_err(failed),
        Use::Close { id } => close(connection, id, step.at).await.map_err(failed),
    }
}

async fn open(
    connection: &mut Connection,
    step: &Step,
    id: &str,
    activation: &str,
    request: &str,
) -> Result<Used, CommitError> {
    // Who opens sessions of one License comes one after the other from here on.
    let (license, turn, now) =
        counting(connection, step).await.map_err(failed)?.ok_or(CommitError::Conflict)?;
    if let Some(former) = former(connection, id, request, now).await.map_err(failed)? {
        return Ok(former);
    }
    let holder = allowed(connection, &license, activation, step.at).await?;
    let counted = counted(connection, &step.license, &holder, now).await.map_err(failed)?;
    let beyond = match sessions::open(&license.terms.sessions, license.enforcement, counted) {
        Ok(beyond) => beyond,
        Err(reached) => {
            let own = (reached.whose == sessions::Whose::Holder).then_some(&*holder);
            let oldest = oldest(connection, &step.license, own, now).await.map_err(failed)?;
            return Ok(Used::Refused { reached, oldest });
        }
    };
    let until = sessions::until(&license.terms.sessions, now);
    let session = Session { id: id.to_owned(), since: now, until, over: beyond };
    sqlx::query(
        "INSERT INTO sessions (id, license, activation, request, turn, since, expires_at, closed, beyond)
         VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8)",
    )
    .bind(id)
    .bind(&step.license.0)
    .bind(activation)
    .bind(request)
    .bind(turn)
    .bind(now.as_second())
    .bind(until.as_second())
    .bind(beyond)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sweep(connection, step.at).await.map_err(failed)?;
    Ok(Used::Open { session, new: true })
}

/// What the License says now, its turn, and the instant at which its sessions are counted: a whole second, as it is kept, and never before one
/// at which they were counted earlier.
async fn counting(
    connection: &mut Connection,
    step: &Step,
) -> Result<Option<(License, i64, Timestamp)>, sqlx::Error> {
    let counting = sqlx::query(
        "UPDATE licenses SET sessions_clock = CASE WHEN sessions_clock < $2 THEN $2 ELSE sessions_clock END
         WHERE uid = $1 RETURNING contract, turn, sessions_clock",
    )
    .bind(&step.license.0)
    .bind(step.at.as_second())
    .try_map(|row: Row| {
        let (turn, clock) = (row.try_get("turn")?, instant(row.try_get("sessions_clock")?)?);
        Ok(contract(&row)?.map(|contract| (contract.license, turn, clock)))
    })
    .fetch_optional(connection)
    .await?;
    Ok(counting.flatten())
}

/// What the same key has come to already.
async fn former(
    connection: &mut Connection,
    id: &str,
    request: &str,
    now: Timestamp,
) -> Result<Option<Used>, sqlx::Error> {
    let former: Option<String> = sqlx::query_scalar("SELECT request FROM sessions WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match former {
        None => Ok(None),
        Some(former) if former != request => Ok(Some(Used::OtherRequest)),
        // Its last instant stays what it is.
        Some(_) => keep(connection, id, Timestamp::MIN, now).await.map(Some),
    }
}

/// Whose session it would be, if the activation may open one. If not, whoever decided has not seen why: they look again.
async fn allowed(
    connection: &mut Connection,
    license: &License,
    activation: &str,
    now: Timestamp,
) -> Result<String, CommitError> {
    let found = sqlx::query("SELECT holder, state, expires_at FROM activations WHERE id = $1")
        .bind(activation)
        .try_map(|row: Row| {
            let state = state::of(&row)?;
            Ok((row.try_get::<String, _>("holder")?, state, instant(row.try_get("expires_at")?)?))
        })
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    let (holder, state, expires_at) = found.ok_or(CommitError::Conflict)?;
    sessions::may_open(license, state, expires_at, now).map_err(|_| CommitError::Conflict)?;
    Ok(holder)
}

async fn counted(
    connection: &mut Connection,
    license: &Uid,
    holder: &str,
    now: Timestamp,
) -> Result<Counted, sqlx::Error> {
    const COUNTED: &str =
        open!("COUNT(*), COALESCE(SUM(CASE WHEN activations.holder = $3 THEN 1 ELSE 0 END), 0)", "");
    let (total, own): (i64, i64) = sqlx::query_as(COUNTED)
        .bind(&license.0)
        .bind(now.as_second())
        .bind(holder)
        .fetch_one(connection)
        .await?;
    Ok(Counted { own: count(own)?, total: count(total)? })
}

/// Those that were opened first, of a holder or of all.
async fn oldest(
    connection: &mut Connection,
    license: &Uid,
    holder: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
    const OLDEST: &str = open!(
        "device, sessions.since",
        "AND activations.holder = COALESCE($3, activations.holder) ORDER BY sessions.since, sessions.id LIMIT $4"
    );
    sqlx::query(OLDEST)
        .bind(&license.0)
        .bind(now.as_second())
        .bind(holder)
        .bind(i64::from(NAMED))
        .try_map(|row: Row| Ok((row.try_get(0)?, instant(row.try_get(1)?)?)))
        .fetch_all(connection)
        .await
}

/// The many: one statement, which does it or nothing. The last instant never moves back.
async fn keep(
    connection: &mut Connection,
    id: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Used, sqlx::Error> {
    let kept = sqlx::query(
        "UPDATE sessions SET expires_at = CASE WHEN expires_at < $2 THEN $2 ELSE expires_at END
         WHERE id = $1 AND expires_at >= $3 AND NOT closed AND EXISTS (
             SELECT 1 FROM licenses JOIN activations ON activations.license = licenses.uid
             WHERE activations.id = sessions.activation AND state IN ('active', 'quarantined')
             AND sessions.expires_at >= sessions_clock AND sessions.turn >= sessions_from
         ) RETURNING since, expires_at, beyond",
    )
    .bind(id)
    .bind(until.as_second())
    .bind(now.as_second())
    .try_map(|row: Row| {
        Ok(Session {
            id: id.to_owned(),
            since: instant(row.try_get("since")?)?,
            until: instant(row.try_get("expires_at")?)?,
            over: row.try_get("beyond")?,
        })
    })
    .fetch_optional(connection)
    .await?;
    Ok(kept.map_or(Used::Ended, |session| Used::Open { session, new: false }))
}

async fn close(connection: &mut Connection, id: &str, now: Timestamp) -> Result<Used, sqlx::Error> {
    let remembered = now.checked_add(SignedDuration::from_secs(REMEMBERED)).unwrap_or(Timestamp::MAX);
    let closed = sqlx::query(
        "UPDATE sessions SET closed = TRUE, expires_at = CASE WHEN expires_at > $2 THEN $2 ELSE expires_at END
         WHERE id = $1 AND NOT closed",
    )
    .bind(id)
    .bind(remembered.as_second())
    .execute(connection)
    .await?;
    Ok(if closed.rows_affected() == 1 { Used::Closed } else { Used::Ended })
}

/// Takes some out whose last instant has passed, of whatever License.
async fn sweep(connection: &mut Connection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
    )
    .bind(now.as_second())
    .bind(SWEPT)
    .execute(connection)
    .await?;
    Ok(())
}

/// The sessions of a License that are open.
pub(super) async fn of_license(
    connection: &mut Connection,
    license: &Uid,
    now: Timestamp,
) -> Result<OpenSessions, sqlx::Error> {
    const OPEN: &str =
        open!("COUNT(*), COALESCE(SUM(CASE WHEN beyond THEN 1 ELSE 0 END), 0), MIN(sessions.expires_at)", "");
    sqlx::query(OPEN)
        .bind(&license.0)
        .bind(now.as_second())
        .try_map(|row: Row| {
            Ok(OpenSessions {
                open: count(row.try_get(0)?)?,
                over: count(row.try_get(1)?)?,
                next_end: row.try_get::<Option<i64>, _>(2)?.map(instant).transpose()?,
            })
        })
        .fetch_one(connection)
        .await
}
