//! What is licensed to whom.
//!
//! ```text
//!              validity.from          validity.until
//!  NotYetValid ─────┼────── Active ────────┼────── Expired (afterwards: Stop) │ Active, overdue (afterwards: Warn)
//!                   └─ suspended: true ─► Suspended, from any phase but Expired
//! ```

mod holder;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    contract::ActivationKey,
    reason::Because,
    refusal::{Code, Refusal},
    terms::{Admission, Afterwards, Enforcement, Offline, Provisioning, SignIn, Terms},
    text::{Customer, FeatureName, Label, Product, ProviderGroup, ServiceAccount},
};
pub use holder::Holder;

/// The UID that the API server gave an object: it tells an object from its namesakes, before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub String);

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// When the Seat was made, in whole seconds: the older goes first.
    pub created: Timestamp,
    /// Of Seats of one age: its holder's place in the UserAssignments, from 1; 0 for one made by hand. The lower goes first.
    pub place: usize,
    /// The group of the License to which its holder counts.
    pub group: Option<Label>,
    /// Why it asks for nothing now: its holder keeps what they hold, and is not in the queue.
    pub rests: Option<Because>,
}

/// A part of the contract: so many seats for some of the users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: Label,
    /// At most so many of the License's seats.
    pub seats: Option<u32>,
    /// So many of the License's seats are kept for it.
    pub reserved: u32,
    /// Only these of the License's features.
    pub features: Option<Vec<FeatureName>>,
    /// Whoever is in one of these groups at their provider belongs to it, if nothing else says to which.
    #[serde(default)]
    pub matches: Vec<ProviderGroup>,
    /// Only people of this provider belong to it that way; those of any if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches_at: Option<Label>,
}

/// When a freed seat may be given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reassign {
    /// After so many seconds.
    After(i64),
    /// When the last document has ended.
    Lease,
}

/// From when to when a License is good; an absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    /// Its namespace and name.
    pub key: Key,
    /// Of the License object.
    pub uid: Uid,
    /// The product.
    pub product: Product,
    /// The customer.
    pub customer: Customer,
    /// In whose name documents are signed, if anybody says.
    pub authority: Option<Label>,
    /// The Edition that it follows.
    pub edition: Option<Label>,
    /// What License and Edition come to.
    pub terms: Terms,
    /// How many holders at once.
    pub seats: u32,
    /// So many percent more are given, and said to be too many.
    pub overage_percent: u32,
    /// How many Licenses of the product one person may hold seats of.
    pub max_per_user: Option<u32>,
    /// When a freed seat may be given to somebody else.
    pub reassign: Reassign,
    /// Parts of the contract.
    pub groups: Vec<Group>,
    /// Whether limits are enforced.
    pub enforcement: Enforcement,
    /// Whether documents are good without asking again in time.
    pub offline: Offline,
    /// From when to when.
    pub validity: Validity,
    /// Whether the License rests.
    pub suspended: bool,
    /// Who takes a seat by signing in.
    #[serde(default)]
    pub sign_in: SignIn,
    /// Which devices may activate.
    pub admission: Admission,
    /// By which devices may activate.
    pub activation_keys: Vec<ActivationKey>,
    /// Service accounts of its namespace whose pods may activate.
    #[serde(default)]
    pub workloads: Vec<ServiceAccount>,
    /// Those of them whose pods are told its users.
    #[serde(default)]
    pub workloads_that_see_users: Vec<ServiceAccount>,
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

/// Where nothing is refused for its number.
pub const UNLIMITED: u32 = u32::MAX;

impl License {
    /// How many places there are: the seats and the overage, or any number where limits only advise.
    #[must_use]
    pub fn places(&self) -> u32 {
        match self.enforcement {
            Enforcement::Advise => UNLIMITED,
            Enforcement::Enforce => {
                let over = u64::from(self.seats) * u64::from(self.overage_percent) / 100;
                self.seats.saturating_add(u32::try_from(over).unwrap_or(UNLIMITED))
            }
        }
    }

    /// How many may be bound at once. A Floating License binds nobody: its places are taken by activations.
    #[must_use]
    pub fn limit(&self) -> u32 {
        match self.terms.provisioning {
            Provisioning::Floating => 0,
            Provisioning::Named => self.places(),
        }
    }

    /// Of how many Licenses of the product one person may hold seats before more are refused.
    #[must_use]
    pub fn most_per_user(&self) -> Option<u32> {
        self.max_per_user.filter(|_| self.enforcement == Enforcement::Enforce)
    }

    /// The groups, with the seats beyond which more are refused.
    #[must_use]
    pub fn enforced_groups(&self) -> Vec<Group> {
        let enforced = |group: &Group| Group {
            seats: group.seats.filter(|_| self.enforcement == Enforcement::Enforce),
            ..group.clone()
        };
        self.groups.iter().map(enforced).collect()
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &Label) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == *name)
    }

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

    /// Whether anything is granted under it at `now`.
    ///
    /// # Errors
    /// When it is suspended or has expired.
    pub fn grants(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.phase(now) {
            Phase::Suspended => Err(Code::LicenseSuspended.into()),
            Phase::Expired => Err(Code::LicenseExpired.into()),
            Phase::NotYetValid | Phase::Active | Phase::Overdue => Ok(()),
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
    use crate::domain::terms::Feature;

    pub(crate) fn license(seats: u32) -> License {
        License {
            key: Key::new("design", "cad"),
            uid: Uid("license-1".into()),
            product: "cad".parse().unwrap(),
            customer: "acme".parse().unwrap(),
            authority: "default".parse().ok(),
            edition: None,
            terms: Terms { features: vec![feature("render")], ..Terms::default() },
            seats,
            overage_percent: 0,
            max_per_user: None,
            reassign: Reassign::After(0),
            groups: Vec::new(),
            enforcement: Enforcement::Enforce,
            offline: Offline::Allowed,
            validity: Validity::default(),
            suspended: false,
            sign_in: SignIn::None,
            admission: Admission::Open,
            activation_keys: Vec::new(),
            workloads: Vec::new(),
            workloads_that_see_users: Vec::new(),
            secret: "cad-license".parse().unwrap(),
        }
    }

    pub(crate) fn feature(name: &str) -> Feature {
        Feature { name: name.parse().unwrap(), pool: None, quota: None, seats: None }
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
    fn overage_is_rounded_down_and_advice_has_no_limit() {
        let mut license = license(7);
        for (percent, limit) in [(0, 7), (14, 7), (15, 8), (100, 14), (1_000, 77)] {
            license.overage_percent = percent;
            assert_eq!(license.limit(), limit, "{percent} %");
        }
        license.seats = 1_000_000;
        assert_eq!(license.limit(), 11_000_000);
        license.enforcement = Enforcement::Advise;
        assert_eq!(license.limit(), UNLIMITED);
        license.terms.provisioning = Provisioning::Floating;
        assert_eq!(license.limit(), 0, "its places are taken by activations");
        assert_eq!(license.places(), UNLIMITED);
    }

    #[test]
    fn only_what_is_in_force_or_will_be_gives_free_seats() {
        assert!([Phase::NotYetValid, Phase::Active, Phase::Overdue].into_iter().all(Phase::grants));
        assert!(![Phase::Suspended, Phase::Expired].into_iter().any(Phase::grants));
    }

    #[test]
    fn an_object_is_told_by_its_uid_or_by_its_namespace_and_name() {
        assert_eq!(Uid("5f0c1d52".into()).to_string(), "5f0c1d52");
        assert_eq!(Key::new("design", "cad").to_string(), "design/cad");
    }
}
