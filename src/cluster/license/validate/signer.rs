//! Who signs the documents of a License, or why nobody does.

use std::sync::Arc;

use kube::{Resource as _, core::DeserializeGuard};

use crate::{
    cluster::{
        api::Authority,
        context::Signing,
        license::gather::Gathered,
        rights::{self, Access},
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
    let allowed = authority.spec.allowed_namespaces.as_ref();
    if allowed.is_some_and(|allowed| allowed.namespaces().admit(&gathered.namespace_labels)) {
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
