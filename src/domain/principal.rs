//! Who somebody is, as proven, and which of what a provider says of them counts.
//!
//! A person is (issuer, subject): addresses and names change hands. An address counts only if the provider of its domain says it, and
//! says that it was verified; a provider that is trusted to give addresses out itself (`emailAuthority`) need not say so each time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::text::{Domain, Email, Label, ProviderGroup, ProviderIssuer, Subject};

/// Somebody, as proven by a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The provider.
    pub provider: Label,
    /// How it is known.
    pub issuer: ProviderIssuer,
    /// How it knows the person.
    pub subject: Subject,
    /// The person's address, if the provider may say so, else why not.
    pub email: Result<Email, NoAddress>,
    /// The person's groups there.
    pub groups: BTreeSet<ProviderGroup>,
    /// What to call the person: for their own eyes.
    pub name: String,
}

/// Whose addresses a provider may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailboxes {
    /// Those of these domains.
    pub domains: Vec<Domain>,
    /// Whether it gives them out itself, so that none needs to be verified.
    pub authority: bool,
}

/// Why an address does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoAddress {
    /// There is none.
    #[error("the identity provider says no address")]
    Missing,
    /// It is not a whole address in ASCII.
    #[error("what the identity provider says is not a whole address in ASCII")]
    Malformed,
    /// It is of a domain that belongs to another provider, or to none.
    #[error("the address is of a domain that is not the identity provider's")]
    OtherDomain,
    /// It was not verified.
    #[error("the identity provider does not say that the address was verified")]
    Unverified,
}

impl Mailboxes {
    /// The address `said`, if it counts.
    ///
    /// # Errors
    /// Why it does not.
    pub fn address(&self, said: Option<&str>, verified: bool) -> Result<Email, NoAddress> {
        let email: Email = said.ok_or(NoAddress::Missing)?.parse().map_err(|_| NoAddress::Malformed)?;
        // Whole labels: `evil-acme.example` is not `acme.example`, and neither is `sub.acme.example`.
        if !self.domains.iter().any(|domain| email.domain() == domain.as_str()) {
            return Err(NoAddress::OtherDomain);
        }
        if verified || self.authority { Ok(email) } else { Err(NoAddress::Unverified) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_acme(authority: bool) -> Mailboxes {
        Mailboxes { domains: vec!["acme.example".parse().unwrap()], authority }
    }

    #[test]
    fn an_address_counts_if_the_provider_of_its_domain_says_that_it_was_verified() {
        let ann = Ok("ann@acme.example".parse().unwrap());
        assert_eq!(of_acme(false).address(Some("Ann@ACME.example"), true), ann);
        assert_eq!(of_acme(false).address(Some("ann@acme.example"), false), Err(NoAddress::Unverified));
        assert_eq!(of_acme(true).address(Some("ann@acme.example"), false), ann);
        assert_eq!(of_acme(true).address(None, true), Err(NoAddress::Missing));
    }

    #[test]
    fn an_address_of_another_domain_never_counts_however_alike() {
        for said in
            ["ann@other.example", "ann@evil-acme.example", "ann@sub.acme.example", "ann@example.example"]
        {
            for authority in [false, true] {
                assert_eq!(
                    of_acme(authority).address(Some(said), true),
                    Err(NoAddress::OtherDomain),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_whole_ascii_address_never_counts() {
        for said in [
            "",
            "ann",
            "Ann <ann@acme.example>",
            "ann@acme.example, bob@acme.example",
            "änn@acme.example",
            "ann@acme.example\0",
        ] {
            assert_eq!(of_acme(true).address(Some(said), true), Err(NoAddress::Malformed), "{said}");
        }
    }
}
