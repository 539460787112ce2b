//! Whether the audit is whole, by the ledger itself and by the checkpoints that were kept outside of it.

use std::collections::VecDeque;

use usher_license::Thumbprint;

use crate::ledger::{
    Trail, Unavailable,
    audit::{
        Checkpoint,
        walk::{Report, Walk},
    },
};

/// How many links or checkpoints are read at once.
const PAGE: u32 = 1_000;
/// How far checkpoints are read ahead of the links: more than links can have been numbered anew unseen.
const MARGIN: i64 = 1_000;

/// Walks along the whole chain. `outside` are checkpoints that were kept elsewhere; `trusted` is the key that must have
/// signed all of them.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn verify_audit(
    ledger: &impl Trail,
    outside: &[String],
    trusted: Option<Thumbprint>,
) -> Result<Report, Unavailable> {
    let mut checkpoints = Checkpoints { ledger, page: VecDeque::new(), read: 0, more: true };
    let anchor = checkpoints.first().await?.filter(|first| first.anchor);
    let mut walk = Walk::new(anchor.clone(), trusted);
    let mut after = anchor.map_or(0, |anchor| anchor.sequence);
    let mut links = ledger.audit(after, PAGE).await?;
    if let Some(first) = links.first() {
        walk.begins_with(first);
    }
    for jws in outside {
        walk.outside(jws);
    }
    while let Some(last) = links.last() {
        after = last.sequence;
        while let Some(checkpoint) = checkpoints.up_to(after.saturating_add(MARGIN)).await? {
            walk.checkpoint(&checkpoint);
        }
        walk.links(&links);
        links = ledger.audit(after, PAGE).await?;
    }
    while let Some(checkpoint) = checkpoints.up_to(i64::MAX).await? {
        walk.checkpoint(&checkpoint);
    }
    Ok(walk.end())
}

/// The checkpoints of the ledger, one after the other.
struct Checkpoints<'a, T> {
    ledger: &'a T,
    page: VecDeque<Checkpoint>,
    read: i64,
    more: bool,
}

impl<T: Trail> Checkpoints<'_, T> {
    async fn first(&mut self) -> Result<Option<Checkpoint>, Unavailable> {
        if self.page.is_empty() && self.more {
            self.page = self.ledger.checkpoints(self.read, PAGE).await?.into();
            self.more = !self.page.is_empty();
            self.read = self.page.back().map_or(self.read, |last| last.sequence);
        }
        Ok(self.page.front().cloned())
    }

    async fn up_to(&mut self, sequence: i64) -> Result<Option<Checkpoint>, Unavailable> {
        let next = self.first().await?;
        Ok(if next.is_some_and(|next| next.sequence <= sequence) { self.page.pop_front() } else { None })
    }
}
