//! What a caller of the runtime API shows: opaque, with a prefix that says what it is, and known to the ledger only as a hash.
//!
//! The prefix lets people, and programs that look for secrets which went astray, tell what they have found. 256 random bits follow: nobody
//! guesses them, so a bare SHA-256 is enough to keep.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::hex;

/// The length of 32 bytes, in characters.
const WHOLE: usize = 43;
/// The length of the mark that may follow ([`super::nonce::NonceKeys::marked`]), in characters.
pub(super) const MARK: usize = 8;

/// What it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To activate devices under one License.
    ActivationKey,
    /// The calls of one activation.
    Activation,
    /// To begin a login, once.
    Code,
    /// To ask whether somebody has signed in for a device, and then to begin a login, once.
    DeviceCode,
    /// The calls of somebody who is signed in.
    Access,
    /// To go on being signed in on a device: see [`device_token`].
    Device,
}

impl Purpose {
    const ALL: [Self; 6] =
        [Self::ActivationKey, Self::Activation, Self::Code, Self::DeviceCode, Self::Access, Self::Device];

    const fn prefix(self) -> &'static str {
        match self {
            Self::ActivationKey => "usher_key_",
            Self::Activation => "usher_act_",
            Self::Code => "usher_code_",
            Self::DeviceCode => "usher_wait_",
            Self::Access => "usher_acc_",
            Self::Device => "usher_dev_",
        }
    }

    /// The token that `entropy` and what it is `of` make: of one entropy, things that are told apart have tokens of their own.
    #[must_use]
    pub fn token(self, entropy: &[u8; 32], of: &str) -> Zeroizing<String> {
        let mut digest = Sha256::new();
        digest.update(self.prefix());
        digest.update(entropy);
        digest.update(of);
        self.of_bytes(&digest.finalize().into())
    }

    /// The token that these bytes are.
    pub(super) fn of_bytes(self, bytes: &[u8; 32]) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.prefix(), BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The bytes of which `text` is made, if it may be such a token at all; its mark, if it has one, is not looked at.
    pub(super) fn bytes(self, text: &str) -> Option<Zeroizing<[u8; 32]>> {
        let (random, mark) = text.strip_prefix(self.prefix())?.split_at_checked(WHOLE)?;
        if ![0, MARK].contains(&mark.len())
            || !mark.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return None;
        }
        let random = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(random).ok()?);
        random.as_slice().try_into().ok().map(Zeroizing::new)
    }

    /// Whether this text may be such a token at all.
    #[must_use]
    pub fn is_of(self, text: &str) -> bool {
        self.bytes(text).is_some()
    }
}

/// What a text may be, by its form alone: nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token that Usher has made.
    Own(Purpose),
    /// A JWT (RFC 7519): of a service account, or of whoever else Kubernetes knows.
    Kubernetes {
        /// For whom it says that it was made (`aud`).
        unproven_audiences: Vec<String>,
    },
}

/// The audiences of a JWT; one or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    aud: Option<Audiences>,
}

impl Credential {
    /// What `text` may be; nothing if it has the form of no credential.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let own = Purpose::ALL.into_iter().find(|own| own.is_of(text));
        own.map(Self::Own).or_else(|| Self::jwt(text))
    }

    fn jwt(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [header, payload, signature] = parts.as_slice() else { return None };
        for part in [header, signature] {
            BASE64_URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty())?;
        }
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let unproven_audiences = match serde_json::from_slice::<Payload>(&payload).ok()?.aud {
            None => Vec::new(),
            Some(Audiences::One(one)) => vec![one],
            Some(Audiences::Several(several)) => several,
        };
        Some(Self::Kubernetes { unproven_audiences })
    }
}

/// How much of a device token all of its family share: 128 bits that nobody guesses.
const FAMILY: usize = 16;

/// A device token of `family`, which `entropy` makes. The other half of it is its own, of as many bits: by the first half a token that was
/// used long ago is still known for what it is, and nothing need be kept of it.
#[must_use]
pub fn device_token(family: &[u8; FAMILY], entropy: &[u8; 32]) -> Zeroizing<String> {
    let own = Sha256::new().chain_update(b"device token").chain_update(entropy).finalize();
    let both: Vec<u8> = family.iter().chain(own.iter().take(FAMILY)).copied().collect();
    Zeroizing::new(format!("{}{}", Purpose::Device.prefix(), BASE64_URL_SAFE_NO_PAD.encode(both)))
}

/// The family of a device token.
#[must_use]
pub fn family(token: &str) -> Option<[u8; FAMILY]> {
    let random = token.strip_prefix(Purpose::Device.prefix())?;
    let both = BASE64_URL_SAFE_NO_PAD.decode(random).ok().filter(|bytes| bytes.len() == 2 * FAMILY)?;
    both.first_chunk().copied()
}

/// As what a family is kept.
#[must_use]
pub fn family_hash(family: &[u8; FAMILY]) -> String {
    hex(&Sha256::new().chain_update(b"family").chain_update(family).finalize())
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
    fn what_is_shown_is_told_apart_by_its_form() {
        for purpose in Purpose::ALL {
            let token = purpose.token(&[7; 32], "a");
            assert_eq!(Credential::of(&token), Some(Credential::Own(purpose)));
        }
        let jwt = |payload: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let audiences = |payload: &str| match Credential::of(&jwt(payload)) {
            Some(Credential::Kubernetes { unproven_audiences }) => Some(unproven_audiences),
            _ => None,
        };
        assert_eq!(audiences(r#"{"aud": "a", "sub": "s"}"#), Some(vec!["a".into()]));
        assert_eq!(audiences(r#"{"aud": ["a", "b"]}"#), Some(vec!["a".into(), "b".into()]));
        assert_eq!(audiences("{}"), Some(Vec::new()));
        for payload in ["", "1", r#"{"aud": 1}"#, r#"{"aud": ["a", 1]}"#] {
            assert_eq!(audiences(payload), None, "{payload}");
        }
        for text in
            ["", "..", "e30.e30", "e30.e30.", ".e30.c2ln", "e30.e30.c2ln.x", "e30.e30.!", "usher_key_AAAA"]
        {
            assert_eq!(Credential::of(text), None, "{text}");
        }
    }

    #[test]
    fn device_tokens_of_one_family_are_known_as_such_and_unlike() {
        let (first, second) = (device_token(&[1; 16], &[7; 32]), device_token(&[1; 16], &[8; 32]));
        assert!(*first != *second && Purpose::Device.is_of(&first));
        assert_eq!((family(&first), family(&second)), (Some([1; 16]), Some([1; 16])));
        assert_ne!(family_hash(&[1; 16]), family_hash(&[2; 16]));
        for other in ["", "usher_dev_AAAA", &Purpose::Access.token(&[7; 32], "")] {
            assert_eq!(family(other), None, "{other}");
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
