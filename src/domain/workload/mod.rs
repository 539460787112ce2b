//! Which installation a pod is: its service account, its top-level owner, and a slot of that owner.
//!
//! ```text
//!   owner                        slot
//!   StatefulSet                  the pod's name
//!   VirtualMachine               one: the machine itself, in whatever pod it runs
//!   nobody: the pod itself       one
//!   Deployment, Job, CronJob, …  a number: its own ──► else one whose pods are gone ──► else one whose pod is leaving ──► else a new one
//! ```
//!
//! 1. A pod that has a slot keeps it: a container that was started again is the same installation.
//! 2. Whoever finds a slot whose pods are gone (asked of the API server, by UID; a pod that has ended counts as gone) takes it over, and with it
//!    its place: rescheduled, rolled, drained, nothing is burnt.
//! 3. While a pod is leaving (it is terminating, or of another revision than the one that comes), its slot is shared with the one that comes:
//!    together they are one place, so a rollout goes on at a full limit. With [`SURGE`] more, and no others.
//! 4. A slot of one's own is asked for only when there is none of these.
//! 5. Nobody speaks for a slot whose pod is alive but that pod: two that do have one state, so that is a fork. A virtual machine
//!    that moves is in two pods for a while, and is one.
//! 6. Whoever begins in a slot supersedes the activations of those of its pods that are gone, which counts as no recovery and no transfer.

mod owner;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::domain::license::Uid;

pub use owner::{Account, Owner, PodName, account_of, fingerprint};

/// So many pods more than one share a slot while the former leaves.
pub const SURGE: usize = 1;

/// What owns a pod in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its pods have names that last.
    StatefulSet,
    /// A machine that outlives its pods.
    VirtualMachine,
    /// Nobody: a pod by itself.
    Pod,
    /// Its pods are as good as each other.
    Other,
}

/// A pod that exists and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its UID.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// The ReplicaSet that controls it, where one does: pods of one owner are rolled from one to the next. Nothing else rolls that way: Jobs of a CronJob run beside each other.
    pub revision: Option<Uid>,
    /// It is told to end.
    pub terminating: bool,
}

/// A slot of an owner, as the ledger keeps it: `only`, `name/web-0`, `3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Slot {
    /// The only one.
    Only,
    /// By the pod's name.
    Name(String),
    /// By number, from 0.
    Number(u32),
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only => f.write_str("only"),
            Self::Name(name) => write!(f, "name/{name}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "only" {
            return Ok(Self::Only);
        }
        let name = text.strip_prefix("name/").map(|name| Self::Name(name.to_owned()));
        name.or_else(|| text.parse().ok().map(Self::Number)).ok_or("it is no slot")
    }
}

/// An activation of the owner that has not ended: who holds which slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The slot.
    pub slot: Slot,
    /// The pod.
    pub pod: Uid,
}

/// How a pod comes to its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It had it, or its pods are gone: whatever was active there is superseded, and that counts as nothing.
    TakesOver,
    /// Beside the one that leaves: the place is the same.
    Shares,
    /// Nobody had it: it takes a place, if there is one.
    New,
    /// Its pod is alive, and is another.
    Fork,
}

/// Who speaks for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Its pod.
    Itself,
    /// The pod that came after it, which has its state.
    Successor,
    /// Another, while its pod is alive.
    Copy,
}

/// The slot of `own`, whose owner is of `kind`, among the pods that are `there` and what is `held` by the same service account and owner.
#[must_use]
pub fn slot(kind: Kind, own: &Pod, there: &[Pod], held: &[Held]) -> (Slot, Way) {
    match kind {
        Kind::VirtualMachine | Kind::Pod => fixed(kind, Slot::Only, own, there, held),
        Kind::StatefulSet => fixed(kind, Slot::Name(own.name.clone()), own, there, held),
        Kind::Other => numbered(own, there, held),
    }
}

fn fixed(kind: Kind, slot: Slot, own: &Pod, there: &[Pod], held: &[Held]) -> (Slot, Way) {
    let mut of_slot = held.iter().filter(|held| held.slot == slot).peekable();
    let way = if of_slot.peek().is_none() {
        Way::New
    } else if of_slot.all(|held| speaker(kind, &held.pod, own, there) != Speaker::Copy) {
        Way::TakesOver
    } else {
        Way::Fork
    };
    (slot, way)
}

fn numbered(own: &Pod, there: &[Pod], held: &[Held]) -> (Slot, Way) {
    if let Some(held) = held.iter().rfind(|held| held.pod == own.uid) {
        return (held.slot.clone(), Way::TakesOver);
    }
    let mut slots: Vec<&Slot> = held.iter().map(|held| &held.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    let alive = |slot: &Slot| -> Vec<&Pod> {
        let pods = there.iter().filter(|pod| pod.uid != own.uid);
        pods.filter(|pod| held.iter().any(|held| held.slot == *slot && held.pod == pod.uid)).collect()
    };
    let leaves = |pod: &&Pod| {
        let rolls = matches!((&pod.revision, &own.revision), (Some(its), Some(own)) if its != own);
        pod.terminating || rolls
    };
    let gone = slots.iter().find(|slot| alive(slot).is_empty());
    let left = || {
        slots.iter().find(|slot| {
            let alive = alive(slot);
            alive.len() <= SURGE && alive.iter().all(leaves)
        })
    };
    if let Some(slot) = gone {
        ((*slot).clone(), Way::TakesOver)
    } else if let Some(slot) = left() {
        ((*slot).clone(), Way::Shares)
    } else {
        let new = (0..).map(Slot::Number).find(|slot| !slots.contains(&slot));
        (new.unwrap_or(Slot::Only), Way::New)
    }
}

/// Who `own` is to an activation that the pod `of` has made.
#[must_use]
pub fn speaker(kind: Kind, of: &Uid, own: &Pod, there: &[Pod]) -> Speaker {
    if *of == own.uid || kind == Kind::VirtualMachine {
        Speaker::Itself
    } else if there.iter().any(|pod| pod.uid == *of) {
        Speaker::Copy
    } else {
        Speaker::Successor
    }
}
