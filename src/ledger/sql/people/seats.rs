//! Seats that are somebody's who has signed in.

use std::collections::BTreeSet;

use sqlx::Row as _;

use super::{CommitError, Connection, Key, Person, Pool, Row, activations, count, failed, person};
use crate::{
    domain::{license::Uid, standing::Candidate},
    ledger::{
        activations::Step,
        audit::Entry,
        people::{Met, Pin},
    },
};

pub(super) async fn met(pool: &Pool, license: &Key, who: &Person) -> Result<Option<Met>, sqlx::Error> {
    // A License that was made again has a row beside the former one's until that is gone; the later has more to say.
    let rows = sqlx::query(
        "SELECT uid, contract, turn, (SELECT incarnation FROM ledger_meta) AS incarnation,
                holder, bindings.issuer AS issuer, bindings.subject AS subject,
                EXISTS (SELECT 1 FROM bindings AS others WHERE others.holder = $5 AND others.issuer IS NOT NULL
                        AND NOT (others.issuer = $3 AND others.subject = $4)) AS elsewhere
         FROM licenses LEFT JOIN bindings ON bindings.license = uid
              AND (holder = $5 OR holder = $6 OR (bindings.issuer = $3 AND bindings.subject = $4))
         WHERE namespace = $1 AND name = $2 ORDER BY uid, ordinal",
    )
    .bind(&license.namespace)
    .bind(&license.name)
    .bind(who.issuer.as_str())
    .bind(who.subject.as_str())
    .bind(who.by_email().unwrap_or_default())
    .bind(who.identity())
    .fetch_all(pool)
    .await?;
    let mut found: Option<Met> = None;
    for row in rows {
        let uid = Uid(row.try_get("uid")?);
        let candidate = candidate(&row)?;
        match &mut found {
            Some(met) if met.license == uid => met.candidates.extend(candidate),
            Some(met) if !met.candidates.is_empty() => {}
            _ => {
                found = Some(Met {
                    license: uid,
                    contract: activations::contract(&row)?,
                    turn: row.try_get("turn")?,
                    incarnation: count(row.try_get("incarnation")?)?,
                    candidates: candidate.into_iter().collect(),
                    elsewhere: row.try_get("elsewhere")?,
                });
            }
        }
    }
    Ok(found)
}

fn candidate(row: &Row) -> Result<Option<Candidate>, sqlx::Error> {
    let Some(holder) = row.try_get::<Option<String>, _>("holder")? else { return Ok(None) };
    let pinned: (Option<String>, Option<String>) = (row.try_get("issuer")?, row.try_get("subject")?);
    Ok(Some(Candidate { holder, pinned: pinned.0.zip(pinned.1) }))
}

/// Holders under this License by an address with which another comes now than the one to whom it is pinned, if that other holds no seat of their own here.
pub async fn contested(connection: &mut Connection, license: &str) -> Result<BTreeSet<String>, sqlx::Error> {
    let contested = sqlx::query_scalar(
        "SELECT DISTINCT b.holder FROM bindings b JOIN principals p ON p.email = SUBSTR(b.holder, 7)
         WHERE b.license = $1 AND b.holder LIKE 'email:%' AND b.issuer IS NOT NULL AND NOT p.denied
         AND NOT (b.issuer = p.issuer AND b.subject = p.subject)
         AND NOT EXISTS (SELECT 1 FROM bindings own WHERE own.license = $1 AND (own.holder = 'identity:' || p.issuer || ' ' || p.subject
                         OR (own.issuer = p.issuer AND own.subject = p.subject)))",
    );
    Ok(contested.bind(license).fetch_all(connection).await?.into_iter().collect())
}

/// Pins a seat, if it is bound, nobody was faster, and its address is pinned to nobody else.
pub async fn pinned(connection: &mut Connection, step: &Step, pin: &Pin) -> Result<Entry, CommitError> {
    let seat: Option<String> = sqlx::query_scalar(
        "UPDATE bindings SET issuer = $3, subject = $4 WHERE license = $1 AND holder = $2 AND issuer IS NULL
         AND NOT EXISTS (SELECT 1 FROM bindings AS others WHERE others.holder = $2 AND others.issuer IS NOT NULL
                         AND NOT (others.issuer = $3 AND others.subject = $4))
         RETURNING seat",
    )
    .bind(&step.license.0)
    .bind(&pin.holder)
    .bind(pin.issuer.as_str())
    .bind(pin.subject.as_str())
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    Ok(Entry::Pin {
        license: step.key.to_string(),
        seat: seat.ok_or(CommitError::Conflict)?,
        holder: person(connection, &pin.holder, &step.entropy).await?,
    })
}
