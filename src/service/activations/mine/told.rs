//! What is somebody's, as their programs are told of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mine, MyDevice, MyLicense, MySession, Place};
use crate::{
    domain::license::Phase,
    service::activations::{Activations, Device, Failure, Proof, Runtime},
};

/// What is somebody's, License by License; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MyLicenses")]
pub struct MineAnswer {
    /// Where they have a seat, or wait for one.
    pub licenses: Vec<MyLicenseAnswer>,
    /// There is more than is told here.
    pub has_more: bool,
}

/// What they have of one License.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MyLicense")]
pub struct MyLicenseAnswer {
    /// Its namespace/name.
    pub license: String,
    /// The product, if that is known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// How it stands: `not-yet-valid`, `active`, `overdue`, `suspended` or `expired`.
    pub state: String,
    /// How they stand: they have a `seat`; it `rests`, for whoever gave it has suspended that; they wait (`waiting`); or somebody had the address before them
    /// (`holder-changed`).
    pub place: String,
    /// Of whoever waits: at which place, if it is one of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// On how many devices the seat may be active; an absent limit is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_per_seat: Option<u32>,
    /// On which devices it is.
    pub devices: Vec<MyDeviceAnswer>,
    /// Where it is in use.
    pub sessions: Vec<MySessionAnswer>,
}

/// A device on which a seat is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MyDevice")]
pub struct MyDeviceAnswer {
    /// The activation, by which it is ended.
    pub activation: String,
    /// What its client said of it.
    pub device: Device,
    /// When it began.
    pub since: String,
    /// When it was last heard of, to a quarter of an hour.
    pub heard_at: String,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MySession")]
pub struct MySessionAnswer {
    /// What its client said of the device.
    pub device: Device,
    /// When it was opened.
    pub since: String,
}

impl<L: Activations> Runtime<L> {
    /// What is theirs who show the access token of `proof`.
    ///
    /// # Errors
    /// When nobody does, or Usher cannot answer now.
    pub async fn my_licenses(&self, proof: &Proof<'_>) -> Result<MineAnswer, Failure> {
        let who = self.signed_in(proof).await?.principal;
        self.mine(&who).await.map(MineAnswer::from)
    }
}

impl From<Mine> for MineAnswer {
    fn from(mine: Mine) -> Self {
        let licenses = mine.licenses.into_iter().map(MyLicenseAnswer::from);
        Self { licenses: licenses.collect(), has_more: mine.has_more }
    }
}

impl From<MyLicense> for MyLicenseAnswer {
    fn from(mine: MyLicense) -> Self {
        let (place, position) = match mine.place {
            Place::Seat => ("seat", None),
            Place::Rests => ("rests", None),
            Place::Waits(position) => ("waiting", position),
            Place::Anothers => ("holder-changed", None),
        };
        let state = match mine.phase {
            Phase::NotYetValid => "not-yet-valid",
            Phase::Active => "active",
            Phase::Overdue => "overdue",
            Phase::Suspended => "suspended",
            Phase::Expired => "expired",
        };
        Self {
            license: mine.key.to_string(),
            product: mine.product().map(ToString::to_string),
            state: state.to_owned(),
            place: place.to_owned(),
            position,
            devices_per_seat: mine
                .contract
                .as_ref()
                .and_then(|contract| contract.license.terms.devices_per_seat),
            devices: mine.devices.into_iter().map(MyDeviceAnswer::from).collect(),
            sessions: mine.sessions.into_iter().map(MySessionAnswer::from).collect(),
        }
    }
}

impl From<MyDevice> for MyDeviceAnswer {
    fn from(MyDevice { id, device, since, heard_at }: MyDevice) -> Self {
        Self { activation: id, device, since: since.to_string(), heard_at: heard_at.to_string() }
    }
}

impl From<MySession> for MySessionAnswer {
    fn from(MySession { device, since }: MySession) -> Self {
        Self { device, since: since.to_string() }
    }
}
