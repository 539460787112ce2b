//! Who signs the documents of a License, or why nobody does.

use std::{collections::BTreeMap, sync::Arc};

use kube::{Resource as _, core::DeserializeGuard};

use crate::{
    cluster::{
        api::{AllowedNamespaces, Authority, NamespacesFrom},
        context::{Access, Signing},
        license::gather::Gathered,
        rights,
    },
    domain::{
        license::License,
        reason::{Because, Reason},
    },
    keys::Signer,
};

/// One reason why documents are not signed, or none.
type Check = fn(&Gathered, &License) -> Result<(), Because>;

/// Who signs, or why nobody does. `None` when it is not known yet.
pub(super) fn signer(gathered: &Gathered, license: &License) -> Option<Result<Arc<Signer>, Because>> {
    let checks: [Check; 5] =
        [edition_exists, authority_exists, namespace_is_allowed, product_is_allowed, namespace_lets_usher_in];
    for check in checks {
        if let Err(because) = check(gathered, license) {
            return Some(Err(because));
        }
    }
    let signing: &Signing = gathered.signing.as_ref()?;
    Some(signing.clone().map_err(|because| {
        Because::new(
            Reason::AuthorityNotReady,
            format!("Authority {} does not sign: {}", named(license), because.message),
        )
    }))
}

fn edition_exists(gathered: &Gathered, license: &License) -> Result<(), Because> {
    let Some(name) = &license.edition else { return Ok(()) };
    let refused = |message: String| Err(Because::new(Reason::EditionNotFound, message));
    match gathered.edition.as_deref() {
        Some(DeserializeGuard(Ok(edition))) if edition.metadata.deletion_timestamp.is_none() => Ok(()),
        Some(DeserializeGuard(Err(invalid))) => {
            refused(format!("Edition {name} cannot be read: {}; correct it", invalid.error))
        }
        _ => refused(format!(
            "there is no Edition {name} in this namespace: create it, or correct spec.editionRef.name"
        )),
    }
}

fn authority(gathered: &Gathered) -> Option<&Authority> {
    let authority: &DeserializeGuard<Authority> = gathered.authority.as_deref()?;
    authority.0.as_ref().ok()
}

fn authority_exists(gathered: &Gathered, license: &License) -> Result<(), Because> {
    let Some(name) = &license.authority else {
        return Err(Because::new(
            Reason::AuthorityNotFound,
            "neither the License nor its Edition names an Authority: set spec.authorityRef",
        ));
    };
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
            named(license)
        ),
    ))
}

fn named(license: &License) -> &str {
    license.authority.as_ref().map_or("", |authority| authority.as_str())
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
            named(license),
            license.product
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
