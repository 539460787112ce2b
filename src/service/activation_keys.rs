//! Activation keys: each is made once, for a name that the License declares, and lies in a Secret.
//!
//! The ledger keeps only hashes, so what somebody took out of the Secret or changed in it is gone: it is made anew, and the former
//! one is good for nothing from the commit on. That is also how a key is rotated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    domain::license::License,
    keys::token::{self, Purpose},
    ledger::{Change, CommitError, Ledger},
};

/// The entries of a Secret.
pub type Entries = BTreeMap<String, Zeroizing<String>>;

/// What the Secret of `license` is to hold, when it holds `found`. Keys that are made are committed first.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn keep_activation_keys(
    ledger: &impl Ledger,
    license: &License,
    found: &Entries,
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
            let fresh = Purpose::ActivationKey.token(&entropy, name);
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
