//! Somebody is brought back from their identity provider by a form of its page, as SAML has it.
//!
//! ```text
//!   form of the provider's page ──► bring ──303──► land ──303──► "continue as Ann on Lab 3?"
//!   brings only the handle's cookie   │              brings the browser's own cookie too: both must be those of one sign-in
//!                                     └─ pass taken, answer believed, assertion used
//! ```
//!
//! A form of another site brings no `Lax` cookie. So a cookie that is brought all the same (`None`) holds what is good for this alone: the name of
//! one request. What it opens is only seen in the browser that began, under its own cookie.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Brought, Consent, Failure, People, SignIn, Why,
    agree::asked,
    arrive::question,
    depart::{SentBySaml, away_by_saml, known},
    hashed,
};
use crate::{
    domain::login::PATIENCE,
    identity::{
        RelyingParty,
        saml::{Refusal, Refused},
    },
};

/// What waits for a browser that is on its way.
#[derive(Serialize, Deserialize)]
struct Landing {
    consent: Consent,
    browser: String,
}

/// The pass of whoever is on their way with this handle.
fn landing(handle: &str) -> String {
    hashed("landing", &[handle])
}

impl<L: People> SignIn<L> {
    /// Takes in what was brought under `handle`, and gives the handle with which the browser goes on.
    ///
    /// # Errors
    /// When nobody is signed in by it.
    pub async fn bring(&self, handle: &str, brought: &Brought) -> Result<Zeroizing<String>, Failure> {
        let now = self.edge.now();
        let pass = self.ledger.take_pass(&away_by_saml(handle, &brought.relay_state), now).await?;
        let SentBySaml { errand, provider, pending, browser } =
            serde_json::from_str(&pass.ok_or(Why::Elsewhere)?)?;
        let provider = self.providers.named(provider.as_str()).ok_or(Why::ProviderGone)?;
        let RelyingParty::Saml(saml) = &provider.relying_party else { return Err(Why::ProviderGone.into()) };
        let home = self.service_provider();
        let finished = saml.finish(&pending, &brought.response, &home, now).await;
        let (who, assertion) = finished.map_err(Why::from)?;
        let hash = hashed("assertion", &[who.issuer.as_str(), &assertion.id]);
        if !self.ledger.use_assertion(&hash, assertion.until, now).await? {
            return Err(Why::from(Refused::from(Refusal::Used)).into());
        }
        self.meet(&who).await?;
        let next = self.browser();
        let consent = question(errand, who, None);
        self.keep(landing(&next), &Landing { consent, browser }, PATIENCE).await?;
        Ok(next)
    }

    /// Who was brought under `handle` has landed in `browser`: gives the name under which they are asked there.
    ///
    /// # Errors
    /// When nobody was, or into another browser.
    pub async fn land(&self, handle: &str, browser: &str) -> Result<Zeroizing<String>, Failure> {
        let pass = self.ledger.take_pass(&landing(handle), self.edge.now()).await?;
        let Landing { consent, browser: begun } = serde_json::from_str(&pass.ok_or(Why::Elsewhere)?)?;
        if begun != known(browser) {
            return Err(Why::Elsewhere.into());
        }
        let renewed = self.browser();
        self.keep(asked(&renewed), &consent, PATIENCE).await?;
        Ok(renewed)
    }
}
