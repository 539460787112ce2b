//! `License`: what a customer is entitled to.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{Condition, Count, ReassignText, Reference, SharedSpec},
    domain::{
        terms::{Admission, Afterwards, Enforcement, Offline, SignIn},
        text::{Customer, DeviceId, DeviceName, FeatureName, Label, Product, ProviderGroup, ServiceAccount},
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
    selectable = ".spec.editionRef.name",
    printcolumn(name = "Product", type_ = "string", json_path = ".spec.product"),
    printcolumn(name = "Seats", type_ = "integer", json_path = ".spec.seats"),
    printcolumn(name = "Bound", type_ = "integer", json_path = ".status.seats.bound"),
    printcolumn(name = "Activated", type_ = "integer", json_path = ".status.seats.activated"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.seats.waiting"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Edition", type_ = "string", json_path = ".spec.editionRef.name", priority = 1),
    printcolumn(name = "Cooling", type_ = "integer", json_path = ".status.seats.cooling", priority = 1),
    printcolumn(name = "Sessions", type_ = "integer", json_path = ".status.sessions.open", priority = 1),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.validity.until", priority = 1),
    printcolumn(name = "Renews", type_ = "string", json_path = ".status.renewsAt", priority = 1),
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customer", priority = 1),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secret.name", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 54 && !self.metadata.name.contains('.')").message("the name of a License must be at most 54 characters without dots: Secrets are named after it"),
)]
#[x_kube(validation = Rule::new("!has(self.lease) || !has(self.lease.ttl) || self.lease.ttl != 'Contract' || (has(self.validity) && has(self.validity.until))").message("lease.ttl Contract means to the end of validity: set validity.until too"))]
#[x_kube(validation = Rule::new("has(self.authorityRef) || has(self.editionRef)").message("authorityRef is needed, unless editionRef names an Edition that has one"))]
#[x_kube(validation = Rule::new("!has(self.maxPerUser) || (has(oldSelf.maxPerUser) && self.maxPerUser >= oldSelf.maxPerUser)").message("maxPerUser never decreases, and an absent one is unlimited: make another License for a lower one"))]
#[x_kube(validation = Rule::new("!has(self.groups) || self.groups.map(group, has(group.reserved) ? group.reserved : 0).sum() <= self.seats").message("the groups reserve more seats than there are: lower their reserved, or raise seats"))]
#[x_kube(validation = Rule::new("!has(self.provisioning) || self.provisioning != 'Floating' || !has(self.groups) || self.groups.all(group, !has(group.reserved) || group.reserved == 0)").message("a Floating License has no Seats, so nothing is reserved for groups: leave out reserved, or make it Named"))]
#[x_kube(validation = Rule::new("!has(self.provisioning) || !has(oldSelf.provisioning) || self.provisioning == oldSelf.provisioning").message("provisioning cannot be changed: make another License or Edition instead"))]
#[serde(rename_all = "camelCase")]
pub struct LicenseSpec {
    /// The product, as programs ask for it: `aud` of the document. It cannot be changed: make another License instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message("product cannot be changed: make another License instead"))]
    pub product: Product,
    /// The customer that the License is for.
    pub customer: Customer,
    /// The Edition, in the same namespace, whose fields count where this License says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition_ref: Option<Reference>,
    /// What this License says itself.
    #[serde(flatten)]
    pub shared: SharedSpec,
    /// How many holders at once; of a Floating License, how many activations: one that is silent gives its place back when its document has ended, which is `lease.ttl` and
    /// `lease.offlineGrace` after its last refresh. 0 binds nobody.
    pub seats: Count<0>,
    /// More than the seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overage: Option<OverageSpec>,
    /// How many Licenses of this product one user may hold seats of, in this namespace, suspended and expired ones included. Unlimited if not given; it never decreases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_user: Option<Count<1>>,
    /// How long a freed seat cools before it is given to somebody else: a Go duration up to 8760h, or `Lease` for the end of the last document. 0s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassign_after: Option<ReassignText>,
    /// Parts of the contract, by name; at most 32. They are parts of its Seats: a Floating License has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<GroupSpec>,
    /// Who takes a seat by signing in: `None`, `Members` of assignments and groups, or everybody `Verified`. None if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// Which devices may activate: any (`Open`), or those `Listed` by a Seat or a bulk call. Open if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// By which devices may activate, by name; at most 16. The keys themselves are in the Secret `<license>-activation-keys`, an entry a name. One whose
    /// name is taken out is good for nothing any more; an entry that is removed is made anew, and the former key ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub activation_keys: Vec<ActivationKeySpec>,
    /// Which workloads may activate: pods that run as one of these service accounts of the License's namespace; at most 16. A pod shows the token of a projected
    /// volume whose `audience` is the Authority's issuer. Pods of one that is taken out get no new documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["serviceAccount"]))]
    pub workloads: Vec<WorkloadSpec>,
    /// `Forbidden`: documents are accepted for their lease and no longer, whatever `offlineGrace` says. Allowed if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// `Advise`: what `seats`, a group's `seats`, `maxPerUser`, `devicesPerSeat` and `sessions` forbid is granted; seats and sessions beyond them are marked and
    /// counted. What guards against copies and keys that leaked (`deviceTransfers`, `clones.recoveries`, a key's `uses`) is enforced all the same. Enforce if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
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

/// Part of a contract: so many seats for some of the users, some of them kept for these users.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("!has(self.reserved) || !has(self.seats) || self.reserved <= self.seats").message("reserved must not exceed the group's own seats"))]
#[schemars(inline)]
pub struct GroupSpec {
    /// Its name, to which a UserAssignment's `group` refers.
    pub name: Label,
    /// At most so many of the License's seats. Unlimited if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<Count<0>>,
    /// So many of the License's seats are kept for this group; they stay empty while it does not fill them. 0 if not given. Of a Floating License nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Count<0>>,
    /// Its members' documents grant these of the License's features only. All of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub features: Option<Vec<FeatureName>>,
    /// Who belongs to it by signing in.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<MatchSpec>,
}

/// Who belongs to a group by signing in.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct MatchSpec {
    /// The IdentityProvider whose groups these are. If not given, a group of that name at any provider counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Label>,
    /// Members of any of these groups at their identity provider.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub provider_groups: Vec<ProviderGroup>,
}

/// A key by which devices may activate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ActivationKeySpec {
    /// Its name, and that of its entry in the Secret.
    pub name: Label,
    /// The first instant at which nobody activates by it any more, RFC 3339. Never if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub expires: Option<jiff::Timestamp>,
    /// How many devices may activate by it, each counted once. Any number if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Count<1>>,
    /// Whoever has activated by it is told with each activation and heartbeat who holds the seats of this License: e-mail addresses, or issuer and
    /// subject. For a server that lets the License's users in; false if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sees_users: bool,
}

/// A workload that may activate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct WorkloadSpec {
    /// The service account that its pods run as, in the License's own namespace.
    pub service_account: ServiceAccount,
    /// Its pods are told with each activation and heartbeat who holds the seats of this License: e-mail addresses, or issuer and subject. For a server
    /// that lets the License's users in; false if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sees_users: bool,
}

/// More than the seats, said as such.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct OverageSpec {
    /// Of `seats`, rounded down: so many more are given, with the condition OverLimit.
    pub percent: Count<0, 1_000>,
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
    /// Other namespaces that get a copy of it, of the same name; at most 32. Whoever owns one lets Usher in first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<Label>,
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
    /// How many sessions are open, as of some minutes ago at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionCounts>,
    /// What the License, its Edition and Usher's own defaults come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<SharedSpec>,
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
    /// Under `admission: Listed`: devices that asked within the last week and that no Seat names, the last ones first, as of a minute ago at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub asking: Vec<AskingDevice>,
    /// How the License stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A device that asked to be activated.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AskingDevice {
    /// Its id: that of the `device` that the Seat is to name.
    pub id: DeviceId,
    /// What its client calls it; anybody who has an activation key can call a device anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DeviceName>,
    /// When it last asked, to a quarter of an hour.
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub asked_at: String,
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
    /// How many are free, and are not given yet (`reassignAfter`).
    #[serde(default)]
    pub cooling: i64,
    /// How many are held by activations that have no Seat.
    #[serde(default)]
    pub activated: i64,
}

/// The sessions of a License.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub struct SessionCounts {
    /// How many are open.
    #[serde(default)]
    pub open: i64,
    /// How many of them were opened beyond a limit, for `enforcement` is Advise.
    #[serde(default)]
    pub over: i64,
}

/// A Secret, by name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct SecretName {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
}
