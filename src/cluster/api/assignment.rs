//! `UserAssignment`: these users shall hold seats.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Condition, Reference, UserSpec, seat::is_zero},
    domain::text::{Label, ProviderGroup},
};

/// Intent: these users, and the members of these groups, shall hold seats of a License. As many as there are seats hold one, the rest wait.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "UserAssignment",
    plural = "userassignments",
    namespaced,
    status = "UserAssignmentStatus",
    derive = "PartialEq",
    shortname = "ua",
    category = "usher",
    selectable = ".spec.licenseRef.name",
    printcolumn(name = "License", type_ = "string", json_path = ".spec.licenseRef.name"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users.assigned"),
    printcolumn(name = "Bound", type_ = "integer", json_path = ".status.users.bound"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.users.waiting"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority", priority = 1),
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.group", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')").message("the name of a UserAssignment must be at most 63 characters without dots"),
)]
#[serde(rename_all = "camelCase")]
pub struct UserAssignmentSpec {
    /// The License, in the same namespace. It cannot be changed: make another UserAssignment instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message("licenseRef cannot be changed: make another UserAssignment for the other License"))]
    pub license_ref: Reference,
    /// Of those who wait, the highest goes first. From -1000000 to 1000000; 0 if not given.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
    /// The users, at most 1000; several UserAssignments add up. Whoever is named twice takes one seat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "atomic"))]
    pub users: Vec<UserSpec>,
    /// Groups at identity providers, at most 64: their members are given seats when they sign in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["provider", "name"]))]
    pub groups: Vec<GroupRef>,
    /// The group of the License to which they count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Label>,
    /// Its users keep the seats that they hold, with documents that say `suspended` and grant nothing; whoever waits leaves the queue.
    /// Users whom another UserAssignment or a Seat names too are not touched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// A group at an identity provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct GroupRef {
    /// The IdentityProvider.
    pub provider: Label,
    /// The group's name there.
    pub name: ProviderGroup,
}

/// What Usher says of a UserAssignment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UserAssignmentStatus {
    /// The generation that this is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// How its users stand.
    #[serde(default)]
    pub users: UserCounts,
    /// The first 50 who wait, by their Seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["seat"]))]
    pub waiting: Vec<WaitingUser>,
    /// How the UserAssignment stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How the users of a UserAssignment stand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub struct UserCounts {
    /// How many different users it names.
    #[serde(default)]
    pub assigned: i64,
    /// How many of them hold a seat.
    #[serde(default)]
    pub bound: i64,
    /// How many wait for one.
    #[serde(default)]
    pub waiting: i64,
}

/// Somebody who waits.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct WaitingUser {
    /// The Seat that waits for them.
    #[schemars(length(max = 63))]
    pub seat: String,
    /// Its place in the queue of the License, the first being 1.
    pub position: i64,
}
