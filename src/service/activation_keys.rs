//! Activation keys: each is made once, for a name that the License declares, and lies in a Secret.
//!
//! The ledger keeps only hashes, so what somebody took out of the Secret or changed in it is gone: it is made anew, and the former
//! one is good for nothing from the commit on. That is also how a key is rotated. Where the ledger was lost, a key that is still in
//! the Secret proves by its tag that it was ours ([`super::recover_license`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    domain::license::License,
    keys::{nonce::NonceKeys, token},
    ledger::{Change, CommitError, Ledger},
};

/// The entries of a Secret.
pub type Entries = BTreeMap<String, Zeroizing<String>>;

/// The hashes of the keys that are `found` in the Secret of `license`, ours by their tags, and not known to the ledger: by name.
#[must_use]
pub fn proven(
    license: &License,
    found: &Entries,
    nonces: &NonceKeys,
    known: Option<&BTreeMap<String, String>>,
) -> Vec<(String, String)> {
    let names = license.activation_keys.iter().map(|key| key.name.as_str());
    let ours = names.filter_map(|name| {
        let key = found.get(name).filter(|key| nonces.made_activation_key(&license.uid, name, key))?;
        Some((name.to_owned(), token::hash(key)))
    });
    ours.filter(|(name, hash)| known.and_then(|known| known.get(name)) != Some(hash)).collect()
}

/// What the Secret of `license` is to hold, when it holds `found`. Keys that are made are committed first.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn keep_activation_keys(
    ledger: &impl Ledger,
    license: &License,
    found: &Entries,
    nonces: &NonceKeys,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<Entries, CommitError> {
    let all = ledger.facts(&license.key).await?;
    let Some(facts) = all.into_iter().find(|facts| facts.license == license.uid) else {
        return Err(CommitError::Conflict);
    };
    let (mut entries, mut made) = (Entries::new(), Vec::new());
    for key in &license.activation_keys {
        let name = key.name.as_str();
        let kept =
            facts.keys.get(name).and_then(|hash| found.get(name).filter(|key| token::matches(key, hash)));
        let key = kept.cloned().unwrap_or_else(|| {
            let fresh = nonces.activation_key(&license.uid, name, &entropy);
            made.push((name.to_owned(), token::hash(&fresh)));
            fresh
        });
        entries.insert(name.to_owned(), key);
    }
    let change = Change {
        keys: made,
        ..Change::new(license.key.clone(), license.uid.clone(), Some(facts.version), now, entropy)
    };
    if !change.is_empty() {
        ledger.commit(&change).await?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            contract::ActivationKey,
            license::{Uid, tests::license},
        },
        keys::nonce::NonceKey,
    };

    #[test]
    fn what_is_ours_by_its_tag_and_not_known_is_proven_and_nothing_else() {
        let nonces = NonceKeys::new(NonceKey::from_secret([7; 32]), Vec::new());
        let others = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
        let mut license = license(1);
        let named = |name: &str| ActivationKey {
            name: name.parse().unwrap(),
            expires: None,
            uses: None,
            sees_users: false,
        };
        license.activation_keys = ["lab", "office", "shop"].map(named).into();
        let (uid, other) = (license.uid.clone(), Uid("another".into()));
        let key = |name: &str| nonces.activation_key(&uid, name, &[1; 32]);
        let found = |lab: Zeroizing<String>| {
            let foreign = others.activation_key(&uid, "office", &[1; 32]);
            let swapped = nonces.activation_key(&other, "shop", &[1; 32]);
            [("lab", lab), ("office", foreign), ("shop", swapped), ("former", key("former"))]
                .map(|(name, key)| (name.to_owned(), key))
                .into()
        };
        let lab = [("lab".to_owned(), token::hash(&key("lab")))];
        let known = BTreeMap::from(lab.clone());
        assert!(proven(&license, &found(key("lab")), &nonces, Some(&known)).is_empty(), "its uses count on");
        let proven = |lab: Zeroizing<String>| proven(&license, &found(lab), &nonces, None);
        assert_eq!(proven(key("lab")), lab);
        assert!(proven(key("office")).is_empty(), "a key of another name");
        assert!(proven(Zeroizing::new("usher_key_AAAA".into())).is_empty());
    }
}
