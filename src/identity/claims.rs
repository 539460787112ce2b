//! Where a provider's claims have what Usher wants to know.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::{
    principal::{Mailboxes, Principal},
    text::{ClaimPath, Label, ProviderGroup, ProviderIssuer, Subject},
};

/// So many groups of a person count, in the provider's order.
const GROUPS: usize = 1_000;
/// What people are called is cut after so many characters.
const NAME: usize = 128;

/// The claims that say who somebody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who it is, for good: `sub` if not given.
    pub subject: Option<ClaimPath>,
    /// Their address: `email` if not given.
    pub email: Option<ClaimPath>,
    /// Their groups: `groups` if not given.
    pub groups: Option<ClaimPath>,
    /// What to call them: `name` if not given.
    pub name: Option<ClaimPath>,
}

/// The claim's value is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the claim {0} is missing, or is not a subject")]
pub struct NoSubject(String);

/// The claim at `path`, or at `default`: one of that whole name, else on the way that the dots show.
fn find<'a>(claims: &'a Value, path: Option<&ClaimPath>, default: &str) -> Option<&'a Value> {
    let path = path.map_or(default, ClaimPath::as_str);
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, name| value.get(name)))
}

impl Claims {
    /// What these claims say to be the address.
    pub(super) fn email<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        find(claims, self.email.as_ref(), "email")
    }

    /// What these claims say to be the groups.
    pub(super) fn groups<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        find(claims, self.groups.as_ref(), "groups")
    }

    /// Who these verified claims are about.
    ///
    /// # Errors
    /// When they do not say.
    pub fn principal(
        &self,
        verified: &Value,
        (provider, issuer): (&Label, &ProviderIssuer),
        mailboxes: &Mailboxes,
    ) -> Result<Principal, NoSubject> {
        let no_subject =
            || NoSubject(self.subject.as_ref().map_or_else(|| "sub".into(), ToString::to_string));
        let subject = find(verified, self.subject.as_ref(), "sub").and_then(Value::as_str);
        let subject: Subject = subject.and_then(|text| text.parse().ok()).ok_or_else(no_subject)?;
        let is_verified = verified.get("email_verified") == Some(&Value::Bool(true));
        let email = mailboxes.address(self.email(verified).and_then(Value::as_str), is_verified);
        let groups = self.groups(verified).and_then(Value::as_array);
        // Whatever no resource can name counts nowhere.
        let groups: BTreeSet<ProviderGroup> = groups
            .into_iter()
            .flatten()
            .take(GROUPS)
            .filter_map(|group| group.as_str()?.parse().ok())
            .collect();
        let name = find(verified, self.name.as_ref(), "name").and_then(Value::as_str).unwrap_or_default();
        let name = name.chars().filter(|char| !char.is_control()).take(NAME).collect();
        Ok(Principal { provider: provider.clone(), issuer: issuer.clone(), subject, email, groups, name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::principal::NoAddress;

    fn read(claims: &Claims, verified: &Value) -> Result<Principal, NoSubject> {
        let acme = Mailboxes { domains: vec!["acme.example".parse().unwrap()], authority: false };
        claims.principal(
            verified,
            (&"acme".parse().unwrap(), &"https://idp.acme.example".parse().unwrap()),
            &acme,
        )
    }

    #[test]
    fn who_somebody_is_is_read_from_the_claims_that_are_said_to_have_it() {
        let said = json!({"sub": "1", "email": "ann@acme.example", "email_verified": true, "name": "Ann\n A.",
            "groups": ["cad-users", 7, " bad "], "oid": "o-1", "realm_access": {"roles": ["r"]}, "https://acme.example/groups": ["g"]});
        let ann = read(&Claims::default(), &said).unwrap();
        assert_eq!((ann.subject.as_str(), ann.name.as_str()), ("1", "Ann A."));
        assert_eq!(ann.email.unwrap().as_str(), "ann@acme.example");
        assert_eq!(ann.groups.iter().map(ProviderGroup::as_str).collect::<Vec<_>>(), ["cad-users"]);
        for (path, group) in [("realm_access.roles", "r"), ("https://acme.example/groups", "g")] {
            let other = Claims {
                subject: Some("oid".parse().unwrap()),
                groups: Some(path.parse().unwrap()),
                ..Claims::default()
            };
            let ann = read(&other, &said).unwrap();
            assert_eq!((ann.subject.as_str(), ann.groups.first().unwrap().as_str()), ("o-1", group));
        }
    }

    #[test]
    fn without_a_subject_nobody_is_anybody() {
        for said in
            [json!({}), json!({"sub": ""}), json!({"sub": 1}), json!({"sub": "a b"}), json!({"sub": ["1"]})]
        {
            assert!(read(&Claims::default(), &said).is_err(), "{said}");
        }
    }

    #[test]
    fn verified_is_what_says_true_and_nothing_else() {
        for verified in [json!("true"), json!(1), json!(false), json!(null), json!([true])] {
            let said = json!({"sub": "1", "email": "ann@acme.example", "email_verified": verified});
            assert_eq!(read(&Claims::default(), &said).unwrap().email, Err(NoAddress::Unverified), "{said}");
        }
    }

    #[test]
    fn of_very_many_groups_the_first_count() {
        let groups: Vec<String> = (0..2_000).map(|number| format!("g{number}")).collect();
        assert_eq!(
            read(&Claims::default(), &json!({"sub": "1", "groups": groups})).unwrap().groups.len(),
            GROUPS
        );
    }
}
