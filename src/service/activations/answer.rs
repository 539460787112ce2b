//! What a call is answered with.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::parameters::Told;
use crate::{
    domain::{
        document::Times,
        text::{DeviceId, DeviceName},
    },
    ledger::{Document, activations::Given},
};

/// A device, as its client tells of it. What it says beside the fingerprint is for people, and nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// The fingerprint.
    pub id: DeviceId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DeviceName>,
    /// Who is signed in on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_user: Option<DeviceName>,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<DeviceName>,
    /// Its operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<DeviceName>,
}

/// How long an activation is good, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Lease")]
pub struct LeaseAnswer {
    /// When to ask again.
    pub renew_at: String,
    /// From when on a program that has not asked again warns.
    pub until: String,
    /// The last instant at which the document is good.
    pub expires_at: String,
}

impl LeaseAnswer {
    pub(super) fn of(times: &Times) -> Self {
        let text = |at: Timestamp| at.to_string();
        Self {
            renew_at: text(times.renew_at.unwrap_or(times.lease_until)),
            until: text(times.lease_until),
            expires_at: text(times.expires_at),
        }
    }
}

/// An activation, as its program is told of it. (Recorded, so that it can be told again.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Activation")]
pub struct Answer {
    /// The activation.
    pub id: String,
    /// `active` or `quarantined`.
    pub state: String,
    /// Its License: namespace/name.
    pub license: String,
    /// The product.
    pub product: String,
    /// The signed document, if the call gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The key set that the document's Authority published with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// How long it is good.
    pub lease: LeaseAnswer,
}

/// What is sent.
#[derive(Debug)]
pub struct Reply {
    /// The nonce to use next.
    pub nonce: String,
    /// The answer, as JSON.
    pub body: String,
    /// Of a call that begins an activation: what is in no record.
    pub begun: Option<Begun>,
}

/// What is told with the answer to a call that begins an activation, and made anew for each reply.
#[derive(Debug)]
pub struct Begun {
    /// The activation's token.
    pub token: Zeroizing<String>,
    /// What its License says, if that is known.
    pub told: Option<Told>,
}

pub(super) fn given(document: &Document) -> Given {
    Given { serial: document.serial.clone(), key_id: document.key_id.clone(), until: document.expires_at }
}
