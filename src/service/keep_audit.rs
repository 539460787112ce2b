//! Keeping the audit: sealing what it has grown by, and pruning what is older than it is kept.
//!
//! ```text
//!   last checkpoint ──► the links since must follow it ──► sign the head ──► checkpoint, in the ledger first
//!                       (they may say that the key is another one)
//! ```
//!
//! A tail that does not follow its checkpoint is not sealed: signing would make good what somebody has done to the file. Nor is it
//! by another key than the one whose turn it is.

use jiff::{SignedDuration, Timestamp};
use usher_license::{CheckpointClaims, Thumbprint};

use crate::{
    keys::AuditKey,
    ledger::{
        Audit, CommitError, Unavailable,
        audit::{Checkpoint, Entry, Link},
    },
};

/// How many links are read at once.
const PAGE: u32 = 500;

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It is the turn of another key.
    #[error(
        "the Secret of the audit key was changed: it holds the key {found}, and the checkpoints are by {recorded}; restore it from a \
         backup, or, if there is none, delete that Secret and run: usher audit rekey"
    )]
    KeyChanged {
        /// The key whose turn it is.
        recorded: Thumbprint,
        /// The key that there is.
        found: Thumbprint,
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

/// What the chain has grown by since its last checkpoint; it follows it.
#[derive(Debug)]
pub struct Tail {
    /// Which chain.
    chain: String,
    /// The digest of that checkpoint.
    previous: Option<String>,
    /// The key by which that checkpoint is.
    sealed_by: Option<Thumbprint>,
    /// The changes of keys that it tells of, from which to which: nobody has sealed them yet.
    turns: Vec<(Thumbprint, Thumbprint)>,
    head: Link,
}

impl Tail {
    /// The keys that change in it, if any do: from the first to the last. To seal that takes a consent to just this.
    #[must_use]
    pub fn turn(&self) -> Option<(&Thumbprint, &Thumbprint)> {
        let ((first, _), (_, last)) = (self.turns.first()?, self.turns.last()?);
        Some((self.sealed_by.as_ref().unwrap_or(first), last))
    }

    /// The key whose turn it is; nothing, if there is no checkpoint yet.
    #[must_use]
    pub fn key(&self) -> Option<&Thumbprint> {
        self.turns.last().map(|(_, to)| to).or(self.sealed_by.as_ref())
    }
}

/// What is to be sealed, if there is anything.
///
/// # Errors
/// When the chain does not follow its last checkpoint, or the ledger is away.
pub async fn unsealed(ledger: &impl Audit) -> Result<Option<Tail>, SealError> {
    let Some(head) = ledger.last_link().await? else { return Ok(None) };
    let last = ledger.last_checkpoints(1).await?.pop();
    if last.as_ref().is_some_and(|last| last.sequence >= head.sequence) {
        return Ok(None);
    }
    let former =
        last.as_ref().and_then(|last| usher_license::Checkpoint::read_unproven(last.jws.as_bytes()).ok());
    let claims = former.as_ref().map(usher_license::Checkpoint::unproven_claims);
    let mut tail = Tail {
        chain: claims.map(|claims| claims.chain.clone()).unwrap_or_default(),
        previous: former.as_ref().map(|former| former.digest().to_owned()),
        sealed_by: claims.map(|claims| claims.key.thumbprint()),
        turns: Vec::new(),
        head,
    };
    follow(ledger, last.map(|last| (last.sequence, last.hash)), &mut tail).await?;
    Ok(Some(tail))
}

/// Follows the chain from the last checkpoint to its end.
async fn follow(
    ledger: &impl Audit,
    sealed: Option<(i64, String)>,
    tail: &mut Tail,
) -> Result<(), SealError> {
    let mut last = sealed;
    let mut followed = false;
    loop {
        let from = last.as_ref().map_or(0, |(sequence, _)| *sequence);
        let page = ledger.audit(from, PAGE).await?;
        if page.is_empty() {
            return if followed { Ok(()) } else { Err(SealError::Broken(from + 1)) };
        }
        for link in page {
            if !link.follows(last.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str()))) {
                return Err(SealError::Broken(link.sequence));
            }
            last = Some((link.sequence, link.hash.clone()));
            if tail.chain.is_empty() {
                tail.chain.clone_from(&link.hash);
            }
            tail.turns.extend(turns(&link));
            tail.head = link;
            followed = true;
        }
    }
}

/// The changes of keys of which this link tells.
fn turns(link: &Link) -> Vec<(Thumbprint, Thumbprint)> {
    if !link.entries.contains("\"rekey\"") {
        return Vec::new();
    }
    let entries: Vec<Entry> = serde_json::from_str(&link.entries).unwrap_or_default();
    let turn = |entry| match entry {
        Entry::Rekey { from, to, .. } => Some((from.parse().ok()?, to.parse().ok()?)),
        _ => None,
    };
    entries.into_iter().filter_map(turn).collect()
}

/// Signs the head of the chain, and keeps the checkpoint.
///
/// # Errors
/// When it is the turn of another key, or the ledger is away.
pub async fn seal(
    ledger: &impl Audit,
    tail: Tail,
    key: &AuditKey,
    now: Timestamp,
) -> Result<Checkpoint, SealError> {
    let found = key.thumbprint();
    if let Some(recorded) = tail.key().filter(|recorded| **recorded != found) {
        return Err(SealError::KeyChanged { recorded: recorded.clone(), found });
    }
    let Tail { chain, previous, head, .. } = tail;
    let claims = CheckpointClaims {
        chain,
        sequence: u64::try_from(head.sequence).unwrap_or(0),
        hash: head.hash.clone(),
        iat: u64::try_from(now.as_second()).unwrap_or(0),
        previous,
        key: key.public(),
    };
    let jws = key.checkpoint(&claims)?;
    let at = now.as_second().max(0);
    let checkpoint = Checkpoint { sequence: head.sequence, hash: head.hash, at, jws, anchor: false };
    ledger.seal(&checkpoint).await?;
    Ok(checkpoint)
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
        ledger::{
            Change, Ledger, Trail as _,
            audit::{Finding, walk::Turn},
            sqlite::Sqlite,
        },
        service::verify_audit::verify_audit,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(seed: u8) -> AuditKey {
        AuditKey::new(KeyPair::from_seed(&[seed; 32]))
    }

    async fn seal_audit(
        ledger: &impl Audit,
        key: &AuditKey,
        now: Timestamp,
    ) -> Result<Option<Checkpoint>, SealError> {
        match unsealed(ledger).await? {
            Some(tail) => seal(ledger, tail, key, now).await.map(Some),
            None => Ok(None),
        }
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
    async fn whatever_an_entry_gives_up_it_is_the_key_that_sealed_last_that_would_be() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        grow(&ledger, "a").await;
        let [forged, other, ours] = [1, 2, 3].map(|seed| key(seed).thumbprint());
        seal_audit(&ledger, &key(1), at(10)).await.unwrap();
        ledger.rekey(other.as_str(), ours.as_str(), at(11)).await.unwrap();
        assert_eq!(unsealed(&ledger).await.unwrap().unwrap().turn(), Some((&forged, &ours)));
    }

    #[tokio::test]
    async fn another_key_seals_from_the_entry_on_that_says_so_and_the_former_one_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        grow(&ledger, "a").await;
        let former = seal_audit(&ledger, &key(1), at(10)).await.unwrap().unwrap();
        grow(&ledger, "b").await;
        let [from, to] = [1, 2].map(|seed| key(seed).thumbprint());
        ledger.rekey(from.as_str(), to.as_str(), at(11)).await.unwrap();
        grow(&ledger, "c").await;
        let refused = seal_audit(&ledger, &key(1), at(12)).await.unwrap_err();
        assert!(matches!(refused, SealError::KeyChanged { .. }), "{refused}");
        assert_eq!(unsealed(&ledger).await.unwrap().unwrap().turn(), Some((&from, &to)));
        let sealed = seal_audit(&ledger, &key(2), at(12)).await.unwrap().unwrap();
        let read =
            |sealed: &Checkpoint| usher_license::Checkpoint::read_unproven(sealed.jws.as_bytes()).unwrap();
        assert_eq!(read(&sealed).unproven_claims().previous.as_deref(), Some(read(&former).digest()));
        grow(&ledger, "d").await;
        assert_eq!(unsealed(&ledger).await.unwrap().unwrap().turn(), None, "that is sealed");
        seal_audit(&ledger, &key(2), at(13)).await.unwrap();

        let turns = [Turn { sequence: 3, from: from.clone(), to: to.clone() }];
        for (trusted, vouched) in [(Some(from), 1), (Some(to), 5), (None, 0)] {
            let report = verify_audit(&ledger, &[], trusted.clone()).await.unwrap();
            assert!(report.is_whole(), "{report:?}");
            assert_eq!(
                (report.vouched, report.sealed, &report.turns[..]),
                (vouched, 5, &turns[..]),
                "{trusted:?}"
            );
        }
        let alien = verify_audit(&ledger, &[], Some(key(3).thumbprint())).await.unwrap();
        assert!(matches!(alien.findings[..], [Finding::Untrusted { .. }]), "{alien:?}");
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
