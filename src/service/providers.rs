//! The identity providers at which people may sign in today.
//!
//! ```text
//!   IdentityProviders, their client secrets ──► cluster/identity_provider ──replace──► Registry ──► whoever signs people in
//! ```
//!
//! A provider is here once it can be read, owns its issuer and its domains, and its client secret is there. Whether it answers is found out by
//! whoever asks it: one that is away is here all the same, for its people are to be told just that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use jiff::SignedDuration;

use crate::{
    domain::{
        namespaces::Namespaces,
        terms::DeviceCodes,
        text::{Domain, Label, ProviderIssuer},
    },
    identity::RelyingParty,
};

/// A company's identity provider.
pub struct Provider {
    /// The name of its IdentityProvider.
    pub name: Label,
    /// Usher, as it knows it.
    pub relying_party: RelyingParty,
    /// The domains of its people's addresses; no two providers have one in common.
    pub domains: Vec<Domain>,
    /// Where its people and groups count.
    pub allowed_namespaces: Namespaces,
    /// Whether devices without a browser are signed in there, too.
    pub device_codes: DeviceCodes,
    /// Whether it gives addresses out itself, so that none needs to be verified.
    pub email_authority: bool,
    /// After so long somebody whom nothing else has confirmed must sign in again.
    pub reauthenticate_after: SignedDuration,
}

/// Where to find the provider of somebody who wants to sign in. Never awaits.
pub trait Providers: Send + Sync + 'static {
    /// The provider whose people have addresses of `domain`.
    fn of_domain(&self, domain: &Domain) -> Option<Arc<Provider>>;
    /// The provider `name`.
    fn named(&self, name: &str) -> Option<Arc<Provider>>;
    /// Whether there is surely no provider `name`: all are known, and none that is not at work just now has that name.
    fn is_gone(&self, name: &str) -> bool;
    /// Whether at any of them devices without a browser are signed in, too.
    fn any_by_device_codes(&self) -> bool;
}

/// Why somebody's provider is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is not at work just now, or not known yet: it may be as before tomorrow.
    Idle,
    /// There is none of that name any more, or another one.
    Gone,
}

impl dyn Providers {
    /// The provider of somebody whom the one of this name has proven under this issuer.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn of_proven(&self, name: &str, issuer: &ProviderIssuer) -> Result<Arc<Provider>, Absent> {
        match self.named(name) {
            Some(provider) if provider.relying_party.issuer() == issuer => Ok(provider),
            None if !self.is_gone(name) => Err(Absent::Idle),
            _ => Err(Absent::Gone),
        }
    }
}

/// The providers of today.
#[derive(Default)]
pub struct Registry(RwLock<Known>);

#[derive(Default)]
struct Known {
    at_work: BTreeMap<String, Arc<Provider>>,
    /// All that are declared, once they are known.
    declared: Option<BTreeSet<String>>,
}

impl Registry {
    /// These and no others, from now on; `idle` are declared, and not at work.
    pub fn replace(
        &self,
        at_work: impl IntoIterator<Item = Arc<Provider>>,
        idle: impl IntoIterator<Item = String>,
    ) {
        let at_work: BTreeMap<_, _> =
            at_work.into_iter().map(|provider| (provider.name.to_string(), provider)).collect();
        let declared = Some(at_work.keys().cloned().chain(idle).collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known { at_work, declared };
    }

    fn find(&self, is: impl Fn(&Provider) -> bool) -> Option<Arc<Provider>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.at_work.values().find(|provider| is(provider)).cloned()
    }
}

impl Providers for Registry {
    fn of_domain(&self, domain: &Domain) -> Option<Arc<Provider>> {
        self.find(|provider| provider.domains.contains(domain))
    }

    fn named(&self, name: &str) -> Option<Arc<Provider>> {
        self.find(|provider| provider.name.as_str() == name)
    }

    fn is_gone(&self, name: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.declared.as_ref().is_some_and(|declared| !declared.contains(name))
    }

    fn any_by_device_codes(&self) -> bool {
        self.find(|provider| provider.device_codes == DeviceCodes::Allowed).is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        domain::principal::Mailboxes,
        identity::{Claims, fetch::Loopback, oidc},
    };

    /// The same, where devices without a browser are signed in, too.
    pub(crate) fn with_device_codes(name: &str, domain: &str) -> Arc<Provider> {
        let provider = Arc::into_inner(provider(name, domain)).unwrap();
        Arc::new(Provider { device_codes: DeviceCodes::Allowed, ..provider })
    }

    pub(crate) fn provider(name: &str, domain: &str) -> Arc<Provider> {
        let domains: Vec<Domain> = vec![domain.parse().unwrap()];
        let settings = oidc::Settings {
            provider: name.parse().unwrap(),
            issuer: format!("https://{domain}/").parse().unwrap(),
            client: "usher".parse().unwrap(),
            secret: String::new().into(),
            scopes: Vec::new(),
            algorithms: Vec::new(),
            ca: None,
            claims: Claims::default(),
            mailboxes: Mailboxes { domains: domains.clone(), authority: false },
        };
        Arc::new(Provider {
            name: name.parse().unwrap(),
            relying_party: RelyingParty::Oidc(Box::new(
                oidc::RelyingParty::new(settings, Loopback::Forbidden).unwrap(),
            )),
            domains,
            allowed_namespaces: Namespaces::All,
            device_codes: DeviceCodes::Forbidden,
            email_authority: false,
            reauthenticate_after: SignedDuration::from_hours(24),
        })
    }

    #[test]
    fn a_provider_is_found_by_its_name_and_its_domain_while_it_is_there() {
        let registry = Registry::default();
        assert!(!registry.is_gone("acme"), "nobody knows yet");
        registry.replace([provider("acme", "acme.example"), provider("other", "other.acme.example")], []);
        let of_domain = |domain: &str| {
            registry.of_domain(&domain.parse().unwrap()).map(|provider| provider.name.to_string())
        };
        assert_eq!(of_domain("ACME.example").as_deref(), Some("acme"));
        assert_eq!(of_domain("other.acme.example").as_deref(), Some("other"));
        assert_eq!(of_domain("sub.other.acme.example"), None, "a domain is whole");
        assert!(registry.named("acme").is_some() && registry.named("acme.example").is_none());
        registry.replace([provider("other", "other.acme.example")], ["idle".to_owned()]);
        assert!(registry.is_gone("acme") && !registry.is_gone("other") && !registry.is_gone("idle"));
        assert!(of_domain("acme.example").is_none() && registry.named("acme").is_none());
        assert!(!registry.any_by_device_codes());
        registry.replace([provider("a", "a.example"), with_device_codes("b", "b.example")], []);
        assert!(registry.any_by_device_codes());
    }
}
