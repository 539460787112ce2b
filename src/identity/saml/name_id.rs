//! In which ways a provider names people (SAML Core, section 8.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// In which way a provider names people.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[schemars(inline)]
pub enum NameIdFormat {
    /// A name that means nothing, for good: the best there is.
    Persistent,
    /// An address: it may be given to another person one day.
    EmailAddress,
    /// Whatever the provider likes.
    Unspecified,
    /// A name in a directory of X.509.
    #[serde(rename = "X509SubjectName")]
    X509SubjectName,
    /// A name in a Windows domain.
    WindowsDomainQualifiedName,
    /// A Kerberos principal.
    Kerberos,
}

impl NameIdFormat {
    const ALL: [Self; 6] = [
        Self::Persistent,
        Self::EmailAddress,
        Self::Unspecified,
        Self::X509SubjectName,
        Self::WindowsDomainQualifiedName,
        Self::Kerberos,
    ];

    /// Its URI.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Persistent => "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            Self::EmailAddress => "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            Self::Unspecified => "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
            Self::X509SubjectName => "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName",
            Self::WindowsDomainQualifiedName => {
                "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"
            }
            Self::Kerberos => "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos",
        }
    }

    /// What a subject begins with whom a provider names in this way: the same name in two ways is two people.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::EmailAddress => "email-address",
            Self::Unspecified => "unspecified",
            Self::X509SubjectName => "x509-subject-name",
            Self::WindowsDomainQualifiedName => "windows-domain-qualified-name",
            Self::Kerberos => "kerberos",
        }
    }

    /// The format of this URI; unspecified if there is none.
    pub(super) fn of_uri(uri: Option<&str>) -> Result<Self, Refusal> {
        let Some(uri) = uri else { return Ok(Self::Unspecified) };
        if uri.ends_with(":transient") {
            return Err(Refusal::Transient);
        }
        Self::ALL.into_iter().find(|format| format.uri() == uri).ok_or(Refusal::NameIdFormat)
    }
}
