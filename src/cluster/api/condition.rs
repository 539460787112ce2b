//! Conditions, after the Kubernetes conventions and kstatus.
//!
//! `Ready=True` means that Usher has done all that this generation asks; `Stalled=True` is there only while an
//! edit is needed. `lastTransitionTime` moves only when the status does.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::reason::Because;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Type {
    /// Usher has done all that this generation asks.
    Ready,
    /// Only an edit can help.
    Stalled,
    /// The Seat holds a seat.
    Bound,
    /// More hold a seat than the License has seats.
    OverLimit,
    /// Two copies of an activation are out there.
    CloneSeen,
    /// Devices that no Seat names have asked to be activated.
    DeviceAsked,
    /// The root of the Authority, which is kept outside, has signed the key set that is wanted.
    KeySetSigned,
    /// Documents are being made anew, because their key was revoked.
    Reissuing,
    /// The ledger is gone, or another cluster's; false once it was rebuilt, and absent if it never was.
    LedgerMissing,
}

/// One aspect of an object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: Type,
    /// True, False or Unknown.
    #[schemars(length(max = 7))]
    pub status: String,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The generation that it is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub last_transition_time: String,
}

/// The conditions of one object, being made.
#[derive(Debug)]
pub struct Conditions<'a> {
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
    after: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Starts from the conditions that the object has.
    #[must_use]
    pub fn after(before: &'a [Condition], generation: i64, now: Timestamp) -> Self {
        Self { before, generation, now, after: Vec::new() }
    }

    /// States one condition.
    #[must_use]
    pub fn with(mut self, type_: Type, status: bool, because: &Because) -> Self {
        let status = if status { "True" } else { "False" };
        let since = self
            .before
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status)
            .map_or_else(|| seconds(self.now), |condition| condition.last_transition_time.clone());
        self.after.push(Condition {
            type_,
            status: status.to_owned(),
            reason: because.reason.to_string(),
            message: because.message.clone(),
            observed_generation: self.generation,
            last_transition_time: since,
        });
        self
    }

    /// Ready, or not and why; with `stalled`, also that only an edit can help.
    #[must_use]
    pub fn ready(self, ready: &Because, stalled: Option<&Because>) -> Self {
        match stalled {
            None => self.with(Type::Ready, true, ready),
            Some(because) => self.with(Type::Ready, false, because).with(Type::Stalled, true, because),
        }
    }

    /// The list.
    #[must_use]
    pub fn list(self) -> Vec<Condition> {
        self.after
    }
}

/// An instant as RFC 3339, in whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_time_of_transition_moves_only_with_the_status() {
        let bound = Because::new(Reason::Bound, "holds a seat");
        let waits = Because::new(Reason::NoFreeSeat, "waits");
        let first = Conditions::after(&[], 1, at(0)).with(Type::Bound, false, &waits).list();
        let second = Conditions::after(&first, 2, at(60)).with(Type::Bound, false, &waits).list();
        let third = Conditions::after(&second, 2, at(120)).with(Type::Bound, true, &bound).list();
        assert_eq!(first[0].last_transition_time, "1970-01-01T00:00:00Z");
        assert_eq!(second[0].last_transition_time, "1970-01-01T00:00:00Z");
        assert_eq!(second[0].observed_generation, 2);
        assert_eq!(third[0].last_transition_time, "1970-01-01T00:02:00Z");
    }

    #[test]
    fn stalled_is_there_only_while_an_edit_is_needed() {
        let ready = Because::new(Reason::Issued, "issued");
        let taken = Because::new(Reason::SecretNameTaken, "taken");
        let types = |list: Vec<Condition>| list.into_iter().map(|c| (c.type_, c.status)).collect::<Vec<_>>();
        let stalled = Conditions::after(&[], 1, at(0)).ready(&ready, Some(&taken)).list();
        assert_eq!(types(stalled), [(Type::Ready, "False".into()), (Type::Stalled, "True".into())]);
        let fine = Conditions::after(&[], 1, at(0)).ready(&ready, None).list();
        assert_eq!(types(fine), [(Type::Ready, "True".into())]);
    }
}
