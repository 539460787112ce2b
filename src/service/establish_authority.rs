//! An Authority's keys: made once, found again ever after, turned when their time has come.
//!
//! ```text
//!   what the ledger knows ──► turn (pure) ──► a key is to be made ──► its Secret ──┐
//!          │                    ▲     └──► the root is to vouch ──► key set ───────┤
//!          │                    └──────────────────────────────────────────────────┘
//!          └──► nothing more to do ──► one commit ──► who signs, and what a person has to do
//! ```
//!
//! A key that went missing, or is another one, is never replaced: documents under the old one are out there, and programs
//! have pinned the root. Whoever has lost a signing key for good revokes it, which says what that means.
//!
//! A crash between the making of a Secret and the commit leaves a key that nobody knows; the next look finds it under
//! the name that it would make, and takes it.

mod gather;
mod says;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{
        license::Uid,
        reason::Because,
        reissue::Reissue,
        rotation::{self, Asked, Key, Policy, Root},
        text::{InvalidText, Issuer, KeyId},
    },
    keys::{Signer, key_set::Request},
    ledger::{Authorities, AuthorityFacts, KeepError, Reissuing, Unavailable},
    service::{
        establish_authority::gather::RootKey,
        key_store::{KeyStore, Role, made, recorded},
    },
};

/// How often the progress of a re-issue is looked at.
const PROGRESS: SignedDuration = SignedDuration::from_secs(10);
/// More effects than one look can have: a new key, its vouching, and the like again after a revocation.
const MOST_EFFECTS: usize = 8;

/// An Authority as its object declares it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Of the Authority object.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// Its issuer.
    pub issuer: Issuer,
    /// The thumbprint of its root key, if that is kept outside.
    pub root: Option<KeyId>,
    /// How long a key signs; absent: until a successor is asked for.
    pub every: Option<SignedDuration>,
    /// How long a key is shown before it signs.
    pub overlap: SignedDuration,
    /// A wish for a successor; acted upon once for each new text.
    pub wish: Option<String>,
    /// The names of keys that are in wrong hands.
    pub revoke: Vec<String>,
    /// It is to be left as it is: what signs goes on signing.
    pub paused: bool,
}

/// How an Authority stands.
#[derive(Debug)]
pub struct Established {
    /// What the ledger knows.
    pub facts: AuthorityFacts,
    /// Who signs, or why nobody does.
    pub signer: Result<Signer, Because>,
    /// What a person has to do, though documents are signed.
    pub trouble: Option<Because>,
    /// How far the documents under revoked keys have been made anew.
    pub reissuing: Reissuing,
    /// What happened to keys just now.
    pub news: Vec<Because>,
    /// When another key will sign.
    pub rotates_at: Option<Timestamp>,
    /// When to look again.
    pub next_look: Option<Timestamp>,
}

/// Why it is not known how an Authority stands.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError<E> {
    /// Only an edit can help, and nothing is known yet.
    #[error("{}", .0.message)]
    Stalled(Because),
    /// Somebody else was faster: look again.
    #[error("the facts have changed since they were read")]
    Conflict,
    /// The place for keys did not answer.
    #[error("reaching the key Secrets failed")]
    Keys(#[source] E),
    /// The ledger did not answer.
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
    /// What we wrote cannot be read.
    #[error("a key's name cannot be read")]
    Name(#[from] InvalidText),
}

/// One look at one Authority.
struct Look<'a, L, K> {
    ledger: &'a L,
    store: &'a K,
    authority: &'a Declared,
    now: Timestamp,
}

/// Looks at `authority`: makes, turns and revokes its keys as is due, commits that, and says who signs. `former` is the
/// signer that the last look of this process left.
///
/// # Errors
/// `Stalled` when only an edit can help and nothing is known of it yet; otherwise look again.
pub async fn establish_authority<L: Authorities, K: KeyStore>(
    ledger: &L,
    store: &K,
    authority: &Declared,
    former: Option<&Signer>,
    now: Timestamp,
    entropy: impl Fn() -> [u8; 32],
) -> Result<Established, EstablishError<K::Error>> {
    let look = Look { ledger, store, authority, now };
    let before = look.known().await?;
    let root = look.root(before.as_ref(), &entropy).await?;
    let mut after = match (&before, &root) {
        (Some(facts), _) => look.caught_up(facts, former.is_none()).await?,
        (None, RootKey::Here(root)) => look.unknown(root.kid()?).await?,
        (None, RootKey::Outside) => {
            look.unknown(authority.root.clone().ok_or(EstablishError::Conflict)?).await?
        }
        (None, RootKey::Lost(because)) => return Err(EstablishError::Stalled(because.clone())),
    };
    let (mut trouble, next) = match before {
        Some(_) if authority.paused => (None, None),
        _ => look.turn(before.as_ref(), &mut after, &root, &entropy).await?,
    };
    if before.as_ref() != Some(&after) {
        look.commit(before.as_ref(), &after).await?;
        after.version = before.as_ref().map_or(0, |before| before.version) + 1;
    }
    let reissuing = look.reissuing(&after).await?;
    let reissue = look.reissue(&after, reissuing, former.and_then(|former| former.reissue.as_ref()));
    let signer = match root {
        RootKey::Lost(because) => Err(because),
        RootKey::Here(_) | RootKey::Outside => look.signer(&after, trouble.as_ref(), reissue).await?,
    };
    if signer.is_ok() && trouble.is_none() {
        trouble = look.coming_is_missing(&after).await?.or_else(|| says::unknown_revoked(authority, &after));
    }
    let progress = (reissuing.left > 0).then(|| now.checked_add(PROGRESS).unwrap_or(Timestamp::MAX));
    Ok(Established {
        signer,
        trouble,
        reissuing,
        news: says::news(before.as_ref(), &after),
        rotates_at: rotation::rotates_at(&after.keys, look.policy(Root::Here)),
        next_look: next.into_iter().chain(progress).min(),
        facts: after,
    })
}

/// The keys of `facts` are published for everybody to see: the time of their overlap begins. Returns whether that was news.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn shown(
    ledger: &impl Authorities,
    facts: &AuthorityFacts,
    now: Timestamp,
) -> Result<bool, KeepError> {
    let mut after = facts.clone();
    rotation::show(&mut after.keys, now);
    if after == *facts || !rotation::may_be_shown(&facts.keys) {
        return Ok(false);
    }
    ledger.keep_authority(Some(facts), &after, now).await?;
    Ok(true)
}

impl<L: Authorities, K: KeyStore> Look<'_, L, K> {
    fn policy(&self, root: Root) -> Policy {
        Policy { every: self.authority.every, overlap: self.authority.overlap, root }
    }

    /// Turns the keys until nothing more is to be done. Returns what a person has to do, and when to come back.
    async fn turn(
        &self,
        before: Option<&AuthorityFacts>,
        facts: &mut AuthorityFacts,
        root: &RootKey,
        entropy: &impl Fn() -> [u8; 32],
    ) -> Result<(Option<Because>, Option<Timestamp>), EstablishError<K::Error>> {
        let wish = self.authority.wish.as_ref();
        let is_lost = matches!(root, RootKey::Lost(_));
        let wished = before.is_some() && wish.is_some() && wish != facts.rotated_for.as_ref() && !is_lost;
        let revoke = self.authority.revoke.iter().filter_map(|kid| kid.parse().ok()).collect();
        let mut asked = Asked { rotate: wished, revoke };
        let at = if matches!(root, RootKey::Here(_)) { Root::Here } else { Root::Outside };
        for _ in 0..MOST_EFFECTS {
            let turn = rotation::turn(&facts.keys, &asked, self.policy(at), self.now);
            facts.serial += u64::from(turn.raised);
            facts.keys = turn.keys;
            if asked.rotate && facts.keys.iter().any(Key::is_coming) {
                asked.rotate = false;
                facts.rotated_for = wish.cloned();
            }
            if turn.make && !is_lost {
                let last = facts.keys.iter().map(|key| key.ordinal).max().unwrap_or(0);
                facts.keys.push(self.new_key(last + 1, entropy).await?);
            } else if rotation::is_vouched(&facts.keys) {
                return Ok((None, turn.next));
            } else {
                let request = Request::of(&facts.issuer, facts.serial, &facts.keys);
                match self.vouched(root, &request, facts).await? {
                    Ok(keys_jws) => facts.keys_jws = Some(keys_jws),
                    Err(because) => return Ok((Some(because), turn.next)),
                }
                rotation::vouch(&mut facts.keys);
            }
        }
        Err(EstablishError::Conflict)
    }

    /// A key that no Authority has.
    async fn new_key(
        &self,
        first: u32,
        entropy: &impl Fn() -> [u8; 32],
    ) -> Result<Key, EstablishError<K::Error>> {
        for ordinal in first.. {
            let key =
                made(self.store, self.authority, Role::Signing(ordinal), entropy).await?.known_as(ordinal)?;
            match self.ledger.owner(&key.kid).await? {
                None => return Ok(key),
                // Of one that had this name and another issuer: its keys stay its own.
                Some(owner) if owner.gone => {}
                Some(_) => return Err(says::refused(self.authority, KeepError::KeyTaken(key.kid))),
            }
        }
        Err(EstablishError::Conflict)
    }

    /// The set of `request`, signed by the root; or what a person has to do first.
    async fn vouched(
        &self,
        root: &RootKey,
        request: &Request,
        facts: &AuthorityFacts,
    ) -> Result<Result<String, Because>, EstablishError<K::Error>> {
        match root {
            RootKey::Lost(because) => Ok(Err(because.clone())),
            RootKey::Here(root) => {
                let issued_at = u64::try_from(self.now.as_second()).unwrap_or(0);
                Ok(Ok(request.sign(root, issued_at)?))
            }
            RootKey::Outside => {
                let found = self.store.signed_key_set(self.authority).await.map_err(EstablishError::Keys)?;
                let former = facts.keys_jws.as_ref().map(String::as_bytes);
                let Some(found) = found.filter(|found| Some(found.as_slice()) != former) else {
                    return Ok(Err(says::root_needed(self.authority, request.serial)));
                };
                Ok(request
                    .accept(&facts.root, &found)
                    .map_err(|error| says::key_set_refused(self.authority, &error)))
            }
        }
    }

    async fn commit(
        &self,
        before: Option<&AuthorityFacts>,
        after: &AuthorityFacts,
    ) -> Result<(), EstablishError<K::Error>> {
        self.ledger
            .keep_authority(before, after, self.now)
            .await
            .map_err(|error| says::refused(self.authority, error))
    }

    async fn reissuing(&self, facts: &AuthorityFacts) -> Result<Reissuing, Unavailable> {
        if !facts.keys.iter().any(Key::is_revoked) {
            return Ok(Reissuing::default());
        }
        self.ledger.reissuing(&facts.uid).await
    }

    /// The re-issue of what is left; one that is under way goes on.
    fn reissue(&self, facts: &AuthorityFacts, left: Reissuing, former: Option<&Reissue>) -> Option<Reissue> {
        if left.left == 0 {
            return None;
        }
        let revoked: BTreeSet<KeyId> =
            facts.keys.iter().filter(|key| key.is_revoked()).map(|key| key.kid.clone()).collect();
        let under_way = former.filter(|former| former.is_of(&revoked)).cloned();
        Some(under_way.unwrap_or_else(|| Reissue::begin(revoked, left.left, self.now)))
    }

    async fn signer(
        &self,
        facts: &AuthorityFacts,
        trouble: Option<&Because>,
        reissue: Option<Reissue>,
    ) -> Result<Result<Signer, Because>, EstablishError<K::Error>> {
        let (Some(key), Some(keys_jws)) = (facts.keys.iter().find(|key| key.signs()), &facts.keys_jws) else {
            return Ok(Err(trouble
                .cloned()
                .unwrap_or_else(|| says::root_needed(self.authority, facts.serial))));
        };
        let found = recorded(self.store, self.authority, Role::Signing(key.ordinal), &key.kid).await?;
        Ok(found.map(|pair| Signer::new(facts.issuer.clone(), pair, keys_jws.clone(), reissue)))
    }

    /// A key that does not sign yet is missed in time.
    async fn coming_is_missing(
        &self,
        facts: &AuthorityFacts,
    ) -> Result<Option<Because>, EstablishError<K::Error>> {
        let Some(key) = facts.keys.iter().find(|key| key.is_coming()) else { return Ok(None) };
        Ok(recorded(self.store, self.authority, Role::Signing(key.ordinal), &key.kid).await?.err())
    }
}
