//! Why somebody is not signed in, for the page that says so.

use crate::{
    domain::{refused::NotSignedIn, text::Domain},
    identity::{oidc::Refused, saml},
    ledger::{CommitError, Unavailable},
};

/// Why, and it is an answer.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// What was typed is neither an address nor a domain.
    #[error("This is neither an e-mail address nor its domain.")]
    NoAddress,
    /// No provider has the domain.
    #[error("Nobody signs in here with addresses of {0}.")]
    NoProvider(Domain),
    /// The sign-in is not one of this browser's, or is over.
    #[error("This sign-in was begun in another browser, is finished already, or took too long.")]
    Elsewhere,
    /// No device waits under the code that was typed.
    #[error("No device waits with this code, or not any more.")]
    UnknownCode,
    /// What was typed is no code.
    #[error("This is no such code: it has eight letters, such as WDJB-MJHT.")]
    NoCode,
    /// Too many codes were typed.
    #[error("Too many codes were typed from your network.")]
    TooOften,
    /// The provider of the domain does not allow that, or none does.
    #[error("Nobody signs in here by a code.")]
    NoDevices,
    /// The form was not sent by Usher's own page.
    #[error("This was not sent by a page of Usher.")]
    Forged,
    /// The provider was taken away meanwhile.
    #[error("Your identity provider is not known here any more.")]
    ProviderGone,
    /// The provider has let nobody in.
    #[error("You are not signed in: {0}.")]
    Provider(#[from] Refused),
    /// The same, by SAML.
    #[error("You are not signed in: {0}.")]
    BySaml(#[from] saml::Refused),
    /// Too many sign-ins are under way.
    #[error("Too many people are signing in at this moment.")]
    Crowded,
}

impl Why {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::NoAddress => {
                "Type your work address, such as ann@acme.example, or only what follows the @."
            }
            Self::NoProvider(_) => {
                "Look for a typing error. If there is none, ask your platform team for an IdentityProvider with this domain."
            }
            Self::Elsewhere | Self::Forged => {
                "Go back to the program or the page that sent you here, and begin again."
            }
            Self::UnknownCode => {
                "Look at the device: is it the code that it shows now? After ten minutes it must begin again."
            }
            Self::NoCode => "Type the code as the device shows it.",
            Self::TooOften => "Wait a minute; then type the code as the device shows it.",
            Self::NoDevices => {
                "Sign in on a machine with a browser, or ask your platform team for an IdentityProvider of your domain with deviceCodes: Allowed."
            }
            Self::ProviderGone => {
                "Ask your platform team; then begin again in the program that sent you here."
            }
            Self::Provider(Refused::Away(_))
            | Self::BySaml(saml::Refused::Away(_) | saml::Refused::Unread(_)) => {
                "Try again in a minute. If it stays so, tell your platform team."
            }
            Self::Provider(Refused::Denied(_))
            | Self::BySaml(saml::Refused::Answer(saml::Refusal::Denied)) => {
                "Begin again, and let your identity provider tell Usher who you are."
            }
            Self::Provider(_) | Self::BySaml(_) => {
                "Begin again in the program that sent you here. If it stays so, tell your platform team."
            }
            Self::Crowded => "Try again in a minute.",
        }
    }
}

impl Why {
    /// What the audit is told of it; nothing if nobody was denied anything.
    #[must_use]
    pub fn told(&self) -> Option<NotSignedIn> {
        Some(match self {
            Self::NoAddress
            | Self::NoCode
            | Self::Crowded
            | Self::Provider(Refused::Away(_))
            | Self::BySaml(saml::Refused::Away(_) | saml::Refused::Unread(_)) => return None,
            Self::NoProvider(_) => NotSignedIn::NoProvider,
            Self::Elsewhere => NotSignedIn::Elsewhere,
            Self::UnknownCode => NotSignedIn::UnknownCode,
            Self::TooOften => NotSignedIn::TooOften,
            Self::NoDevices => NotSignedIn::NoDevices,
            Self::Forged => NotSignedIn::Forged,
            Self::ProviderGone => NotSignedIn::ProviderGone,
            Self::Provider(Refused::Denied(_))
            | Self::BySaml(saml::Refused::Answer(saml::Refusal::Denied)) => NotSignedIn::Denied,
            Self::Provider(_) | Self::BySaml(_) => NotSignedIn::Disbelieved,
        })
    }
}

/// Why a page cannot be what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is an answer.
    #[error(transparent)]
    Refused(#[from] Why),
    /// Usher cannot answer now.
    #[error("unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// A provider that is not at work may be again.
    pub(super) fn idle(provider: &str) -> Self {
        Self::Unavailable(format!("the identity provider {provider} is not at work").into())
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
