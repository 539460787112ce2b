//! What a License says at this moment, as a heartbeat is answered. Members that this version does not know are left aside.

use serde::Deserialize;

/// How an activation stands, and what its License says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Heartbeat {
    /// `active` or `quarantined`.
    pub state: String,
    /// What the License says.
    pub parameters: Parameters,
    /// Who holds its seats; nothing if the License does not let this installation see that.
    #[serde(default)]
    pub users: Option<Vec<User>>,
    /// There are more users: those after this.
    #[serde(default)]
    pub users_next: Option<u64>,
}

/// What a License says; an absent limit is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Parameters {
    /// The customer.
    pub customer: String,
    /// The Edition that it follows.
    #[serde(default)]
    pub edition: Option<String>,
    /// What it grants.
    pub features: Vec<Feature>,
    /// How many holders at once.
    pub seats: u32,
    /// On how many devices each of them.
    #[serde(default)]
    pub devices_per_seat: Option<u32>,
    /// How many sessions of one user at once.
    #[serde(default)]
    pub sessions_per_user: Option<u32>,
    /// How many sessions at once.
    #[serde(default)]
    pub sessions_total: Option<u32>,
    /// For how many seconds a session is open without a heartbeat of its own.
    pub session_ttl: u64,
    /// The first instant at which it is good, RFC 3339.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// The first instant that is too late, RFC 3339.
    #[serde(default)]
    pub valid_until: Option<String>,
}

/// A feature; an absent limit is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// At most so many uses at once.
    #[serde(default)]
    pub pool: Option<u32>,
    /// At most so many uses a period.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// At most so many uses a period.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// How many.
    pub limit: u32,
    /// `Hour`, `Day` or `Month`.
    pub per: String,
}

/// Somebody who holds a seat: by an address, by how a provider knows them, or both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The address.
    #[serde(default)]
    pub email: Option<String>,
    /// The provider.
    #[serde(default)]
    pub issuer: Option<String>,
    /// How it knows them.
    #[serde(default)]
    pub subject: Option<String>,
}
