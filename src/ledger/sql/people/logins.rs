//! Where somebody is signed in.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Pool, Row, SWEPT, damaged, instant, principal, proven_at};
use crate::ledger::people::{Begun, LOGINS, Login, SignedIn};

fn login(row: &Row) -> Result<Login, sqlx::Error> {
    Ok(Login {
        id: row.try_get("id")?,
        issuer: row.try_get::<String, _>("issuer")?.parse().map_err(damaged)?,
        subject: row.try_get::<String, _>("subject")?.parse().map_err(damaged)?,
        device: row.try_get("device")?,
        family: row.try_get("family")?,
        current: row.try_get("current")?,
        sibling: row.try_get("sibling")?,
        previous: row.try_get("previous")?,
        late: match row.try_get::<Option<String>, _>("late")? {
            Some(late) => Some((late, instant(row.try_get("late_until")?)?)),
            None => None,
        },
        access: row.try_get("access")?,
        access_until: instant(row.try_get("access_until")?)?,
        since: instant(row.try_get("since")?)?,
        used_at: instant(row.try_get("used_at")?)?,
        ends_at: instant(row.try_get("ends_at")?)?,
        again: row.try_get("again")?,
        asked_at: instant(row.try_get("asked_at")?)?,
        in_doubt: row.try_get("in_doubt")?,
        jkt: row.try_get("jkt")?,
        version: row.try_get("version")?,
    })
}

/// Who is signed in where `$1` says so, at the second `$2`.
const BY_FAMILY: &str =
    "SELECT logins.*, provider, name, email, no_email, member_of, proven_at, denied FROM logins
     JOIN principals ON principals.issuer = logins.issuer AND principals.subject = logins.subject
     WHERE family = $1 AND ends_at > $2 AND incarnation = (SELECT incarnation FROM ledger_meta)";
const BY_ACCESS: &str = "SELECT logins.*, provider, name, email, no_email, member_of, proven_at, denied FROM logins
     JOIN principals ON principals.issuer = logins.issuer AND principals.subject = logins.subject
     WHERE access = $1 AND access_until >= $2 AND ends_at > $2 AND incarnation = (SELECT incarnation FROM ledger_meta)";

/// Where else the person of `$1` and `$2` is signed in than `$3`, at the second `$4`.
const ELSEWHERE: &str =
    "SELECT logins.*, provider, name, email, no_email, member_of, proven_at, denied FROM logins
     JOIN principals ON principals.issuer = logins.issuer AND principals.subject = logins.subject
     WHERE logins.issuer = $1 AND logins.subject = $2 AND id <> $3 AND again IS NOT NULL AND ends_at > $4
     AND incarnation = (SELECT incarnation FROM ledger_meta) ORDER BY used_at DESC, id LIMIT $5";

fn signed_in(row: &Row) -> Result<SignedIn, sqlx::Error> {
    Ok(SignedIn { principal: principal(row)?, proven_at: proven_at(row)?, login: login(row)? })
}

pub(super) async fn elsewhere(
    pool: &Pool,
    login: &Login,
    now: Timestamp,
    at_most: u32,
) -> Result<Vec<SignedIn>, sqlx::Error> {
    sqlx::query(ELSEWHERE)
        .bind(login.issuer.as_str())
        .bind(login.subject.as_str())
        .bind(&login.id)
        .bind(now.as_second())
        .bind(i64::from(at_most))
        .try_map(|row: Row| signed_in(&row))
        .fetch_all(pool)
        .await
}

async fn find(
    pool: &Pool,
    query: &'static str,
    hash: &str,
    now: Timestamp,
) -> Result<Option<SignedIn>, sqlx::Error> {
    sqlx::query(query)
        .bind(hash)
        .bind(now.as_second())
        .try_map(|row: Row| signed_in(&row))
        .fetch_optional(pool)
        .await
}

pub(super) async fn by_family(
    pool: &Pool,
    family: &str,
    now: Timestamp,
) -> Result<Option<SignedIn>, sqlx::Error> {
    find(pool, BY_FAMILY, family, now).await
}

pub(super) async fn by_access(
    pool: &Pool,
    access: &str,
    now: Timestamp,
) -> Result<Option<SignedIn>, sqlx::Error> {
    find(pool, BY_ACCESS, access, now).await
}

/// Spends the code, and begins. What is not [`Begun::Now`] has changed nothing.
pub(super) async fn begin(
    connection: &mut Connection,
    code: &str,
    login: &Login,
) -> Result<Begun, sqlx::Error> {
    let spent = sqlx::query(
        "UPDATE passes SET spent_by = $2 WHERE hash = $1 AND spent_by IS NULL AND expires_at >= $3",
    )
    .bind(code)
    .bind(&login.id)
    .bind(login.since.as_second())
    .execute(&mut *connection)
    .await?;
    if spent.rows_affected() == 0 {
        let before: Option<Option<String>> =
            sqlx::query_scalar("SELECT spent_by FROM passes WHERE hash = $1")
                .bind(code)
                .fetch_optional(connection)
                .await?;
        return Ok(before.flatten().map_or(Begun::Unknown, Begun::Before));
    }
    sweep(connection, login).await?;
    sqlx::query(
        "INSERT INTO logins (id, issuer, subject, device, family, current, access, access_until, since, used_at, ends_at,
                             again, asked_at, in_doubt, version, jkt, incarnation)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, incarnation FROM ledger_meta",
    )
    .bind(&login.id)
    .bind(login.issuer.as_str())
    .bind(login.subject.as_str())
    .bind(&login.device)
    .bind(&login.family)
    .bind(&login.current)
    .bind(&login.access)
    .bind(login.access_until.as_second())
    .bind(login.since.as_second())
    .bind(login.used_at.as_second())
    .bind(login.ends_at.as_second())
    .bind(&login.again)
    .bind(login.asked_at.as_second())
    .bind(login.in_doubt)
    .bind(login.version)
    .bind(&login.jkt)
    .execute(connection)
    .await?;
    Ok(Begun::Now)
}

/// Some of those that are over go, and the person's oldest of its kind if this is one too many: whoever opens browser after browser is signed out on no
/// device by that. (A browser's login has no access token.)
async fn sweep(connection: &mut Connection, login: &Login) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)",
    )
    .bind(login.since.as_second())
    .bind(i64::from(SWEPT))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM logins WHERE issuer = $1 AND subject = $2 AND (access_until > since) = $4 AND id NOT IN
         (SELECT id FROM logins WHERE issuer = $1 AND subject = $2 AND (access_until > since) = $4
          ORDER BY used_at DESC, id LIMIT $3)",
    )
    .bind(login.issuer.as_str())
    .bind(login.subject.as_str())
    .bind(i64::from(LOGINS - 1))
    .bind(login.access_until > login.since)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether it went on: nobody else was faster, and it is not over.
pub(super) async fn go_on(connection: &mut Connection, login: &Login) -> Result<bool, sqlx::Error> {
    let gone_on = sqlx::query(
        "UPDATE logins SET current = $3, previous = $4, access = $5, access_until = $6, used_at = $7, ends_at = $8,
                sibling = $9, late = $10, late_until = $11, version = version + 1
         WHERE id = $1 AND version = $2",
    )
    .bind(&login.id)
    .bind(login.version)
    .bind(&login.current)
    .bind(&login.previous)
    .bind(&login.access)
    .bind(login.access_until.as_second())
    .bind(login.used_at.as_second())
    .bind(login.ends_at.as_second())
    .bind(&login.sibling)
    .bind(login.late.as_ref().map(|(token, _)| token))
    .bind(login.late.as_ref().map_or(0, |(_, until)| until.as_second()))
    .execute(connection)
    .await?;
    Ok(gone_on.rows_affected() == 1)
}
