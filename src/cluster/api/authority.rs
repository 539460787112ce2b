//! `Authority`: in whose name documents are signed.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::Condition,
    domain::text::{Issuer, Product},
};

/// In whose name documents are signed: a root key, and the signing keys that it vouches for.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "Authority",
    plural = "authorities",
    status = "AuthorityStatus",
    derive = "PartialEq",
    shortname = "auth",
    category = "usher",
    selectable = ".spec.issuer",
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.issuer"),
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".spec.allowedNamespaces.from"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Root", type_ = "string", json_path = ".status.root", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')").message("the name of an Authority must be at most 40 characters without dots: its Secrets are named after it"),
)]
#[serde(rename_all = "camelCase")]
pub struct AuthoritySpec {
    /// `iss` of its documents: an https URL that no other Authority has. `<issuer>/jwks.json` is where Usher serves its keys. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("issuer cannot be changed, documents carry it: make another Authority instead"))]
    pub issuer: Issuer,
    /// For the Licenses of which namespaces it signs; none if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// For which products it signs; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "set"))]
    pub products: Option<Vec<Product>>,
}

/// Which namespaces.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)").message("allowedNamespaces needs a selector exactly when from is Selector"))]
#[schemars(inline)]
pub struct AllowedNamespaces {
    /// All of them, those that the selector matches, or none.
    pub from: NamespacesFrom,
    /// The labels that a namespace must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// Which namespaces.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub enum NamespacesFrom {
    /// All.
    All,
    /// Those that the selector matches.
    Selector,
    /// None.
    None,
}

/// Labels that an object must have.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Selector {
    /// All of these labels, with these values; at least one.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub match_labels: BTreeMap<String, LabelValue>,
}

/// The value of a label.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
#[schemars(inline)]
pub struct LabelValue(#[schemars(length(max = 63))] pub String);

/// What Usher says of an Authority.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityStatus {
    /// The generation that this is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// The thumbprint (RFC 7638) of the root key: programs pin this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub root: Option<String>,
    /// The keys that sign, or have signed, documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kid"]))]
    pub keys: Vec<KeyStatus>,
    /// The number of the key set; it only rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_set: Option<i64>,
    /// How the Authority stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One signing key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct KeyStatus {
    /// Its thumbprint (RFC 7638).
    #[schemars(length(max = 64))]
    pub kid: String,
}
