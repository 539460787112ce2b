//! The ledger of this world: facts, and a history that only the checks read. It can be copied, and the copy be put back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use usher::domain::{
    chain::{Call, Chain, Position, State},
    witness::Mark,
};

use super::message::{Id, Said};

/// An activation.
#[derive(Debug, Clone)]
pub struct Row {
    pub chain: Chain,
    /// The answer to the last call.
    pub answer: Said,
    pub device: u32,
    pub seat: u32,
    pub token: u64,
    /// It was given to a copy: activating the device again means another one.
    pub of_copy: bool,
}

impl Row {
    pub fn lives(&self) -> bool {
        !matches!(self.chain.state, State::Ended(_))
    }
}

/// What happened in this life of the ledger, for the checks: it is put back with the ledger, so that each of them is exact after a restore, too.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// By which call each position was used.
    pub used: BTreeMap<(Id, Position), Call>,
    /// The highest incarnation in which anything was issued.
    pub incarnation: u32,
    /// The last position that was issued for each activation.
    pub issued: BTreeMap<Id, Position>,
    /// All of them.
    pub all_issued: BTreeSet<(Id, Position)>,
    /// The last instant at which a document of each activation is good.
    pub documents: BTreeMap<Id, Timestamp>,
    /// Activations that were ended while they held a place.
    pub released: BTreeSet<Id>,
    /// Activations whose last document has ended by the server's clock, whatever it shows since.
    pub lapsed: BTreeSet<Id>,
    /// Activations of which a copy was seen that nobody has judged.
    pub forked: BTreeSet<Id>,
    /// Below which positions copies were judged.
    pub judged: BTreeMap<Id, Position>,
    /// When devices were activated again, by the server's clock.
    pub recovered: Vec<(u32, Timestamp)>,
    /// Clients that were refused as copies with the best nonce that they had, and at which position.
    pub outdone: BTreeMap<(usize, Id), Position>,
}

/// The ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub mark: Mark,
    pub rows: BTreeMap<Id, Row>,
    pub forks: BTreeSet<(Id, Position)>,
    /// When activations of a seat were ended without a nonce.
    pub transfers: Vec<(u32, Timestamp)>,
    /// When devices were activated again.
    pub recoveries: Vec<(u32, Timestamp)>,
    pub history: History,
}

impl Ledger {
    pub fn new() -> Self {
        Self {
            mark: Mark { incarnation: 1, commits: 0 },
            rows: BTreeMap::new(),
            forks: BTreeSet::new(),
            transfers: Vec::new(),
            recoveries: Vec::new(),
            history: History::default(),
        }
    }

    /// Places of a seat that are held.
    pub fn held(&self, seat: u32) -> u32 {
        self.rows.values().filter(|row| row.seat == seat && row.chain.holds_place()).count() as u32
    }

    pub fn transfers(&self, seat: u32) -> Vec<Timestamp> {
        self.transfers.iter().filter(|(of, _)| *of == seat).map(|(_, at)| *at).collect()
    }

    pub fn recoveries(&self, device: u32) -> Vec<Timestamp> {
        self.recoveries.iter().filter(|(of, _)| *of == device).map(|(_, at)| *at).collect()
    }
}
