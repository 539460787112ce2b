//! Who may write, and which ledger this is.
//!
//! Whoever takes the lead raises the epoch and keeps it in its handle. Each writing transaction begins by counting
//! itself under that epoch ([`Handle::begin`]): a handle whose epoch has passed changes no row, and nothing is committed.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{BEGIN, Connection, Handle, Pool, Row, Transaction, commit, instant, while_doing};
use crate::{
    domain::witness::{AuditHead, Head, Loss, Mark, Witness, next_incarnation},
    ledger::{CommitError, Unavailable, audit::Entry},
};

impl Handle {
    /// Another handle on the same database, which leads by itself or not at all.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            write: self.write.clone(),
            read: self.read.clone(),
            ask: self.ask.clone(),
            group: self.group.clone(),
            guard: self.guard.clone(),
            epoch: 0.into(),
            deposed: false.into(),
        }
    }

    /// A transaction that writes: counted, and refused to whoever no longer leads.
    pub(super) async fn begin(&self) -> Result<Transaction, CommitError> {
        let failed = while_doing("beginning a change");
        let mut transaction = self.write.begin_with(BEGIN).await.map_err(&failed)?;
        let counted = sqlx::query("UPDATE ledger_meta SET commits = commits + 1 WHERE epoch = $1")
            .bind(self.epoch.load(Ordering::SeqCst))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        if counted.rows_affected() == 0 {
            self.deposed.store(true, Ordering::SeqCst);
            return Err(CommitError::Deposed);
        }
        Ok(transaction)
    }

    /// A transaction of whoever works beside the owner: counted like any other, and refused to nobody.
    pub(super) async fn begin_beside(&self) -> Result<Transaction, CommitError> {
        begin_counted(&self.write).await
    }

    pub(super) async fn take_lead(&self) -> Result<i64, Unavailable> {
        let epoch: i64 = sqlx::query_scalar("UPDATE ledger_meta SET epoch = epoch + 1 RETURNING epoch")
            .fetch_one(&self.write)
            .await
            .map_err(while_doing("taking the lead"))?;
        self.epoch.store(epoch, Ordering::SeqCst);
        self.deposed.store(false, Ordering::SeqCst);
        Ok(epoch)
    }

    pub(super) async fn read_head(&self) -> Result<Head, Unavailable> {
        sqlx::query(
            "SELECT incarnation, commits, since, restored, audit.sequence, audit.hash FROM ledger_meta
             LEFT JOIN audit ON audit.sequence = (SELECT MAX(sequence) FROM audit)",
        )
        .try_map(|row: Row| {
            let audit: (Option<i64>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
            Ok(Head {
                mark: Mark { incarnation: row.try_get(0)?, commits: row.try_get(1)? },
                since: instant(row.try_get(2)?)?,
                restored: row.try_get(3)?,
                audit: audit.0.zip(audit.1).map(|(sequence, hash)| AuditHead { sequence, hash }),
            })
        })
        .fetch_one(&self.read)
        .await
        .map_err(while_doing("reading how far the ledger has come"))
    }

    pub(super) async fn begin_incarnation(
        &self,
        loss: Loss,
        witness: Option<&Witness>,
        at: Timestamp,
    ) -> Result<(), CommitError> {
        let failed = while_doing("beginning an incarnation");
        let mut transaction = self.begin().await?;
        let own: i64 = current(&mut transaction).await.map_err(&failed)?;
        let incarnation = next_incarnation(own, witness);
        sqlx::query("UPDATE ledger_meta SET incarnation = $1, since = $2, restored = FALSE")
            .bind(incarnation)
            .bind(at.as_second())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let last = witness.and_then(|witness| witness.audit.clone());
        let entry = Entry::Recover {
            loss,
            incarnation,
            witnessed: last.as_ref().map(|last| last.sequence),
            hash: last.map(|last| last.hash),
        };
        commit::chain(&mut transaction, at, &[entry]).await?;
        Ok(transaction.commit().await.map_err(&failed)?)
    }
}

/// Begins the incarnation that a nonce proves, if the ledger is not as far: what the audit is told then.
pub(super) async fn proven(
    connection: &mut Connection,
    incarnation: i64,
    at: Timestamp,
) -> Result<Option<Entry>, CommitError> {
    let risen = sqlx::query("UPDATE ledger_meta SET incarnation = $1, since = $2 WHERE incarnation < $1")
        .bind(incarnation)
        .bind(at.as_second())
        .execute(connection)
        .await
        .map_err(while_doing("beginning an incarnation"))?;
    let entry = Entry::Recover { loss: Loss::Proven, incarnation, witnessed: None, hash: None };
    Ok((risen.rows_affected() == 1).then_some(entry))
}

/// A transaction that is counted, and refused to nobody: those who answer programs need not lead.
pub(super) async fn begin_counted(pool: &Pool) -> Result<Transaction, CommitError> {
    let failed = while_doing("beginning a change");
    let mut transaction = pool.begin_with(BEGIN).await.map_err(&failed)?;
    sqlx::query("UPDATE ledger_meta SET commits = commits + 1")
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    Ok(transaction)
}

async fn current(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT incarnation FROM ledger_meta").fetch_one(connection).await
}
