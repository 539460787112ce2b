//! What must hold after every step, told by what was answered and not by what the chain says of itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use usher::domain::{
    chain::{Call, Position, State},
    refusal::Code,
    terms::ClonePolicy,
};

use super::{
    ledger::Ledger,
    message::{Id, Said},
    plan::{Plan, WINDOW},
    server::{Event, later},
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
    /// Activations of which a copy was seen that nobody has judged.
    forked: BTreeSet<Id>,
    /// Below which positions copies were judged.
    judged: BTreeMap<Id, Position>,
    /// When devices were activated again.
    recovered: Vec<(u32, Timestamp)>,
    /// Clients that were refused as copies with the best nonce that they had: at which position, and after how many restores.
    outdone: BTreeMap<(usize, Id), (Position, usize)>,
}

type Checked = Result<(), String>;

impl Context<'_> {
    /// Whether what happened then counts now.
    fn is_counted(&self, at: Timestamp) -> bool {
        later(at, WINDOW) > self.now
    }
}

/// A nonce was issued: the one before it. None is of an earlier incarnation than any other that was issued.
fn issued(ledger: &mut Ledger, id: Id) -> Result<Option<Position>, String> {
    let (head, history) = (ledger.rows[&id].chain.head, &mut ledger.history);
    if head.incarnation < history.incarnation {
        return Err(format!("{id} goes on at {head}, in a life of the ledger that is over"));
    }
    history.incarnation = head.incarnation;
    Ok(history.issued.insert(id, head))
}

impl Checks {
    fn restores(&self) -> usize {
        self.counts.of(Counted::LedgersRestored)
    }

    /// The ledger was restored.
    pub fn restored(&mut self) {
        self.counts.one(Counted::LedgersRestored);
        self.lost.extend(self.documents.keys());
    }

    /// Somebody has resolved the forks of `id`, whose head is `head`.
    pub fn resolved(&mut self, id: Id, head: Position) {
        self.forked.remove(&id);
        self.judged.insert(id, head);
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
            Event::Begun { id, rebuilt, in_place } => {
                self.begun(context, ledger, *id, *rebuilt, *in_place)?;
            }
            Event::Signed { id, until } => {
                if self.released.remove(id) && self.restores() == 0 {
                    return Err(format!("{id} had ended and was given a document"));
                }
                if self.forked.remove(id) && self.quarantines(context) && self.documents.contains_key(id) {
                    return Err(format!("{id} was renewed, and nobody has resolved its fork"));
                }
                self.lost.remove(id);
                let last = self.documents.entry(*id).or_insert(*until);
                *last = (*last).max(*until);
            }
            Event::Forked { id } => {
                self.counts.one(Counted::ForksRecorded);
                if !context.copied.contains(&ledger.rows[id].device) {
                    return Err(format!("{id}: false alarm, for there is but one of it"));
                }
            }
            Event::IsCopy { id, at } => {
                if self.judged.get(id).is_none_or(|head| at >= head) {
                    self.forked.insert(*id);
                }
                let stopped = ledger.rows[id].chain.state == State::Quarantined;
                if stopped && !self.forked.contains(id) && self.quarantines(context) {
                    return Err(format!("{id} is stopped by a copy that was judged"));
                }
                if let Some((client, true)) = context.from {
                    self.outdone.insert((client, *id), (*at, self.restores()));
                }
            }
            Event::Replaced => self.counts.one(Counted::CopiesReplaced),
            Event::Recovered { device } => self.recovered(context, *device)?,
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

    /// Whether a copy stops an activation, as far as this world knows who was judged.
    fn quarantines(&self, context: Context<'_>) -> bool {
        context.plan.policy == ClonePolicy::Quarantine && !context.plan.jumps && self.restores() == 0
    }

    fn begun(
        &mut self,
        context: Context<'_>,
        ledger: &mut Ledger,
        id: Id,
        rebuilt: Option<Position>,
        in_place: bool,
    ) -> Checked {
        let row = &ledger.rows[&id];
        if let Some(at) = rebuilt {
            self.counts.one(Counted::ActivationsRebuilt);
            if self.restores() == 0 {
                return Err(format!("{id} was rebuilt, and nothing was ever lost"));
            }
            ledger.history.used.insert((id, at), row.chain.made_by);
        }
        let transfers = ledger.transfers(row.seat).into_iter().filter(|at| context.is_counted(*at)).count();
        let most = context.plan.limits.transfers.map_or(usize::MAX, |(most, _)| most as usize);
        if transfers >= most && !in_place && !context.plan.jumps {
            return Err(format!("{id} was given a place after {transfers} transfers, {most} at most"));
        }
        issued(ledger, id).map(drop)
    }

    fn recovered(&mut self, context: Context<'_>, device: u32) -> Checked {
        self.counts.one(Counted::DevicesActivatedAgain);
        self.recovered.push((device, context.now));
        let times = self.recovered.iter().filter(|(of, at)| *of == device && context.is_counted(*at)).count();
        if times > context.plan.recoveries.0 as usize && self.restores() == 0 && !context.plan.jumps {
            return Err(format!("device {device} was activated again {times} times"));
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
        let issued = issued(ledger, id)?;
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
