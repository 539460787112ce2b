//! What is sealed: it lies in the ledger, and whoever has only that reads nothing of it.
//!
//! ```text
//!   nonce (12) │ AES-256-GCM-SIV of the text, with its tag (16)       base64url without padding
//! ```
//!
//! The key is made from that of nonces by HMAC-SHA-256 over a prefix of its own, so it lies in the same Secret, and is of no other use. What it
//! is sealed for goes in as associated data: put into another's place it does not open. Nonces are random, and GCM-SIV (RFC 8452) keeps what
//! it promises even if two were alike, which matters for a key that seals for years.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac as _;
use zeroize::Zeroizing;

use super::{NonceKey, NonceKeys, TAG};

const SEAL: &[u8] = b"usher seal 1\0";

impl NonceKey {
    fn sealing(&self) -> Option<LessSafeKey> {
        let secret =
            Zeroizing::new(<[u8; 32]>::from(self.mac.clone().chain_update(SEAL).finalize().into_bytes()));
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, secret.as_slice()).ok()?))
    }
}

impl NonceKeys {
    /// Seals `text` for what `of` names. `entropy` is for this alone. Nothing only if the text is larger than anything makes sense.
    #[must_use]
    pub fn seal(&self, of: &str, text: &str, entropy: &[u8; 32]) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = *entropy.first_chunk()?;
        // Large enough from the start, so that no copy of the text is left behind.
        let mut whole = Vec::with_capacity(text.len().saturating_add(TAG));
        whole.extend_from_slice(text.as_bytes());
        let (once, of) = (Nonce::assume_unique_for_key(nonce), Aad::from(of.as_bytes()));
        self.current.sealing()?.seal_in_place_append_tag(once, of, &mut whole).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &whole].concat()))
    }

    /// What was sealed for what `of` names; nothing if it was sealed for something else, was changed, or is of a key that is not here any more.
    #[must_use]
    pub fn open(&self, of: &str, sealed: &str) -> Option<Zeroizing<String>> {
        let whole = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = whole.split_first_chunk::<NONCE_LEN>()?;
        std::iter::once(&self.current).chain(&self.former).find_map(|key| {
            let mut opened = Zeroizing::new(sealed.to_vec());
            let (once, of) = (Nonce::assume_unique_for_key(*nonce), Aad::from(of.as_bytes()));
            let text = key.sealing()?.open_in_place(once, of, &mut opened).ok()?;
            Some(Zeroizing::new(std::str::from_utf8(text).ok()?.to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: u8) -> NonceKeys {
        NonceKeys::new(NonceKey::from_secret([secret; 32]), Vec::new())
    }

    #[test]
    fn what_is_sealed_is_opened_where_it_was_sealed_for_and_nowhere_else() {
        let sealed = keys(7).seal("a", "text", &[5; 32]).unwrap();
        assert!(!sealed.contains("text"));
        assert_eq!(keys(7).open("a", &sealed).as_deref().map(String::as_str), Some("text"));
        assert!(keys(7).open("b", &sealed).is_none(), "put into another's place");
        assert_ne!(keys(7).seal("a", "text", &[6; 32]).unwrap(), sealed);
        let whole = BASE64_URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(keys(7).open("a", &BASE64_URL_SAFE_NO_PAD.encode(other)).is_none(), "byte {at}");
        }
        for text in ["", "x", "n\u{f6}", "AAAA", &sealed[..20], &format!("{sealed}=")] {
            assert!(keys(7).open("a", text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_another_key_has_sealed_is_nothing_and_what_a_former_one_has_is_there() {
        let sealed = keys(7).seal("a", "text", &[5; 32]).unwrap();
        assert!(keys(8).open("a", &sealed).is_none());
        let turned = NonceKeys::new(NonceKey::from_secret([8; 32]), vec![NonceKey::from_secret([7; 32])]);
        assert!(turned.open("a", &sealed).is_some());
    }
}
