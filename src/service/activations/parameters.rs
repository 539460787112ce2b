//! All that a License says to an installation, beside its document: what it may, and, for whoever may see them, whose seats there are.
//!
//! It is put together for each reply and kept nowhere: the answers that the ledger records name no user.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activations, Failure, Runtime, activate::key_caller};
use crate::{
    domain::{
        features::Carries,
        license::{Holder, License},
        terms::{Afterwards, Enforcement, Per},
        workload,
    },
    ledger::activations::{Activation, User},
};

/// So many users are told at once.
const PAGE: u32 = 1_000;

/// What a License says; an absent limit is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Parameters")]
pub struct Parameters {
    /// The customer.
    pub customer: String,
    /// The Edition that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// What it grants, as the document says it.
    pub features: Vec<FeatureAnswer>,
    /// How many holders at once.
    pub seats: u32,
    /// On how many devices each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_per_seat: Option<u32>,
    /// How many sessions of one user, or of a device that is active by itself, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_per_user: Option<u32>,
    /// How many sessions at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_total: Option<u32>,
    /// For how many seconds a session is open without a heartbeat.
    pub session_ttl: i64,
    /// Whether limits are enforced.
    pub enforcement: Enforcement,
    /// The first instant at which it is good, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// The first instant that is too late, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// What happens then.
    pub afterwards: Afterwards,
}

/// A feature; an absent limit is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Feature")]
pub struct FeatureAnswer {
    /// Its name.
    pub name: String,
    /// At most so many uses at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    /// At most so many uses a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaAnswer>,
}

/// At most so many uses a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Quota")]
pub struct QuotaAnswer {
    /// How many.
    pub limit: u32,
    /// The period.
    pub per: Per,
}

/// Somebody who holds a seat: by an address, by how a provider knows them, or by an address of which a provider has said whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserAnswer {
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// How it knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// All that a License says to an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// What the License says now.
    pub parameters: Parameters,
    /// Who holds its seats and may use them, those who have held them longest first: only for whom the License lets see that (`seesUsers`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserAnswer>>,
    /// There are more users: send this as `users_after` of a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_next: Option<u64>,
}

impl<L: Activations> Runtime<L> {
    /// All that `license` says to `activation`, which carries so much; of its users, those after the one who was told last.
    pub(super) async fn told(
        &self,
        license: &License,
        (activation, carries): (&Activation, &Carries),
        after: Option<u64>,
    ) -> Result<Told, Failure> {
        let mut told = Told { parameters: Parameters::of(license, carries), users: None, users_next: None };
        if sees_users(license, activation) {
            let after = i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX);
            let users = self.ledger.users(&license.uid, after, PAGE).await?;
            let last = users.last().filter(|_| users.len() >= usize::try_from(PAGE).unwrap_or(0));
            told.users_next = last.and_then(|last| u64::try_from(last.ordinal).ok());
            told.users = Some(users.into_iter().filter_map(UserAnswer::of).collect());
        }
        Ok(told)
    }
}

/// Whether the License lets this activation see its users. Who has a seat of their own is told of no other; and neither is a copy.
fn sees_users(license: &License, activation: &Activation) -> bool {
    match &activation.workload {
        Some(slotted) => {
            let account = workload::account_of(&slotted.owner);
            license.workloads_that_see_users.iter().any(|named| named.as_str() == account)
        }
        None => {
            let by = |name: &str| key_caller(&license.uid, name) == activation.chain.made_by.caller;
            license.activation_keys.iter().any(|key| key.sees_users && by(key.name.as_str()))
        }
    }
}

impl Parameters {
    fn of(license: &License, carries: &Carries) -> Self {
        let (terms, text) = (&license.terms, |at: Timestamp| at.to_string());
        let features = carries.of_license(license).into_iter().map(|feature| FeatureAnswer {
            name: feature.name.to_string(),
            pool: feature.pool,
            quota: feature.quota.map(|(limit, per)| QuotaAnswer { limit, per }),
        });
        Self {
            customer: license.customer.to_string(),
            edition: license.edition.as_ref().map(ToString::to_string),
            features: features.collect(),
            seats: license.seats,
            devices_per_seat: terms.devices_per_seat,
            sessions_per_user: terms.sessions.per_user,
            sessions_total: terms.sessions.total,
            session_ttl: terms.sessions.ttl,
            enforcement: license.enforcement,
            valid_from: license.validity.from.map(text),
            valid_until: license.validity.until.map(text),
            afterwards: license.validity.afterwards,
        }
    }
}

impl UserAnswer {
    fn of(user: User) -> Option<Self> {
        let (issuer, subject) = user.pinned.unzip();
        Some(match Holder::person(&user.holder)? {
            Holder::Identity { issuer, subject } => {
                Self { email: None, issuer: Some(issuer.to_string()), subject: Some(subject.to_string()) }
            }
            Holder::Email(email) => Self { email: Some(email.to_string()), issuer, subject },
            Holder::Device { .. } | Holder::Workload { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(holder: &str, pinned: Option<(&str, &str)>) -> Option<UserAnswer> {
        let pinned = pinned.map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned()));
        UserAnswer::of(User { ordinal: 1, holder: holder.to_owned(), pinned })
    }

    #[test]
    fn a_user_is_said_as_they_hold_their_seat_and_as_they_were_proven() {
        let idp = "https://idp.acme.example";
        let json = |user: Option<UserAnswer>| serde_json::to_value(user).unwrap();
        assert_eq!(
            json(user("email:ann@acme.example", None)),
            serde_json::json!({"email": "ann@acme.example"})
        );
        assert_eq!(
            json(user("email:ann@acme.example", Some((idp, "1")))),
            serde_json::json!({"email": "ann@acme.example", "issuer": idp, "subject": "1"})
        );
        let by_subject = serde_json::json!({"issuer": idp, "subject": "1"});
        assert_eq!(json(user(&format!("identity:{idp} 1"), None)), by_subject);
        for machine in ["device:9f86", "workload:9f86", "copy:1"] {
            assert_eq!(user(machine, None), None, "{machine}");
        }
    }
}
