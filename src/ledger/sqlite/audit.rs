//! The audit: reading it, sealing it, pruning it, and erasing people from it.
//!
//! What lies before the anchor counts as gone from the moment that the anchor moves; it is swept away in small steps.

use jiff::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    Sqlite,
    commit::{chain, conflict_or_failed, failed},
    while_doing,
};
use crate::{
    domain::license::{Key, Uid},
    ledger::{
        Audit, CommitError, EraseError, Held, Trail, Unavailable,
        audit::{Checkpoint, Entry, Link},
    },
};

const READING: &str = "reading the audit";

fn link(row: &SqliteRow) -> Result<Link, sqlx::Error> {
    Ok(Link {
        sequence: row.try_get("sequence")?,
        at: row.try_get("at")?,
        entries: row.try_get("entries")?,
        hash: row.try_get("hash")?,
    })
}

fn checkpoint(row: &SqliteRow) -> Result<Checkpoint, sqlx::Error> {
    Ok(Checkpoint {
        sequence: row.try_get("sequence")?,
        hash: row.try_get("hash")?,
        at: row.try_get("at")?,
        jws: row.try_get("jws")?,
        anchor: row.try_get("anchor")?,
    })
}

impl Trail for Sqlite {
    async fn audit(&self, sequence: i64, limit: u32) -> Result<Vec<Link>, Unavailable> {
        sqlx::query(
            "SELECT * FROM audit WHERE sequence > $1
             AND sequence > COALESCE((SELECT MAX(sequence) FROM checkpoints WHERE anchor), 0)
             ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(limit)
        .try_map(|row: SqliteRow| link(&row))
        .fetch_all(&self.read)
        .await
        .map_err(while_doing(READING))
    }

    async fn last_link(&self) -> Result<Option<Link>, Unavailable> {
        sqlx::query("SELECT * FROM audit ORDER BY sequence DESC LIMIT 1")
            .try_map(|row: SqliteRow| link(&row))
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
        .bind(limit)
        .try_map(|row: SqliteRow| checkpoint(&row))
        .fetch_all(&self.read)
        .await
        .map_err(while_doing(READING))
    }

    async fn last_checkpoints(&self, limit: u32) -> Result<Vec<Checkpoint>, Unavailable> {
        let mut last = sqlx::query("SELECT * FROM checkpoints ORDER BY sequence DESC LIMIT $1")
            .bind(limit)
            .try_map(|row: SqliteRow| checkpoint(&row))
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

impl Audit for Sqlite {
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
            let swept = sqlx::query(sweep).bind(limit).execute(&mut *transaction).await.map_err(failed)?;
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
            sqlx::query(
                "UPDATE cooling SET holder = 'forgotten:' || COALESCE(
                 (SELECT reference FROM people WHERE identity = $1), lower(hex(randomblob(16)))) WHERE holder = $1",
            )
            .bind(identity)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            let erased = sqlx::query("DELETE FROM people WHERE identity = $1")
                .bind(identity)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            known += usize::try_from(erased.rows_affected()).unwrap_or(0);
        }
        if !held.is_empty() {
            return Err(EraseError::Holds(held));
        }
        if known > 0 {
            chain(&mut transaction, at, &[Entry::Erase { identities: known }]).await?;
        }
        transaction.commit().await.map_err(failed)?;
        // The write-ahead log still has the pages as they were.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.write).await.map_err(failed)?;
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ledger::{Bind, Change, Ledger as _, OpenError, open_beside, open_to_read};

    /// A ledger of which Ann has held a seat, and freed it.
    async fn after_ann(path: &Path) -> Sqlite {
        let ledger = Sqlite::open(path).await.unwrap();
        let at = Timestamp::from_second(5).unwrap();
        let mut change = Change::new(Key::new("design", "cad"), Uid("l".into()), None, at, [7; 32]);
        change.seats = Some(1);
        change.bind = vec![Bind { seat: Uid("s".into()), holder: "email:ann@acme.example".into() }];
        ledger.commit(&change).await.unwrap();
        let mut freed = Change::new(change.key, change.license, Some(1), at, [7; 32]);
        freed.free = vec![Uid("s".into())];
        ledger.commit(&freed).await.unwrap();
        ledger
    }

    #[tokio::test]
    async fn a_reader_beside_the_owner_sees_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let owner = after_ann(&path).await;
        let reader = open_to_read(&path).await.unwrap();
        assert_eq!(reader.audit(0, 10).await.unwrap().len(), 2);
        owner.erase(&["email:ann@acme.example".into()], Timestamp::from_second(6).unwrap()).await.unwrap();
        assert_eq!(owner.audit(0, 10).await.unwrap().len(), 3);
        assert_eq!(reader.audit(0, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn of_whoever_was_erased_beside_the_owner_not_a_byte_is_left_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let _owner = after_ann(&path).await;
        let left = || {
            let files = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path());
            let named = |path: &std::path::PathBuf| {
                let bytes = std::fs::read(path).unwrap();
                bytes.windows(16).any(|window| window == b"ann@acme.example")
            };
            files.filter(named).count()
        };
        assert!(left() > 0);
        let beside = open_beside(&path).await.unwrap();
        let at = Timestamp::from_second(6).unwrap();
        assert_eq!(beside.erase(&["email:ann@acme.example".into()], at).await.unwrap(), 1);
        assert_eq!(left(), 0);
    }

    #[tokio::test]
    async fn what_is_no_ledger_or_one_of_another_version_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        assert!(matches!(open_to_read(&path).await.err(), Some(OpenError::Missing(_))));
        drop(after_ann(&path).await);
        let newer = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, execution_time
                     FROM _sqlx_migrations LIMIT 1";
        super::super::tests::tamper(&path, newer).await;
        assert!(matches!(open_beside(&path).await.err(), Some(OpenError::OtherVersion(_))));
    }
}
