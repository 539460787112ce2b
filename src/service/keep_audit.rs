//! Keeping the audit: sealing what it has grown by, and pruning what is older than it is kept.
//!
//! ```text
//!   last checkpoint ──► the links since must follow it ──► sign the head ──► checkpoint, in the ledger first
//! ```
//!
//! A tail that does not follow its checkpoint is not sealed: signing would make good what somebody has done to the file.

use jiff::{SignedDuration, Timestamp};
use usher_license::CheckpointClaims;

use crate::{
    keys::AuditKey,
    ledger::{
        Audit, CommitError, Unavailable,
        audit::{Checkpoint, Link},
    },
};

/// How many links are read at once.
const PAGE: u32 = 500;

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key that sealed before is another one.
    #[error(
        "the Secret of the audit key was changed: it holds the key {found}, and the checkpoints are by {recorded}; restore it from a backup"
    )]
    KeyChanged {
        /// The key of the last checkpoint.
        recorded: String,
        /// The key that there is.
        found: String,
    },
    /// The chain is not whole.
    #[error(
        "entry {0} does not follow the one before it: somebody has changed the ledger; nothing is sealed any more, see `usher audit verify`"
    )]
    Broken(i64),
    /// Reading.
    #[error("reading the audit failed")]
    Read(#[from] Unavailable),
    /// Keeping the checkpoint.
    #[error("keeping the checkpoint failed")]
    Commit(#[from] CommitError),
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
}

/// Signs the head of the chain if it is not sealed yet, and keeps the checkpoint.
///
/// # Errors
/// When the chain does not follow, the key is not the one that sealed before, or the ledger is away.
pub async fn seal_audit(
    ledger: &impl Audit,
    key: &AuditKey,
    now: Timestamp,
) -> Result<Option<Checkpoint>, SealError> {
    let Some(head) = ledger.last_link().await? else { return Ok(None) };
    let last = ledger.last_checkpoints(1).await?.pop();
    if last.as_ref().is_some_and(|last| last.sequence >= head.sequence) {
        return Ok(None);
    }
    let former =
        last.as_ref().and_then(|last| usher_license::Checkpoint::read_unproven(last.jws.as_bytes()).ok());
    if let Some(former) = &former {
        let recorded = former.unproven_claims().key.thumbprint();
        if recorded != key.thumbprint() {
            let (recorded, found) = (recorded.to_string(), key.thumbprint().to_string());
            return Err(SealError::KeyChanged { recorded, found });
        }
    }
    let (first, head) = follow(ledger, last.map(|last| (last.sequence, last.hash))).await?;
    let claims = CheckpointClaims {
        chain: former.as_ref().map_or(first, |former| former.unproven_claims().chain.clone()),
        sequence: u64::try_from(head.sequence).unwrap_or(0),
        hash: head.hash.clone(),
        iat: u64::try_from(now.as_second()).unwrap_or(0),
        previous: former.map(|former| former.digest().to_owned()),
        key: key.public(),
    };
    let jws = key.checkpoint(&claims)?;
    let at = now.as_second().max(0);
    let checkpoint = Checkpoint { sequence: head.sequence, hash: head.hash, at, jws, anchor: false };
    ledger.seal(&checkpoint).await?;
    Ok(Some(checkpoint))
}

/// Follows the chain from the last checkpoint to its end. Returns the hash of the first link on the way, and the last.
async fn follow(ledger: &impl Audit, sealed: Option<(i64, String)>) -> Result<(String, Link), SealError> {
    let mut last = sealed;
    let mut first = None;
    let mut head = None;
    loop {
        let from = last.as_ref().map_or(0, |(sequence, _)| *sequence);
        let page = ledger.audit(from, PAGE).await?;
        if page.is_empty() {
            let broken = SealError::Broken(from + 1);
            return Ok((first.ok_or(broken)?, head.ok_or(SealError::Broken(from + 1))?));
        }
        for link in page {
            if !link.follows(last.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str()))) {
                return Err(SealError::Broken(link.sequence));
            }
            last = Some((link.sequence, link.hash.clone()));
            first.get_or_insert_with(|| link.hash.clone());
            head = Some(link);
        }
    }
}

/// Gives up the entries that were sealed longer than `retention` ago: whole prefixes, each up to a checkpoint. Returns
/// whether there were any; [`Audit::sweep`] then removes them in small steps.
///
/// # Errors
/// When the ledger is away.
pub async fn prune_audit(
    ledger: &impl Audit,
    retention: SignedDuration,
    now: Timestamp,
) -> Result<bool, CommitError> {
    // Before the calendar begins there is nothing to prune.
    let Ok(before) = now.checked_sub(retention) else { return Ok(false) };
    ledger.prune(before, now).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::license::{Key, Uid},
        keys::KeyPair,
        ledger::{Change, Ledger, Trail as _, sqlite::Sqlite},
        service::verify_audit::verify_audit,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(seed: u8) -> AuditKey {
        AuditKey::new(KeyPair::from_seed(&[seed; 32]))
    }

    async fn grow(ledger: &impl Ledger, license: &str) {
        let uid = Uid(license.into());
        let mut change = Change::new(Key::new("design", license), uid, None, at(5), [7; 32]);
        change.seats = Some(1);
        change.bind = vec![crate::ledger::Bind {
            seat: Uid(format!("s-{license}")),
            holder: "email:a@b.example".into(),
        }];
        ledger.commit(&change).await.unwrap();
    }

    #[tokio::test]
    async fn the_head_is_sealed_when_it_has_moved_and_then_once() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        assert_eq!(seal_audit(&ledger, &key(1), at(10)).await.unwrap(), None, "there is nothing");
        for (license, sequence) in [("a", 1), ("b", 2)] {
            grow(&ledger, license).await;
            let sealed = seal_audit(&ledger, &key(1), at(10)).await.unwrap().unwrap();
            assert_eq!((sealed.sequence, sealed.at), (sequence, 10));
            assert_eq!(seal_audit(&ledger, &key(1), at(11)).await.unwrap(), None);
        }
        let outside: Vec<String> =
            ledger.checkpoints(0, 10).await.unwrap().into_iter().map(|checkpoint| checkpoint.jws).collect();
        let report = verify_audit(&ledger, &outside, Some(key(1).thumbprint())).await.unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.checkpoints, report.outside, report.sealed), (2, 2, 2));
        let other = verify_audit(&ledger, &outside, Some(key(2).thumbprint())).await.unwrap();
        assert!(!other.is_whole(), "by another key nothing is proven");
    }

    #[tokio::test]
    async fn another_key_seals_nothing_after_the_first_one() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        grow(&ledger, "a").await;
        seal_audit(&ledger, &key(1), at(10)).await.unwrap();
        grow(&ledger, "b").await;
        let refused = seal_audit(&ledger, &key(2), at(11)).await.unwrap_err();
        assert!(matches!(refused, SealError::KeyChanged { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_tail_that_was_changed_before_it_was_sealed_is_not_sealed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let ledger = Sqlite::open(&path).await.unwrap();
        grow(&ledger, "a").await;
        seal_audit(&ledger, &key(1), at(10)).await.unwrap();
        grow(&ledger, "b").await;
        grow(&ledger, "c").await;
        crate::ledger::sqlite::tests::tamper(&path, "UPDATE audit SET entries = '[]' WHERE sequence = 2")
            .await;
        let refused = seal_audit(&ledger, &key(1), at(11)).await.unwrap_err();
        assert!(matches!(refused, SealError::Broken(2)), "{refused}");
        assert_eq!(ledger.last_checkpoints(1).await.unwrap()[0].sequence, 1);
    }

    #[tokio::test]
    async fn what_is_left_after_pruning_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        for (second, license) in (10..).zip(["a", "b", "c"]) {
            grow(&ledger, license).await;
            seal_audit(&ledger, &key(1), at(second)).await.unwrap();
        }
        let day = SignedDuration::from_hours(24);
        assert!(!prune_audit(&ledger, day, at(10 + 86_400)).await.unwrap(), "a day is not over");
        assert!(prune_audit(&ledger, day, at(100 + 86_400)).await.unwrap());
        let half = verify_audit(&ledger, &[], None).await.unwrap();
        ledger.sweep(1).await.unwrap();
        let swept = verify_audit(&ledger, &[], None).await.unwrap();
        assert!(half.is_whole() && half == swept, "{half:?}");
        assert_eq!((half.anchor.unwrap().sequence, half.head, half.sealed), (2, 4, 3));
    }
}
