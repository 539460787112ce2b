//! `License`: what a customer is entitled to.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Condition, Count, GraceText, TtlText},
    domain::{
        license::{Afterwards, Per},
        text::{Customer, FeatureName, Label, Product},
    },
};

/// What a customer is entitled to: a product, its features, its limits, its validity.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "License",
    plural = "licenses",
    namespaced,
    status = "LicenseStatus",
    derive = "PartialEq",
    shortname = "lic",
    category = "usher",
    selectable = ".spec.product",
    selectable = ".spec.customer",
    selectable = ".spec.authorityRef.name",
    printcolumn(name = "Product", type_ = "string", json_path = ".spec.product"),
    printcolumn(name = "Seats", type_ = "integer", json_path = ".spec.seats"),
    printcolumn(name = "Bound", type_ = "integer", json_path = ".status.seats.bound"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.seats.waiting"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.validity.until", priority = 1),
    printcolumn(name = "Renews", type_ = "string", json_path = ".status.renewsAt", priority = 1),
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customer", priority = 1),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secret.name", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 54 && !self.metadata.name.contains('.')").message("the name of a License must be at most 54 characters without dots: Secrets are named after it"),
)]
#[x_kube(validation = Rule::new("!has(self.lease) || !has(self.lease.ttl) || self.lease.ttl != 'Contract' || (has(self.validity) && has(self.validity.until))").message("lease.ttl Contract means to the end of validity: set validity.until too"))]
#[serde(rename_all = "camelCase")]
pub struct LicenseSpec {
    /// The product, as programs ask for it: `aud` of the document. It cannot be changed: make another License instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message("product cannot be changed: make another License instead"))]
    pub product: Product,
    /// The customer that the License is for.
    pub customer: Customer,
    /// The Authority in whose name documents are signed.
    pub authority_ref: Reference,
    /// How many holders at once. 0 binds nobody.
    pub seats: Count<0>,
    /// What is granted, by name; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub features: Vec<FeatureSpec>,
    /// How long documents are good before they must be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseSpec>,
    /// From when to when the License is good; without it, from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<ValiditySpec>,
    /// The License rests: seats keep their holders, the queue stands still, and documents say `suspended` and grant nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Where the License's own document goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSpec>,
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
    /// How much longer a document is accepted: a Go duration up to 8760h. 72h if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_grace: Option<GraceText>,
}

/// From when to when the License is good.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(from_before_until()).message("validity.from must be before validity.until"))]
#[schemars(inline)]
pub struct ValiditySpec {
    /// The first instant, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub from: Option<jiff::Timestamp>,
    /// The first instant that is too late, RFC 3339. No document is accepted after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub until: Option<jiff::Timestamp>,
    /// What happens then: `Stop` (documents say `expired` and grant nothing), or `Warn` (everything goes on, and the License says so). Stop if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Afterwards>,
}

/// RFC 3339 (CEL's `timestamp` reads it, but for a 29th of February that there was not).
const INSTANT: &str = r"^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

fn from_before_until() -> String {
    let unknown = |field| format!("!has(self.{field}) || !self.{field}.matches(r'{INSTANT}')");
    format!("{} || {} || timestamp(self.from) < timestamp(self.until)", unknown("from"), unknown("until"))
}

/// The schema of an instant. Not `format: date-time`, whose refusal does not say what to write.
struct Instant;

impl JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": 40, "x-kubernetes-validations": [
            {"rule": format!("self.matches(r'{INSTANT}')"),
             "message": "must be an instant such as 2030-01-01T00:00:00Z (RFC 3339)"},
            {"rule": format!("!self.matches(r'{INSTANT}') || timestamp(self) < timestamp('9999-01-01T00:00:00Z')"),
             "message": "must be before the year 9999: leave it out for no end"},
        ]})
    }
}

/// Where the License's own document goes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct SecretSpec {
    /// The Secret's name; `<license>-license` if not given. Usher makes it, and touches no Secret that it did not make.
    pub name: Label,
}

/// What Usher says of a License.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LicenseStatus {
    /// The generation that this is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// How the seats are taken.
    #[serde(default)]
    pub seats: SeatCounts,
    /// Where the License's own document is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// `jti` of that document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial: Option<String>,
    /// `kid`: the key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub key_id: Option<String>,
    /// `iat`: when it was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub issued_at: Option<String>,
    /// `exp`: the last instant at which it may be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub expires_at: Option<String>,
    /// When it will be signed anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub renews_at: Option<String>,
    /// How the License stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How the seats of a License are taken.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub struct SeatCounts {
    /// How many there are.
    #[serde(default)]
    pub limit: i64,
    /// How many are held.
    #[serde(default)]
    pub bound: i64,
    /// How many Seats wait for one.
    #[serde(default)]
    pub waiting: i64,
}

/// A Secret, by name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct SecretName {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
}
