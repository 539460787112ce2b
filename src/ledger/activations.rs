//! The facts of the runtime: activations, and the steps that they take.
//!
//! A caller reads, decides, and has a [`Step`] recorded. Steps that arrive together share one transaction and one sync of the disk; each of
//! them stands or falls by itself. A step says upon what it was decided (the version of a chain, the turn of a License), and of two that
//! were decided upon the same one wins: the other is told `Conflict`, and decides again.

mod advancing;
pub mod asking;
mod step;

use std::future::Future;

use jiff::Timestamp;

use super::{CommitError, Unavailable, holdings::Holdings, people::People, sessions::OpenSessions};
use crate::domain::{
    chain::Chain,
    contract::Contract,
    features::Carries,
    license::{Key, Uid},
    refused::Told,
    standing::Person,
    workload::Slot,
};

pub(super) use advancing::Advancing;
use asking::Asking;
pub use step::{Advance, Given, Keep, Recorded, Step};

/// One installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// 128 random bits, in hex.
    pub id: String,
    /// The License.
    pub license: Uid,
    /// Who holds the place: [`crate::domain::license::Holder::identity`].
    pub holder: String,
    /// What the client said of the device, as JSON.
    pub device: String,
    /// Of a person: the device's fingerprint, for a person has several; else empty.
    pub fingerprint: String,
    /// The hash of its token.
    pub token: String,
    /// Its chain.
    pub chain: Chain,
    /// The answer to the last call, without what is made anew for each reply.
    pub answer: String,
    /// When it began.
    pub since: Timestamp,
    /// Of a workload: in which slot it is.
    pub workload: Option<Slotted>,
    /// The thumbprint of the key to which it is bound (RFC 9449, RFC 7638); nothing if its token alone is enough.
    pub jkt: Option<String>,
}

/// Where a workload's activation is. Those of one slot have one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slotted {
    /// Whose slot: [`crate::domain::workload::Owner::identity`].
    pub owner: String,
    /// Which one.
    pub slot: Slot,
    /// The pod that has it.
    pub pod: Uid,
}

/// A License as a workload finds it, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workplace {
    /// The License.
    pub license: Uid,
    /// What it says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// The License's turn: it rises whenever a place is taken or given back.
    pub turn: i64,
    /// Which life of the ledger this is.
    pub incarnation: u32,
    /// The owner's activations that have not ended, in the order in which they began.
    pub held: Vec<Seen>,
}

/// An activation as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The activation.
    pub activation: Activation,
    /// Its version: it rises with each change.
    pub version: i64,
    /// When the installation was last heard of, as far as that is on record ([`crate::domain::heard`]).
    pub heard_at: Timestamp,
}

/// An activation, and what it lives by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// The activation.
    pub seen: Seen,
    /// The License's namespace and name.
    pub key: Key,
    /// What its License says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// What it carries.
    pub carries: Carries,
    /// Which life of the ledger this is.
    pub incarnation: u32,
}

/// An activation key that somebody has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its License.
    pub license: Uid,
    /// The License's namespace and name.
    pub key: Key,
    /// The key's name.
    pub name: String,
    /// How many activations have begun by it.
    pub used: u32,
    /// What the License says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// The License's turn: it rises whenever a place is taken or given back.
    pub turn: i64,
    /// Which life of the ledger this is.
    pub incarnation: u32,
}

/// What is taken of a License, as one more activation meets it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The License's turn when this was read.
    pub turn: i64,
    /// Holders of a place: by a Seat, or by an activation whose document has not ended.
    pub places: u32,
    /// Whether the holder in question has a Seat that is bound.
    pub has_seat: bool,
    /// What activations of theirs carry.
    pub carries: Carries,
    /// Of a person: on how many devices the seat is active.
    pub devices: u32,
    /// When activations were deactivated, the last ones; of a person, their own.
    pub transfers: Vec<Timestamp>,
    /// When the holder's activations were superseded and it counted, the last ones; of a person, those on the device.
    pub recovered: Vec<Timestamp>,
    /// How many activations of the License have ended and are not forgotten; at most as many as were asked for.
    pub ended: u32,
    /// The holder's activation that has not ended; of a person, the one on the device.
    pub former: Option<Seen>,
}

/// About what [`Taken`] is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// The License.
    pub license: &'a Uid,
    /// Who asks for a place.
    pub holder: &'a str,
    /// Of a person: on which device.
    pub device: Option<&'a str>,
    /// Whose documents have ended by now hold no place.
    pub now: Timestamp,
    /// Of transfers, those after this.
    pub transfers_after: Timestamp,
    /// Of recoveries, those after this.
    pub recoveries_after: Timestamp,
    /// So many of each, at most.
    pub at_most: u32,
    /// Of those that have ended, so many are counted at most.
    pub ended_at_most: u32,
}

/// Activations of a License that hold places by themselves, for their holders have no Seat that is bound. There may be a million of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// How many.
    pub places: usize,
    /// When the first of them gives its place back: the last instant at which its document is good.
    pub first_end: Option<Timestamp>,
    /// Of those who were asked about, the holders among them.
    pub holders: Vec<String>,
}

/// Somebody who holds a seat of a License.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who came later has the higher one.
    pub ordinal: i64,
    /// Who it is: [`crate::domain::license::Holder::identity`].
    pub holder: String,
    /// Of a seat that is held by an address: whose it is, as their provider proved it.
    pub pinned: Option<(String, String)>,
}

/// An activation that holds a place by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The activation.
    pub id: String,
    /// Who holds the place.
    pub holder: String,
}

/// The port to activations.
pub trait Activations: People {
    /// The activation key whose hash this is.
    fn activation_key(&self, hash: &str) -> impl Future<Output = Result<Option<Shown>, Unavailable>> + Send;

    /// The activation `id`.
    fn activation(&self, id: &str) -> impl Future<Output = Result<Option<Living>, Unavailable>> + Send;

    /// The activation under `license` that a call with this idempotency key has begun.
    fn begun_by(
        &self,
        license: &Uid,
        key: &str,
    ) -> impl Future<Output = Result<Option<Seen>, Unavailable>> + Send;

    /// The License of this name, and what workloads of `owner` hold of it.
    fn workplace(
        &self,
        license: &Key,
        owner: &str,
    ) -> impl Future<Output = Result<Option<Workplace>, Unavailable>> + Send;

    /// What is taken of a License.
    fn taken(&self, question: &Question<'_>) -> impl Future<Output = Result<Taken, Unavailable>> + Send;

    /// What activations hold places of a License by themselves at `now`, and whether these holders are among theirs.
    fn holding(
        &self,
        license: &Uid,
        among: &[String],
        now: Timestamp,
    ) -> impl Future<Output = Result<Holding, Unavailable>> + Send;

    /// Those of so many holders who began last, the very last one first.
    fn last_activated(
        &self,
        license: &Uid,
        at_most: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Activated>, Unavailable>> + Send;

    /// The sessions of a License that are open at `now`.
    fn open_sessions(
        &self,
        license: &Uid,
        now: Timestamp,
    ) -> impl Future<Output = Result<OpenSessions, Unavailable>> + Send;

    /// The Licenses of which sessions are open at `now`.
    fn in_use(&self, now: Timestamp) -> impl Future<Output = Result<Vec<Key>, Unavailable>> + Send;

    /// The people who hold seats of a License that do not rest, in the order in which they came to them: at most so many after the one of this ordinal.
    fn users(
        &self,
        license: &Uid,
        after: i64,
        at_most: u32,
    ) -> impl Future<Output = Result<Vec<User>, Unavailable>> + Send;

    /// What may be somebody's under all Licenses: seats, the devices on which these are active, and the sessions that are open; at most so many
    /// of each.
    fn holdings(
        &self,
        who: &Person,
        now: Timestamp,
        at_most: u32,
    ) -> impl Future<Output = Result<Holdings, Unavailable>> + Send;

    /// Whether anything depends on the key of nonces: an activation that is known, or what was sealed for a login.
    fn needs_nonces(&self) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Whether steps can be recorded, as far as is known: if the last one could not, something is written to find out.
    fn takes_steps(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Whether the key of nonces is the one of this thumbprint. It is from now on, if none was known, or nothing depends on the one that was.
    fn nonces_are_by(&self, thumbprint: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// Forgets at most so many activations of a License that are not to be kept. Returns how many.
    fn forget_ended(
        &self,
        license: &Uid,
        keep: Keep,
        at_most: u32,
    ) -> impl Future<Output = Result<usize, CommitError>> + Send;

    /// Tells the audit of calls that were refused.
    fn tell_of_refusals(
        &self,
        refused: &[Told],
        at: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Remembers devices that asked to be activated, and are not named: of each License the last [`asking::ASKING`].
    fn note_asking(&self, asking: &[Asking]) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Those of a License that asked since then, the last ones first.
    fn asking(
        &self,
        license: &Uid,
        since: Timestamp,
    ) -> impl Future<Output = Result<Vec<Asking>, Unavailable>> + Send;

    /// Records a step and what it tells the audit; it is on disk when this returns.
    fn record(&self, step: Step) -> impl Future<Output = Result<Recorded, CommitError>> + Send;
}
