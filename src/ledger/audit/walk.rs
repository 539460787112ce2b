//! Whether a chain is whole. Pure.
//!
//! ```text
//!   anchor (or nothing) ──► link ──► link = checkpoint ──► link ──► … ──► link = checkpoint ──► links not yet sealed
//! ```
//!
//! 1. The walk begins at the anchor, or before link 1, and every link must follow the one before it.
//! 2. At a checkpoint's sequence the hash must be the one that was signed: whoever changes a link and computes all later
//!    hashes anew is found here. Checkpoints name the one before them, so none can be taken out.
//! 3. A checkpoint ahead of the chain means that the end of the chain is gone.
//! 4. An anchor counts only if the chain itself says that it was pruned up to there.
//! 5. Checkpoints from outside that were made before the ledger was lost or restored, by the chain's own word, cannot be
//!    passed any more: they are counted, and break nothing.
//! 6. Each checkpoint is by the key whose turn it is (`keys`), and that is another one only from an entry on which says so.
//! 7. After a break the walk goes on as well as it can, so that one broken link is one finding.
//!
//! What it cannot find: a link that was wrong when it was written, and a change of what no checkpoint outside of the
//! ledger seals, by somebody who has the audit key. Nor can a key vouch for what follows the last checkpoint that it made.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use usher_license::{CheckpointClaims, Thumbprint};

use super::{Checkpoint, Link, finding::Finding};
use keys::Keys;

mod keys;
mod report;
#[cfg(test)]
mod tests;

pub use keys::Turn;
pub use report::Report;

/// How many links after a break are searched for the one that belongs there.
const LOOKAHEAD: usize = 256;
/// The longest gap that is recognized although the links after it were numbered anew.
const GAP: i64 = 16;
/// A checkpoint that the chain still has to pass.
#[derive(Debug)]
struct Ahead {
    sequence: i64,
    hash: String,
    at: i64,
    key: Thumbprint,
    outside: bool,
}

/// What a checkpoint from outside shows, unless the ledger was recovered after it was made.
#[derive(Debug)]
struct Doubt {
    /// When it was made.
    at: i64,
    key: Thumbprint,
    finding: Finding,
}

/// A walk along a chain.
#[derive(Debug)]
pub struct Walk {
    report: Report,
    keys: Keys,
    /// The last link: its sequence and its hash. Before link 1: nothing.
    last: Option<(i64, String)>,
    /// By how much the sequences that are read differ from those that they had.
    offset: i64,
    /// Links that stood where another belongs.
    strays: Vec<Link>,
    ahead: VecDeque<Ahead>,
    /// Checkpoints from outside of which the ledger has not shown its own yet: what was signed, when, by which key.
    given: BTreeMap<i64, (String, i64, Thumbprint)>,
    doubts: Vec<Doubt>,
    /// The last checkpoint of the ledger: its sequence and digest.
    former: Option<(i64, String)>,
    chain: Option<String>,
    /// Whether something was told since the last checkpoint that was passed.
    told: bool,
    /// Whether a checkpoint was missed: then all later ones are, too.
    strayed: bool,
    pruned_through: Option<i64>,
    /// When the ledger was last recovered, as the chain says.
    recovered_at: Option<i64>,
}

impl Walk {
    /// A walk that begins after `anchor`. It is told how far the key `trusted` vouches; without one, the keys that signed the
    /// checkpoints from outside.
    #[must_use]
    pub fn new(anchor: Option<Checkpoint>, trusted: Option<Thumbprint>) -> Self {
        let mut walk = Self {
            report: Report::default(),
            keys: Keys::new(trusted),
            last: None,
            offset: 0,
            strays: Vec::new(),
            ahead: VecDeque::new(),
            given: BTreeMap::new(),
            doubts: Vec::new(),
            former: None,
            chain: None,
            told: false,
            strayed: false,
            pruned_through: None,
            recovered_at: None,
        };
        if let Some(anchor) = anchor {
            walk.last = Some((anchor.sequence, anchor.hash.clone()));
            walk.report.head = anchor.sequence;
            walk.report.sealed = anchor.sequence;
            walk.report.anchor = Some(anchor);
        }
        walk
    }

    /// The first link that the ledger has. Before all that follows.
    pub fn begins_with(&mut self, first: &Link) {
        if first.sequence == 1 && self.report.anchor.is_none() {
            self.chain = Some(first.hash.clone());
        }
    }

    /// A checkpoint from outside of the ledger, in any order; all of them before those of the ledger.
    pub fn outside(&mut self, jws: &str) {
        let (claims, _) = match read(jws) {
            Ok(read) => read,
            Err(why) => return self.tell(Finding::ForgedOutside { why }),
        };
        let key = claims.key.thumbprint();
        self.keys.kept_outside(&key);
        let sequence = i64::try_from(claims.sequence).unwrap_or(i64::MAX);
        let at = i64::try_from(claims.iat).unwrap_or(i64::MAX);
        if self.chain.as_ref().is_some_and(|chain| *chain != claims.chain) {
            return self.doubts.push(Doubt { at, key, finding: Finding::OtherChain { sequence, at } });
        }
        // What lies before the anchor cannot be compared with anything any more.
        if self.report.anchor.as_ref().is_none_or(|anchor| sequence > anchor.sequence) {
            self.given.insert(sequence, (jws.to_owned(), at, key.clone()));
            self.must_pass(Ahead { sequence, hash: claims.hash, at, key, outside: true });
        }
    }

    /// The next checkpoint of the ledger, the anchor included. Each must be given before the link that it seals.
    pub fn checkpoint(&mut self, row: &Checkpoint) {
        let (sequence, at) = (row.sequence, row.at);
        if self.given.get(&sequence).is_some_and(|(given, ..)| *given == row.jws) {
            self.given.remove(&sequence);
        }
        let (claims, digest) = match read(&row.jws) {
            Ok(read) => read,
            Err(why) => return self.tell(Finding::Forged { sequence, why }),
        };
        let beside = (u64::try_from(sequence), &row.hash, u64::try_from(at));
        if beside != (Ok(claims.sequence), &claims.hash, Ok(claims.iat)) {
            let why = "what was signed is not what stands beside it".to_owned();
            return self.tell(Finding::Forged { sequence, why });
        }
        if self.chain.as_ref().is_some_and(|chain| *chain != claims.chain) {
            self.tell(Finding::OtherChain { sequence, at });
        }
        let former = self.former.replace((sequence, digest));
        let follows = claims.previous.as_ref() == former.as_ref().map(|(_, digest)| digest);
        // Those before the anchor went with their links.
        if !(follows || (former.is_none() && row.anchor)) {
            let after = former.map(|(after, _)| after);
            self.tell(Finding::CheckpointMissing { before: sequence, after });
        }
        self.chain = Some(claims.chain);
        let key = claims.key.thumbprint();
        if !row.anchor {
            self.must_pass(Ahead { sequence, hash: claims.hash, at, key, outside: false });
        } else if let Err(finding) = self.keys.sealed(sequence, &key) {
            self.tell(finding);
        }
    }

    fn must_pass(&mut self, ahead: Ahead) {
        let at = self.ahead.partition_point(|other| other.sequence <= ahead.sequence);
        self.ahead.insert(at, ahead);
    }

    /// The next links, in the order of their sequences.
    pub fn links(&mut self, page: &[Link]) {
        for (at, link) in page.iter().enumerate() {
            let anchor = self.report.anchor.as_ref().map_or(0, |anchor| anchor.sequence);
            // What is left of a prefix that is being removed.
            if link.sequence <= anchor {
                continue;
            }
            self.report.entries += 1;
            self.step(link, page.get(at + 1..).unwrap_or_default());
        }
    }

    fn step(&mut self, link: &Link, later: &[Link]) {
        let expected = self.last.as_ref().map_or(1, |(sequence, _)| sequence + 1);
        let real = link.sequence + self.offset;
        if real > expected {
            self.tell(Finding::Missing { from: expected, to: real - 1 });
            return self.pass(real, link);
        }
        if self.fits(link, expected) {
            return self.pass(expected, link);
        }
        // Where so much is broken, the first findings have said it.
        if self.report.more > 0 {
            self.tell(Finding::Changed { sequence: link.sequence });
            return self.pass(expected, link);
        }
        self.diagnose(link, expected, later.get(..LOOKAHEAD.min(later.len())).unwrap_or_default());
    }

    /// `link` does not follow the last one. `later` are those after it.
    fn diagnose(&mut self, link: &Link, expected: i64, later: &[Link]) {
        let sequence = link.sequence;
        if let Some(right) = later.iter().find(|later| self.fits(later, expected)) {
            // The one that belongs here stands further on: is this one at home elsewhere?
            let is_next = later.first().is_some_and(|next| next.sequence == right.sequence);
            if is_next && !self.is_genuine(link, expected, later) {
                self.tell(Finding::Inserted { sequence });
                self.offset -= 1;
                return;
            }
            self.tell(Finding::Moved { sequence });
            self.strays.push(link.clone());
            return self.pass(expected, right);
        }
        if let Some(at) = self.strays.iter().position(|stray| self.fits(stray, expected)) {
            self.tell(Finding::Moved { sequence });
            let right = self.strays.swap_remove(at);
            return self.pass(expected, &right);
        }
        // Perhaps it is good and only its number is not its own: the next one knows.
        let shifted = |gap: &i64| {
            later.first().is_some_and(|next| {
                let own = (expected + gap, link.hash.as_str());
                Link::after(Some(own), next.at, next.entries.clone()).hash == next.hash
            })
        };
        match (-GAP..=GAP).filter(|gap| *gap != 0).find(shifted) {
            Some(gap) if gap > 0 => {
                self.tell(Finding::Missing { from: expected, to: expected + gap - 1 });
                self.offset += gap;
                self.pass(expected + gap, link);
            }
            Some(gap) => {
                self.tell(Finding::Inserted { sequence: sequence + gap });
                self.offset += gap;
                self.pass(expected + gap, link);
            }
            None => {
                self.tell(Finding::Changed { sequence });
                self.pass(expected, link);
            }
        }
    }

    /// Whether `link` is the one after the last, whatever number it carries.
    fn fits(&self, link: &Link, sequence: i64) -> bool {
        let last = self.last.as_ref().map(|(sequence, hash)| (*sequence, hash.as_str()));
        let right = Link::after(last, link.at, link.entries.clone());
        right.sequence == sequence && right.hash == link.hash
    }

    /// Whether `link` is a link of this chain, at another place: its hash is what its content makes after some link here.
    fn is_genuine(&self, link: &Link, expected: i64, later: &[Link]) -> bool {
        let last = self.last.as_ref().map_or("", |(_, hash)| hash.as_str());
        let end = expected + i64::try_from(later.len()).unwrap_or(0);
        later.iter().map(|other| other.hash.as_str()).chain([last]).any(|hash| {
            let at_home = |sequence: i64| {
                Link::after(Some((sequence - 1, hash)), link.at, link.entries.clone()).hash == link.hash
            };
            (expected..=end).any(at_home)
        })
    }

    fn pass(&mut self, sequence: i64, link: &Link) {
        self.last = Some((sequence, link.hash.clone()));
        self.report.head = sequence;
        self.hear(link);
        while let Some(ahead) = self.ahead.pop_front_if(|ahead| ahead.sequence <= sequence) {
            if ahead.sequence == sequence {
                self.compare(&ahead, &link.hash);
            }
        }
    }

    /// What the chain says of itself.
    fn hear(&mut self, link: &Link) {
        if !["\"prune\"", "\"recover\"", "\"rekey\""].iter().any(|kind| link.entries.contains(kind)) {
            return;
        }
        let entries: Vec<Value> = serde_json::from_str(&link.entries).unwrap_or_default();
        for entry in &entries {
            match entry.get("kind").and_then(Value::as_str) {
                Some("prune") => {
                    let through = entry.get("through").and_then(Value::as_i64);
                    self.pruned_through = self.pruned_through.max(through);
                }
                Some("recover") => self.recovered_at = self.recovered_at.max(Some(link.at)),
                Some("rekey") => {
                    let key = |member: &str| entry.get(member)?.as_str()?.parse().ok();
                    let (Some(from), Some(to)) = (key("from"), key("to")) else { continue };
                    let turn = Turn { sequence: self.report.head, from, to };
                    if let Err(finding) = self.keys.turn(turn) {
                        self.tell(finding);
                    }
                }
                _ => {}
            }
        }
    }

    fn compare(&mut self, checkpoint: &Ahead, hash: &str) {
        let Ahead { sequence, at, outside, .. } = *checkpoint;
        if checkpoint.hash == hash {
            return self.seal(checkpoint);
        }
        if self.told {
            return;
        }
        let finding = Finding::Rewritten { after: self.report.sealed, sequence, at, outside };
        if outside {
            self.doubts.push(Doubt { at, key: checkpoint.key.clone(), finding });
        } else if !std::mem::replace(&mut self.strayed, true) {
            self.tell(finding);
        }
    }

    /// The chain passes through this checkpoint.
    fn seal(&mut self, checkpoint: &Ahead) {
        let Ahead { sequence, at, ref key, outside, .. } = *checkpoint;
        if outside && !self.keys.is_turn_of(key) {
            self.given.remove(&sequence);
            let why = format!("it is by the key {key}, whose turn it was not");
            return self.doubts.push(Doubt { at, key: key.clone(), finding: Finding::ForgedOutside { why } });
        }
        if let Err(finding) = self.keys.sealed(sequence, key) {
            return self.tell(finding);
        }
        let passed = if outside { &mut self.report.outside } else { &mut self.report.checkpoints };
        *passed += 1;
        self.report.sealed = sequence;
        self.told = false;
    }

    fn tell(&mut self, finding: Finding) {
        self.told = true;
        self.report.tell(finding);
    }

    /// The end of the chain.
    #[must_use]
    pub fn end(self) -> Report {
        let Self { mut report, keys, .. } = self;
        let (head, after) = (report.head, self.recovered_at);
        let is_lost = |at: i64, outside: bool| outside && after.is_some_and(|after| at <= after);
        let (lost, ahead): (Vec<_>, Vec<_>) =
            self.ahead.into_iter().partition(|ahead| is_lost(ahead.at, ahead.outside));
        let replaced = self.given.into_iter().filter(|(sequence, _)| *sequence <= head);
        let replaced = replaced.map(|(sequence, (_, at, key))| Doubt {
            at,
            key,
            finding: Finding::CheckpointReplaced { sequence },
        });
        let doubts = self.doubts.into_iter().chain(replaced);
        let (of_lost, doubts): (Vec<_>, Vec<_>) = doubts.partition(|doubt| is_lost(doubt.at, true));
        report.lost = u64::try_from(lost.len() + of_lost.len()).unwrap_or(u64::MAX);
        let (ours, alien): (Vec<_>, Vec<_>) = ahead.into_iter().partition(|ahead| keys.knows(&ahead.key));
        let mut strayed = self.strayed;
        for Doubt { key, finding, .. } in doubts {
            let finding = if keys.knows(&key) { finding } else { Finding::by_nobody(&key) };
            // Once the chain has strayed it passes none of those that follow.
            let again = matches!(finding, Finding::Rewritten { .. }) && std::mem::replace(&mut strayed, true);
            if !again {
                report.tell(finding);
            }
        }
        for Ahead { key, .. } in alien {
            report.tell(Finding::by_nobody(&key));
        }
        if let Some(Ahead { sequence, at, outside, .. }) = ours.into_iter().next_back() {
            report.tell(Finding::Truncated { head, sequence, at, outside });
        }
        if let Some(through) = report.anchor.as_ref().map(|anchor| anchor.sequence)
            && self.pruned_through != Some(through)
        {
            report.tell(Finding::NotPruned { through });
        }
        keys.tell(&mut report);
        report
    }
}

/// What a checkpoint says, and its digest, if it is signed by the key that it names.
fn read(jws: &str) -> Result<(CheckpointClaims, String), String> {
    let read = usher_license::Checkpoint::read_unproven(jws.as_bytes()).map_err(|error| error.to_string())?;
    Ok((read.unproven_claims().clone(), read.digest().to_owned()))
}
