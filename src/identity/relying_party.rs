//! A provider, by whichever protocol.

use jiff::Timestamp;

use super::{oidc, saml};
use crate::domain::text::ProviderIssuer;

/// How a provider stands, as it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it last published that was good.
    pub known: Option<Known>,
    /// What is wrong since when; nothing if it answers as it should.
    pub trouble: Option<(String, Timestamp)>,
}

/// What a provider publishes of itself, as far as people want to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The host where browsers are sent.
    pub host: String,
    /// How many keys it has.
    pub keys: usize,
    /// By SAML, of each of its certificates the SHA-256 in hex and the end.
    pub certificates: Vec<(String, Timestamp)>,
}

/// Usher, as one provider knows it.
pub enum RelyingParty {
    /// By OpenID Connect.
    Oidc(Box<oidc::RelyingParty>),
    /// By SAML 2.0.
    Saml(Box<saml::ServiceProvider>),
}

impl RelyingParty {
    /// How the provider is known.
    #[must_use]
    pub fn issuer(&self) -> &ProviderIssuer {
        match self {
            Self::Oidc(oidc) => oidc.issuer(),
            Self::Saml(saml) => saml.issuer(),
        }
    }

    /// How it stands. It is asked if that was some minutes ago.
    pub async fn standing(&self, now: Timestamp) -> Standing {
        match self {
            Self::Oidc(oidc) => oidc.standing(now).await,
            Self::Saml(saml) => saml.standing(now).await,
        }
    }
}
