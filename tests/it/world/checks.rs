//! What must hold after every step, told by what was answered and not by what the chain says of itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use usher::domain::{
    chain::{Call, Position},
    refusal::Code,
    terms::ClonePolicy,
};

use super::{
    ledger::Ledger,
    message::{Id, Said},
    plan::Plan,
    server::Event,
};

/// What is counted: a world in which it does not happen shows nothing.
#[derive(Debug, Clone, Copy)]
pub enum Counted {
    CallsDone,
    AnswersGivenAgain,
    ForksRecorded,
    CopiesReplaced,
    DevicesActivatedAgain,
    ActivationsLapsed,
    CallsRefused,
    LedgersRestored,
    RestoresProvenByANonce,
    ActivationsRebuilt,
    CopiesBooted,
    Crashes,
    JumpsOfTheClock,
}

impl Counted {
    pub const ALL: [Self; 13] = [
        Self::CallsDone,
        Self::AnswersGivenAgain,
        Self::ForksRecorded,
        Self::CopiesReplaced,
        Self::DevicesActivatedAgain,
        Self::ActivationsLapsed,
        Self::CallsRefused,
        Self::LedgersRestored,
        Self::RestoresProvenByANonce,
        Self::ActivationsRebuilt,
        Self::CopiesBooted,
        Self::Crashes,
        Self::JumpsOfTheClock,
    ];
}

/// How often what happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts([usize; Counted::ALL.len()]);

impl Counts {
    pub fn one(&mut self, what: Counted) {
        self.0[what as usize] += 1;
    }

    pub fn of(&self, what: Counted) -> usize {
        self.0[what as usize]
    }

    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// Whose request the server handled, and when by the true time.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub plan: &'a Plan,
    pub now: Timestamp,
    /// Which client, and whether the nonce is the last one that it knows.
    pub from: Option<(usize, bool)>,
    /// The devices of which there was more than one copy.
    pub copied: &'a BTreeSet<u32>,
}

/// What the world remembers, whatever becomes of the ledger.
#[derive(Debug, Default)]
pub struct Checks {
    pub counts: Counts,
    /// The last instant at which a document of an activation is good; those that are not are gone.
    documents: BTreeMap<Id, Timestamp>,
    /// Activations that were ended while their documents are good.
    released: BTreeSet<Id>,
    /// Activations with documents that a restore may have taken from the ledger.
    lost: BTreeSet<Id>,
    /// Activations of which a fork was recorded that nobody has resolved.
    forked: BTreeSet<Id>,
    /// Clients that were refused as copies with the best nonce that they had: at which position, and after how many restores.
    outdone: BTreeMap<(usize, Id), (Position, usize)>,
}

type Checked = Result<(), String>;

impl Checks {
    fn restores(&self) -> usize {
        self.counts.of(Counted::LedgersRestored)
    }

    /// The ledger was restored.
    pub fn restored(&mut self) {
        self.forked.clear();
        self.counts.one(Counted::LedgersRestored);
        self.lost.extend(self.documents.keys());
    }

    /// Somebody has resolved all forks.
    pub fn resolved(&mut self) {
        self.forked.clear();
    }

    /// After a commit.
    pub fn committed(&mut self, context: Context<'_>, ledger: &mut Ledger, events: &[Event]) -> Checked {
        self.documents.retain(|_, until| *until >= context.now);
        for event in events {
            self.happened(context, ledger, event)?;
        }
        self.limits_hold(context, ledger)
    }

    fn happened(&mut self, context: Context<'_>, ledger: &mut Ledger, event: &Event) -> Checked {
        match event {
            Event::Used { id, at, call, restored } => {
                self.used(context, ledger, (*id, *at), *call, *restored)?;
            }
            Event::Again { id, at, call } => {
                self.counts.one(Counted::AnswersGivenAgain);
                if ledger.history.used.get(&(*id, *at)) != Some(call) {
                    return Err(format!("{id} at {at}: an answer was given to somebody else's call"));
                }
            }
            Event::Begun { id, rebuilt } => {
                if let Some(at) = rebuilt {
                    self.counts.one(Counted::ActivationsRebuilt);
                    if self.restores() == 0 {
                        return Err(format!("{id} was rebuilt, and nothing was ever lost"));
                    }
                    ledger.history.used.insert((*id, *at), ledger.rows[id].chain.made_by);
                }
                ledger.history.issued.insert(*id, ledger.rows[id].chain.head);
            }
            Event::Signed { id, until } => {
                if self.released.remove(id) && self.restores() == 0 {
                    return Err(format!("{id} had ended and was given a document"));
                }
                let is_watched = context.plan.policy == ClonePolicy::Quarantine && !context.plan.jumps;
                let is_good = self.documents.contains_key(id) && !self.lost.contains(id);
                if self.forked.remove(id) && is_watched && is_good {
                    return Err(format!("{id} was renewed, and nobody has resolved its fork"));
                }
                self.lost.remove(id);
                let last = self.documents.entry(*id).or_insert(*until);
                *last = (*last).max(*until);
            }
            Event::Forked { id } => {
                self.counts.one(Counted::ForksRecorded);
                self.forked.insert(*id);
                if !context.copied.contains(&ledger.rows[id].device) {
                    return Err(format!("{id}: false alarm, for there is but one of it"));
                }
            }
            Event::IsCopy { id, at } => {
                if let Some((client, true)) = context.from {
                    self.outdone.insert((client, *id), (*at, self.restores()));
                }
            }
            Event::Replaced => self.counts.one(Counted::CopiesReplaced),
            Event::Recovered => self.counts.one(Counted::DevicesActivatedAgain),
            Event::Released { id } => drop(self.released.insert(*id)),
            Event::Lapsed { id } => {
                self.counts.one(Counted::ActivationsLapsed);
                let good = self.documents.contains_key(id) && !self.lost.contains(id);
                if good && !context.plan.jumps {
                    return Err(format!("{id} lapsed, and its document is good"));
                }
            }
        }
        Ok(())
    }

    fn used(
        &mut self,
        context: Context<'_>,
        ledger: &mut Ledger,
        (id, at): (Id, Position),
        call: Call,
        restored: bool,
    ) -> Checked {
        self.counts.one(Counted::CallsDone);
        if restored {
            self.counts.one(Counted::RestoresProvenByANonce);
        }
        let history = &mut ledger.history;
        let to_end = Position { sequence: u64::MAX, ..at };
        if history.used.range((id, at)..=(id, to_end)).next().is_some() {
            return Err(format!("{id} at {at}: that or a later one was used already"));
        }
        history.used.insert((id, at), call);
        let issued = history.issued.insert(id, ledger.rows[&id].chain.head);
        if restored == (issued == Some(at)) || (restored && self.restores() == 0) {
            return Err(format!("{id} at {at}: not the head, which is {issued:?} (restored: {restored})"));
        }
        let outdone = context.from.and_then(|(client, _)| self.outdone.get(&(client, id)));
        // An answer of a life that was lost may still reach it.
        if outdone.is_some_and(|(was, restores)| *restores == self.restores() && at <= *was) {
            return Err(format!("{id} at {at}: a copy that was refused lives on"));
        }
        Ok(())
    }

    fn limits_hold(&self, context: Context<'_>, ledger: &Ledger) -> Checked {
        let plan = context.plan;
        for seat in 0..plan.limits.seats {
            let held = ledger.held(seat);
            if held > plan.places() {
                return Err(format!("{held} places are held, {} at most", plan.places()));
            }
        }
        let excused = |id: &Id| self.released.contains(id) || self.lost.contains(id);
        let outstanding = self.documents.keys().filter(|id| !excused(id)).count();
        if outstanding > plan.all_places() as usize && !plan.jumps {
            return Err(format!("{outstanding} documents are good, {} at most", plan.all_places()));
        }
        Ok(())
    }

    /// A client that waited for it was given this answer.
    pub fn answered(&mut self, is_copied: bool, said: &Said) -> Checked {
        let Said::Refused(code) = said else {
            let lost = *said == Said::Unauthorized && self.restores() == 0;
            return if lost { Err("a token is not known, and nothing was ever lost".into()) } else { Ok(()) };
        };
        self.counts.one(Counted::CallsRefused);
        let as_a_copy = matches!(
            code,
            Code::NonceUnknown
                | Code::NonceUsed
                | Code::IdempotencyKeyUsed
                | Code::ActivationSuperseded
                | Code::ActivationQuarantined
        );
        if as_a_copy && !is_copied {
            return Err(format!("the only one of its kind was refused: {code}"));
        }
        Ok(())
    }
}
