//! What the runtime goes by: a License as it was last reconciled, and what lets devices activate under it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    license::{License, Uid},
    text::{Issuer, Label},
};

/// How often the use of one object is shown at most, in seconds: the cluster's own database is not for counting.
pub const SUMMARY: i64 = 60;

/// What the runtime goes by, as last reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The License.
    pub license: License,
    /// In whose name documents are signed; nobody's while nothing may be granted.
    pub issuer: Option<Issuer>,
    /// Places that are kept from activations: reserves of groups that are not filled, and seats that cool.
    pub kept: u32,
    /// Of these, places of which nobody knows whose they were when the ledger was lost: an activation that is rebuilt proves one to be its own.
    #[serde(default)]
    pub unknown: u32,
}

/// By which devices may activate, as it is declared; what it is lies in a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationKey {
    /// Its name.
    pub name: Label,
    /// The first instant at which it is good for nothing any more.
    pub expires: Option<Timestamp>,
    /// How many devices may activate by it, each counted once.
    pub uses: Option<u32>,
    /// Whether whoever has activated by it is told the users of the License.
    #[serde(default)]
    pub sees_users: bool,
}

impl License {
    /// The Secret for its activation keys.
    #[must_use]
    pub fn keys_secret(&self) -> String {
        format!("{}-activation-keys", self.key.name)
    }

    /// As what the Secret for its activation keys is known: it is the License's, and not the one for its document.
    #[must_use]
    pub fn keys_subject(&self) -> Uid {
        Uid(format!("{}.keys", self.uid))
    }
}
