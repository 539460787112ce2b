//! Somebody says whether the program on their machine may go on as them.

use serde::{Deserialize, Serialize};

use super::{Failure, People, SignIn, Url, Why, hashed};
use crate::{
    domain::{
        authorization::Authorization,
        login::CODE,
        principal::NoAddress,
        text::{ClientState, LoopbackUri, ProviderIssuer, Subject},
    },
    keys::token::{self, Purpose},
};

/// What somebody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What their program asks for.
    pub authorization: Authorization,
    /// What to call them.
    pub called: String,
    /// Their address, if one counts.
    pub email: Option<String>,
    /// Else why none does.
    pub why_no_email: Option<NoAddress>,
    pub(super) issuer: ProviderIssuer,
    pub(super) subject: Subject,
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Granted {
    pub(super) authorization: Authorization,
    pub(super) issuer: ProviderIssuer,
    pub(super) subject: Subject,
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

    /// They say yes: where the browser goes with the code.
    ///
    /// # Errors
    /// When nothing was asked.
    pub async fn agree(&self, browser: &str) -> Result<Url, Failure> {
        let Consent { authorization, issuer, subject, .. } = self.answered(browser).await?;
        let code = Purpose::Code.token(&self.edge.entropy(), "code");
        let granted = Granted { authorization, issuer, subject };
        self.keep(token::hash(&code), &granted, CODE).await?;
        let Authorization { redirect_uri, state, .. } = granted.authorization;
        Ok(self.back(&redirect_uri, Some(&state), &[("code", &code)]))
    }

    /// They say no: where the browser goes with that.
    ///
    /// # Errors
    /// When nothing was asked.
    pub async fn decline(&self, browser: &str) -> Result<Url, Failure> {
        let Authorization { redirect_uri, state, .. } = self.answered(browser).await?.authorization;
        let said = [("error", "access_denied"), ("error_description", "whoever signed in said no")];
        Ok(self.back(&redirect_uri, Some(&state), &said))
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
