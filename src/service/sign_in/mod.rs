//! People sign in: Usher sends them to their company's identity provider, and gives tokens to the program on their machine.
//!
//! ```text
//!   program ──► authorize ──► depart ──► provider ──► arrive ──► "continue as Ann on Lab 3?" ──► agree ──► program: code
//!               (a page)      (pass)                  (pass)                                   (pass)        │
//!                             of this browser         of this browser, under a new name                      ▼
//!                                                                                     exchange: verifier ──► tokens
//!   by SAML      depart ──► provider ──► bring ──► land ──► "continue as …?": the form of another site brings no cookie but one for just that
//!   without a browser: see `device`; the browser itself: see `browser`
//!   device token ──► refresh: is the provider still there, does it still let the person in (see `recheck`), and were they proven lately?
//!                    ──► the next one, and an access token
//! ```
//!
//! 1. What a browser does is good in that browser alone: the pass of each step is found by the hash of what the URL says *and* of what
//!    the browser's cookie says. A state that is opened in another browser leads nowhere.
//! 2. Each pass is taken once, in a transaction, whatever the replicas.
//! 3. Nobody becomes somebody without having said yes on Usher's own page, which names the machine: that page is what a link that somebody
//!    else has sent cannot get around.
//! 4. A code or device code that is shown twice, and a device token that was used before, end the login: two have it.

mod agree;
mod arrive;
mod bring;
mod browser;
mod depart;
mod device;
mod judged;
mod recheck;
mod refuse;
mod tokens;

use std::sync::{Arc, OnceLock};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{edge::Edge, possession::Proofs, providers::Providers};
use crate::{
    domain::{self, hex, login::PATIENCE},
    identity::{Principal, Url, saml},
    keys::nonce::NonceKeys,
    ledger::people::{PASSES, Pass},
};

pub use crate::{
    identity::{oidc::Callback, saml::Brought},
    ledger::people::People,
};
pub use agree::{Answered, Consent};
pub use depart::Away;
pub use device::{Claims, Codes, DEVICE, Device, Errand};
pub use recheck::{Counts, Outcome};
pub use refuse::{Failure, Why};
pub use tokens::{Denied, Grant, Tokens};

/// All that signing in needs.
pub struct SignIn<L> {
    ledger: L,
    edge: Arc<dyn Edge>,
    providers: Arc<dyn Providers>,
    /// What marks tokens and seals what providers give, once it is found.
    nonces: Arc<OnceLock<NonceKeys>>,
    home: Home,
    proofs: Arc<Proofs>,
    key: Arc<saml::OwnKey>,
    counts: Counts,
}

/// Where people and programs reach Usher.
#[derive(Debug, Clone)]
pub struct Home(Url);

/// Why that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an https URL of a host, with no path, such as https://usher.acme.example")]
pub struct NoHome;

impl std::str::FromStr for Home {
    type Err = NoHome;

    fn from_str(text: &str) -> Result<Self, NoHome> {
        let url = Url::parse(text).map_err(|_| NoHome)?;
        let plain = url.scheme() == "https"
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if plain && url.has_host() { Ok(Self(url)) } else { Err(NoHome) }
    }
}

impl Home {
    /// What a browser calls it (RFC 6454), and what clients know it by (RFC 8414): the URL without the slash.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.as_str().trim_end_matches('/').to_owned()
    }

    /// Its host, without the port.
    #[must_use]
    pub fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned()
    }

    /// The URL of `path` there.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

/// Where providers send browsers back to, by OpenID Connect.
pub const CALLBACK: &str = "/signin/callback";
/// Where browsers bring what providers say, by SAML.
pub const CONSUMER: &str = "/signin/saml";
/// Where people see what is theirs.
pub const ME: &str = "/me";
/// Where Usher says what it is, by SAML: this is its entity id.
pub const METADATA: &str = "/signin/saml/metadata";

impl<L: People> SignIn<L> {
    /// Puts the parts together. Requests of SAML are signed by `key`.
    pub fn new(
        ledger: L,
        edge: Arc<dyn Edge>,
        providers: Arc<dyn Providers>,
        nonces: Arc<OnceLock<NonceKeys>>,
        home: Home,
        proofs: Arc<Proofs>,
        key: Arc<saml::OwnKey>,
    ) -> Self {
        Self { ledger, edge, providers, nonces, home, proofs, key, counts: Arc::new(|_| {}) }
    }

    /// The same, and what comes of asking providers again is told to `counts`.
    #[must_use]
    pub fn counting(self, counts: Counts) -> Self {
        Self { counts, ..self }
    }

    /// Who judges proofs of possession.
    #[must_use]
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// Where people and programs reach Usher.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Usher, as providers know it by SAML.
    fn service_provider(&self) -> saml::Home {
        saml::Home { entity_id: self.home.at(METADATA).into(), consumer: self.home.at(CONSUMER) }
    }

    /// What Usher is, for whoever sets a provider up.
    ///
    /// # Errors
    /// When it cannot be said now.
    pub fn metadata(&self) -> Result<String, Failure> {
        saml::description(&self.service_provider(), &self.key)
            .map_err(|error| Failure::Unavailable(error.into()))
    }

    /// What a browser is to be known by, from now on.
    #[must_use]
    pub fn browser(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.edge.entropy()))
    }

    /// Somebody was proven just now. The clock is read again: a provider may have taken its time, and who comes is looked for where others came lately.
    async fn meet(&self, who: &Principal) -> Result<(), Failure> {
        Ok(self.ledger.meet(who, self.edge.now()).await?)
    }

    /// Keeps a pass for one that was taken, of somebody who was proven: whoever fills Usher with sign-ins that lead nowhere stops nobody who is on the way.
    async fn keep(&self, hash: String, content: &impl serde::Serialize, seconds: i64) -> Result<(), Failure> {
        self.keep_if(None, hash, content, seconds).await
    }

    /// Keeps a pass of somebody who may be anybody, if there is room.
    async fn keep_away(&self, hash: String, content: &impl serde::Serialize) -> Result<(), Failure> {
        self.keep_if(Some(PASSES), hash, content, PATIENCE).await
    }

    async fn keep_if(
        &self,
        at_most: Option<u32>,
        hash: String,
        content: &impl serde::Serialize,
        seconds: i64,
    ) -> Result<(), Failure> {
        let now = self.edge.now();
        let content = serde_json::to_string(content)?;
        let pass = Pass { hash, content, until: domain::login::after(now, seconds) };
        if self.ledger.keep_pass(&pass, at_most, now).await? { Ok(()) } else { Err(Why::Crowded.into()) }
    }
}

/// What a form on a page for `browser` must bring along, so that no other page can send it.
#[must_use]
pub fn form_token(browser: &str) -> String {
    hashed("form", &[browser])
}

/// Whether `token` is that.
#[must_use]
pub fn is_form_token(browser: &str, token: &str) -> bool {
    form_token(browser).as_bytes().ct_eq(token.as_bytes()).into()
}

/// A hash of `parts` for one use, which cannot run into each other.
fn hashed(what: &str, parts: &[&str]) -> String {
    hex(&domain::digest(std::iter::once(&what).chain(parts)))
}

#[cfg(test)]
pub(crate) mod tests;
