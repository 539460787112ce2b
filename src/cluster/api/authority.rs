//! `Authority`: in whose name documents are signed.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Condition, RotationSpec},
    domain::{
        namespaces::Namespaces,
        text::{Issuer, KeyId, Product},
    },
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
    printcolumn(name = "Key", type_ = "string", json_path = ".status.signingKey", priority = 1),
    printcolumn(name = "Rotates", type_ = "string", json_path = ".status.rotatesAt", priority = 1),
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
    /// The thumbprint of a root key that is kept outside of this cluster (`usher keygen`). Usher then shows what that root has to sign, and waits for it. If not given, Usher makes a root key and keeps it in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("root cannot be changed, programs have pinned it: make another Authority instead"))]
    pub root: Option<KeyId>,
    /// How signing keys follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationSpec>,
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

impl AllowedNamespaces {
    /// Which these are. The API server sees to it that there is a selector if one is needed.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        match (self.from, &self.selector) {
            (NamespacesFrom::All, _) => Namespaces::All,
            (NamespacesFrom::Selector, Some(selector)) => {
                let labels = selector.match_labels.iter();
                Namespaces::Labelled(labels.map(|(name, value)| (name.clone(), value.0.clone())).collect())
            }
            (NamespacesFrom::Selector, None) | (NamespacesFrom::None, _) => Namespaces::None,
        }
    }
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
    /// The key that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub signing_key: Option<String>,
    /// When another key will sign, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub rotates_at: Option<String>,
    /// The keys that sign, will sign, or have signed documents that are good; and the last that were revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kid"]))]
    pub keys: Vec<KeyStatus>,
    /// After a revocation: how many of the documents under revoked keys have been made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reissuing: Option<ReissuingStatus>,
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
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct KeyStatus {
    /// Its thumbprint (RFC 7638).
    #[schemars(length(max = 64))]
    pub kid: String,
    /// Where it is in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<KeyState>,
    /// When it will sign, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub signs_from: Option<String>,
    /// Until when it is published: the last `exp` under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub until: Option<String>,
}

/// Where a signing key is in its life.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub enum KeyState {
    /// It waits for the root to vouch for it.
    Made,
    /// It is published and does not sign yet.
    Announced,
    /// It signs.
    Signing,
    /// It signs no more, and documents under it are good.
    Retired,
    /// Nothing under it is good any more.
    Revoked,
}

/// How far documents have been made anew.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct ReissuingStatus {
    /// How many have been.
    pub done: i64,
    /// How many there were when the key was revoked.
    pub total: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_what_is_written() {
        let label = ("usher.dev/licensed".to_owned(), "true".to_owned());
        let match_labels = [(label.0.clone(), LabelValue(label.1.clone()))].into();
        let of = |from, selector| AllowedNamespaces { from, selector }.namespaces();
        assert_eq!(of(NamespacesFrom::All, None), Namespaces::All);
        assert_eq!(of(NamespacesFrom::None, None), Namespaces::None);
        assert_eq!(of(NamespacesFrom::Selector, None), Namespaces::None);
        let some = of(NamespacesFrom::Selector, Some(Selector { match_labels }));
        assert_eq!(some, Namespaces::Labelled([label].into()));
    }
}
