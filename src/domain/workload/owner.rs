//! Whose pod it is, as Kubernetes says it: names, and nothing that a client may choose.

use std::collections::BTreeMap;

use super::{Kind, Slot};
use crate::domain::{self, license::Uid, text::DeviceId};

/// Before the name of a service account, as the API server calls it.
const ACCOUNT: &str = "system:serviceaccount:";
/// What the API server says of a token that is bound to a pod.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Account {
    /// The service account that the API server calls so; nothing if it is no service account.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (namespace, name) = name.strip_prefix(ACCOUNT)?.split_once(':')?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// A pod of a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodName {
    /// Its service account.
    pub account: Account,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
}

impl PodName {
    /// The pod to which a token of `account` is bound, by what else the API server says; nothing if it is bound to none.
    #[must_use]
    pub fn of(account: Account, extra: &BTreeMap<String, Vec<String>>) -> Option<Self> {
        let one = |key: &str| match extra.get(key).map(Vec::as_slice) {
            Some([one]) if !one.is_empty() => Some(one.clone()),
            _ => None,
        };
        Some(Self { account, name: one(POD_NAME)?, uid: Uid(one(POD_UID)?) })
    }
}

/// What owns pods in the end, with the service account that they run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The service account's name.
    pub account: String,
    /// How its pods are told apart.
    pub kind: Kind,
    /// What it is, and its name, such as `Deployment.apps/render`: who is made anew under its name is the same. Of a virtual machine, its UID.
    pub what: String,
}

impl Owner {
    /// The text that is equal exactly when the owner is the same, in one namespace.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{} {}", self.account, self.what)
    }
}

/// The name of the service account in [`Owner::identity`].
#[must_use]
pub fn account_of(identity: &str) -> &str {
    identity.split_once(' ').map_or(identity, |(account, _)| account)
}

/// The fingerprint of the installation in `slot` of `owner` ([`Owner::identity`]) in `namespace`.
#[must_use]
pub fn fingerprint(namespace: &str, owner: &str, slot: &Slot) -> Option<DeviceId> {
    let digest = domain::digest(["workload", namespace, owner, &slot.to_string()]);
    domain::hex(&digest).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { namespace: "design".into(), name: "render".into() }
    }

    fn extra(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        pairs.iter().map(|(key, all)| ((*key).to_owned(), texts(all))).collect()
    }

    #[test]
    fn a_service_account_is_known_by_the_name_that_the_api_server_gives_it() {
        assert_eq!(Account::of("system:serviceaccount:design:render"), Some(account()));
        for other in
            ["ann", "system:serviceaccount:design", "system:node:a:b", "xsystem:serviceaccount:a:b", ""]
        {
            assert_eq!(Account::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_a_pods_only_if_it_is_bound_to_that_pod_alone() {
        let of = |pairs: &[(&str, &[&str])]| PodName::of(account(), &extra(pairs));
        let pod = PodName { account: account(), name: "a".into(), uid: Uid("1".into()) };
        assert_eq!(of(&[(POD_NAME, &["a"]), (POD_UID, &["1"])]), Some(pod));
        let unbound: [&[(&str, &[&str])]; 4] =
            [&[], &[(POD_NAME, &["a"])], &[(POD_UID, &["1"])], &[(POD_NAME, &["a"]), (POD_UID, &[""])]];
        for unbound in unbound {
            assert_eq!(of(unbound), None, "{unbound:?}");
        }
        assert_eq!(of(&[(POD_NAME, &["a", "b"]), (POD_UID, &["1"])]), None);
    }

    #[test]
    fn two_slots_never_have_one_fingerprint() {
        let of = |namespace, owner, slot: &Slot| fingerprint(namespace, owner, slot).unwrap();
        let one = of("design", "render Deployment.apps/a", &Slot::Number(0));
        assert_eq!(of("design", "render Deployment.apps/a", &Slot::Number(0)), one);
        for other in [
            of("designs", "render Deployment.apps/a", &Slot::Number(0)),
            of("design", "render Deployment.apps/b", &Slot::Number(0)),
            of("design", "render Deployment.apps/a", &Slot::Number(1)),
            of("design", "render Deployment.apps/a", &Slot::Only),
        ] {
            assert_ne!(other, one);
        }
    }

    #[test]
    fn a_slot_is_read_as_it_was_written() {
        for slot in [Slot::Only, Slot::Name("web-0".into()), Slot::Name("only".into()), Slot::Number(7)] {
            assert_eq!(Slot::try_from(slot.to_string()), Ok(slot));
        }
        for other in ["", "Only", "name", "-1", "x"] {
            assert!(Slot::try_from(other.to_owned()).is_err(), "{other}");
        }
    }
}
