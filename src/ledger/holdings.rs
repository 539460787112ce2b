//! What one person has, under all Licenses: for a page that they look at.

use jiff::Timestamp;

use crate::domain::{
    contract::Contract,
    license::{Key, Uid},
    standing::Candidate,
};

/// What may be somebody's at one moment, each list in order and cut where it was asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Seats.
    pub seats: Vec<MaybeSeat>,
    /// On which devices these are active.
    pub devices: Vec<ActiveOn>,
    /// Which sessions are open there.
    pub sessions: Vec<OpenOn>,
    /// Their address is pinned to another, under any License.
    pub elsewhere: bool,
}

/// A seat that is bound, and may be theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeSeat {
    /// The License.
    pub license: Uid,
    /// Its namespace and name.
    pub key: Key,
    /// What it says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// Whose the seat is.
    pub candidate: Candidate,
}

/// Under which License, and by which holder's seat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OnSeat {
    /// The License.
    pub license: Uid,
    /// Who holds the seat: [`crate::domain::license::Holder::identity`].
    pub holder: String,
}

/// A device on which a seat is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveOn {
    /// Which seat.
    pub seat: OnSeat,
    /// The activation.
    pub id: String,
    /// What its client said of the device, as JSON.
    pub device: String,
    /// When it began.
    pub since: Timestamp,
    /// When it was last heard of.
    pub heard_at: Timestamp,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOn {
    /// By which seat.
    pub seat: OnSeat,
    /// What its client said of the device, as JSON.
    pub device: String,
    /// When it was opened.
    pub since: Timestamp,
}
