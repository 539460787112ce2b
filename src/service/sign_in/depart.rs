//! Somebody goes to their identity provider.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CALLBACK, Errand, Failure, People, SignIn, Url, Why, hashed};
use crate::{
    domain::{
        terms::DeviceCodes,
        text::{Domain, Email, Label},
    },
    identity::{RelyingParty, oidc, saml},
};

/// What is kept of somebody who is there.
#[derive(Serialize, Deserialize)]
pub(super) struct Departed {
    /// For what.
    pub(super) errand: Errand,
    /// Where they are.
    pub(super) provider: Label,
    /// What is kept of what was asked there.
    pub(super) pending: oidc::Pending,
}

/// The same, by SAML.
#[derive(Serialize, Deserialize)]
pub(super) struct SentBySaml {
    pub(super) errand: Errand,
    pub(super) provider: Label,
    pub(super) pending: saml::Pending,
    /// Where they come from: [`hashed`], for it is a browser's name.
    pub(super) browser: String,
}

/// Where a browser is to go.
#[derive(Debug)]
pub struct Away {
    /// The URL.
    pub url: Url,
    /// By SAML, as what it will be known when another site's form brings it back.
    pub handle: Option<Handle>,
}

/// As what a browser is known that comes back with this relay state.
#[derive(Debug)]
pub struct Handle {
    /// The relay state.
    pub relay_state: String,
    /// The handle.
    pub value: Zeroizing<String>,
}

/// The pass of whoever is away from `browser` by this state.
pub(super) fn away(browser: &str, state: &str) -> String {
    hashed("away", &[browser, state])
}

/// The same, by SAML.
pub(super) fn away_by_saml(handle: &str, relay_state: &str) -> String {
    hashed("away by saml", &[handle, relay_state])
}

/// A browser's name, to compare it with.
pub(super) fn known(browser: &str) -> String {
    hashed("browser", &[browser])
}

impl<L: People> SignIn<L> {
    /// Where to send `browser`, in which somebody has typed their address or its domain. Of an address only the domain is looked at.
    ///
    /// # Errors
    /// When nobody signs in with that, or the provider is away.
    pub async fn depart(&self, errand: Errand, browser: &str, typed: &str) -> Result<Away, Failure> {
        let typed = typed.trim();
        let of_address = typed.parse::<Email>().ok().and_then(|email| email.domain().parse().ok());
        let domain: Domain =
            of_address.or_else(|| typed.trim_start_matches('@').parse().ok()).ok_or(Why::NoAddress)?;
        let Some(provider) = self.providers.of_domain(&domain) else {
            return Err(Why::NoProvider(domain).into());
        };
        if matches!(errand, Errand::Device(_)) && provider.device_codes == DeviceCodes::Forbidden {
            return Err(Why::NoDevices.into());
        }
        let (entropy, now) = (self.edge.entropy(), self.edge.now());
        let name = provider.name.clone();
        match &provider.relying_party {
            RelyingParty::Oidc(oidc) => {
                let begun = oidc.begin(&self.home.at(CALLBACK), &entropy, now).await;
                let (url, pending) = begun.map_err(Why::from)?;
                let hash = away(browser, &pending.state);
                self.keep_away(hash, &Departed { errand, provider: name, pending }).await?;
                Ok(Away { url, handle: None })
            }
            RelyingParty::Saml(saml) => {
                let begun = saml.begin(&self.service_provider(), &self.key, &entropy, now).await;
                let (url, pending) = begun.map_err(Why::from)?;
                let handle = Handle { relay_state: pending.relay_state.clone(), value: self.browser() };
                let hash = away_by_saml(&handle.value, &handle.relay_state);
                let browser = known(browser);
                self.keep_away(hash, &SentBySaml { errand, provider: name, pending, browser }).await?;
                Ok(Away { url, handle: Some(handle) })
            }
        }
    }
}
