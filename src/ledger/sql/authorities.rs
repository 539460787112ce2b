//! Authorities and their keys.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Handle, Pool, Row, SNAPSHOT, commit::chain, damaged, instant, while_doing};
use crate::{
    domain::{
        license::Uid,
        rotation::{Key, State},
        text::{Issuer, KeyId},
    },
    ledger::{
        Authorities, AuthorityFacts, CommitError, KeepError, Owner, Reissuing, Unavailable,
        audit::{self, Entry},
    },
};

fn failed(source: sqlx::Error) -> KeepError {
    KeepError::Unavailable(while_doing("committing what became of an authority")(source))
}

async fn linked(connection: &mut Connection, at: Timestamp, entries: &[Entry]) -> Result<(), KeepError> {
    chain(connection, at, entries).await.map_err(uncommitted)
}

/// Whoever leads no longer looks again as after a conflict, and then does not look at all.
fn uncommitted(error: CommitError) -> KeepError {
    match error {
        CommitError::Unavailable(unavailable) => unavailable.into(),
        CommitError::Conflict
        | CommitError::Deposed
        | CommitError::KeySilent
        | CommitError::Barred(_)
        | CommitError::Limit(_) => KeepError::Conflict,
    }
}

/// Since when a key is in its state.
fn since(state: State) -> Option<i64> {
    match state {
        State::Made | State::Withdrawn => None,
        State::Announced { shown } => shown.map(Timestamp::as_second),
        State::Signing { since } | State::Retired { since } | State::Revoked { at: since } => {
            Some(since.as_second())
        }
    }
}

fn state(name: &str, since: Option<i64>) -> Result<State, sqlx::Error> {
    let shown = since.map(instant).transpose()?;
    let known = || shown.ok_or_else(|| sqlx::Error::Decode("a key's state has no instant".into()));
    Ok(match name {
        "made" => State::Made,
        "announced" => State::Announced { shown },
        "signing" => State::Signing { since: known()? },
        "retired" => State::Retired { since: known()? },
        "withdrawn" => State::Withdrawn,
        "revoked" => State::Revoked { at: known()? },
        other => return Err(sqlx::Error::Decode(format!("no key is {other}").into())),
    })
}

fn number(value: Option<u64>) -> Option<i64> {
    value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn key(row: &Row) -> Result<Key, sqlx::Error> {
    let unsigned = |column: &str| {
        row.try_get::<Option<i64>, _>(column)?.map(|n| u64::try_from(n).map_err(damaged)).transpose()
    };
    Ok(Key {
        ordinal: u32::try_from(row.try_get::<i64, _>("ordinal")?).map_err(damaged)?,
        kid: row.try_get::<String, _>("kid")?.parse().map_err(damaged)?,
        public: row.try_get::<String, _>("public")?.parse().map_err(damaged)?,
        state: state(row.try_get("state")?, row.try_get("since")?)?,
        last_exp: row.try_get::<Option<i64>, _>("last_exp")?.map(instant).transpose()?,
        wanted: unsigned("wanted")?,
        vouched: unsigned("vouched")?,
    })
}

fn facts(row: &Row, keys: Vec<Key>) -> Result<AuthorityFacts, sqlx::Error> {
    Ok(AuthorityFacts {
        uid: Uid(row.try_get("uid")?),
        name: row.try_get("name")?,
        issuer: row.try_get::<String, _>("issuer")?.parse().map_err(damaged)?,
        root: row.try_get::<String, _>("root")?.parse().map_err(damaged)?,
        version: row.try_get("version")?,
        serial: u64::try_from(row.try_get::<i64, _>("serial")?).map_err(damaged)?,
        keys_jws: row.try_get("keys_jws")?,
        rotated_for: row.try_get("rotated_for")?,
        keys,
    })
}

async fn read(pool: &Pool, uid: &Uid) -> Result<Option<AuthorityFacts>, sqlx::Error> {
    // One read transaction: the Authority and its keys are of one moment.
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let found = sqlx::query("SELECT * FROM authorities WHERE uid = $1 AND NOT gone")
        .bind(&uid.0)
        .fetch_optional(&mut *snapshot)
        .await?;
    let Some(row) = found else { return Ok(None) };
    let keys = sqlx::query("SELECT * FROM keys WHERE authority = $1 ORDER BY ordinal")
        .bind(&uid.0)
        .try_map(|row: Row| key(&row))
        .fetch_all(&mut *snapshot)
        .await?;
    facts(&row, keys).map(Some)
}

/// Refuses what another living Authority has.
async fn nobody_has(connection: &mut Connection, after: &AuthorityFacts) -> Result<(), KeepError> {
    let others: Vec<(String, String)> = sqlx::query_as(
        "SELECT issuer, root FROM authorities WHERE (issuer = $1 OR root = $2) AND uid <> $3 AND NOT gone",
    )
    .bind(after.issuer.as_str())
    .bind(after.root.as_str())
    .bind(&after.uid.0)
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    if others.iter().any(|(issuer, _)| issuer == after.issuer.as_str()) {
        return Err(KeepError::IssuerTaken);
    }
    if others.is_empty() { Ok(()) } else { Err(KeepError::KeyTaken(after.root.clone())) }
}

/// Of two changes that were decided upon one version, one wins here.
async fn advance(
    connection: &mut Connection,
    before: Option<&AuthorityFacts>,
    after: &AuthorityFacts,
) -> Result<(), KeepError> {
    let statement = match before {
        None => {
            nobody_has(connection, after).await?;
            "INSERT INTO authorities (uid, name, issuer, root, gone, version, serial, keys_jws, rotated_for)
             VALUES ($1, $2, $3, $4, FALSE, $5 + 1, $6, $7, $8) ON CONFLICT DO NOTHING"
        }
        Some(_) => {
            "UPDATE authorities SET name = $2, version = version + 1, serial = $6, keys_jws = $7, rotated_for = $8
             WHERE uid = $1 AND issuer = $3 AND root = $4 AND version = $5 AND NOT gone"
        }
    };
    let advanced = sqlx::query(statement)
        .bind(&after.uid.0)
        .bind(&after.name)
        .bind(after.issuer.as_str())
        .bind(after.root.as_str())
        .bind(before.map_or(0, |before| before.version))
        .bind(number(Some(after.serial)))
        .bind(&after.keys_jws)
        .bind(&after.rotated_for)
        .execute(connection)
        .await
        .map_err(failed)?;
    if advanced.rows_affected() == 1 { Ok(()) } else { Err(KeepError::Conflict) }
}

async fn add_key(connection: &mut Connection, authority: &Uid, key: &Key) -> Result<(), KeepError> {
    let added = sqlx::query(
        "INSERT INTO keys (kid, authority, ordinal, public, state, since, wanted, vouched, last_exp)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                 COALESCE($9, (SELECT MAX(expires_at) FROM documents WHERE key_id = $1))) ON CONFLICT DO NOTHING",
    )
    .bind(key.kid.as_str())
    .bind(&authority.0)
    .bind(i64::from(key.ordinal))
    .bind(key.public.as_str())
    .bind(key.state.name())
    .bind(since(key.state))
    .bind(number(key.wanted))
    .bind(number(key.vouched))
    .bind(key.last_exp.map(Timestamp::as_second))
    .execute(connection)
    .await
    .map_err(failed)?;
    if added.rows_affected() == 1 { Ok(()) } else { Err(KeepError::KeyTaken(key.kid.clone())) }
}

async fn change_key(connection: &mut Connection, former: &Key, key: &Key) -> Result<(), KeepError> {
    let retires = former.signs() && matches!(key.state, State::Retired { .. } | State::Withdrawn);
    let changed = sqlx::query(
        "UPDATE keys SET state = $2, since = $3, wanted = $4, vouched = $5,
                last_exp = CASE WHEN $9 > COALESCE(last_exp, 0) THEN $9 ELSE last_exp END,
                burnt = CASE WHEN $2 = 'revoked' AND burnt IS NULL
                             THEN (SELECT COUNT(*) FROM documents WHERE key_id = $1) ELSE burnt END
         WHERE kid = $1 AND state = $6 AND (NOT $7 OR last_exp IS NOT DISTINCT FROM $8)",
    )
    .bind(key.kid.as_str())
    .bind(key.state.name())
    .bind(since(key.state))
    .bind(number(key.wanted))
    .bind(number(key.vouched))
    .bind(former.state.name())
    .bind(retires)
    .bind(former.last_exp.map(Timestamp::as_second))
    .bind(key.last_exp.map(Timestamp::as_second))
    .execute(connection)
    .await
    .map_err(failed)?;
    if changed.rows_affected() == 1 { Ok(()) } else { Err(KeepError::Conflict) }
}

/// A document that was signed before the ledger was lost is under a key that may not sign any more.
pub(super) async fn had_signed(
    connection: &mut Connection,
    kid: &str,
    exp: Timestamp,
) -> Result<(), CommitError> {
    sqlx::query(
        "UPDATE keys SET last_exp = CASE WHEN last_exp > $2 THEN last_exp ELSE $2 END WHERE kid = $1",
    )
    .bind(kid)
    .bind(exp.as_second())
    .execute(connection)
    .await
    .map_err(while_doing("noting what a key has signed"))?;
    Ok(())
}

/// Documents are issued under keys that sign; how long the last of them is good is kept beside the key. A key of which
/// nobody knows anything is nobody's business here.
pub(super) async fn signed(
    connection: &mut Connection,
    kid: &str,
    exp: Timestamp,
) -> Result<(), CommitError> {
    let failed = while_doing("noting what a key has signed");
    let noted = sqlx::query(
        "UPDATE keys SET last_exp = CASE WHEN last_exp > $2 THEN last_exp ELSE $2 END WHERE kid = $1 AND state = 'signing'",
    )
    .bind(kid)
    .bind(exp.as_second())
    .execute(&mut *connection)
    .await
    .map_err(&failed)?;
    if noted.rows_affected() == 1 {
        return Ok(());
    }
    let known = sqlx::query("SELECT 1 FROM keys WHERE kid = $1").bind(kid);
    if known.fetch_optional(connection).await.map_err(&failed)?.is_some() {
        Err(CommitError::Conflict)
    } else {
        Ok(())
    }
}

impl Authorities for Handle {
    async fn authority(&self, uid: &Uid) -> Result<Option<AuthorityFacts>, Unavailable> {
        read(&self.read, uid).await.map_err(while_doing("reading what is known of an authority"))
    }

    async fn take_back(
        &self,
        uid: &Uid,
        name: &str,
        issuer: &Issuer,
        at: Timestamp,
    ) -> Result<bool, KeepError> {
        let mut transaction = self.begin().await.map_err(uncommitted)?;
        let former: Option<String> = sqlx::query_scalar(
            "SELECT uid FROM authorities WHERE gone AND name = $1 AND issuer = $2
             AND NOT EXISTS (SELECT 1 FROM authorities a WHERE NOT a.gone AND (a.issuer = $2 OR a.root = authorities.root))
             ORDER BY version DESC LIMIT 1",
        )
        .bind(name)
        .bind(issuer.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some(former) = former else { return Ok(false) };
        for statement in [
            "UPDATE authorities SET uid = $1, gone = FALSE, version = version + 1 WHERE uid = $2",
            "UPDATE keys SET authority = $1 WHERE authority = $2",
        ] {
            sqlx::query(statement)
                .bind(&uid.0)
                .bind(&former)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        let back = Entry::Return { authority: name.to_owned(), issuer: issuer.to_string() };
        linked(&mut transaction, at, &[back]).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn keep_authority(
        &self,
        before: Option<&AuthorityFacts>,
        after: &AuthorityFacts,
        at: Timestamp,
    ) -> Result<(), KeepError> {
        let mut transaction = self.begin().await.map_err(uncommitted)?;
        advance(&mut transaction, before, after).await?;
        for key in &after.keys {
            let former = before.and_then(|before| before.keys.iter().find(|former| former.kid == key.kid));
            match former {
                None => add_key(&mut transaction, &after.uid, key).await?,
                Some(former) if former == key => {}
                Some(former) => change_key(&mut transaction, former, key).await?,
            }
        }
        linked(&mut transaction, at, &audit::of_authority(before, after)).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn owner(&self, key: &KeyId) -> Result<Option<Owner>, Unavailable> {
        let found: Option<(String, String, bool)> = sqlx::query_as(
            "SELECT a.uid, a.name, a.gone FROM keys k JOIN authorities a ON a.uid = k.authority WHERE k.kid = $1",
        )
        .bind(key.as_str())
        .fetch_optional(&self.read)
        .await
        .map_err(while_doing("reading whose a key is"))?;
        Ok(found.map(|(uid, name, gone)| Owner { uid: Uid(uid), name, gone }))
    }

    async fn reissuing(&self, uid: &Uid) -> Result<Reissuing, Unavailable> {
        let doing = "counting the documents under revoked keys";
        let counts: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT COALESCE(k.burnt, 0), COUNT(*) FROM keys k JOIN documents d ON d.key_id = k.kid
             WHERE k.authority = $1 AND k.state = 'revoked' GROUP BY k.kid, k.burnt",
        )
        .bind(&uid.0)
        .fetch_all(&self.read)
        .await
        .map_err(while_doing(doing))?;
        let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or(0);
        let left = sum(&mut counts.iter().map(|(_, left)| *left));
        let total = sum(&mut counts.iter().map(|(burnt, _)| *burnt)).max(left);
        Ok(Reissuing { total, left })
    }

    async fn retain_authorities(&self, known: &[Uid], at: Timestamp) -> Result<(), KeepError> {
        let mut transaction = self.begin().await.map_err(uncommitted)?;
        let recorded: Vec<(String, String, String)> =
            sqlx::query_as("SELECT uid, name, issuer FROM authorities WHERE NOT gone")
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
        let mut retired = Vec::new();
        for (uid, authority, issuer) in
            recorded.into_iter().filter(|(uid, ..)| known.iter().all(|known| known.0 != *uid))
        {
            sqlx::query("UPDATE authorities SET gone = TRUE WHERE uid = $1")
                .bind(uid)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            retired.push(Entry::Retire { authority, issuer });
        }
        linked(&mut transaction, at, &retired).await?;
        transaction.commit().await.map_err(failed)
    }
}
