//! What must hold after every step, told by what was answered and not by what the chain says of itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use usher::domain::{
    chain::{Call, LIVES, Position, State},
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
    ThreadsThatWaited,
    Crashes,
    JumpsOfTheClock,
}

impl Counted {
    pub const ALL: [Self; 14] = [
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
        Self::ThreadsThatWaited,
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

/// Whose request the server handled, and when.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub plan: &'a Plan,
    /// By the true time.
    pub now: Timestamp,
    /// By the server's clock.
    pub clock: Timestamp,
    /// Which client, and whether the nonce is the last one that it knows.
    pub from: Option<(usize, bool)>,
    /// The devices of which there was more than one copy.
    pub copied: &'a BTreeSet<u32>,
}

/// What the world remembers, whatever becomes of the ledger: of a life of the ledger, [`super::ledger::History`] knows what happened.
#[derive(Debug, Default)]
pub struct Checks {
    pub counts: Counts,
    /// The last instant at which a document of an activation is good; those that are not are gone.
    documents: BTreeMap<Id, Timestamp>,
    /// Activations with documents that are good, for which no place is held any more, or none that long: a restore took them from the ledger, or
    /// they lapsed by a clock that was ahead.
    beyond: BTreeSet<Id>,
    /// After how many calls the last nonce of an activation was issued, in whatever life of the ledger.
    most: BTreeMap<Id, u64>,
    /// All nonces that were ever issued, in whatever life of the ledger.
    issued: BTreeSet<(Id, Position)>,
}

type Checked = Result<(), String>;

impl Context<'_> {
    /// Whether what happened then counts now. The server has no other clock than its own.
    fn is_counted(&self, at: Timestamp) -> bool {
        later(at, WINDOW) > self.clock
    }

    fn quarantines(&self) -> bool {
        self.plan.policy == ClonePolicy::Quarantine
    }
}

impl Checks {
    fn restores(&self) -> usize {
        self.counts.of(Counted::LedgersRestored)
    }

    /// The ledger was restored to this one.
    pub fn restored(&mut self, ledger: &Ledger) {
        self.counts.one(Counted::LedgersRestored);
        let is_held = |(id, until): &(&Id, &Timestamp)| {
            ledger.rows.get(id).is_some_and(|row| row.chain.holds_place() && row.chain.expires_at >= **until)
        };
        self.beyond = self.documents.iter().filter(|known| !is_held(known)).map(|(id, _)| *id).collect();
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
            Event::Signed { id, until } => self.signed(context, ledger, *id, *until)?,
            Event::Forked { id } => {
                self.counts.one(Counted::ForksRecorded);
                if !context.copied.contains(&ledger.rows[id].device) {
                    return Err(format!("{id}: false alarm, for there is but one of it"));
                }
            }
            Event::IsCopy { id, at } => is_copy(context, ledger, *id, *at)?,
            Event::RefusedAsUsed { id, at, call } => self.refused(ledger, (*id, *at), call)?,
            Event::Replaced => self.counts.one(Counted::CopiesReplaced),
            Event::Recovered { device } => {
                self.counts.one(Counted::DevicesActivatedAgain);
                recovered(context, ledger, *device)?;
            }
            Event::Released { id } => drop(ledger.history.released.insert(*id)),
            Event::Lapsed { id } => self.lapsed(context, ledger, *id)?,
        }
        Ok(())
    }

    /// A nonce was issued: the one before it. None is of an earlier incarnation than any other that was issued.
    fn issued(&mut self, ledger: &mut Ledger, id: Id) -> Result<Option<Position>, String> {
        let (head, history) = (ledger.rows[&id].chain.head, &mut ledger.history);
        if head.incarnation < history.incarnation {
            return Err(format!("{id} goes on at {head}, in a life of the ledger that is over"));
        }
        history.incarnation = head.incarnation;
        history.all_issued.insert((id, head));
        self.issued.insert((id, head));
        let most = self.most.entry(id).or_default();
        *most = head.sequence.max(*most);
        Ok(history.issued.insert(id, head))
    }

    fn signed(&mut self, context: Context<'_>, ledger: &mut Ledger, id: Id, until: Timestamp) -> Checked {
        let history = &mut ledger.history;
        if history.released.contains(&id) {
            return Err(format!("{id} had ended and was given a document"));
        }
        let is_good = history.documents.get(&id).is_some_and(|last| *last >= context.clock);
        if history.forked.remove(&id) && context.quarantines() && is_good {
            return Err(format!("{id} was renewed, and nobody has resolved its fork"));
        }
        history.lapsed.remove(&id);
        self.beyond.remove(&id);
        for documents in [&mut self.documents, &mut history.documents] {
            let last = documents.entry(id).or_insert(until);
            *last = until.max(*last);
        }
        Ok(())
    }

    fn lapsed(&mut self, context: Context<'_>, ledger: &mut Ledger, id: Id) -> Checked {
        self.counts.one(Counted::ActivationsLapsed);
        let history = &mut ledger.history;
        if history.documents.get(&id).is_some_and(|until| *until >= context.clock) {
            return Err(format!("{id} lapsed, and its document is good"));
        }
        history.lapsed.insert(id);
        history.forked.remove(&id);
        if self.documents.contains_key(&id) {
            self.beyond.insert(id);
        }
        Ok(())
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
        let (seat, made_by) = (row.seat, row.chain.made_by);
        if let Some(at) = rebuilt {
            self.counts.one(Counted::ActivationsRebuilt);
            if ledger.history.issued.contains_key(&id) || !self.issued.contains(&(id, at)) {
                return Err(format!("{id} was rebuilt from {at}, and was never lost"));
            }
            ledger.history.used.insert((id, at), made_by);
        }
        let transfers = ledger.transfers(seat).into_iter().filter(|at| context.is_counted(*at)).count();
        let most = context.plan.limits.transfers.map_or(usize::MAX, |(most, _)| most as usize);
        if transfers >= most && !in_place {
            return Err(format!("{id} was given a place after {transfers} transfers, {most} at most"));
        }
        self.issued(ledger, id).map(drop)
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
        if !self.issued.contains(&(id, at)) {
            return Err(format!("{id} at {at}: nobody has ever issued it"));
        }
        let history = &mut ledger.history;
        let to_end = Position { sequence: u64::MAX, ..at };
        if history.used.range((id, at)..=(id, to_end)).next().is_some() {
            return Err(format!("{id} at {at}: that or a later one was used already"));
        }
        history.used.insert((id, at), call);
        let was_issued = history.all_issued.contains(&(id, at));
        let outdone = context.from.and_then(|(client, _)| history.outdone.get(&(client, id)).copied());
        let issued = self.issued(ledger, id)?;
        if restored && was_issued {
            return Err(format!("{id} at {at}: taken for lost, and this ledger has issued it"));
        }
        if !restored && issued != Some(at) {
            return Err(format!("{id} at {at}: not the head, which is {issued:?}"));
        }
        if outdone.is_some_and(|was| at <= was) {
            return Err(format!("{id} at {at}: a copy that was refused lives on"));
        }
        Ok(())
    }

    /// A nonce was refused as used. Of several lives that a restore has lost, whoever has made the most calls is let go on.
    fn refused(&self, ledger: &Ledger, (id, at): (Id, Position), call: &Call) -> Checked {
        let used = ledger.history.used.get(&(id, at));
        let has_most = self.most.get(&id).is_some_and(|most| at.sequence >= *most);
        // Of an incarnation that is older than all that are known, nothing is known.
        if used.is_none() && has_most && self.restores() < LIVES {
            return Err(format!("{id} at {at}: refused as used, and nobody has made more calls"));
        }
        let by_another = used.is_some_and(|used| used.key != call.key);
        if by_another && self.restores() == 0 && !ledger.forks.contains(&(id, at)) {
            return Err(format!("{id} at {at}: another call has used it, and no fork is recorded"));
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
        let excused = |id: &Id| ledger.history.released.contains(id) || self.beyond.contains(id);
        let outstanding = self.documents.keys().filter(|id| !excused(id)).count();
        if outstanding > plan.all_places() as usize {
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

/// A caller was refused as a copy.
fn is_copy(context: Context<'_>, ledger: &mut Ledger, id: Id, at: Position) -> Checked {
    let stopped = ledger.rows[&id].chain.state == State::Quarantined;
    let history = &mut ledger.history;
    if !history.lapsed.contains(&id) && history.judged.get(&id).is_none_or(|head| at >= *head) {
        history.forked.insert(id);
    }
    if stopped && !history.forked.contains(&id) && context.quarantines() {
        return Err(format!("{id} is stopped by a copy that was judged"));
    }
    if let Some((client, true)) = context.from {
        history.outdone.insert((client, id), at);
    }
    Ok(())
}

fn recovered(context: Context<'_>, ledger: &mut Ledger, device: u32) -> Checked {
    let recovered = &mut ledger.history.recovered;
    recovered.push((device, context.clock));
    let times = recovered.iter().filter(|(of, at)| *of == device && context.is_counted(*at)).count();
    if times > context.plan.recoveries.0 as usize {
        return Err(format!("device {device} was activated again {times} times"));
    }
    Ok(())
}
