//! Somebody goes to their identity provider.

use serde::{Deserialize, Serialize};

use super::{CALLBACK, Failure, People, SignIn, Url, Why, hashed};
use crate::{
    domain::{
        authorization::Authorization,
        login::PATIENCE,
        text::{Domain, Email, Label},
    },
    identity::oidc::Pending,
};

/// What is kept of somebody who is there.
#[derive(Serialize, Deserialize)]
pub(super) struct Departed {
    /// What their program asks for.
    pub(super) authorization: Authorization,
    /// Where they are.
    pub(super) provider: Label,
    /// What is kept of what was asked there.
    pub(super) pending: Pending,
}

/// The pass of whoever is away from `browser` by this state.
pub(super) fn away(browser: &str, state: &str) -> String {
    hashed("away", &[browser, state])
}

impl<L: People> SignIn<L> {
    /// Where to send `browser`, in which somebody has typed their address or its domain. Of an address only the domain is looked at.
    ///
    /// # Errors
    /// When nobody signs in with that, or the provider is away.
    pub async fn depart(
        &self,
        authorization: &Authorization,
        browser: &str,
        typed: &str,
    ) -> Result<Url, Failure> {
        let typed = typed.trim();
        let of_address = typed.parse::<Email>().ok().and_then(|email| email.domain().parse().ok());
        let domain: Domain =
            of_address.or_else(|| typed.trim_start_matches('@').parse().ok()).ok_or(Why::NoAddress)?;
        let Some(provider) = self.providers.of_domain(&domain) else {
            return Err(Why::NoProvider(domain).into());
        };
        let back = self.home.at(CALLBACK);
        let begun = provider.relying_party.begin(&back, &self.edge.entropy(), self.edge.now()).await;
        let (url, pending) = begun.map_err(Why::from)?;
        let hash = away(browser, &pending.state);
        let departed =
            Departed { authorization: authorization.clone(), provider: provider.name.clone(), pending };
        self.keep(hash, &departed, PATIENCE).await?;
        Ok(url)
    }
}
