//! SAML 2.0: Usher as a service provider, by redirect and POST, at the provider's answer to its own request and to nothing else.
//!
//! ```text
//!   begin ─► (where to send the browser, Pending) ─► … the browser brings back a response and RelayState … ─► finish ─► Principal
//!                                                                                                              │
//!                                                       child process: filter ─► gate (xmlsec) ─► Proven ◄─────┘
//! ```
//!
//! What [`Pending`] has must come from the very browser that was sent away, and once; and an assertion is good once: both are for whoever keeps
//! them. A person is (entity id, format of the name, name): see [`identity`].

pub mod child;
mod described;
mod filter;
mod gate;
mod identity;
mod metadata;
mod name_id;
mod own_key;
mod reader;
mod refusal;
mod request;
pub mod sandbox;
mod signature;
#[cfg(test)]
mod tests;
mod tree;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use gate::LEEWAY;
pub use metadata::{Certificate, Description};
pub use name_id::NameIdFormat;
pub use own_key::{NoKey, OwnKey};
pub use reader::{Reader, SUBCOMMAND, Unread};
pub use refusal::Refusal;
pub use request::{Home, description};

use super::{
    Claims, Known, Principal, Standing, Url, drawn,
    fetch::{self, Fetcher, Loopback},
    with_causes,
};
use crate::domain::{
    principal::Mailboxes,
    text::{Label, ProviderIssuer},
};
use child::{Answer, Question};
use described::Described;
use gate::{Expected, Proven};

/// How a provider is known, and what Usher makes of what it says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The provider's name.
    pub provider: Label,
    /// Its entity id.
    pub entity_id: ProviderIssuer,
    /// As what it knows Usher, if not by Usher's own entity id.
    pub audience: Option<ProviderIssuer>,
    /// In which way it is to name people.
    pub format: Option<NameIdFormat>,
    /// Which attributes say what.
    pub claims: Claims,
    /// Which addresses it may say.
    pub mailboxes: Mailboxes,
}

/// From where it is known where people sign in, and whose keys sign.
#[derive(Debug, Clone)]
pub enum Source {
    /// The provider's own description.
    Metadata {
        /// Where it is.
        url: Url,
        /// What fetches it.
        fetcher: Fetcher,
    },
    /// It is written down.
    Pinned {
        /// Where people sign in.
        sign_on: Url,
        /// The certificates, in PEM.
        certificates: Vec<String>,
    },
}

/// What is kept of a sign-in until the browser comes back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Comes back beside the answer.
    pub relay_state: String,
    /// Comes back in the answer.
    request: String,
}

/// What the browser brings back (SAML Bindings, section 3.5.4).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Brought {
    /// The answer, in base64.
    #[serde(rename = "SAMLResponse", default)]
    pub response: String,
    /// The relay state.
    #[serde(rename = "RelayState", default)]
    pub relay_state: String,
}

/// What is good once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Its id, at the provider that made it.
    pub id: String,
    /// The last instant at which somebody could show it.
    pub until: Timestamp,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The provider is not known well enough.
    #[error("the identity provider does not answer as it should: {0}")]
    Away(String),
    /// What it says is not believed.
    #[error("the answer of the identity provider is not believed: {0}")]
    Answer(#[from] Refusal),
    /// Nobody could read it.
    #[error("the answer of the identity provider could not be read: {0}")]
    Unread(String),
    /// It does not say whom it is about.
    #[error("{0}")]
    Subject(String),
}

/// Usher, as one provider knows it.
pub struct ServiceProvider {
    settings: Settings,
    described: Described,
    reader: Reader,
}

impl ServiceProvider {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(settings: Settings, source: Source, reader: Reader) -> Self {
        let described = Described::new(settings.entity_id.to_string(), source, reader.clone());
        Self { settings, described, reader }
    }

    /// The provider's entity id.
    #[must_use]
    pub fn issuer(&self) -> &ProviderIssuer {
        &self.settings.entity_id
    }

    /// How it stands. It is asked if that was some minutes ago.
    pub async fn standing(&self, now: Timestamp) -> Standing {
        let (good, trouble) = self.described.standing(now).await;
        let known = good.map(|description| Known {
            host: host(&description.sign_on),
            keys: description.certificates.len(),
            certificates: description
                .certificates
                .iter()
                .map(|certificate| (certificate.sha256.clone(), certificate.until))
                .collect(),
        });
        Standing { known, trouble }
    }

    /// Where to send a browser so that somebody signs in and it comes back to `home`, with a request that is signed by `key`. `entropy` is for this
    /// sign-in alone.
    ///
    /// # Errors
    /// When the provider is away.
    pub async fn begin(
        &self,
        home: &Home,
        key: &OwnKey,
        entropy: &[u8; 32],
        now: Timestamp,
    ) -> Result<(Url, Pending), Refused> {
        let description = self.described.now(now).await.map_err(|error| away(&error))?;
        // An ID does not begin with a digit.
        let pending = Pending {
            relay_state: drawn(entropy, "relay"),
            request: format!("_{}", drawn(entropy, "request")),
        };
        let sign_on = description.sign_on.parse::<Url>().map_err(|_| Refusal::SignOn)?;
        let ids = (pending.request.as_str(), pending.relay_state.as_str());
        let url = request::redirect((&self.known_as(home), key), &sign_on, ids, self.settings.format, now)
            .map_err(|error| away(&error))?;
        Ok((url, pending))
    }

    /// Who came back with `response`, and the assertion that says so, which must not have been shown before.
    ///
    /// # Errors
    /// Why nobody did.
    pub async fn finish(
        &self,
        pending: &Pending,
        response: &str,
        home: &Home,
        now: Timestamp,
    ) -> Result<(Principal, Assertion), Refused> {
        let description = self.described.now(now).await.map_err(|error| away(&error))?;
        let proven = self.read(response, pending, home, &description, now).await?;
        let assertion = Assertion { id: proven.assertion.clone(), until: proven.until };
        let Settings { provider, entity_id, claims, mailboxes, .. } = &self.settings;
        let principal = identity::principal(&proven, claims, (provider, entity_id), mailboxes);
        Ok((principal.map_err(|error| Refused::Subject(error.to_string()))?, assertion))
    }

    /// Usher, as this provider knows it.
    fn known_as(&self, home: &Home) -> Home {
        let own = || home.entity_id.clone();
        let entity_id = self.settings.audience.as_ref().map_or_else(own, ToString::to_string);
        Home { entity_id, consumer: home.consumer.clone() }
    }

    async fn read(
        &self,
        response: &str,
        pending: &Pending,
        home: &Home,
        description: &Description,
        now: Timestamp,
    ) -> Result<Proven, Refused> {
        if response.len() > filter::LARGEST.saturating_mul(2) {
            return Err(Refusal::TooLarge.into());
        }
        let plain: String = response.split_ascii_whitespace().collect();
        let xml = BASE64_STANDARD.decode(plain).map_err(|_| Refusal::Encoding)?;
        if xml.len() > filter::LARGEST {
            return Err(Refusal::TooLarge.into());
        }
        let expected = Expected {
            entity_id: self.settings.entity_id.to_string(),
            certificates: description
                .certificates
                .iter()
                .map(|certificate| certificate.der.clone())
                .collect(),
            audience: self.known_as(home).entity_id,
            consumer: home.consumer.to_string(),
            request: pending.request.clone(),
            format: self.settings.format,
            now,
        };
        let read = self.reader.ask(&Question::Response { xml, expected }, Answer::proven).await;
        Ok(read.map_err(|error| Refused::Unread(with_causes(&error)))??)
    }
}

fn host(url: &str) -> String {
    url.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn away(error: &(dyn std::error::Error + 'static)) -> Refused {
    Refused::Away(with_causes(error))
}

impl Source {
    /// The provider's own description at `url`, fetched as `ca` and `loopback` say.
    ///
    /// # Errors
    /// When `ca` cannot be read, or `url` is not of https.
    pub fn metadata(url: &str, ca: Option<&str>, loopback: Loopback) -> Result<Self, fetch::Error> {
        let (url, fetcher) = (https(url)?, Fetcher::new(ca, loopback)?);
        fetcher.permits(&url)?;
        Ok(Self::Metadata { url, fetcher })
    }

    /// What is written down.
    ///
    /// # Errors
    /// When `sign_on` is not of https.
    pub fn pinned(sign_on: &str, certificates: Vec<String>) -> Result<Self, fetch::Error> {
        Ok(Self::Pinned { sign_on: https(sign_on)?, certificates })
    }
}

fn https(url: &str) -> Result<Url, fetch::Error> {
    let parsed = url.parse::<Url>().ok().filter(|url| url.scheme() == "https");
    parsed.ok_or_else(|| fetch::Error::NotHttps(url.to_owned()))
}
