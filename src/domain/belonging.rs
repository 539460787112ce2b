//! Whose an issuer (by SAML: an entity id), and a domain of addresses, is.
//!
//! ```text
//!   who was there first, by creation time, then UID, of those that claim it ──► owns it, even while something else of it is somebody else's
//!                                                                  the others ──► wait, all of them, with all that they claim
//! ```
//!
//! 1. Each thing belongs to the first that claims it.
//! 2. Whoever claims a thing that is not theirs may not do anything: half of a provider would be a riddle.
//! 3. So whoever comes later changes nothing for whoever was first, and when one goes, only those who wait may gain.
//!
//! Rule 1 does not ask whether the first one works. If it did, a provider that is set right would take from one that worked meanwhile.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::domain::{
    license::Uid,
    reason::{Because, Reason},
    text::{Domain, Label, ProviderIssuer},
};

/// What a provider claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose claim it is.
    pub uid: Uid,
    /// The provider's name.
    pub name: Label,
    /// Since when it is there.
    pub since: Timestamp,
    /// How the provider is known.
    pub issuer: ProviderIssuer,
    /// Whose addresses it says.
    pub domains: Vec<Domain>,
}

/// What can belong to one provider only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing<'a> {
    Issuer(&'a ProviderIssuer),
    Domain(&'a Domain),
}

impl Claim {
    fn things(&self) -> impl Iterator<Item = Thing<'_>> {
        std::iter::once(Thing::Issuer(&self.issuer)).chain(self.domains.iter().map(Thing::Domain))
    }
}

/// Of each that claims something, whether all of it is theirs, or why they wait.
#[must_use]
pub fn settled(claims: &[Claim]) -> BTreeMap<Uid, Result<(), Because>> {
    let mut in_order: Vec<&Claim> = claims.iter().collect();
    in_order.sort_by_key(|claim| (claim.since, &claim.uid));
    let mut owners: HashMap<Thing<'_>, &Claim> = HashMap::new();
    let mut settled = BTreeMap::new();
    for claim in in_order {
        let mut owned = Ok(());
        for thing in claim.things() {
            let owner = *owners.entry(thing).or_insert(claim);
            if owner.uid != claim.uid && owned.is_ok() {
                owned = Err(taken(thing, &owner.name));
            }
        }
        settled.insert(claim.uid.clone(), owned);
    }
    settled
}

fn taken(thing: Thing<'_>, owner: &Label) -> Because {
    match thing {
        Thing::Issuer(issuer) => Because::new(
            Reason::IssuerTaken,
            format!(
                "IdentityProvider {owner} has the issuer {issuer}, and was there first: delete one of the two"
            ),
        ),
        Thing::Domain(domain) => Because::new(
            Reason::DomainTaken,
            format!(
                "the domain {domain} belongs to IdentityProvider {owner}, which was there first: take it out of spec.domains of one of the two"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn url(issuer: u8) -> String {
        ["https:/".to_owned(), format!("i{issuer}.acme.example")].join("/")
    }

    fn claim(uid: &str, since: i64, issuer: u8, domains: &[u8]) -> Claim {
        Claim {
            uid: Uid(uid.to_owned()),
            name: format!("idp-{uid}").parse().unwrap(),
            since: Timestamp::from_second(since).unwrap(),
            issuer: url(issuer).parse().unwrap(),
            domains: domains.iter().map(|n| format!("d{n}.acme.example").parse().unwrap()).collect(),
        }
    }

    fn said(claims: &[Claim], uid: &str) -> Option<Because> {
        settled(claims)[&Uid(uid.to_owned())].clone().err()
    }

    #[test]
    fn whoever_was_there_first_has_it_and_the_other_one_is_told_who() {
        let (first, second) = (claim("b", 1, 1, &[1, 2]), claim("a", 2, 2, &[3, 2]));
        let both = [second.clone(), first.clone()];
        assert_eq!(said(&both, "b"), None);
        let because = said(&both, "a").unwrap();
        assert_eq!(because.reason, Reason::DomainTaken);
        assert_eq!(
            because.message,
            "the domain d2.acme.example belongs to IdentityProvider idp-b, which was there first: take it out of spec.domains of one of the two"
        );
        assert_eq!(said(&[second], "a"), None, "and once that one is gone it is theirs");
        let because = said(&[first, claim("a", 2, 1, &[3])], "a").unwrap();
        assert_eq!(because.reason, Reason::IssuerTaken);
        assert_eq!(
            because.message,
            "IdentityProvider idp-b has the issuer https://i1.acme.example, and was there first: delete one of the two"
        );
    }

    #[test]
    fn of_two_of_one_second_the_uid_decides() {
        let claims = [claim("b", 1, 1, &[1]), claim("a", 1, 2, &[1])];
        assert_eq!(said(&claims, "a"), None);
        assert_eq!(said(&claims, "b").unwrap().reason, Reason::DomainTaken);
    }

    #[test]
    fn who_waits_for_one_thing_keeps_what_it_was_first_to_claim() {
        let claims = [claim("a", 1, 1, &[1]), claim("b", 2, 2, &[1, 2]), claim("c", 3, 3, &[2])];
        assert!(said(&claims, "b").unwrap().message.contains("idp-a"));
        assert!(said(&claims, "c").unwrap().message.contains("idp-b"));
    }

    #[test]
    fn an_issuer_with_a_slash_at_its_end_is_another_one() {
        let mut other = claim("b", 2, 1, &[2]);
        other.issuer = "https://i1.acme.example/".parse().unwrap();
        assert_eq!(said(&[claim("a", 1, 1, &[1]), other], "b"), None);
    }

    prop_compose! {
        fn some()(raw in prop::collection::vec((0..3_i64, 0..4_u8, prop::collection::vec(0..5_u8, 0..4)), 0..8)) -> Vec<Claim> {
            raw.iter().enumerate().map(|(uid, (since, issuer, domains))| claim(&uid.to_string(), *since, *issuer, domains)).collect()
        }
    }

    fn owners(claims: &[Claim]) -> BTreeSet<Uid> {
        settled(claims).into_iter().filter(|(_, owned)| owned.is_ok()).map(|(uid, _)| uid).collect()
    }

    proptest! {
        #[test]
        fn no_two_of_those_at_work_have_anything_in_common(claims in some()) {
            let owners = owners(&claims);
            let at_work: Vec<&Claim> = claims.iter().filter(|claim| owners.contains(&claim.uid)).collect();
            for (place, one) in at_work.iter().enumerate() {
                for other in &at_work[place + 1..] {
                    prop_assert!(one.issuer != other.issuer);
                    prop_assert!(!one.domains.iter().any(|domain| other.domains.contains(domain)));
                }
            }
        }

        #[test]
        fn whoever_comes_later_changes_nothing_for_whoever_was_there(claims in some(), issuer in 0..4_u8, domain in 0..5_u8) {
            let before = settled(&claims);
            let mut more = claims;
            more.push(claim("z", 9, issuer, &[domain]));
            let mut after = settled(&more);
            after.remove(&Uid("z".into()));
            prop_assert_eq!(before, after);
        }

        #[test]
        fn when_one_goes_nobody_loses(claims in some(), gone in 0..8_usize) {
            let before = owners(&claims);
            let mut fewer = claims;
            if gone < fewer.len() {
                let gone = fewer.remove(gone);
                prop_assert!(before.into_iter().filter(|uid| *uid != gone.uid).all(|uid| owners(&fewer).contains(&uid)));
            }
        }

        #[test]
        fn the_order_in_which_they_are_told_means_nothing(claims in some()) {
            let mut turned = claims.clone();
            turned.reverse();
            prop_assert_eq!(settled(&claims), settled(&turned));
        }

        #[test]
        fn the_first_of_all_is_at_work(claims in some()) {
            if let Some(first) = claims.iter().min_by_key(|claim| (claim.since, &claim.uid)) {
                prop_assert!(owners(&claims).contains(&first.uid));
            }
        }
    }
}
