//! Which of an Authority's keys signs, and which are published.
//!
//! ```text
//!        vouched for            shown for `overlap`       its successor signs       last `exp` under it
//!  Made ────────────► Announced ────────────────► Signing ────────────────► Retired ────────────────► Withdrawn
//!   │                     │                          │                         │                          │
//!   └─────────────────────┴───────────── revoked ────┴─────────────────────────┴──────────────────────────┘
//!                                            ▼
//!                                         Revoked
//! ```
//!
//! 1. At most one key signs; none only while no key may.
//! 2. A key signs once it was vouched for by the root and then shown for `overlap`, so that verifiers that keep keys for a
//!    while know it before they meet it. Where nothing else signs (the first key, and after a revocation) it signs at once:
//!    to sign nothing would be worse.
//! 3. A key is published from its announcement to the last `exp` under it. While it signs it has no not-after, for
//!    nobody knows what it will still sign; once it is retired, that `exp` is its not-after.
//! 4. A revoked key is published no longer, whatever lies under it, and never comes back.
//! 5. A successor is made `overlap` before `every` has passed, or when asked for; never two at once.
//! 6. What the root has to vouch for is the *wanted* set, and each change of it has a number that only rises. With the root
//!    at hand it is signed at once. A root outside is asked only when a key has come or was revoked: that
//!    another one was retired can wait until then.
//!
//! Pure: the time is an argument. [`turn`] is asked again after each of its effects (a key was made, the root has
//! vouched, the set was shown); where nothing is to be done it changes nothing.

use jiff::{SignedDuration, Timestamp};

use crate::domain::text::{KeyId, PublicKey};

/// The not-after of a key whose end nobody knows yet: 9999-12-31T23:59:59Z.
pub const WITHOUT_END: u64 = 253_402_300_799;
/// The most keys that are published at once. Each document's Secret carries the whole set, about 300 bytes a key; and
/// who rotates faster than documents end would fill it without end. At this many the next rotation waits.
pub const MOST_PUBLISHED: usize = 16;

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there, and the root has not vouched for it.
    Made,
    /// The root has vouched for it; it does not sign yet.
    Announced {
        /// Since when the key set with it can be seen.
        shown: Option<Timestamp>,
    },
    /// It signs what is new and what renews.
    Signing {
        /// Since when.
        since: Timestamp,
    },
    /// It signs no more; documents under it may be out there.
    Retired {
        /// Since when.
        since: Timestamp,
    },
    /// All that it has signed has ended.
    Withdrawn,
    /// It is in wrong hands: nothing under it is good any more.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

impl State {
    /// Its name, in the ledger and in the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Announced { .. } => "announced",
            Self::Signing { .. } => "signing",
            Self::Retired { .. } => "retired",
            Self::Withdrawn => "withdrawn",
            Self::Revoked { .. } => "revoked",
        }
    }
}

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The first of an Authority is 1; its Secret is named after it.
    pub ordinal: u32,
    /// Its thumbprint.
    pub kid: KeyId,
    /// Its public half.
    pub public: PublicKey,
    /// Where it is in its life.
    pub state: State,
    /// The last `exp` under it; absent if it has signed nothing.
    pub last_exp: Option<Timestamp>,
    /// Its not-after in the set that the root is to vouch for; absent if it is not in there.
    pub wanted: Option<u64>,
    /// Its not-after in the set that the root has vouched for; absent if it is not in there.
    pub vouched: Option<u64>,
}

impl Key {
    /// A key that was made just now.
    #[must_use]
    pub const fn new(ordinal: u32, kid: KeyId, public: PublicKey) -> Self {
        Self { ordinal, kid, public, state: State::Made, last_exp: None, wanted: None, vouched: None }
    }

    /// Whether documents under it are to be accepted.
    #[must_use]
    pub const fn is_published(&self) -> bool {
        matches!(self.state, State::Announced { .. } | State::Signing { .. } | State::Retired { .. })
    }

    /// Whether it is on its way to signing.
    #[must_use]
    pub const fn is_coming(&self) -> bool {
        matches!(self.state, State::Made | State::Announced { .. })
    }

    /// Whether it signs.
    #[must_use]
    pub const fn signs(&self) -> bool {
        matches!(self.state, State::Signing { .. })
    }

    /// Whether it was revoked.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        matches!(self.state, State::Revoked { .. })
    }

    /// From when on nothing under it is accepted, in Unix seconds.
    #[must_use]
    pub fn not_after(&self) -> Option<u64> {
        match self.state {
            State::Made | State::Announced { .. } | State::Signing { .. } => Some(WITHOUT_END),
            State::Retired { .. } => self.last_exp.map(|exp| u64::try_from(exp.as_second()).unwrap_or(0)),
            State::Withdrawn | State::Revoked { .. } => None,
        }
    }
}

/// Where the root key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// At hand: it signs at once.
    Here,
    /// With somebody who signs when asked.
    Outside,
}

/// How keys follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a key signs; absent: until a successor is asked for.
    pub every: Option<SignedDuration>,
    /// How long a key is shown before it signs.
    pub overlap: SignedDuration,
    /// Where the root key is.
    pub root: Root,
}

/// What people ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// A successor, now.
    pub rotate: bool,
    /// Keys that are in wrong hands.
    pub revoke: Vec<KeyId>,
}

/// What becomes of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The keys from now on.
    pub keys: Vec<Key>,
    /// The wanted set is another one than before: its number rises.
    pub raised: bool,
    /// A key is to be made; with it among the keys, [`turn`] again.
    pub make: bool,
    /// When something is to be done next.
    pub next: Option<Timestamp>,
}

/// What is to become of `keys` at `now`.
#[must_use]
pub fn turn(keys: &[Key], asked: &Asked, policy: Policy, now: Timestamp) -> Turn {
    let mut keys = keys.to_vec();
    revoke(&mut keys, &asked.revoke, now);
    hand_over(&mut keys, policy.overlap, now);
    withdraw(&mut keys, now);
    let raised = want(&mut keys, policy.root);
    let make = successor_due(&keys, policy).is_some_and(|due| asked.rotate || due <= now) && has_room(&keys);
    let next = next(&keys, policy).filter(|at| *at > now);
    Turn { keys, raised, make, next }
}

fn revoke(keys: &mut [Key], revoked: &[KeyId], now: Timestamp) {
    for key in keys.iter_mut().filter(|key| !key.is_revoked() && revoked.contains(&key.kid)) {
        key.state = State::Revoked { at: now };
    }
}

/// When an announced key may sign.
fn may_sign(key: &Key, another_signs: bool, overlap: SignedDuration) -> Option<Timestamp> {
    match key.state {
        State::Announced { .. } if !another_signs => Some(Timestamp::MIN),
        State::Announced { shown: Some(shown) } => Some(later(shown, overlap)),
        _ => None,
    }
}

fn hand_over(keys: &mut [Key], overlap: SignedDuration, now: Timestamp) {
    let signing = keys.iter().position(Key::signs);
    let ready = |key: &Key| may_sign(key, signing.is_some(), overlap).is_some_and(|at| at <= now);
    let Some(successor) = keys.iter().position(ready) else { return };
    if let Some(key) = signing.and_then(|signing| keys.get_mut(signing)) {
        key.state = State::Retired { since: now };
    }
    if let Some(key) = keys.get_mut(successor) {
        key.state = State::Signing { since: now };
    }
}

fn withdraw(keys: &mut [Key], now: Timestamp) {
    for key in keys.iter_mut().filter(|key| matches!(key.state, State::Retired { .. })) {
        if key.last_exp.is_none_or(|exp| exp <= now) {
            key.state = State::Withdrawn;
        }
    }
}

/// Brings the wanted set up to date. Returns whether it changed.
fn want(keys: &mut [Key], root: Root) -> bool {
    let worth_asking = |key: &Key| match key.state {
        State::Made => key.wanted.is_none(),
        State::Revoked { .. } => key.wanted.is_some(),
        _ => false,
    };
    if root == Root::Outside && !keys.iter().any(worth_asking) {
        return false;
    }
    let mut changed = false;
    for key in keys {
        let wanted = key.not_after();
        changed |= std::mem::replace(&mut key.wanted, wanted) != wanted;
    }
    changed
}

/// When a successor is to be made; absent while one is on its way.
fn successor_due(keys: &[Key], policy: Policy) -> Option<Timestamp> {
    if keys.iter().any(Key::is_coming) {
        return None;
    }
    let Some(key) = keys.iter().find(|key| key.signs()) else { return Some(Timestamp::MIN) };
    match (key.state, policy.every) {
        (State::Signing { since }, Some(every)) => Some(later(later(since, every), -policy.overlap)),
        _ => Some(Timestamp::MAX),
    }
}

/// Where nothing signs there is always room.
fn has_room(keys: &[Key]) -> bool {
    !keys.iter().any(Key::signs) || !is_full(keys)
}

/// Whether as many keys are published as may be.
#[must_use]
pub fn is_full(keys: &[Key]) -> bool {
    keys.iter().filter(|key| key.is_published()).count() >= MOST_PUBLISHED
}

fn next(keys: &[Key], policy: Policy) -> Option<Timestamp> {
    let another_signs = keys.iter().any(Key::signs);
    let signs = keys.iter().filter_map(|key| may_sign(key, another_signs, policy.overlap));
    let ends =
        keys.iter().filter(|key| matches!(key.state, State::Retired { .. })).filter_map(|key| key.last_exp);
    let successor = successor_due(keys, policy).filter(|at| *at < Timestamp::MAX && has_room(keys));
    signs.chain(ends).chain(successor).min()
}

/// When another key will sign, as far as it is known.
#[must_use]
pub fn rotates_at(keys: &[Key], policy: Policy) -> Option<Timestamp> {
    let coming = keys.iter().filter_map(|key| may_sign(key, true, policy.overlap)).min();
    let scheduled = successor_due(keys, policy).filter(|at| *at < Timestamp::MAX);
    coming.or_else(|| scheduled.map(|at| later(at, policy.overlap)))
}

/// The root has vouched for the wanted set.
pub fn vouch(keys: &mut [Key]) {
    for key in keys {
        key.vouched = key.wanted;
        if key.state == State::Made && key.vouched.is_some() {
            key.state = State::Announced { shown: None };
        }
    }
}

/// Everybody can see the set that the root has vouched for.
pub fn show(keys: &mut [Key], now: Timestamp) {
    for key in keys {
        if key.state == (State::Announced { shown: None }) {
            key.state = State::Announced { shown: Some(now) };
        }
    }
}

/// Whether the root has vouched for what is wanted.
#[must_use]
pub fn is_vouched(keys: &[Key]) -> bool {
    keys.iter().all(|key| key.vouched == key.wanted)
}

/// Whether the set that the root has vouched for may be shown: not with a revoked key in it.
#[must_use]
pub fn may_be_shown(keys: &[Key]) -> bool {
    keys.iter().all(|key| !key.is_revoked() || key.vouched.is_none())
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(end)
}

#[cfg(test)]
mod tests;
