//! Who takes a seat by signing in, under one License.
//!
//! ```text
//!   signIn      a person whom their provider has proven, and who counts in the namespace, takes a seat
//!   None        never: only those whom a UserAssignment or a Seat names hold one
//!   Members     if a UserAssignment names one of their groups
//!   Verified    so, and whoever has asked for this License, if their address counts
//! ```
//!
//! 1. What a provider has said of somebody holds until `reauthenticateAfter` has passed since; then it has to say it again.
//! 2. Somebody holds one seat, however they are known: the one that is theirs already, else the one that names them by issuer and
//!    subject, else the one of their address, unless that is another's ([`crate::domain::standing`]): then one by issuer and subject.
//! 3. While a provider is not there or not at work, its people keep what they have, for as long as its word can hold at most. While it is not known
//!    who belongs to a group, because the ledger has forgotten, nothing is taken away.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    license::Holder,
    standing::Person,
    text::{Label, ProviderGroup},
};

/// Somebody whom a provider has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// The provider.
    pub provider: Label,
    /// Their groups there.
    pub groups: BTreeSet<ProviderGroup>,
    /// When the provider last said so.
    pub proven_at: Timestamp,
    /// Who holds the seat that is theirs under this License already: [`Holder::identity`].
    pub holds: Option<String>,
    /// Their address is pinned to another, under some License.
    pub anothers: bool,
    /// Whether they have asked for this License.
    pub asked: bool,
}

impl Member {
    /// As whom they hold a seat. `names` says whether a seat of this holder is declared.
    pub fn holder(&self, names: impl Fn(&str) -> bool) -> Holder {
        let Person { issuer, subject, email } = &self.person;
        let by_identity = Holder::Identity { issuer: issuer.clone(), subject: subject.clone() };
        if let Some(held) = self.holds.as_deref().and_then(Holder::person) {
            return held;
        }
        match email {
            Some(email) if !self.anothers && !names(&by_identity.identity()) => Holder::Email(email.clone()),
            _ => by_identity,
        }
    }
}

/// Until when it holds what a provider said at `since`, exclusively.
#[must_use]
pub fn holds_until(since: Timestamp, reauthenticate_after: SignedDuration) -> Timestamp {
    since.checked_add(reauthenticate_after).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    fn member(email: Option<&str>, holds: Option<&str>) -> Member {
        Member {
            person: Person {
                issuer: "https://idp.acme.example".parse().unwrap(),
                subject: "1".parse().unwrap(),
                email: email.map(|email| email.parse().unwrap()),
            },
            provider: "acme".parse().unwrap(),
            groups: BTreeSet::new(),
            proven_at: at(100),
            holds: holds.map(str::to_owned),
            anothers: false,
            asked: false,
        }
    }

    const IDENTITY: &str = "identity:https://idp.acme.example 1";

    #[test]
    fn somebody_who_is_known_in_two_ways_holds_one_seat() {
        let nobody = |_: &str| false;
        let ann = member(Some("ann@acme.example"), None);
        assert_eq!(ann.holder(nobody).identity(), "email:ann@acme.example");
        assert_eq!(ann.holder(|named| named == IDENTITY).identity(), IDENTITY, "a seat names her so");
        assert_eq!(member(None, None).holder(nobody).identity(), IDENTITY);
        let renamed = member(Some("ann.b@acme.example"), Some("email:ann@acme.example"));
        assert_eq!(renamed.holder(|_| true).identity(), "email:ann@acme.example", "she keeps what is hers");
    }

    #[test]
    fn whoever_is_given_anothers_address_keeps_that_others_seat_for_nobody() {
        let mut bob = member(Some("ann@acme.example"), None);
        assert_eq!(bob.holder(|_| false).identity(), "email:ann@acme.example");
        bob.anothers = true;
        assert_eq!(bob.holder(|_| false).identity(), IDENTITY);
        bob.holds = Some(IDENTITY.to_owned());
        bob.anothers = false;
        assert_eq!(bob.holder(|_| false).identity(), IDENTITY, "he stays where he is");
    }

    #[test]
    fn what_a_provider_has_said_holds_for_so_long() {
        assert_eq!(holds_until(at(100), SignedDuration::from_secs(60)), at(160));
        assert_eq!(holds_until(at(100), SignedDuration::MAX), Timestamp::MAX);
    }
}
