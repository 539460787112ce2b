//! The audit: reading it, sealing it, pruning it, and erasing people from it.
//!
//! What lies before the anchor counts as gone from the moment that the anchor moves; it is swept away in small steps.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{
    ERASED, Handle, NOBODY, Row,
    commit::{chain, conflict_or_failed, failed},
    people, while_doing,
};
use crate::{
    domain::license::{Key, Uid},
    ledger::{
        Audit, CommitError, EraseError, Held, Trail, Unavailable,
        audit::{Checkpoint, Entry, Link},
    },
};

const READING: &str = "reading the audit";

fn link(row: &Row) -> Result<Link, sqlx::Error> {
    Ok(Link {
        sequence: row.try_get("sequence")?,
        at: row.try_get("at")?,
        entries: row.try_get("entries")?,
        hash: row.try_get("hash")?,
    })
}

fn checkpoint(row: &Row) -> Result<Checkpoint, sqlx::Error> {
    Ok(Checkpoint {
        sequence: row.try_get("sequence")?,
        hash: row.try_get("hash")?,
        at: row.try_get("at")?,
        jws: row.try_get("jws")?,
        anchor: row.try_get("anchor")?,
    })
}

impl Trail for Handle {
    async fn audit(&self, sequence: i64, limit: u32) -> Result<Vec<Link>, Unavailable> {
        sqlx::query(
            "SELECT * FROM audit WHERE sequence > $1
             AND sequence > COALESCE((SELECT MAX(sequence) FROM checkpoints WHERE anchor), 0)
             ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(i64::from(limit))
        .try_map(|row: Row| link(&row))
        .fetch_all(&self.read)
        .await
        .map_err(while_doing(READING))
    }

    async fn last_link(&self) -> Result<Option<Link>, Unavailable> {
        sqlx::query("SELECT * FROM audit ORDER BY sequence DESC LIMIT 1")
            .try_map(|row: Row| link(&row))
            .fetch_optional(&self.read)
            .await
            .map_err(while_doing(READING))
    }

    async fn checkpoints(&self, sequence: i64, limit: u32) -> Result<Vec<Checkpoint>, Unavailable> {
        sqlx::query(
            "SELECT * FROM checkpoints WHERE sequence > $1
             AND sequence >= COALESCE((SELECT MAX(sequence) FROM checkpoints WHERE anchor), 0)
             ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(i64::from(limit))
        .try_map(|row: Row| checkpoint(&row))
        .fetch_all(&self.read)
        .await
        .map_err(while_doing(READING))
    }

    async fn last_checkpoints(&self, limit: u32) -> Result<Vec<Checkpoint>, Unavailable> {
        let mut last = sqlx::query("SELECT * FROM checkpoints ORDER BY sequence DESC LIMIT $1")
            .bind(i64::from(limit))
            .try_map(|row: Row| checkpoint(&row))
            .fetch_all(&self.read)
            .await
            .map_err(while_doing(READING))?;
        last.reverse();
        Ok(last)
    }

    async fn person(&self, reference: &str) -> Result<Option<String>, Unavailable> {
        sqlx::query_scalar("SELECT identity FROM people WHERE reference = $1")
            .bind(reference)
            .fetch_optional(&self.read)
            .await
            .map_err(while_doing(READING))
    }
}

impl Audit for Handle {
    async fn seal(&self, checkpoint: &Checkpoint) -> Result<(), CommitError> {
        let mut transaction = self.begin().await?;
        let sealed = sqlx::query(
            "INSERT INTO checkpoints (sequence, hash, at, jws, anchor) SELECT $1, $2, $3, $4, FALSE
             WHERE EXISTS (SELECT 1 FROM audit WHERE sequence = $1 AND hash = $2)",
        )
        .bind(checkpoint.sequence)
        .bind(&checkpoint.hash)
        .bind(checkpoint.at)
        .bind(&checkpoint.jws)
        .execute(&mut *transaction)
        .await
        .map_err(conflict_or_failed)?;
        if sealed.rows_affected() != 1 {
            return Err(CommitError::Conflict);
        }
        transaction.commit().await.map_err(failed)
    }

    async fn rekey(&self, from: &str, to: &str, at: Timestamp) -> Result<(), CommitError> {
        let mut transaction = self.begin().await?;
        let (from, to) = (from.to_owned(), to.to_owned());
        chain(&mut transaction, at, &[Entry::Rekey { from, to }]).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn prune(&self, before: Timestamp, at: Timestamp) -> Result<bool, CommitError> {
        let mut transaction = self.begin().await?;
        let found: Option<(i64, bool)> = sqlx::query_as(
            "SELECT sequence, anchor FROM checkpoints
             WHERE at < $1 AND sequence < (SELECT MAX(sequence) FROM audit) ORDER BY sequence DESC LIMIT 1",
        )
        .bind(before.as_second())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some((through, false)) = found else { return Ok(false) };
        sqlx::query("UPDATE checkpoints SET anchor = (sequence = $1) WHERE anchor OR sequence = $1")
            .bind(through)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        chain(&mut transaction, at, &[Entry::Prune { through }]).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn sweep(&self, limit: u32) -> Result<u64, CommitError> {
        let mut transaction = self.begin().await?;
        let mut removed = 0;
        for sweep in [
            "DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE sequence <=
             (SELECT MAX(sequence) FROM checkpoints WHERE anchor) ORDER BY sequence LIMIT $1)",
            "DELETE FROM checkpoints WHERE sequence IN (SELECT sequence FROM checkpoints WHERE sequence <
             (SELECT MAX(sequence) FROM checkpoints WHERE anchor) ORDER BY sequence LIMIT $1)",
        ] {
            let swept =
                sqlx::query(sweep).bind(i64::from(limit)).execute(&mut *transaction).await.map_err(failed)?;
            removed += swept.rows_affected();
        }
        if removed == 0 {
            // Nothing changed, so nothing is committed, nor counted.
            return Ok(0);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }

    async fn erase(&self, identities: &[String], at: Timestamp) -> Result<usize, EraseError> {
        let mut transaction = self.begin_beside().await?;
        let mut held = Vec::new();
        let mut known = 0;
        for identity in identities {
            let seats: Vec<(String, String, String)> = sqlx::query_as(
                "SELECT namespace, name, seat FROM bindings JOIN licenses ON licenses.uid = bindings.license
                 WHERE holder = $1 ORDER BY namespace, name",
            )
            .bind(identity)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
            held.extend(
                seats.into_iter().map(|(namespace, name, seat)| Held {
                    license: Key { namespace, name },
                    seat: Uid(seat),
                }),
            );
            // A seat that cools goes on cooling, for nobody.
            sqlx::query(NOBODY).bind(identity).execute(&mut *transaction).await.map_err(failed)?;
            let erased = sqlx::query("DELETE FROM people WHERE identity = $1")
                .bind(identity)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            let signed_in = people::erase(&mut transaction, identity).await.map_err(failed)?;
            known += usize::from(erased.rows_affected() > 0 || signed_in);
        }
        if !held.is_empty() {
            return Err(EraseError::Holds(held));
        }
        if known > 0 {
            chain(&mut transaction, at, &[Entry::Erase { identities: known }]).await?;
        }
        transaction.commit().await.map_err(failed)?;
        sqlx::query(ERASED).execute(&self.write).await.map_err(failed)?;
        Ok(known)
    }
}
