//! The fields that Licenses and Editions share. They have no defaults here: what a License leaves out its Edition may say, and
//! what neither says is Usher's own default.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Count, GraceText, RecoveryWindow, SessionTtl, TtlText},
    domain::{
        terms::{ActivationTime, Client, ClonePolicy, Per, Provisioning},
        text::{FeatureName, Label},
    },
};

/// What a License says itself, or leaves to its Edition.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SharedSpec {
    /// The Authority in whose name documents are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_ref: Option<Reference>,
    /// `Named`: seats are held by name. `Floating`: there are no Seats, and `seats` counts activations, of devices and workloads. Named if not given. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Provisioning>,
    /// Who may hold a seat: `Users` or `Devices`. Both if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// When an installation is activated: `OnFirstUse`, when its program first asks, whether this is given or not. (A seat's document needs no activation: it is in
    /// the seat's Secret.) `OnCreation` is not there yet, and refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self != 'OnCreation'").message("activation OnCreation is not there yet: leave it out, or write OnFirstUse; a seat's document is in its Secret from the beginning, without any activation"))]
    pub activation: Option<ActivationTime>,
    /// Devices on which one seat may be active at once. Unlimited if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_per_seat: Option<Count<1>>,
    /// How long documents are good before they must be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseSpec>,
    /// How many sessions at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsSpec>,
    /// What is granted, by name; at most 64. A License adds to its Edition's, and takes out with `enabled: false`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub features: Vec<FeatureSpec>,
    /// What becomes of an installation that was copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clones: Option<ClonesSpec>,
    /// How often an installation that is deactivated may be followed by one on another device. Any number of times if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_transfers: Option<WindowedSpec>,
}

/// Another object, by name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct Reference {
    /// Its name.
    pub name: Label,
}

/// One feature of the product. A name alone is a flag.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("!(has(self.pool) && has(self.quota))").message("a feature has either a pool (so many at once) or a quota (so many per period), not both"))]
#[schemars(inline)]
pub struct FeatureSpec {
    /// The name, as the program asks for it.
    pub name: FeatureName,
    /// At most so many uses at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Count<1>>,
    /// At most so many uses per period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaSpec>,
    /// At most so many seats carry it: those that were bound first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<Count<0>>,
    /// `false` takes out what the Edition grants. True if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// At most `limit` uses in each period.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct QuotaSpec {
    /// How many.
    pub limit: Count<1>,
    /// The period, in UTC.
    pub per: Per,
}

/// How long documents are good.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct LeaseSpec {
    /// Until programs must have a new document: a Go duration from 5m to 8760h, or `Contract` for the end of validity. 24h if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TtlText>,
    /// How much longer a document is accepted: a Go duration up to 8760h. 72h if not given. For so long a silent activation keeps its place, too: 0s gives it back with the
    /// lease, which is what a Floating License wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_grace: Option<GraceText>,
}

/// How many sessions at once. The runtime API counts them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SessionsSpec {
    /// Of one user. Unlimited if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_user: Option<Count<1>>,
    /// In all. Unlimited if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Count<1>>,
    /// How long a session lasts without a heartbeat: a Go duration from 30s to 24h. 5m if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<SessionTtl>,
}

/// What becomes of an installation that was copied. The runtime API notices it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub struct ClonesSpec {
    /// `Refuse`: the first to refresh lives. `Quarantine`: nobody is renewed until somebody decides. `Replace`: the other one becomes
    /// an activation of its own, if the limits allow. Refuse if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<ClonePolicy>,
    /// How often an installation that lost its state may activate again. Three times in 720h if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoveries: Option<WindowedSpec>,
}

/// So many in each window.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct WindowedSpec {
    /// How many.
    pub limit: Count<0>,
    /// The window: a Go duration from 1h to 8760h.
    pub per: RecoveryWindow,
}
