//! What a caller of the runtime API shows: opaque, with a prefix that says what it is, and known to the ledger only as a hash.
//!
//! The prefix lets people, and programs that look for secrets which went astray, tell what they have found. 256 random bits follow: nobody
//! guesses them, so a bare SHA-256 is enough to keep.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::hex;

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To activate devices under one License.
    ActivationKey,
    /// The calls of one activation.
    Activation,
}

impl Purpose {
    const fn prefix(self) -> &'static str {
        match self {
            Self::ActivationKey => "usher_key_",
            Self::Activation => "usher_act_",
        }
    }

    /// The token that `entropy` and what it is `of` make: of one entropy, things that are told apart have tokens of their own.
    #[must_use]
    pub fn token(self, entropy: &[u8; 32], of: &str) -> Zeroizing<String> {
        let mut digest = Sha256::new();
        digest.update(self.prefix());
        digest.update(entropy);
        digest.update(of);
        Zeroizing::new(format!("{}{}", self.prefix(), BASE64_URL_SAFE_NO_PAD.encode(digest.finalize())))
    }

    /// Whether this text may be such a token at all.
    #[must_use]
    pub fn is_of(self, text: &str) -> bool {
        let random = text.strip_prefix(self.prefix());
        random
            .is_some_and(|random| BASE64_URL_SAFE_NO_PAD.decode(random).is_ok_and(|bytes| bytes.len() == 32))
    }
}

/// As what a token is kept.
#[must_use]
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// Whether `token` is the one that is kept as `kept`; how long that takes does not tell how much of it is right.
#[must_use]
pub fn matches(token: &str, kept: &str) -> bool {
    hash(token).as_bytes().ct_eq(kept.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_is_for_and_is_known_by_its_hash() {
        let token = Purpose::ActivationKey.token(&[7; 32], "a");
        assert!(token.starts_with("usher_key_") && token.len() == 10 + 43, "{}", *token);
        assert!(Purpose::ActivationKey.is_of(&token) && !Purpose::Activation.is_of(&token));
        let kept = hash(&token);
        assert!(matches(&token, &kept));
        for other in
            [Purpose::ActivationKey.token(&[7; 32], "b"), Purpose::ActivationKey.token(&[8; 32], "a")]
        {
            assert!(!matches(&other, &kept));
        }
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_none() {
        for text in
            ["", "usher_key_", "usher_key_AAAA", "usher_key_!", &format!("usher_key_{}", "A".repeat(44))]
        {
            assert!(!Purpose::ActivationKey.is_of(text), "{text}");
        }
    }
}
