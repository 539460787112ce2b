//! `Edition`: what many Licenses share.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::cluster::api::SharedSpec;

/// A template: the fields that many Licenses share. What a License says itself goes first.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "Edition",
    plural = "editions",
    namespaced,
    derive = "PartialEq",
    shortname = "ed",
    category = "usher",
    selectable = ".spec.provisioning",
    printcolumn(name = "Provisioning", type_ = "string", json_path = ".spec.provisioning"),
    printcolumn(name = "Client", type_ = "string", json_path = ".spec.client"),
    printcolumn(name = "TTL", type_ = "string", json_path = ".spec.lease.ttl"),
    printcolumn(name = "Grace", type_ = "string", json_path = ".spec.lease.offlineGrace"),
    printcolumn(name = "Devices", type_ = "integer", json_path = ".spec.devicesPerSeat"),
    printcolumn(name = "Authority", type_ = "string", json_path = ".spec.authorityRef.name", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')").message("the name of an Edition must be at most 63 characters without dots: documents carry it"),
)]
#[x_kube(validation = Rule::new("!has(self.provisioning) || !has(oldSelf.provisioning) || self.provisioning == oldSelf.provisioning").message("provisioning cannot be changed: make another License or Edition instead"))]
pub struct EditionSpec {
    /// What Licenses that name this Edition may leave out.
    #[serde(flatten)]
    pub shared: SharedSpec,
}
