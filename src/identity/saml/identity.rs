//! Who somebody is of whom a provider has proven a name and attributes. Pure.
//!
//! The subject is the format of the name and the name, such as `persistent:G-1234`; where `claims.subject` names an attribute, it is
//! `attribute:` and its value. So the same text in two ways is two people. Attributes are texts: none says that an address was verified, so
//! one counts only where the provider gives addresses out itself (`emailAuthority`).

use serde_json::{Map, Value};

use super::{NameIdFormat, gate::Proven};
use crate::{
    domain::{
        principal::{Mailboxes, Principal},
        text::{ClaimPath, Label, ProviderIssuer},
    },
    identity::claims::{Claims, NoSubject},
};

/// Who it is.
pub(super) fn principal(
    proven: &Proven,
    claims: &Claims,
    (provider, issuer): (&Label, &ProviderIssuer),
    mailboxes: &Mailboxes,
) -> Result<Principal, NoSubject> {
    let named =
        |path: &Option<ClaimPath>, default: &str| path.as_ref().map_or(default, ClaimPath::as_str).to_owned();
    let one = |name: &str| match values(proven, name)[..] {
        [only] => Some(only.to_owned()),
        _ => None,
    };
    let subject = match &claims.subject {
        None => Some(format!("{}:{}", proven.format.prefix(), proven.name_id)),
        Some(path) => one(path.as_str()).map(|value| format!("attribute:{value}")),
    };
    let by_name = (proven.format == NameIdFormat::EmailAddress).then(|| proven.name_id.clone());
    let groups = values(proven, &named(&claims.groups, "groups"));
    let said = [
        ("sub", subject.map(Value::String)),
        ("email", one(&named(&claims.email, "email")).or(by_name).map(Value::String)),
        ("name", one(&named(&claims.name, "name")).map(Value::String)),
        ("groups", Some(groups.into_iter().map(|group| Value::String(group.to_owned())).collect())),
    ];
    let said: Map<String, Value> =
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Claims::default().principal(&Value::Object(said), (provider, issuer), mailboxes)
}

/// The values of all attributes that are called `name`; of those that people call so, if none is.
fn values<'p>(proven: &'p Proven, name: &str) -> Vec<&'p str> {
    let of = |is: &dyn Fn(&super::gate::Attribute) -> bool| -> Vec<&'p str> {
        let found = proven.attributes.iter().filter(|attribute| is(attribute));
        found.flat_map(|attribute| attribute.values.iter().map(String::as_str)).collect()
    };
    let by_name = of(&|attribute| attribute.name == name);
    if by_name.is_empty() { of(&|attribute| attribute.friendly.as_deref() == Some(name)) } else { by_name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::principal::NoAddress, identity::saml::gate::Attribute};

    fn attribute(name: &str, friendly: Option<&str>, values: &[&str]) -> Attribute {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Attribute { name: name.into(), friendly: friendly.map(str::to_owned), values }
    }

    fn proven(format: NameIdFormat, attributes: Vec<Attribute>) -> Proven {
        let until = jiff::Timestamp::UNIX_EPOCH;
        Proven { assertion: "_a".into(), until, format, name_id: "G-1".into(), attributes }
    }

    fn who(proven: &Proven, claims: &Claims, authority: bool) -> Result<Principal, NoSubject> {
        let mailboxes = Mailboxes { domains: vec!["acme.example".parse().unwrap()], authority };
        let issuer = "https://idp.acme.example".parse().unwrap();
        principal(proven, claims, (&"acme".parse().unwrap(), &issuer), &mailboxes)
    }

    #[test]
    fn one_name_in_two_ways_is_two_people() {
        let persistent = who(&proven(NameIdFormat::Persistent, vec![]), &Claims::default(), true).unwrap();
        let unspecified = who(&proven(NameIdFormat::Unspecified, vec![]), &Claims::default(), true).unwrap();
        assert_eq!(persistent.subject.as_str(), "persistent:G-1");
        assert_eq!(unspecified.subject.as_str(), "unspecified:G-1");
        let by_attribute = Claims { subject: Some("uid".parse().unwrap()), ..Claims::default() };
        let attributes = vec![attribute("uid", None, &["G-1"])];
        let other = who(&proven(NameIdFormat::Persistent, attributes), &by_attribute, true).unwrap();
        assert_eq!(other.subject.as_str(), "attribute:G-1");
        assert!(who(&proven(NameIdFormat::Persistent, vec![]), &by_attribute, true).is_err());
        let two = vec![attribute("uid", None, &["G-1", "G-2"])];
        assert!(who(&proven(NameIdFormat::Persistent, two), &by_attribute, true).is_err());
    }

    #[test]
    fn attributes_say_address_groups_and_name() {
        let said = vec![
            attribute("urn:oid:0.9", Some("email"), &["Ann@acme.example"]),
            attribute("groups", None, &["cad-users"]),
            attribute("groups", None, &["all", " bad "]),
            attribute("name", None, &["Ann Example"]),
            attribute("sub", None, &["admin"]),
            attribute("email_verified", None, &["true"]),
        ];
        let ann = who(&proven(NameIdFormat::Persistent, said.clone()), &Claims::default(), true).unwrap();
        assert_eq!((ann.subject.as_str(), ann.name.as_str()), ("persistent:G-1", "Ann Example"));
        assert_eq!(ann.email.unwrap().as_str(), "ann@acme.example");
        assert_eq!(
            ann.groups.iter().map(crate::domain::text::ProviderGroup::as_str).collect::<Vec<_>>(),
            ["all", "cad-users"]
        );
        let ann = who(&proven(NameIdFormat::Persistent, said), &Claims::default(), false).unwrap();
        assert_eq!(ann.email, Err(NoAddress::Unverified), "a text does not verify an address");
    }

    #[test]
    fn a_name_that_is_an_address_says_it_where_no_attribute_does() {
        let named = |attributes| Proven {
            name_id: "ann@acme.example".into(),
            ..proven(NameIdFormat::EmailAddress, attributes)
        };
        let by_name = who(&named(vec![]), &Claims::default(), true).unwrap();
        assert_eq!(by_name.email.unwrap().as_str(), "ann@acme.example");
        let said = vec![attribute("email", None, &["bob@acme.example"])];
        assert_eq!(
            who(&named(said), &Claims::default(), true).unwrap().email.unwrap().as_str(),
            "bob@acme.example"
        );
    }
}
