//! What providers say, asked again, of whoever is signed in.

use jiff::Timestamp;

use super::{Connection, Pool};
use crate::{domain::text::ProviderIssuer, ledger::people::Login};

/// Whether it is for the caller to ask: nobody was faster, and the login is not over.
pub(super) async fn ask(
    connection: &mut Connection,
    login: &Login,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let asks =
        sqlx::query("UPDATE logins SET asked_at = $3, in_doubt = TRUE WHERE id = $1 AND asked_at = $2")
            .bind(&login.id)
            .bind(login.asked_at.as_second())
            .bind(now.as_second())
            .execute(connection)
            .await?;
    Ok(asks.rows_affected() == 1)
}

/// Whether there was anybody to be told of.
pub(super) async fn told(connection: &mut Connection, login: &Login) -> Result<bool, sqlx::Error> {
    let told = sqlx::query("UPDATE logins SET again = $3, in_doubt = $4 WHERE id = $1 AND asked_at = $2")
        .bind(&login.id)
        .bind(login.asked_at.as_second())
        .bind(&login.again)
        .bind(login.in_doubt)
        .execute(connection)
        .await?;
    Ok(told.rows_affected() == 1)
}

pub(super) async fn unasked(
    connection: &mut Connection,
    login: &Login,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE logins SET asked_at = $3, in_doubt = $4 WHERE id = $1 AND asked_at = $2")
        .bind(&login.id)
        .bind(login.asked_at.as_second())
        .bind(before.as_second())
        .bind(login.in_doubt)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn deny(
    connection: &mut Connection,
    login: &Login,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let ended = sqlx::query("DELETE FROM logins WHERE id = $1").bind(&login.id);
    if ended.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(());
    }
    // That is the last that it has said: whoever follows who comes sees it by its time.
    let denied = sqlx::query(
        "UPDATE principals SET denied = TRUE, proven_at = $4 WHERE issuer = $1 AND subject = $2 AND proven_at <= $3",
    );
    let denied = denied
        .bind(login.issuer.as_str())
        .bind(login.subject.as_str())
        .bind(login.asked_at.as_second())
        .bind(now.as_second())
        .execute(&mut *connection)
        .await?;
    if denied.rows_affected() == 1 {
        sqlx::query("UPDATE admissions SET since = $3 WHERE issuer = $1 AND subject = $2")
            .bind(login.issuer.as_str())
            .bind(login.subject.as_str())
            .bind(now.as_second())
            .execute(connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn can_be_asked(
    pool: &Pool,
    issuer: &ProviderIssuer,
    now: Timestamp,
) -> Result<Option<bool>, sqlx::Error> {
    let least: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(MIN(CASE WHEN again IS NULL THEN 0 ELSE 1 END) AS BIGINT) FROM logins
         -- A browser that is signed in itself has no tokens, and is out within hours.
         WHERE issuer = $1 AND ends_at > $2 AND access_until > since AND incarnation = (SELECT incarnation FROM ledger_meta)",
    )
    .bind(issuer.as_str())
    .bind(now.as_second())
    .fetch_one(pool)
    .await?;
    Ok(least.map(|least| least == 1))
}
