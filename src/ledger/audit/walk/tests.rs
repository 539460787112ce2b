//! An untouched chain is never called broken; a chain that was tampered with always is.

use proptest::prelude::*;
use usher_license::CheckpointClaims;

use super::{report::TOLD, *};
use crate::keys::{AuditKey, KeyPair};

mod keys;

fn key(seed: u8) -> AuditKey {
    AuditKey::new(KeyPair::from_seed(&[seed; 32]))
}

/// A chain of so many links, with checkpoints after these of them.
#[derive(Debug, Clone)]
struct Chain {
    links: Vec<Link>,
    checkpoints: Vec<Checkpoint>,
}

impl Chain {
    fn new(length: i64, sealed: &[i64]) -> Self {
        let mut links: Vec<Link> = Vec::new();
        for sequence in 1..=length {
            let last = links.last().map(|link| (link.sequence, link.hash.as_str()));
            links.push(Link::after(
                last,
                1_000 + sequence,
                format!(r#"[{{"kind":"free","seat":"{sequence}"}}]"#),
            ));
        }
        let mut chain = Self { links, checkpoints: Vec::new() };
        for sequence in sealed {
            chain.seal(*sequence, &key(1));
        }
        chain
    }

    fn seal(&mut self, sequence: i64, key: &AuditKey) {
        let link = self.links.iter().find(|link| link.sequence == sequence).unwrap();
        let previous = self.checkpoints.last().map(|last| {
            usher_license::Checkpoint::read_unproven(last.jws.as_bytes()).unwrap().digest().to_owned()
        });
        let claims = CheckpointClaims {
            chain: self.links[0].hash.clone(),
            sequence: sequence.try_into().unwrap(),
            hash: link.hash.clone(),
            iat: 5_000,
            previous,
            key: key.public(),
        };
        let (hash, jws) = (link.hash.clone(), key.checkpoint(&claims).unwrap());
        self.checkpoints.push(Checkpoint { sequence, hash, at: 5_000, jws, anchor: false });
    }

    /// Computes every number and hash anew from here on, as whoever owns the file can.
    fn rewrite(&mut self, from: usize) {
        for at in from..self.links.len() {
            let last = at.checked_sub(1).map(|last| self.links[last].clone());
            let last = last.as_ref().map(|link| (link.sequence, link.hash.as_str()));
            let link = &self.links[at];
            self.links[at] = Link::after(last, link.at, link.entries.clone());
        }
    }

    /// Makes this checkpoint the anchor, and removes what lies before.
    fn prune(&mut self, at: usize) {
        let through = self.checkpoints[at].sequence;
        self.checkpoints.drain(..at);
        self.checkpoints[0].anchor = true;
        self.links.retain(|link| link.sequence > through);
    }

    fn report(&self, outside: &[Checkpoint]) -> Report {
        self.report_by_pages(outside, 64)
    }

    fn report_by_pages(&self, outside: &[Checkpoint], page: usize) -> Report {
        self.report_to(None, outside, page)
    }

    /// As somebody sees it who trusts this key.
    fn report_to(&self, trusted: Option<Thumbprint>, outside: &[Checkpoint], page: usize) -> Report {
        let anchor = self.checkpoints.first().filter(|first| first.anchor).cloned();
        let mut walk = Walk::new(anchor, trusted);
        if let Some(first) = self.links.first() {
            walk.begins_with(first);
        }
        for checkpoint in outside {
            walk.outside(&checkpoint.jws);
        }
        for checkpoint in &self.checkpoints {
            walk.checkpoint(checkpoint);
        }
        for page in self.links.chunks(page) {
            walk.links(page);
        }
        walk.end()
    }

    /// What is found, as it is told.
    fn findings(&self) -> Vec<Finding> {
        self.report(&[]).findings
    }
}

#[test]
fn a_whole_chain_says_how_far_it_goes_and_how_far_it_is_sealed() {
    let chain = Chain::new(10, &[3, 8]);
    let report = chain.report(&chain.checkpoints);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.entries, report.head, report.sealed), (10, 10, 8));
    assert_eq!((report.checkpoints, report.outside), (2, 2));
    assert_eq!(report.key, Some(key(1).thumbprint()));
    assert!(Chain::new(0, &[]).report(&[]).is_whole());
}

#[test]
fn one_thing_that_was_done_is_one_finding_that_names_it() {
    let whole = Chain::new(12, &[4, 12]);
    let edited = |edit: &dyn Fn(&mut Chain)| {
        let mut chain = whole.clone();
        edit(&mut chain);
        chain.findings()
    };
    let renumber = |chain: &mut Chain| {
        for (sequence, link) in (1..).zip(&mut chain.links) {
            link.sequence = sequence;
        }
    };
    assert_eq!(edited(&|chain| chain.links[5].entries = "[]".into()), [Finding::Changed { sequence: 6 }]);
    assert_eq!(edited(&|chain| chain.links[5].at += 1), [Finding::Changed { sequence: 6 }]);
    let removed = edited(&|chain| drop(chain.links.drain(5..7)));
    assert_eq!(removed, [Finding::Missing { from: 6, to: 7 }]);
    let removed = edited(&|chain| {
        chain.links.remove(5);
        renumber(chain);
    });
    assert_eq!(removed, [Finding::Missing { from: 6, to: 6 }], "though the rest is numbered anew");
    let swapped = edited(&|chain| {
        chain.links.swap(5, 8);
        renumber(chain);
    });
    assert_eq!(swapped, [Finding::Moved { sequence: 6 }, Finding::Moved { sequence: 9 }]);
    let inserted = edited(&|chain| {
        let alien = Link { entries: "[0]".into(), ..chain.links[5].clone() };
        chain.links.insert(5, alien);
        renumber(chain);
    });
    assert_eq!(inserted, [Finding::Inserted { sequence: 6 }]);
    let fitting = edited(&|chain| {
        let last = (5, chain.links[4].hash.as_str());
        let alien = Link::after(Some(last), 1, "[0]".into());
        chain.links.insert(5, alien);
        renumber(chain);
    });
    assert_eq!(fitting, [Finding::Inserted { sequence: 6 }], "though it follows the one before it");
}

#[test]
fn whoever_computes_the_chain_anew_is_found_at_the_next_checkpoint() {
    let mut chain = Chain::new(12, &[4, 9, 12]);
    chain.links[5].entries = "[]".into();
    chain.rewrite(5);
    let (after, sequence, at, outside) = (4, 9, 5_000, false);
    assert_eq!(chain.findings(), [Finding::Rewritten { after, sequence, at, outside }]);
    // With the checkpoints in the file gone, too, those from outside say it.
    let outside = std::mem::take(&mut chain.checkpoints);
    assert!(chain.findings().is_empty());
    let found = chain.report(&outside).findings;
    assert_eq!(found[0], Finding::Rewritten { after, sequence, at, outside: true });
    assert_eq!(found[1..], [4, 9, 12].map(|sequence| Finding::CheckpointReplaced { sequence }));
}

#[test]
fn a_checkpoint_ahead_of_the_chain_shows_that_its_end_is_gone() {
    let mut chain = Chain::new(9, &[4, 9]);
    chain.links.truncate(6);
    let (head, sequence, at) = (6, 9, 5_000);
    assert_eq!(chain.findings(), [Finding::Truncated { head, sequence, at, outside: false }]);
    let last = chain.checkpoints.pop().unwrap();
    assert_eq!(chain.report(&[last]).findings, [Finding::Truncated { head, sequence, at, outside: true }]);
}

#[test]
fn a_checkpoint_that_is_forged_removed_or_of_another_chain_is_found() {
    let whole = Chain::new(9, &[3, 6, 9]);
    let mut removed = whole.clone();
    removed.checkpoints.remove(1);
    assert_eq!(removed.findings(), [Finding::CheckpointMissing { before: 9, after: Some(3) }]);
    removed.checkpoints.remove(0);
    assert_eq!(removed.findings(), [Finding::CheckpointMissing { before: 9, after: None }]);

    let mut forged = Chain::new(9, &[3]);
    forged.seal(6, &key(2));
    let [from, to] = [1, 2].map(|seed| key(seed).thumbprint());
    assert_eq!(forged.findings(), [Finding::KeyChanged { sequence: 6, from, to }]);
    let mut beside = whole.clone();
    beside.checkpoints[1].hash = "0".repeat(64);
    assert!(matches!(beside.findings()[..], [Finding::Forged { sequence: 6, .. }, ..]));

    let mut other = whole.clone();
    other.links[0].entries = "[]".into();
    other.rewrite(0);
    other.checkpoints.clear();
    let last = whole.checkpoints.last().cloned().unwrap();
    assert_eq!(other.report(&[last]).findings, [Finding::OtherChain { sequence: 9, at: 5_000 }]);
    let alien = Checkpoint { jws: "a.b.c".into(), ..whole.checkpoints[0].clone() };
    assert!(matches!(whole.report(&[alien]).findings[..], [Finding::ForgedOutside { .. }]));
}

#[test]
fn a_pruned_chain_is_whole_from_its_anchor_on_and_only_if_it_says_that_it_was_pruned() {
    let mut chain = Chain::new(9, &[3, 6]);
    chain.links[7].entries = r#"[{"kind":"prune","through":6}]"#.into();
    chain.rewrite(7);
    chain.seal(9, &key(1));
    let outside = chain.checkpoints.clone();
    chain.prune(1);
    let report = chain.report(&outside);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.entries, report.anchor.map(|anchor| anchor.sequence)), (3, Some(6)));

    let mut removed = Chain::new(9, &[3, 6, 9]);
    removed.prune(1);
    assert_eq!(removed.findings(), [Finding::NotPruned { through: 6 }]);
    removed.checkpoints[0].anchor = false;
    assert!(removed.findings().contains(&Finding::Missing { from: 1, to: 6 }));
    let mut changed = chain.clone();
    changed.links[0].at += 1;
    assert_eq!(changed.findings(), [Finding::Changed { sequence: 7 }]);
}

#[test]
fn what_was_lost_before_the_ledger_was_recovered_breaks_nothing_and_what_came_after_does() {
    let whole = Chain::new(9, &[3, 6, 9]);
    // An older copy, that says itself that it was recovered after all of these were made.
    let mut older = Chain::new(4, &[3]);
    let last = (4, older.links[3].hash.clone());
    let recovered = Link::after(Some((last.0, &last.1)), 5_001, r#"[{"kind":"recover"}]"#.into());
    older.links.push(recovered);
    let report = older.report(&whole.checkpoints);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.outside, report.lost), (1, 2));
    // A new ledger, whose chain is another one.
    let mut new = Chain::new(2, &[]);
    new.links[0].entries = r#"[{"kind":"recover"}]"#.into();
    new.links[0].at = 5_001;
    new.rewrite(0);
    let report = new.report(&whole.checkpoints);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.outside, report.lost), (0, 3));
    // Recovered before they were made: that explains nothing.
    new.links[0].at = 4_999;
    new.rewrite(0);
    assert_eq!(new.report(&whole.checkpoints).findings.len(), 3);
}

#[test]
fn a_chain_in_which_everything_is_broken_is_told_in_part_and_counted() {
    let mut chain = Chain::new(200, &[]);
    for link in &mut chain.links {
        link.hash = "0".repeat(64);
    }
    let report = chain.report(&[]);
    assert_eq!((report.findings.len(), report.more), (TOLD, 200 - TOLD));
}

/// What somebody who owns the file does.
#[derive(Debug, Clone)]
enum Tampering {
    Edit(usize),
    Date(usize),
    Remove { at: usize, renumber: bool },
    Swap(usize, usize),
    Insert(usize),
    Truncate(usize),
}

fn tampering() -> impl Strategy<Value = (Tampering, bool)> {
    let at = || 0usize..30;
    let what = prop_oneof![
        at().prop_map(Tampering::Edit),
        at().prop_map(Tampering::Date),
        (at(), any::<bool>()).prop_map(|(at, renumber)| Tampering::Remove { at, renumber }),
        (at(), at()).prop_map(|(a, b)| Tampering::Swap(a, b)),
        at().prop_map(Tampering::Insert),
        at().prop_map(Tampering::Truncate),
    ];
    (what, any::<bool>())
}

/// Does it, and with `anew` makes a chain of what comes of it. Whether anything is another than before.
fn tamper(chain: &mut Chain, what: &Tampering, anew: bool) -> bool {
    let before = chain.links.clone();
    let length = chain.links.len();
    let from = match *what {
        Tampering::Edit(at) => {
            chain.links[at % length].entries.push(' ');
            at % length
        }
        Tampering::Date(at) => {
            chain.links[at % length].at += 1;
            at % length
        }
        Tampering::Remove { at, renumber } => {
            chain.links.remove(at % length);
            if renumber {
                chain.links[at % length..].iter_mut().for_each(|link| link.sequence -= 1);
            }
            at % length
        }
        Tampering::Swap(a, b) => {
            let (a, b) = (a % length, b % length);
            let sequences = (chain.links[a].sequence, chain.links[b].sequence);
            chain.links.swap(a, b);
            (chain.links[a].sequence, chain.links[b].sequence) = sequences;
            a.min(b)
        }
        Tampering::Insert(at) => {
            let at = at % length;
            let alien = Link { entries: "[0]".into(), ..chain.links[at].clone() };
            chain.links.insert(at, alien);
            chain.links[at + 1..].iter_mut().for_each(|link| link.sequence += 1);
            at
        }
        Tampering::Truncate(at) => {
            chain.links.truncate(at % length);
            at % length
        }
    };
    if anew {
        chain.rewrite(from);
    }
    chain.links != before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_untouched_chain_is_whole_and_a_touched_one_is_not(
        length in 1i64..30,
        sealed in prop::collection::btree_set(1i64..30, 0..4),
        (what, anew) in tampering(),
        keep_checkpoints in any::<bool>(),
        page in 1usize..40,
    ) {
        // The last link is sealed: of what is newer only the ledger itself tells.
        let sealed: Vec<i64> = sealed.into_iter().filter(|at| *at < length).chain([length]).collect();
        let mut chain = Chain::new(length, &sealed);
        let outside = chain.checkpoints.split_off(chain.checkpoints.len() - 1);
        chain.checkpoints.extend(outside.clone());
        prop_assert!(chain.report_by_pages(&outside, page).is_whole());
        if tamper(&mut chain, &what, anew) {
            if !keep_checkpoints {
                chain.checkpoints.clear();
            }
            let report = chain.report_by_pages(&outside, page);
            prop_assert!(!report.is_whole(), "{:?} {:?}", what, report);
        }
    }
}
