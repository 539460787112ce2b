//! Somebody says whether the program on their machine may go on as them.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Device, Errand, Failure, People, SignIn, Url, Why, hashed};
use crate::{
    domain::{
        authorization::Authorization,
        login::CODE,
        principal::NoAddress,
        text::{ClientState, LoopbackUri, ProviderIssuer, Subject},
    },
    keys::token::{self, Purpose},
    ledger::people::Pass,
};

/// What somebody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// For what.
    pub errand: Errand,
    /// What to call them.
    pub called: String,
    /// Their address, if one counts.
    pub email: Option<String>,
    /// Else why none does.
    pub why_no_email: Option<NoAddress>,
    pub(super) issuer: ProviderIssuer,
    pub(super) subject: Subject,
    /// By what the provider can be asked about them again, sealed.
    #[serde(default)]
    pub(super) again: Option<String>,
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Granted {
    pub(super) errand: Errand,
    pub(super) issuer: ProviderIssuer,
    pub(super) subject: Subject,
    #[serde(default)]
    pub(super) again: Option<String>,
}

/// What becomes of an answer.
#[derive(Debug)]
pub enum Answered {
    /// The browser goes there with it: a program listens.
    Back(Url),
    /// This device asks for it.
    Fetched(Device),
    /// The browser itself is signed in, as what is shown by this; or is not.
    Here(Option<Zeroizing<String>>),
}

/// The pass of whoever is asked in `browser`.
pub(super) fn asked(browser: &str) -> String {
    hashed("asked", &[browser])
}

impl<L: People> SignIn<L> {
    /// What is asked in `browser`.
    ///
    /// # Errors
    /// When nothing is.
    pub async fn consent(&self, browser: &str) -> Result<Consent, Failure> {
        let pass = self.ledger.pass(&asked(browser), self.edge.now()).await?;
        Ok(serde_json::from_str(&pass.ok_or(Why::Elsewhere)?)?)
    }

    /// They say yes.
    ///
    /// # Errors
    /// When nothing was asked, or the device does not wait any more.
    pub async fn agree(&self, browser: &str) -> Result<Answered, Failure> {
        let consent = self.consent(browser).await?;
        if consent.errand == Errand::Browser {
            return self.enter(&asked(browser), consent).await;
        }
        let Consent { errand, issuer, subject, again, .. } = self.answered(browser).await?;
        let granted = Granted { errand, issuer, subject, again };
        match &granted.errand {
            Errand::Program(Authorization { redirect_uri, state, .. }) => {
                let code = Purpose::Code.token(&self.edge.entropy(), "code");
                self.keep(token::hash(&code), &granted, CODE).await?;
                Ok(Answered::Back(self.back(redirect_uri, Some(state), &[("code", &code)])))
            }
            Errand::Device(device) => {
                let content = serde_json::to_string(&granted)?;
                let pass = Pass { hash: device.hash.clone(), content, until: device.until };
                self.tell(device, Some(&pass)).await
            }
            Errand::Browser => Err(Why::Elsewhere.into()),
        }
    }

    /// They say no.
    ///
    /// # Errors
    /// When nothing was asked, or the device does not wait any more.
    pub async fn decline(&self, browser: &str) -> Result<Answered, Failure> {
        match self.answered(browser).await?.errand {
            Errand::Program(Authorization { redirect_uri, state, .. }) => {
                let said = [("error", "access_denied"), ("error_description", "whoever signed in said no")];
                Ok(Answered::Back(self.back(&redirect_uri, Some(&state), &said)))
            }
            Errand::Device(device) => self.tell(&device, None).await,
            Errand::Browser => Ok(Answered::Here(None)),
        }
    }

    async fn tell(&self, device: &Device, yes: Option<&Pass>) -> Result<Answered, Failure> {
        if !self.ledger.answer_device(&device.hash, yes, self.edge.now()).await? {
            return Err(Why::UnknownCode.into());
        }
        Ok(Answered::Fetched(device.clone()))
    }

    async fn answered(&self, browser: &str) -> Result<Consent, Failure> {
        let pass = self.ledger.take_pass(&asked(browser), self.edge.now()).await?;
        Ok(serde_json::from_str(&pass.ok_or(Why::Elsewhere)?)?)
    }

    /// The program's address with what it is told: its state, and that it is Usher who says so (RFC 9207).
    #[must_use]
    pub fn back(
        &self,
        redirect_uri: &LoopbackUri,
        state: Option<&ClientState>,
        said: &[(&str, &str)],
    ) -> Url {
        // A loopback address is always a URL; if it were none, nobody would be sent anywhere but home.
        let mut url = Url::parse(redirect_uri.as_str()).unwrap_or_else(|_| self.home.at("/"));
        let state = state.map(|state| ("state", state.as_str()));
        url.query_pairs_mut().extend_pairs(said).extend_pairs(state).append_pair("iss", &self.home.origin());
        url
    }
}
