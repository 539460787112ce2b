//! Somebody comes back from their identity provider.

use zeroize::Zeroizing;

use super::{
    CALLBACK, Consent, Errand, Failure, People, SignIn, Why,
    agree::asked,
    depart::{Departed, away},
    recheck::under_way,
};
use crate::{
    domain::login::PATIENCE,
    identity::{Principal, RelyingParty, oidc::Callback},
};

impl<L: People> SignIn<L> {
    /// Takes in who came back to `browser`, and gives the name under which they are asked there: whoever had a hand in the browser's own
    /// one does not know this one.
    ///
    /// # Errors
    /// When nobody did.
    pub async fn arrive(&self, browser: &str, callback: &Callback) -> Result<Zeroizing<String>, Failure> {
        let now = self.edge.now();
        let pass = self.ledger.take_pass(&away(browser, &callback.state), now).await?;
        let Departed { errand, provider, pending } = serde_json::from_str(&pass.ok_or(Why::Elsewhere)?)?;
        let provider = self.providers.named(provider.as_str()).ok_or(Why::ProviderGone)?;
        let back = self.home.at(CALLBACK);
        // It is another kind of provider by now.
        let RelyingParty::Oidc(oidc) = &provider.relying_party else { return Err(Why::ProviderGone.into()) };
        let (who, again) = oidc.finish(&pending, callback, &back, now).await.map_err(Why::from)?;
        self.meet(&who).await?;
        let of = under_way(&who.issuer, &who.subject);
        let again = again.and_then(|again| self.sealer().seal(&of, &again));
        let renewed = self.browser();
        self.keep(asked(&renewed), &question(errand, who, again), PATIENCE).await?;
        Ok(renewed)
    }
}

/// What `who` is asked, of whom the provider can be asked again by that.
pub(super) fn question(errand: Errand, who: Principal, again: Option<String>) -> Consent {
    let email = who.email.as_ref().ok().map(ToString::to_string);
    Consent {
        errand,
        called: if who.name.is_empty() {
            email.clone().unwrap_or_else(|| who.subject.to_string())
        } else {
            who.name.clone()
        },
        email,
        why_no_email: who.email.as_ref().err().copied(),
        issuer: who.issuer,
        subject: who.subject,
        again,
    }
}
