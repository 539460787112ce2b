//! What people are told about the keys of an Authority. Pure.

use crate::{
    domain::{
        reason::{Because, Reason},
        rotation::{Key, State},
        text::KeyId,
    },
    keys::key_set::KeySetError,
    ledger::{AuthorityFacts, KeepError},
    service::establish_authority::{Declared, EstablishError},
};

pub(super) fn root_needed(authority: &Declared, serial: u64) -> Because {
    let name = &authority.name;
    Because::new(
        Reason::RootNeeded,
        format!(
            "its root key (spec.root) is kept outside and has to sign key set {serial}: take request.json of ConfigMap usher-authority-{name}, \
             run `usher sign-keys`, and put the result as keys.jws into ConfigMap usher-key-set-{name} beside it"
        ),
    )
}

pub(super) fn key_set_refused(authority: &Declared, error: &KeySetError) -> Because {
    let name = &authority.name;
    Because::new(
        Reason::KeySetRefused,
        format!(
            "the key set in ConfigMap usher-key-set-{name} is not taken, {error}: sign request.json of ConfigMap usher-authority-{name} as it is now"
        ),
    )
}

pub(super) fn root_changed(root: &KeyId, facts: &AuthorityFacts) -> Because {
    Because::new(
        Reason::RootChanged,
        format!(
            "spec.root is {root}, and the root key of this Authority, which programs have pinned, is {}: set that, or make another Authority",
            facts.root
        ),
    )
}

/// Why the ledger did not keep it.
pub(super) fn refused<E>(authority: &Declared, error: KeepError) -> EstablishError<E> {
    let Declared { name, issuer, .. } = authority;
    match error {
        KeepError::Conflict => EstablishError::Conflict,
        KeepError::Unavailable(unavailable) => EstablishError::Read(unavailable),
        KeepError::IssuerTaken => EstablishError::Stalled(Because::new(
            Reason::IssuerTaken,
            format!(
                "another Authority has the spec.issuer {issuer}: delete one of the two, and give this one an issuer of its own"
            ),
        )),
        KeepError::KeyTaken(key) => EstablishError::Stalled(Because::new(
            Reason::KeyTaken,
            format!(
                "another Authority has the key {key}: if the Secrets usher-root-{name} and usher-signing-{name} are copies, delete them; a spec.root must be of its own"
            ),
        )),
    }
}

/// A key was named for revocation that never was one.
pub(super) fn unknown_revoked(authority: &Declared, facts: &AuthorityFacts) -> Option<Because> {
    let unknown = |kid: &&String| facts.keys.iter().all(|key| key.kid.as_str() != kid.as_str());
    let kid: String = authority.revoke.iter().find(unknown)?.chars().take(64).collect();
    Some(Because::new(
        Reason::KeyUnknown,
        format!(
            "the annotation usher.dev/revoke-keys names {kid}, which was never a signing key of this Authority: correct it; status.keys lists them"
        ),
    ))
}

/// What happened to keys between `before` and `after`.
pub(super) fn news(before: Option<&AuthorityFacts>, after: &AuthorityFacts) -> Vec<Because> {
    let Some(before) = before else { return Vec::new() };
    let former =
        |key: &Key| before.keys.iter().find(|former| former.kid == key.kid).map(|key| key.state.name());
    let turned = after.keys.iter().filter(|key| former(key) != Some(key.state.name()));
    let told = turned.filter_map(|key| {
        let kid = &key.kid;
        match key.state {
            State::Announced { .. } => {
                Some((Reason::KeyAnnounced, format!("key {kid} is published, and signs later")))
            }
            State::Signing { .. } => Some((Reason::KeyRotated, format!("key {kid} signs from now on"))),
            State::Revoked { .. } => Some((
                Reason::KeyRevoked,
                format!("key {kid} was revoked: nothing under it is good any more"),
            )),
            State::Made | State::Retired { .. } | State::Withdrawn => None,
        }
    });
    told.map(|(reason, message)| Because::new(reason, message)).collect()
}
