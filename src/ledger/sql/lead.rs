//! Who may write, and which ledger this is.
//!
//! Whoever takes the lead raises the epoch, and keeps it and what was drawn for it in its handle. Each writing transaction begins by
//! counting itself under that epoch ([`Handle::begin`]): a handle whose epoch has passed changes no row, and nothing is committed.
//! So it is with a ledger that was found lost, and, for whoever answers programs, with one of another cluster.

use std::sync::{PoisonError, RwLock, atomic::Ordering};

use jiff::Timestamp;
use sqlx::Row as _;

use super::{
    BEGIN, Connection, Handle, Pool, READ_ONLY, Row, Transaction, commit, damaged, instant, while_doing,
};
use crate::{
    domain::{
        hex,
        license::Uid,
        witness::{AuditHead, Bar, Head, Loss, Mark, Owner, Witness, next_incarnation},
    },
    ledger::{Claim, CommitError, Unavailable, audit::Entry},
};

/// The epoch in which a handle leads; none, while it has not led, and then it may commit to what nobody has led.
#[derive(Debug, Default)]
pub(super) struct Epoch(RwLock<(i64, String)>);

impl Epoch {
    fn get(&self) -> (i64, String) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, number: i64, leader: String) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (number, leader);
    }
}

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
            epoch: Epoch::default(),
            deposed: false.into(),
        }
    }

    /// A transaction that writes: counted, and refused to whoever no longer leads, or leads what is lost.
    pub(super) async fn begin(&self) -> Result<Transaction, CommitError> {
        self.begin_led(false).await
    }

    async fn begin_led(&self, also_lost: bool) -> Result<Transaction, CommitError> {
        let failed = while_doing("beginning a change");
        let mut transaction = self.write.begin_with(BEGIN).await.map_err(&failed)?;
        let (epoch, leader) = self.epoch.get();
        let counted = sqlx::query(
            "UPDATE ledger_meta SET commits = commits + 1 WHERE epoch = $1 AND leader = $2 AND (lost IS NULL OR $3)",
        )
        .bind(epoch)
        .bind(leader)
        .bind(also_lost)
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
        let failed = while_doing("beginning a change");
        let mut transaction = self.write.begin_with(BEGIN).await.map_err(&failed)?;
        let counted = sqlx::query("UPDATE ledger_meta SET commits = commits + 1");
        counted.execute(&mut *transaction).await.map_err(&failed)?;
        Ok(transaction)
    }

    /// A transaction of whoever signs people in: see [`begin_steps`].
    pub(super) async fn begin_answering(&self) -> Result<Transaction, CommitError> {
        begin_steps(&self.write, self.group.cluster()).await
    }

    pub(super) async fn take_lead(&self, claim: &Claim) -> Result<i64, CommitError> {
        let failed = while_doing("taking the lead");
        let (former, of_epoch) = match &claim.adopt {
            Some(owner) => (&owner.cluster, Some(owner.epoch)),
            None => (&claim.cluster, None),
        };
        let leader = hex(&claim.token);
        let mut transaction = self.write.begin_with(BEGIN).await.map_err(&failed)?;
        let taken: Option<i64> = sqlx::query_scalar(
            "UPDATE ledger_meta SET epoch = epoch + 1, leader = $1, cluster = $2
             WHERE (cluster IS NULL OR cluster = $3) AND epoch = COALESCE($4, epoch) RETURNING epoch",
        )
        .bind(&leader)
        .bind(&claim.cluster.0)
        .bind(&former.0)
        .bind(of_epoch)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        let epoch = taken.ok_or(CommitError::Conflict)?;
        if let Some(owner) = &claim.adopt {
            let counted = sqlx::query("UPDATE ledger_meta SET commits = commits + 1");
            counted.execute(&mut *transaction).await.map_err(&failed)?;
            let entry = Entry::TakeOver { from: owner.cluster.to_string(), by: claim.cluster.to_string() };
            commit::chain(&mut transaction, claim.at, &[entry]).await?;
        }
        transaction.commit().await.map_err(&failed)?;
        self.epoch.set(epoch, leader);
        self.deposed.store(false, Ordering::SeqCst);
        Ok(epoch)
    }

    pub(super) async fn read_head(&self) -> Result<Head, Unavailable> {
        sqlx::query(
            "SELECT incarnation, commits, since, restored, cluster, epoch, lost, rebuilding, audit.sequence, audit.hash
             FROM ledger_meta
             LEFT JOIN audit ON audit.sequence = (SELECT MAX(sequence) FROM audit)",
        )
        .try_map(|row: Row| {
            let audit: (Option<i64>, Option<String>) = (row.try_get(8)?, row.try_get(9)?);
            let (owner, lost) = standing(&row)?;
            Ok(Head {
                mark: Mark { incarnation: row.try_get(0)?, commits: row.try_get(1)? },
                since: instant(row.try_get(2)?)?,
                restored: row.try_get(3)?,
                owner,
                lost,
                rebuilding: row.try_get("rebuilding")?,
                audit: audit.0.zip(audit.1).map(|(sequence, hash)| AuditHead { sequence, hash }),
            })
        })
        .fetch_one(&self.read)
        .await
        .map_err(while_doing("reading how far the ledger has come"))
    }

    /// Begins to write, and leaves it at that. It waits for no look that writes.
    pub(super) async fn begin_to_write(&self) -> Result<(), Unavailable> {
        let failed = while_doing("finding out whether the ledger takes writes");
        let mut transaction = self.read.begin_with(BEGIN).await.map_err(&failed)?;
        let read_only = sqlx::query_scalar(READ_ONLY).fetch_one(&mut *transaction).await.map_err(&failed)?;
        transaction.rollback().await.map_err(&failed)?;
        if read_only {
            Err(failed(sqlx::Error::Protocol("the database is read-only".into())))
        } else {
            Ok(())
        }
    }

    /// Writes down that the ledger is lost, unless another incarnation has begun since it was judged.
    pub(super) async fn note_lost(&self, loss: Loss, incarnation: i64) -> Result<(), Unavailable> {
        sqlx::query("UPDATE ledger_meta SET lost = $1 WHERE incarnation = $2 AND lost IS NULL")
            .bind(loss.word())
            .bind(incarnation)
            .execute(&self.write)
            .await
            .map_err(while_doing("writing down that the ledger is lost"))?;
        Ok(())
    }

    pub(super) async fn begin_incarnation(
        &self,
        loss: Loss,
        witness: Option<&Witness>,
        at: Timestamp,
    ) -> Result<(), CommitError> {
        let failed = while_doing("beginning an incarnation");
        let mut transaction = self.begin_led(true).await?;
        let own: i64 = current(&mut transaction).await.map_err(&failed)?;
        let incarnation = next_incarnation(own, witness);
        sqlx::query("UPDATE ledger_meta SET incarnation = $1, since = $2, restored = FALSE, lost = NULL, rebuilding = TRUE")
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

    pub(super) async fn end_rebuild(&self, incarnation: i64) -> Result<bool, CommitError> {
        let failed = while_doing("writing down that the ledger is rebuilt");
        let mut transaction = self.begin().await?;
        let ended = sqlx::query("UPDATE ledger_meta SET rebuilding = FALSE WHERE incarnation = $1");
        let ended = ended.bind(incarnation).execute(&mut *transaction).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(ended.rows_affected() == 1)
    }
}

/// Begins the incarnation that a nonce proves, if the ledger is not as far: what the audit is told then.
pub(super) async fn proven(
    connection: &mut Connection,
    incarnation: i64,
    at: Timestamp,
) -> Result<Option<Entry>, CommitError> {
    let risen = sqlx::query(
        "UPDATE ledger_meta SET incarnation = $1, since = $2, rebuilding = TRUE WHERE incarnation < $1",
    )
    .bind(incarnation)
    .bind(at.as_second())
    .execute(connection)
    .await
    .map_err(while_doing("beginning an incarnation"))?;
    let entry = Entry::Recover { loss: Loss::Proven, incarnation, witnessed: None, hash: None };
    Ok((risen.rows_affected() == 1).then_some(entry))
}

/// A transaction of those who answer the programs and people of `cluster`: counted, and refused where the ledger is lost or another cluster's. They
/// need not lead.
pub(super) async fn begin_steps(pool: &Pool, cluster: Option<&Uid>) -> Result<Transaction, CommitError> {
    let failed = while_doing("beginning a change");
    let mut transaction = pool.begin_with(BEGIN).await.map_err(&failed)?;
    let counted = sqlx::query(
        "UPDATE ledger_meta SET commits = commits + 1 WHERE lost IS NULL AND (cluster IS NULL OR cluster = $1)",
    )
    .bind(cluster.map(|cluster| &cluster.0))
    .execute(&mut *transaction)
    .await
    .map_err(&failed)?;
    if counted.rows_affected() == 0 {
        let (owner, lost) = sqlx::query("SELECT cluster, epoch, lost FROM ledger_meta")
            .try_map(|row: Row| standing(&row))
            .fetch_one(&mut *transaction)
            .await
            .map_err(&failed)?;
        let foreign = owner.filter(|owner| Some(&owner.cluster) != cluster).map(Bar::Foreign);
        return Err(foreign.or(lost.map(Bar::Lost)).map_or(CommitError::Conflict, CommitError::Barred));
    }
    Ok(transaction)
}

/// Whose the ledger is, and whether it was found lost.
fn standing(row: &Row) -> Result<(Option<Owner>, Option<Loss>), sqlx::Error> {
    let (cluster, epoch) = (row.try_get::<Option<String>, _>("cluster")?, row.try_get("epoch")?);
    let lost: Option<String> = row.try_get("lost")?;
    let owner = cluster.map(|cluster| Owner { cluster: Uid(cluster), epoch });
    Ok((owner, lost.map(|word| word.parse()).transpose().map_err(damaged)?))
}

async fn current(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT incarnation FROM ledger_meta").fetch_one(connection).await
}
