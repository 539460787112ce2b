//! What is licensed to whom.
//!
//! ```text
//!              validity.from          validity.until
//!  NotYetValid ─────┼────── Active ────────┼────── Expired (afterwards: Stop) │ Active, overdue (afterwards: Warn)
//!                   └─ suspended: true ─► Suspended, from any phase but Expired
//! ```

use jiff::Timestamp;

use crate::domain::{
    duration::Ttl,
    text::{Customer, DeviceId, DeviceName, Email, FeatureName, Issuer, Label, Product, Subject},
};

/// The UID that the API server gave an object: it tells an object from its namesakes, before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Uid(pub String);

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The object `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Who or what holds a seat. Two seats of one holder are one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A person, by e-mail address.
    Email(Email),
    /// A person, as an identity provider knows them.
    Identity {
        /// The provider.
        issuer: Issuer,
        /// How it names the person.
        subject: Subject,
    },
    /// A machine, by its fingerprint; its name is for people and does not count.
    Device {
        /// The fingerprint.
        id: DeviceId,
        /// What people call it.
        name: Option<DeviceName>,
    },
}

impl Holder {
    /// The text that is equal exactly when the holder is the same.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Email(email) => format!("email:{email}"),
            Self::Identity { issuer, subject } => format!("identity:{issuer} {subject}"),
            Self::Device { id, .. } => format!("device:{id}"),
        }
    }
}

/// One place asked for under a License.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Of the Seat object.
    pub uid: Uid,
    /// Its name; the namespace is the License's.
    pub name: String,
    /// Who shall hold it.
    pub holder: Holder,
    /// Higher goes first.
    pub priority: i32,
    /// When the Seat was made: the older goes first.
    pub created: Timestamp,
}

/// How often a quota is filled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub enum Per {
    /// Each hour, UTC.
    Hour,
    /// Each day, UTC.
    Day,
    /// Each month, UTC.
    Month,
}

/// A feature of the product that the License grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: FeatureName,
    /// At most so many at once.
    pub pool: Option<u32>,
    /// At most so many per period.
    pub quota: Option<(u32, Per)>,
}

/// How long documents are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Until the client must have asked again.
    pub ttl: Ttl,
    /// How many seconds longer a verifier may accept the document.
    pub offline_grace: i64,
}

/// What happens at the end of validity.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[schemars(inline)]
pub enum Afterwards {
    /// Documents say `expired` and grant nothing.
    #[default]
    Stop,
    /// Everything goes on; the License says so.
    Warn,
}

/// From when to when a License is good; an absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub from: Option<Timestamp>,
    /// The first instant that is too late.
    pub until: Option<Timestamp>,
    /// What happens then.
    pub afterwards: Afterwards,
}

impl Validity {
    /// The instant after which nothing may be accepted any more.
    #[must_use]
    pub fn hard_end(&self) -> Option<Timestamp> {
        match self.afterwards {
            Afterwards::Stop => self.until,
            Afterwards::Warn => None,
        }
    }
}

/// What a customer is entitled to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// Its namespace and name.
    pub key: Key,
    /// Of the License object.
    pub uid: Uid,
    /// The product.
    pub product: Product,
    /// The customer.
    pub customer: Customer,
    /// In whose name documents are signed.
    pub authority: Label,
    /// How many holders at once.
    pub seats: u32,
    /// What is granted.
    pub features: Vec<Feature>,
    /// How long documents are good.
    pub lease: Lease,
    /// From when to when.
    pub validity: Validity,
    /// Whether the License rests.
    pub suspended: bool,
    /// The Secret for the License's own document.
    pub secret: Label,
}

/// In which phase a License is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before `validity.from`: seats are bound, documents are good later.
    NotYetValid,
    /// In force.
    Active,
    /// In force although `validity.until` has passed (`afterwards: Warn`).
    Overdue,
    /// Resting: seats keep their holders, the queue stands still.
    Suspended,
    /// Over: as suspended, and for good.
    Expired,
}

impl Phase {
    /// Whether the waiting may be given free seats.
    #[must_use]
    pub const fn grants(self) -> bool {
        matches!(self, Self::NotYetValid | Self::Active | Self::Overdue)
    }
}

impl License {
    /// The phase at `now`.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> Phase {
        let ended = self.validity.until.is_some_and(|until| now >= until);
        match (ended, self.validity.afterwards, self.suspended) {
            (true, Afterwards::Stop, _) => Phase::Expired,
            (_, _, true) => Phase::Suspended,
            (true, Afterwards::Warn, _) => Phase::Overdue,
            _ if self.validity.from.is_some_and(|from| now < from) => Phase::NotYetValid,
            _ => Phase::Active,
        }
    }

    /// The next instant after `now` at which the phase changes by itself.
    #[must_use]
    pub fn next_phase(&self, now: Timestamp) -> Option<Timestamp> {
        [self.validity.from, self.validity.until].into_iter().flatten().filter(|at| *at > now).min()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn license(seats: u32) -> License {
        License {
            key: Key::new("design", "cad"),
            uid: Uid("license-1".into()),
            product: "cad".parse().unwrap(),
            customer: "acme".parse().unwrap(),
            authority: "default".parse().unwrap(),
            seats,
            features: vec![Feature { name: "render".parse().unwrap(), pool: None, quota: None }],
            lease: Lease { ttl: Ttl::Seconds(86_400), offline_grace: 259_200 },
            validity: Validity::default(),
            suspended: false,
            secret: "cad-license".parse().unwrap(),
        }
    }

    pub(crate) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_license_is_active_from_its_first_instant_to_the_one_before_its_end() {
        let mut license = license(1);
        license.validity = Validity { from: Some(at(10)), until: Some(at(20)), afterwards: Afterwards::Stop };
        for (now, phase) in
            [(9, Phase::NotYetValid), (10, Phase::Active), (19, Phase::Active), (20, Phase::Expired)]
        {
            assert_eq!(license.phase(at(now)), phase, "{now}");
        }
    }

    #[test]
    fn a_warned_end_ends_nothing() {
        let mut license = license(1);
        license.validity = Validity { from: None, until: Some(at(20)), afterwards: Afterwards::Warn };
        assert_eq!(license.phase(at(20)), Phase::Overdue);
        assert_eq!(license.validity.hard_end(), None);
    }

    #[test]
    fn suspension_holds_in_every_phase_but_the_last() {
        let mut license = license(1);
        license.suspended = true;
        license.validity = Validity { from: Some(at(10)), until: Some(at(20)), afterwards: Afterwards::Stop };
        for (now, phase) in [(9, Phase::Suspended), (10, Phase::Suspended), (20, Phase::Expired)] {
            assert_eq!(license.phase(at(now)), phase, "{now}");
        }
        license.validity.afterwards = Afterwards::Warn;
        assert_eq!(license.phase(at(20)), Phase::Suspended);
    }

    #[test]
    fn the_phase_changes_next_at_the_nearest_bound_ahead() {
        let mut license = license(1);
        license.validity = Validity { from: Some(at(10)), until: Some(at(20)), afterwards: Afterwards::Stop };
        assert_eq!(license.next_phase(at(5)), Some(at(10)));
        assert_eq!(license.next_phase(at(10)), Some(at(20)));
        assert_eq!(license.next_phase(at(20)), None);
    }

    #[test]
    fn the_name_of_a_device_does_not_make_it_another_holder() {
        let lab = |name: &str| Holder::Device { id: "9f86".parse().unwrap(), name: name.parse().ok() };
        assert_eq!(lab("Lab 3").identity(), lab("Lab 4").identity());
    }
}
