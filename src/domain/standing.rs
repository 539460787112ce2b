//! Whether a seat is somebody's who has signed in.
//!
//! ```text
//!   held by issuer and subject ────────────────────────────► theirs
//!   held by an address ─┬─ that somebody came with: theirs if they are that person, whatever their address is now
//!                       │                            another with that address ──► HolderChanged, until an administrator decides
//!                       └─ that nobody came with yet: theirs if their provider says the address; it is pinned to them with that
//! ```
//!
//! 1. Addresses change hands, so an address opens a seat once: from then on the person does.
//! 2. Whoever comes with an address that is pinned to another under any License gets nothing by it, under none.
//! 3. A pin lives as long as its Seat: an administrator who deletes that has decided, also if the holder keeps the place by another Seat, or Usher
//!    makes it again. What runs on the seat ends with the pin.

use crate::domain::{
    license::Holder,
    principal::Principal,
    text::{Email, ProviderIssuer, Subject},
};

/// Somebody who has signed in, as far as seats go by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// How their provider is known.
    pub issuer: ProviderIssuer,
    /// How it knows them.
    pub subject: Subject,
    /// Their address, if one counts.
    pub email: Option<Email>,
}

impl From<&Principal> for Person {
    fn from(principal: &Principal) -> Self {
        let Principal { issuer, subject, email, .. } = principal.clone();
        Self { issuer, subject, email: email.ok() }
    }
}

impl Person {
    /// As what they hold a seat by themselves: [`Holder::identity`].
    #[must_use]
    pub fn identity(&self) -> String {
        Holder::Identity { issuer: self.issuer.clone(), subject: self.subject.clone() }.identity()
    }

    /// As what they hold a seat by their address.
    #[must_use]
    pub fn by_email(&self) -> Option<String> {
        self.email.clone().map(|email| Holder::Email(email).identity())
    }
}

/// A seat that is bound, and may be theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who holds it: [`Holder::identity`].
    pub holder: String,
    /// To whom it is pinned, if to somebody: issuer and subject.
    pub pinned: Option<(String, String)>,
}

/// What is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The seat of this holder.
    Theirs {
        /// Who holds it.
        holder: String,
        /// It is to be pinned to them.
        pins: bool,
    },
    /// Their address is pinned to another.
    HolderChanged,
    /// Nothing.
    Nothing,
}

/// What is theirs among the seats of one License. `elsewhere`: their address is pinned to another, somewhere.
#[must_use]
pub fn standing(person: &Person, candidates: &[Candidate], elsewhere: bool) -> Standing {
    let is_theirs = |(issuer, subject): &(String, String)| {
        issuer == person.issuer.as_str() && subject == person.subject.as_str()
    };
    let identity = person.identity();
    let own =
        candidates.iter().find(|seat| seat.holder == identity || seat.pinned.as_ref().is_some_and(is_theirs));
    if let Some(seat) = own {
        return Standing::Theirs { holder: seat.holder.clone(), pins: false };
    }
    let Some(address) = person.by_email() else { return Standing::Nothing };
    match candidates.iter().find(|seat| seat.holder == address) {
        Some(seat) if seat.pinned.is_some() || elsewhere => Standing::HolderChanged,
        Some(seat) => Standing::Theirs { holder: seat.holder.clone(), pins: true },
        None => Standing::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(subject: &str, email: Option<&str>) -> Person {
        Person {
            issuer: "https://idp.acme.example".parse().unwrap(),
            subject: subject.parse().unwrap(),
            email: email.map(|email| email.parse().unwrap()),
        }
    }

    fn seat(holder: &str, subject: Option<&str>) -> Candidate {
        let pinned = subject.map(|subject| ("https://idp.acme.example".into(), subject.into()));
        Candidate { holder: holder.into(), pinned }
    }

    const ANN: &str = "email:ann@acme.example";

    fn theirs(holder: &str, pins: bool) -> Standing {
        Standing::Theirs { holder: holder.into(), pins }
    }

    #[test]
    fn the_first_who_comes_with_the_address_of_a_seat_has_it_and_nobody_after_them() {
        let (first, second) = (person("1", Some("ann@acme.example")), person("2", Some("ann@acme.example")));
        assert_eq!(standing(&first, &[seat(ANN, None)], false), theirs(ANN, true));
        let pinned = [seat(ANN, Some("1"))];
        assert_eq!(standing(&first, &pinned, false), theirs(ANN, false));
        assert_eq!(standing(&second, &pinned, true), Standing::HolderChanged);
        assert_eq!(
            standing(&second, &[seat(ANN, None)], true),
            Standing::HolderChanged,
            "under another License"
        );
    }

    #[test]
    fn a_changed_address_keeps_its_seat_and_no_address_is_no_bar_to_it() {
        for email in [Some("ann.b@acme.example"), None] {
            assert_eq!(standing(&person("1", email), &[seat(ANN, Some("1"))], false), theirs(ANN, false));
        }
    }

    #[test]
    fn another_provider_with_the_same_subject_is_somebody_else() {
        let other = Person {
            issuer: "https://other.acme.example".parse().unwrap(),
            ..person("1", Some("ann@acme.example"))
        };
        assert_eq!(standing(&other, &[seat(ANN, Some("1"))], true), Standing::HolderChanged);
    }

    #[test]
    fn whoever_is_named_by_issuer_and_subject_needs_no_address() {
        let holder = "identity:https://idp.acme.example 1";
        assert_eq!(standing(&person("1", None), &[seat(holder, None)], false), theirs(holder, false));
        assert_eq!(standing(&person("2", None), &[seat(holder, None)], false), Standing::Nothing);
    }

    #[test]
    fn without_an_address_that_counts_the_seat_of_an_address_is_nobodys() {
        assert_eq!(standing(&person("1", None), &[seat(ANN, None)], false), Standing::Nothing);
        let bob = person("1", Some("bob@acme.example"));
        assert_eq!(standing(&bob, &[], false), Standing::Nothing);
    }
}
