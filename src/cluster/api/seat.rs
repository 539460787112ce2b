//! `Seat`: one place under a License.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Condition, Reference, SecretName},
    domain::{
        license::Holder,
        text::{DeviceId, DeviceName, Email, ProviderIssuer, Subject},
    },
};

/// One place under a License, for a user or a device. If all are taken it waits.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "Seat",
    plural = "seats",
    namespaced,
    status = "SeatStatus",
    derive = "PartialEq",
    shortname = "seat",
    category = "usher",
    selectable = ".spec.licenseRef.name",
    selectable = ".spec.holder.user.email",
    selectable = ".spec.holder.device.id",
    selectable = ".status.state",
    printcolumn(name = "License", type_ = "string", json_path = ".spec.licenseRef.name"),
    printcolumn(name = "User", type_ = "string", json_path = ".spec.holder.user.email"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Position", type_ = "integer", json_path = ".status.waiting.position"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority", priority = 1),
    printcolumn(name = "Device", type_ = "string", json_path = ".spec.holder.device.name", priority = 1),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secret.name", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 54 && !self.metadata.name.contains('.')").message("the name of a Seat must be at most 54 characters without dots: its Secret is named after it"),
)]
#[serde(rename_all = "camelCase")]
pub struct SeatSpec {
    /// The License, in the same namespace. It cannot be changed: make another Seat instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message("licenseRef cannot be changed: delete this Seat and make another"))]
    pub license_ref: Reference,
    /// Who shall hold the seat. It cannot be changed: delete this Seat, and make another for the next holder.
    #[x_kube(validation = Rule::new("self == oldSelf").message("holder cannot be changed: delete this Seat and make another for the next holder"))]
    pub holder: HolderSpec,
    /// Of those who wait, the highest goes first; nobody loses a seat to a higher one. From -1000000 to 1000000; 0 if not given.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A user or a device.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.user) != has(self.device)").message("holder must name either a user or a device"))]
#[schemars(inline)]
pub struct HolderSpec {
    /// A person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserSpec>,
    /// A machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceSpec>,
}

/// A person, by address or as an identity provider knows them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.email) != has(self.identity)").message("user must have either an email or an identity"))]
#[schemars(inline)]
pub struct UserSpec {
    /// The whole address, ASCII; case does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// How an identity provider knows the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
}

/// How an identity provider knows a person.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct IdentitySpec {
    /// The provider: its issuer URL.
    pub issuer: ProviderIssuer,
    /// The provider's name for the person: `sub`.
    pub subject: Subject,
}

/// A machine.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct DeviceSpec {
    /// Its fingerprint.
    pub id: DeviceId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DeviceName>,
}

impl UserSpec {
    /// Who this is. The API server sees to it that exactly one of the names is there.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let identity = || {
            let IdentitySpec { issuer, subject } = self.identity.clone()?;
            Some(Holder::Identity { issuer, subject })
        };
        self.email.clone().map(Holder::Email).or_else(identity)
    }
}

impl HolderSpec {
    /// Who or what this is.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let device = || {
            let DeviceSpec { id, name } = self.device.clone()?;
            Some(Holder::Device { id, name })
        };
        self.user.as_ref().and_then(UserSpec::holder).or_else(device)
    }

    /// The same person; no machine.
    #[must_use]
    pub fn of_person(holder: &Holder) -> Option<Self> {
        let user = match holder {
            Holder::Email(email) => UserSpec { email: Some(email.clone()), identity: None },
            Holder::Identity { issuer, subject } => {
                let identity = IdentitySpec { issuer: issuer.clone(), subject: subject.clone() };
                UserSpec { email: None, identity: Some(identity) }
            }
            Holder::Device { .. } | Holder::Workload { .. } => return None,
        };
        Some(Self { user: Some(user), device: None })
    }
}

/// How a Seat stands.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub enum SeatState {
    /// It holds a seat.
    Bound,
    /// It waits for one.
    Waiting,
    /// It holds a seat of a License that rests.
    Suspended,
    /// It holds a seat of a License that is over.
    Expired,
    /// Another Seat stands for the same holder.
    Duplicate,
    /// It is next, and the seat that it will have still cools.
    Cooling,
}

/// What Usher says of a Seat.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SeatStatus {
    /// The generation that this is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SeatState>,
    /// Where it stands in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingStatus>,
    /// Where its document is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// `exp` of that document: the last instant at which it may be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub expires_at: Option<String>,
    /// How the Seat stands, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Where a Seat stands in the queue.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct WaitingStatus {
    /// Its place, the first being 1; told for the first 100.
    pub position: i64,
}
