//! An activation that goes on, as its row is to be: what each engine writes in its own way.

use super::{Advance, Step};
use crate::domain::chain::State;

/// The row of one, if it still has the version that was decided upon.
#[derive(Debug)]
pub(in crate::ledger) struct Advancing<'a> {
    pub(in crate::ledger) id: &'a str,
    pub(in crate::ledger) version: i64,
    pub(in crate::ledger) state: &'static str,
    pub(in crate::ledger) chain: String,
    pub(in crate::ledger) answer: Option<&'a str>,
    pub(in crate::ledger) expires_at: i64,
    pub(in crate::ledger) ended_at: Option<i64>,
    pub(in crate::ledger) recovery: bool,
    pub(in crate::ledger) pod: Option<&'a str>,
    /// Whoever is answered has asked; the others end because somebody else did.
    pub(in crate::ledger) heard_at: Option<i64>,
}

impl<'a> Advancing<'a> {
    /// What becomes of `one` by `step`; `word` says states as a column has them.
    pub(in crate::ledger) fn of(
        step: &Step,
        one: &'a Advance,
        word: impl Fn(State) -> &'static str,
    ) -> Result<Self, serde_json::Error> {
        let at = step.at.as_second();
        Ok(Self {
            id: &one.id,
            version: one.version,
            state: word(one.chain.state),
            chain: serde_json::to_string(&one.chain)?,
            answer: one.answer.as_deref(),
            expires_at: one.chain.expires_at.as_second(),
            ended_at: matches!(one.chain.state, State::Ended(_)).then_some(at),
            recovery: one.recovery,
            pod: one.pod.as_ref().map(|pod| pod.0.as_str()),
            heard_at: one.answer.is_some().then_some(at),
        })
    }
}
