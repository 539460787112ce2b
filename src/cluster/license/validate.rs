//! From objects to the domain's types. Pure; after this nobody sees a specification again.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _, core::DeserializeGuard};

use crate::{
    cluster::{
        api::{self, AllowedNamespaces, Authority, HolderSpec, NamespacesFrom, UserSpec, paused},
        context::{Access, Signing},
        license::gather::Gathered,
        rights,
    },
    domain::{
        duration::Ttl,
        license::{Feature, Holder, Lease, License, Seat, Uid, Validity},
        reason::{Because, Reason},
    },
    keys::Signer,
};

/// Usher's own defaults, where neither the License nor anything else says.
const DEFAULT_LEASE: Lease = Lease { ttl: Ttl::Seconds(24 * 3600), offline_grace: 72 * 3600 };

/// What a look can go by.
pub(super) enum Validated {
    /// There is no such License.
    Gone,
    /// It is paused, or its Authority was not looked at yet.
    Wait,
    /// It cannot be read: nothing is done, and nothing is taken away, until it is edited.
    Unreadable(Because),
    /// It is to be as it says.
    Wanted(Box<Valid>),
}

/// A License with its Seats, ready to decide on.
pub(super) struct Valid {
    pub(super) license: License,
    pub(super) seats: Vec<Seat>,
    pub(super) signer: Result<Arc<Signer>, Because>,
}

pub(super) fn validate(gathered: &Gathered) -> Validated {
    let Some(license) = &gathered.license else { return Validated::Gone };
    if license.meta().deletion_timestamp.is_some() {
        return Validated::Gone;
    }
    if paused(license.meta()) {
        return Validated::Wait;
    }
    let object = match &license.0 {
        Ok(object) => object,
        Err(invalid) => {
            return Validated::Unreadable(Because::new(
                Reason::InvalidSpec,
                format!("the License cannot be read: {}; correct it", invalid.error),
            ));
        }
    };
    let Some(uid) = object.uid() else { return Validated::Wait };
    let license = match parse(gathered, object, Uid(uid)) {
        Ok(license) => license,
        Err(because) => return Validated::Unreadable(because),
    };
    let Some(signer) = signer(gathered, &license) else { return Validated::Wait };
    Validated::Wanted(Box::new(Valid { license, seats: seats(gathered), signer }))
}

fn parse(gathered: &Gathered, object: &api::License, uid: Uid) -> Result<License, Because> {
    let spec = &object.spec;
    let lease = spec.lease.clone().unwrap_or_default();
    let validity = spec.validity.clone().unwrap_or_default();
    let secret = match &spec.secret {
        Some(secret) => secret.name.clone(),
        None => format!("{}-license", gathered.key.name).parse().map_err(|_| {
            Because::new(
                Reason::InvalidSpec,
                "no Secret can be named after this License: set spec.secret.name",
            )
        })?,
    };
    Ok(License {
        key: gathered.key.clone(),
        uid,
        product: spec.product.clone(),
        customer: spec.customer.clone(),
        authority: spec.authority_ref.name.clone(),
        seats: spec.seats.0,
        features: spec
            .features
            .iter()
            .map(|feature| Feature {
                name: feature.name.clone(),
                pool: feature.pool.map(|pool| pool.0),
                quota: feature.quota.as_ref().map(|quota| (quota.limit.0, quota.per)),
            })
            .collect(),
        lease: Lease {
            ttl: lease.ttl.map_or(DEFAULT_LEASE.ttl, |ttl| ttl.ttl()),
            offline_grace: lease.offline_grace.map_or(DEFAULT_LEASE.offline_grace, |grace| grace.seconds()),
        },
        validity: Validity {
            from: validity.from,
            until: validity.until,
            afterwards: validity.afterwards.unwrap_or_default(),
        },
        suspended: spec.suspended,
        secret,
    })
}

/// The Seats that stay: those that can be read and are not on their way out.
fn seats(gathered: &Gathered) -> Vec<Seat> {
    gathered
        .readable_seats()
        .filter(|seat| seat.metadata.deletion_timestamp.is_none())
        .filter_map(|seat| {
            Some(Seat {
                uid: Uid(seat.uid()?),
                name: seat.name_any(),
                holder: holder(&seat.spec.holder)?,
                priority: seat.spec.priority,
                created: seat.creation_timestamp().map_or(Timestamp::MAX, |time| time.0),
            })
        })
        .collect()
}

/// The API server sees to it that exactly one of the names is there.
pub(super) fn holder(spec: &HolderSpec) -> Option<Holder> {
    match (&spec.user, &spec.device) {
        (Some(UserSpec { email: Some(email), .. }), _) => Some(Holder::Email(email.clone())),
        (Some(UserSpec { identity: Some(identity), .. }), _) => {
            Some(Holder::Identity { issuer: identity.issuer.clone(), subject: identity.subject.clone() })
        }
        (_, Some(device)) => Some(Holder::Device { id: device.id.clone(), name: device.name.clone() }),
        _ => None,
    }
}

/// One reason why documents are not signed, or none.
type Check = fn(&Gathered, &License) -> Result<(), Because>;

/// Who signs, or why nobody does. `None` when it is not known yet.
fn signer(gathered: &Gathered, license: &License) -> Option<Result<Arc<Signer>, Because>> {
    let checks: [Check; 4] =
        [authority_exists, namespace_is_allowed, product_is_allowed, namespace_lets_usher_in];
    for check in checks {
        if let Err(because) = check(gathered, license) {
            return Some(Err(because));
        }
    }
    let signing: &Signing = gathered.signing.as_ref()?;
    Some(signing.clone().map_err(|because| {
        Because::new(
            Reason::AuthorityNotReady,
            format!("Authority {} does not sign: {}", license.authority, because.message),
        )
    }))
}

fn authority(gathered: &Gathered) -> Option<&Authority> {
    let authority: &DeserializeGuard<Authority> = gathered.authority.as_deref()?;
    authority.0.as_ref().ok()
}

fn authority_exists(gathered: &Gathered, license: &License) -> Result<(), Because> {
    let name = &license.authority;
    match &gathered.authority {
        Some(found) if found.meta().deletion_timestamp.is_none() => match &found.0 {
            Ok(_) => Ok(()),
            Err(_) => Err(Because::new(
                Reason::AuthorityNotReady,
                format!("Authority {name} cannot be read, so nobody knows for whom it signs: correct it"),
            )),
        },
        _ => Err(Because::new(
            Reason::AuthorityNotFound,
            format!("there is no Authority {name}: create it, or correct spec.authorityRef.name"),
        )),
    }
}

fn namespace_is_allowed(gathered: &Gathered, license: &License) -> Result<(), Because> {
    let Some(authority) = authority(gathered) else { return Ok(()) };
    let namespace = &license.key.namespace;
    if allows(authority.spec.allowed_namespaces.as_ref(), &gathered.namespace_labels) {
        return Ok(());
    }
    Err(Because::new(
        Reason::AuthorityNotAllowed,
        format!(
            "Authority {} does not sign for namespace {namespace}: its spec.allowedNamespaces must let it in",
            license.authority
        ),
    ))
}

fn allows(allowed: Option<&AllowedNamespaces>, labels: &BTreeMap<String, String>) -> bool {
    let Some(allowed) = allowed else { return false };
    match (allowed.from, &allowed.selector) {
        (NamespacesFrom::All, _) => true,
        (NamespacesFrom::Selector, Some(selector)) => {
            selector.match_labels.iter().all(|(name, value)| labels.get(name) == Some(&value.0))
        }
        (NamespacesFrom::Selector, None) | (NamespacesFrom::None, _) => false,
    }
}

fn product_is_allowed(gathered: &Gathered, license: &License) -> Result<(), Because> {
    let products = authority(gathered).and_then(|authority| authority.spec.products.as_ref());
    if products.is_none_or(|products| products.contains(&license.product)) {
        return Ok(());
    }
    Err(Because::new(
        Reason::AuthorityNotAllowed,
        format!(
            "Authority {} does not sign for product {}: its spec.products must list it",
            license.authority, license.product
        ),
    ))
}

fn namespace_lets_usher_in(gathered: &Gathered, license: &License) -> Result<(), Because> {
    match gathered.access {
        Access::Refused => Err(rights::not_granted(&license.key.namespace, &gathered.usher)),
        Access::Open | Access::Unknown | Access::Ending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::api::{LabelValue, Selector};

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_authority_signs_for_nobody_unless_it_says_so() {
        assert!(!allows(None, &labels(&[])));
        let none = AllowedNamespaces { from: NamespacesFrom::None, selector: None };
        assert!(!allows(Some(&none), &labels(&[("a", "b")])));
        let all = AllowedNamespaces { from: NamespacesFrom::All, selector: None };
        assert!(allows(Some(&all), &labels(&[])));
    }

    #[test]
    fn a_selector_wants_every_label_with_its_value() {
        let match_labels = [("a", "1"), ("b", "2")].map(|(n, v)| (n.to_owned(), LabelValue(v.to_owned())));
        let allowed = AllowedNamespaces {
            from: NamespacesFrom::Selector,
            selector: Some(Selector { match_labels: match_labels.into() }),
        };
        assert!(allows(Some(&allowed), &labels(&[("a", "1"), ("b", "2"), ("c", "3")])));
        assert!(!allows(Some(&allowed), &labels(&[("a", "1")])));
        assert!(!allows(Some(&allowed), &labels(&[("a", "1"), ("b", "3")])));
    }
}
