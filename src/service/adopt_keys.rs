//! An Authority whose keys are there, and of which the ledger knows nothing, or less: it was lost, or is a backup.
//!
//! The published key set says what the keys are, for the root has signed it. In its order the first key without an end signs,
//! later ones are announced, those with an end are retired. A Secret whose key is not in the set holds a key that was withdrawn or
//! revoked: nobody knows which, so it is never used again. The numbers go on from the set's. Of a ledger and a published set that
//! are of different times the later one counts, by its number; what the ledger knows to be revoked stays so. A wish for a successor
//! is fulfilled where one has come meanwhile.

use std::collections::BTreeMap;

use jiff::Timestamp;
use usher_license::{KeySet, Thumbprint};

use crate::{
    domain::{
        rotation::{Key, MOST_PUBLISHED, State, WITHOUT_END},
        text::KeyId,
    },
    keys::{
        KeyPair,
        key_set::{RequestedKey, keys_in},
    },
    ledger::AuthorityFacts,
    service::{
        establish_authority::{Declared, EstablishError},
        key_store::{KeyStore, Role},
    },
};

/// Brings into `facts`, which know nothing yet, what the published key set and the Secrets say.
pub(super) async fn adopt_keys<K: KeyStore>(
    store: &K,
    authority: &Declared,
    facts: &mut AuthorityFacts,
    now: Timestamp,
) -> Result<(), EstablishError<K::Error>> {
    let found = found(store, authority).await?;
    let vouched = match published(store, authority, facts).await? {
        Some((serial, keys_jws)) => {
            let keys = keys_in(&keys_jws);
            (facts.serial, facts.keys_jws) = (serial, Some(keys_jws));
            keys
        }
        // One key that nobody has heard of yet was made just before a crash: the next one to make is that.
        None if found.len() < 2 => return Ok(()),
        None => Vec::new(),
    };
    facts.keys = adopted(&found, &vouched, now);
    Ok(())
}

/// Brings `facts`, if they are of an earlier time than the published key set, up to it.
pub(super) async fn catch_up<K: KeyStore>(
    store: &K,
    authority: &Declared,
    facts: &mut AuthorityFacts,
    now: Timestamp,
) -> Result<(), EstablishError<K::Error>> {
    let Some((serial, keys_jws)) = published(store, authority, facts).await? else { return Ok(()) };
    if serial <= facts.serial {
        return Ok(());
    }
    let mut there = found(store, authority).await?;
    there.extend(facts.keys.iter().map(|key| (key.kid.clone(), key.clone())));
    let later = adopted(&there, &keys_in(&keys_jws), now);
    if later.iter().any(|key| facts.keys.iter().all(|known| known.kid != key.kid)) {
        // A successor has come since: whoever wished for one has it.
        facts.rotated_for.clone_from(&authority.wish);
    }
    facts.keys = later.into_iter().map(|key| merged(there.get(&key.kid), key)).collect();
    (facts.serial, facts.keys_jws) = (serial, Some(keys_jws));
    Ok(())
}

/// The later state of a key, with what was known of it.
fn merged(known: Option<&Key>, later: Key) -> Key {
    let Some(known) = known else { return later };
    let over = matches!(known.state, State::Withdrawn | State::Revoked { .. });
    let state = if over || known.state.name() == later.state.name() { known.state } else { later.state };
    Key { state, last_exp: known.last_exp.max(later.last_exp), ..later }
}

/// The published key set and its number, if the root has signed it.
async fn published<K: KeyStore>(
    store: &K,
    authority: &Declared,
    facts: &AuthorityFacts,
) -> Result<Option<(u64, String)>, EstablishError<K::Error>> {
    let published = store.published_key_set(authority).await.map_err(EstablishError::Keys)?;
    let root: Option<Thumbprint> = facts.root.as_str().parse().ok();
    Ok(published.zip(root).and_then(|(set, root)| {
        let verified = KeySet::verify(&set, &root, facts.issuer.as_str()).ok()?;
        Some((verified.serial(), String::from_utf8(set).ok()?))
    }))
}

/// The keys that are in Secrets. Former ones may have been deleted.
async fn found<K: KeyStore>(
    store: &K,
    authority: &Declared,
) -> Result<BTreeMap<KeyId, Key>, EstablishError<K::Error>> {
    let mut found = BTreeMap::new();
    let (mut ordinal, mut missed) = (1, 0);
    while missed < MOST_PUBLISHED {
        let jwk = store.find(authority, Role::Signing(ordinal)).await.map_err(EstablishError::Keys)?;
        missed = if jwk.is_some() { 0 } else { missed + 1 };
        if let Some(pair) = jwk.and_then(|jwk| KeyPair::from_jwk(&jwk).ok()) {
            let key = pair.known_as(ordinal)?;
            found.insert(key.kid.clone(), key);
        }
        ordinal += 1;
    }
    Ok(found)
}

fn adopted(found: &BTreeMap<KeyId, Key>, vouched: &[RequestedKey], now: Timestamp) -> Vec<Key> {
    let mut free = found.values().map(|key| key.ordinal).max().unwrap_or(0);
    let mut keys: Vec<Key> = Vec::new();
    for RequestedKey { kid, x, exp } in vouched {
        let key = found.get(kid).cloned().unwrap_or_else(|| {
            free += 1;
            Key::new(free, kid.clone(), x.clone())
        });
        let state = match *exp {
            WITHOUT_END if keys.iter().any(Key::signs) => State::Announced { shown: Some(now) },
            WITHOUT_END => State::Signing { since: now },
            _ => State::Retired { since: now },
        };
        let last_exp = i64::try_from(*exp).ok().filter(|_| *exp != WITHOUT_END);
        let last_exp = last_exp.and_then(|exp| Timestamp::from_second(exp).ok());
        keys.push(Key { state, last_exp, wanted: Some(*exp), vouched: Some(*exp), ..key });
    }
    let others = found.values().filter(|key| vouched.iter().all(|vouched| vouched.kid != key.kid));
    keys.extend(others.map(|key| Key {
        state: State::Revoked { at: now },
        wanted: None,
        vouched: None,
        ..key.clone()
    }));
    keys.sort_by_key(|key| key.ordinal);
    keys
}
