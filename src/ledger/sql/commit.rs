//! The writing half: each function is one transaction, with its link of the audit chain.

use jiff::Timestamp;

use super::{
    Connection, Handle,
    activations::{self, places},
    authorities, claims, keys,
};
use crate::ledger::{
    Change, CommitError, Recovery, Unavailable,
    audit::{self, Entry, Link},
};

pub(super) fn failed(source: sqlx::Error) -> CommitError {
    CommitError::Unavailable(Unavailable { doing: "committing a change", source })
}

/// A broken uniqueness means that somebody else was first.
pub(super) fn conflict_or_failed(error: sqlx::Error) -> CommitError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => CommitError::Conflict,
        _ => failed(error),
    }
}

pub(super) async fn license(ledger: &Handle, change: &Change) -> Result<Vec<String>, CommitError> {
    let mut transaction = ledger.begin().await?;
    let connection = &mut *transaction;
    advance(connection, change).await?;
    terms(connection, change).await?;
    cooling(connection, change).await?;
    keys::made(connection, change).await?;
    let ended = activations::withdrawn(connection, change).await?;
    let holders = bindings(connection, change).await?;
    carries(connection, change).await?;
    check_limit(connection, change).await?;
    check_max_per_user(connection, change).await?;
    documents(connection, change).await?;
    let mut refused = claims::secrets(connection, change).await?;
    refused.extend(claims::copies(connection, change).await?);
    if change.forget {
        activations::forget(connection, &change.license).await?;
        keys::forget(connection, &change.license).await?;
        sqlx::query("DELETE FROM licenses WHERE uid = $1")
            .bind(&change.license.0)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    chain(connection, change.at, &audit::entries(change, holders, ended)).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(refused)
}

/// Of two changes that were decided upon one version, one wins here.
async fn advance(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    let seats = change.seats.map(i64::from);
    if let Some(version) = change.expected {
        let advanced = sqlx::query(
            "UPDATE licenses SET version = version + 1, turn = turn + 1, seats = COALESCE($3, seats), incarnation =
             CASE WHEN $4 THEN (SELECT incarnation FROM ledger_meta) ELSE incarnation END
             WHERE uid = $1 AND version = $2",
        )
        .bind(&change.license.0)
        .bind(version)
        .bind(seats)
        .bind(change.recovery == Recovery::Whole)
        .execute(connection)
        .await
        .map_err(failed)?;
        return if advanced.rows_affected() == 1 { Ok(()) } else { Err(CommitError::Conflict) };
    }
    sqlx::query(
        "INSERT INTO licenses (uid, namespace, name, seats, version, incarnation)
         SELECT $1, $2, $3, $4, 1, CASE WHEN $5 THEN 0 ELSE incarnation END FROM ledger_meta",
    )
    .bind(&change.license.0)
    .bind(&change.key.namespace)
    .bind(&change.key.name)
    .bind(seats.unwrap_or(0))
    .bind(change.recovery == Recovery::Part)
    .execute(connection)
    .await
    .map_err(conflict_or_failed)?;
    Ok(())
}

/// What the License says beside its seats.
async fn terms(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    let Some(terms) = &change.terms else { return Ok(()) };
    keys::end(connection, change, terms).await?;
    let contract = terms.contract.as_ref().map(serde_json::to_string).transpose();
    sqlx::query(
        "UPDATE licenses SET product = $2, provisioning = $3, max_per_user = $4, contract = $5,
                sessions_from = CASE WHEN $6 THEN turn ELSE sessions_from END WHERE uid = $1",
    )
    .bind(&change.license.0)
    .bind(&terms.product)
    .bind(terms.provisioning.as_str())
    .bind(terms.max_per_user.map(i64::from))
    .bind(contract.map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?)
    // Its sessions end with that.
    .bind(terms.contract.as_ref().is_some_and(|contract| contract.license.suspended))
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Seats that cooled are as any other; who comes back to a cooling one has it; then others begin to cool.
async fn cooling(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    let back = change.bind.iter().map(|bind| &bind.holder);
    for holder in change.cooled.iter().chain(back) {
        sqlx::query("DELETE FROM cooling WHERE license = $1 AND holder = $2")
            .bind(&change.license.0)
            .bind(holder)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for freed in &change.cool {
        sqlx::query(
            "INSERT INTO cooling (license, holder, freed_at, expires_at, places) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (license, holder) DO UPDATE SET freed_at = excluded.freed_at, expires_at = excluded.expires_at,
                places = excluded.places",
        )
        .bind(&change.license.0)
        .bind(&freed.holder)
        .bind(freed.freed_at.as_second())
        .bind(freed.expires_at.as_second())
        .bind(i64::from(freed.places))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    if change.forget {
        sqlx::query("DELETE FROM cooling WHERE license = $1")
            .bind(&change.license.0)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Frees, moves, then binds. Returns the references of those who are bound.
async fn bindings(connection: &mut Connection, change: &Change) -> Result<Vec<String>, CommitError> {
    for seat in &change.free {
        sqlx::query("DELETE FROM bindings WHERE seat = $1 AND license = $2")
            .bind(&seat.0)
            .bind(&change.license.0)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for (from, to) in &change.moved {
        // Whoever deletes a Seat has decided that it is nobody's any more: the place stays the holder's, whoever comes next as that.
        sqlx::query(
            "UPDATE bindings SET seat = $2, issuer = NULL, subject = NULL WHERE seat = $1 AND license = $3",
        )
        .bind(&from.0)
        .bind(&to.0)
        .bind(&change.license.0)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    let mut holders = Vec::with_capacity(change.bind.len());
    if change.bind.is_empty() {
        return Ok(holders);
    }
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(ordinal), 0) FROM bindings WHERE license = $1")
        .bind(&change.license.0)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    for (ordinal, bind) in (last.saturating_add(1)..).zip(&change.bind) {
        sqlx::query(
            "INSERT INTO bindings (seat, license, holder, ordinal, since) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&bind.seat.0)
        .bind(&change.license.0)
        .bind(&bind.holder)
        .bind(ordinal)
        .bind(change.at.as_second())
        .execute(&mut *connection)
        .await
        .map_err(|error| match conflict_or_failed(error) {
            CommitError::Conflict => CommitError::Limit("the seat or its holder is bound already".into()),
            other => other,
        })?;
        holders.push(person(connection, &bind.holder, &change.entropy).await?);
    }
    Ok(holders)
}

/// What activations of these holders carry from now on.
async fn carries(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    for (holder, carries) in &change.carries {
        let features = carries.features.as_ref().map(serde_json::to_string).transpose();
        sqlx::query("UPDATE bindings SET features = $3, suspended = $4 WHERE license = $1 AND holder = $2")
            .bind(&change.license.0)
            .bind(holder)
            .bind(features.map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?)
            .bind(carries.suspended)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// The reference to a person: the one that they have, else a new one.
pub(super) async fn person(
    connection: &mut Connection,
    identity: &str,
    entropy: &[u8; 32],
) -> Result<String, CommitError> {
    sqlx::query_scalar(
        "INSERT INTO people (identity, reference) VALUES ($1, $2)
         ON CONFLICT (identity) DO UPDATE SET identity = excluded.identity RETURNING reference",
    )
    .bind(identity)
    .bind(audit::reference(entropy, identity))
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// The last line of defense: whatever was decided, more holders than the limit are not committed.
async fn check_limit(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    if change.bind.is_empty() {
        return Ok(());
    }
    places::lapse(connection, &change.license, change.at).await.map_err(failed)?;
    let (bound, seats): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM bindings WHERE license = $1), seats FROM licenses WHERE uid = $1",
    )
    .bind(&change.license.0)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if bound > seats {
        return Err(CommitError::Limit(format!("{bound} holders for {seats} seats")));
    }
    // A device has activated since this was decided. (What is brought back was granted: who is too many is for the look that follows.)
    let held = places::held(connection, &change.license, change.at).await.map_err(failed)?;
    if held > seats && change.recovery == Recovery::None { Err(CommitError::Conflict) } else { Ok(()) }
}

/// Two Licenses of one product may bind one person at the same moment, each unseen by the other: the second is refused.
async fn check_max_per_user(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    for bind in &change.bind {
        let too_many: Option<i64> = sqlx::query_scalar(
            "SELECT COUNT(*) FROM licenses AS this
             JOIN licenses AS other ON other.namespace = this.namespace AND other.product = this.product
             JOIN bindings ON bindings.license = other.uid
             WHERE this.uid = $1 AND bindings.holder = $2 AND bindings.holder NOT LIKE 'device:%'
             GROUP BY this.max_per_user HAVING COUNT(*) > this.max_per_user",
        )
        .bind(&change.license.0)
        .bind(&bind.holder)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
        if let Some(count) = too_many {
            return Err(CommitError::Limit(format!("one person would hold {count} seats of the product")));
        }
    }
    Ok(())
}

async fn documents(connection: &mut Connection, change: &Change) -> Result<(), CommitError> {
    let replaced = change.issue.iter().map(|document| &document.subject);
    for subject in change.withdraw.iter().chain(replaced) {
        sqlx::query("DELETE FROM documents WHERE subject = $1 AND license = $2")
            .bind(&subject.0)
            .bind(&change.license.0)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for document in &change.issue {
        if change.recovery != Recovery::None {
            authorities::had_signed(connection, &document.key_id, document.expires_at).await?;
        } else {
            authorities::signed(connection, &document.key_id, document.expires_at).await?;
        }
        sqlx::query(
            "INSERT INTO documents
             (subject, license, serial, digest, key_id, jws, keys_jws, issued_at, expires_at, renew_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&document.subject.0)
        .bind(&change.license.0)
        .bind(&document.serial)
        .bind(&document.digest)
        .bind(&document.key_id)
        .bind(&document.jws)
        .bind(&document.keys_jws)
        .bind(document.issued_at.as_second())
        .bind(document.expires_at.as_second())
        .bind(document.renew_at.map(Timestamp::as_second))
        .execute(&mut *connection)
        .await
        .map_err(conflict_or_failed)?;
    }
    Ok(())
}

/// Appends the link of this commit; a commit that tells nothing has none.
pub(super) async fn chain(
    connection: &mut Connection,
    at: Timestamp,
    entries: &[Entry],
) -> Result<(), CommitError> {
    if entries.is_empty() {
        return Ok(());
    }
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
    let json =
        serde_json::to_string(entries).map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
    let link =
        Link::after(last.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str())), at.as_second(), json);
    sqlx::query("INSERT INTO audit (sequence, at, entries, hash) VALUES ($1, $2, $3, $4)")
        .bind(link.sequence)
        .bind(link.at)
        .bind(&link.entries)
        .bind(&link.hash)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}
