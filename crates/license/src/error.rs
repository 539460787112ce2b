//! Why a document, a key set or a key was refused.
//!
//! Each refusal has three faces: [`Error::code`] for programs (stable, kebab-case), the message for logs (lower-case, what was
//! expected and what was found) and [`Error::next`] for the person in front of the screen. What comes from the refused bytes is
//! escaped and cut before it enters a message, so that it can be logged.

/// How many characters of the refused bytes a message may quote.
const QUOTED_CHARS: usize = 120;

/// A refusal. See [`verify`](crate::verify) for the order in which they are found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than any genuine document or key set has.
    #[error("{what} has {found} bytes, at most {limit} are read")]
    Oversized {
        /// What was read.
        what: &'static str,
        /// The most that is read, in bytes.
        limit: usize,
        /// Its size in bytes.
        found: usize,
    },
    /// Not of the form that the specification gives it.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// One JSON object names a member twice, so two readers could see two things.
    #[error("{what} names the member {member} twice in one object")]
    DuplicateMember {
        /// What was read.
        what: &'static str,
        /// The member, quoted.
        member: String,
    },
    /// JSON nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    #[error("{what} is nested more than {limit} levels deep")]
    TooDeep {
        /// What was read.
        what: &'static str,
        /// The deepest level that is read.
        limit: usize,
    },
    /// A header that brings its own key, or changes how the document is to be read.
    #[error("the header has the member `{member}`, which is never followed")]
    ForbiddenHeader {
        /// The member.
        member: &'static str,
    },
    /// Another kind of token.
    #[error("expected typ `{expected}`, found {found}")]
    WrongType {
        /// The only `typ` that is taken here.
        expected: &'static str,
        /// The `typ` found, quoted, or "none".
        found: String,
    },
    /// Signed, or pretended to be signed, in another way.
    #[error("expected alg `EdDSA` or `Ed25519`, found {found}")]
    WrongAlgorithm {
        /// The `alg` found, quoted, or "none".
        found: String,
    },
    /// Signed under a key that is not among the trusted ones.
    #[error("the key {kid} is not among the trusted keys")]
    UnknownKey {
        /// The `kid` of the header, quoted.
        kid: String,
    },
    /// Signed under a key that is no longer to be used.
    #[error("the key `{kid}` was good until {exp}, now is {now}")]
    KeyExpired {
        /// The key's thumbprint.
        kid: String,
        /// Its not-after, Unix seconds.
        exp: u64,
        /// The time of the check, Unix seconds.
        now: u64,
    },
    /// The signature is not that key's over these bytes.
    #[error("the signature is not that of the key `{kid}` over this document")]
    BadSignature {
        /// The key's thumbprint.
        kid: String,
    },
    /// A later form of the document.
    #[error("expected schema {expected}, found schema {found}")]
    UnsupportedSchema {
        /// The version that this crate reads.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// Another authority's.
    #[error("expected the issuer `{expected}`, found {found}")]
    WrongIssuer {
        /// The trusted issuer.
        expected: String,
        /// The issuer found, quoted.
        found: String,
    },
    /// For another product.
    #[error("expected the product `{expected}`, found {found}")]
    WrongProduct {
        /// The product that asks.
        expected: String,
        /// The audience found, quoted.
        found: String,
    },
    /// Before its `nbf`.
    #[error("the document is valid from {nbf} on, now is {now}")]
    NotYetValid {
        /// The first instant of validity, Unix seconds.
        nbf: u64,
        /// The time of the check, Unix seconds.
        now: u64,
    },
    /// Over: the document, or the license that it speaks of.
    #[error("{cause}")]
    Expired {
        /// Which of the two.
        cause: Expiry,
    },
    /// Its issuer has suspended the license.
    #[error("the license is suspended by its issuer")]
    Suspended,
    /// A key set of another root.
    #[error("expected the root key `{expected}`, found {found}")]
    WrongRoot {
        /// The pinned thumbprint.
        expected: String,
        /// The thumbprint found, quoted.
        found: String,
    },
    /// A key that goes by another name than its thumbprint.
    #[error("expected the kid `{expected}`, found {found}")]
    KidMismatch {
        /// The key's RFC 7638 thumbprint.
        expected: String,
        /// The name that it was given, quoted.
        found: String,
    },
    /// An older key set than one that was seen before.
    #[error("expected a key set with serial {minimum} or later, found {found}")]
    OldKeySet {
        /// The highest serial seen.
        minimum: u64,
        /// The serial of this one.
        found: u64,
    },
    /// Keys, but none that can be used now.
    #[error("{what} has no Ed25519 key that may be used at {now}")]
    NoUsableKey {
        /// What was read.
        what: &'static str,
        /// The time of the check, Unix seconds.
        now: u64,
    },
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The document: its `exp` has come.
    Document {
        /// Unix seconds.
        exp: u64,
        /// The time of the check, Unix seconds.
        now: u64,
    },
    /// The license: its issuer signed the state `expired`.
    License,
}

impl std::fmt::Display for Expiry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document { exp, now } => {
                write!(out, "the document was valid until {exp}, now is {now}")
            }
            Self::License => out.write_str("the license has expired, its issuer says"),
        }
    }
}

/// One table gives `code` and `CODES`, so that neither can forget a variant.
macro_rules! codes {
    ($($variant:ident => $code:literal,)*) => {
        impl Error {
            /// Every code that there is.
            pub const CODES: &[&str] = &[$($code),*];

            /// The stable name of the refusal.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code,)* }
            }
        }
    };
}

codes! {
    Oversized => "oversized",
    Malformed => "malformed",
    DuplicateMember => "duplicate-member",
    TooDeep => "too-deep",
    ForbiddenHeader => "forbidden-header",
    WrongType => "wrong-type",
    WrongAlgorithm => "wrong-algorithm",
    UnknownKey => "unknown-key",
    KeyExpired => "key-expired",
    BadSignature => "bad-signature",
    UnsupportedSchema => "unsupported-schema",
    WrongIssuer => "wrong-issuer",
    WrongProduct => "wrong-product",
    NotYetValid => "not-yet-valid",
    Expired => "expired",
    Suspended => "suspended",
    WrongRoot => "wrong-root",
    KidMismatch => "kid-mismatch",
    OldKeySet => "old-key-set",
    NoUsableKey => "no-usable-key",
}

impl Error {
    /// What the user should do, as one sentence.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Oversized { .. } | Self::Malformed { .. } => {
                "Fetch the file again, byte for byte, and do not edit it; if it is refused again, show it to whoever issued it."
            }
            Self::DuplicateMember { .. }
            | Self::TooDeep { .. }
            | Self::ForbiddenHeader { .. }
            | Self::WrongAlgorithm { .. }
            | Self::KidMismatch { .. } => {
                "Do not use it: Usher does not issue such files; tell whoever gave it to you."
            }
            Self::WrongType { .. } => {
                "Give the license document where one is asked for, and the key set where that is asked for."
            }
            Self::UnknownKey { .. } => {
                "Fetch the authority's current keys; if the key stays unknown, the document is another authority's."
            }
            Self::KeyExpired { .. } => "Fetch the document again: it has been renewed under a newer key.",
            Self::BadSignature { .. } => "Fetch the document again: it was changed after it was signed.",
            Self::UnsupportedSchema { .. } => "Update the program that reads the document.",
            Self::WrongIssuer { .. } => {
                "Use a document of the expected authority, or correct the issuer that is trusted."
            }
            Self::WrongProduct { .. } => "Use the document of this product.",
            Self::NotYetValid { .. } => {
                "Check this machine's clock; if it is right, wait until the license begins."
            }
            Self::Expired { cause: Expiry::Document { .. } } => {
                "Fetch the renewed document, and check this machine's clock."
            }
            Self::Expired { cause: Expiry::License } => "Ask whoever manages your licenses to extend it.",
            Self::Suspended => "Ask whoever manages your licenses why it is suspended.",
            Self::WrongRoot { .. } => {
                "Use the key set of the authority whose root key is pinned, or correct the pin."
            }
            Self::OldKeySet { .. } => "Fetch the authority's current key set.",
            Self::NoUsableKey { .. } => "Fetch the authority's current keys, and check this machine's clock.",
        }
    }

    pub(crate) fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Malformed { what, why: cut(&why.to_string()) }
    }
}

/// Untrusted text for a message: quoted, escaped, cut.
pub(crate) fn quoted(untrusted: &str) -> String {
    format!("`{}`", cut(untrusted))
}

/// As [`quoted`], or "none".
pub(crate) fn quoted_or_none(untrusted: Option<&str>) -> String {
    untrusted.map_or_else(|| "none".to_owned(), quoted)
}

fn cut(untrusted: &str) -> String {
    let mut chars = untrusted.chars();
    let mut text: String = chars.by_ref().take(QUOTED_CHARS).flat_map(escape).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Control characters as `\u{…}`, all others as they are.
fn escape(char: char) -> impl Iterator<Item = char> {
    let (escaped, plain) =
        if char.is_control() { (Some(char.escape_unicode()), None) } else { (None, Some(char)) };
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_refused_bytes_say_is_cut_and_escaped_before_it_is_logged() {
        let error = Error::malformed("header", "a\nb\u{1b}[31m");
        assert_eq!(error.to_string(), "header is malformed: a\\u{a}b\\u{1b}[31m");
        assert_eq!(quoted(&"x".repeat(100_000)).chars().count(), QUOTED_CHARS + 3);
    }

    #[test]
    fn every_code_is_kebab_case_and_occurs_once() {
        let mut codes = Error::CODES.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Error::CODES.len());
        assert!(
            codes.iter().all(|code| { code.chars().all(|char| char.is_ascii_lowercase() || char == '-') })
        );
    }
}
