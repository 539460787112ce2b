//! What the audit is told of a change.

use super::{Entry, Said};
use crate::{
    domain::{
        hex,
        refused::{About, Caller, Told},
        rotation::Key,
    },
    ledger::{AuthorityFacts, Change, Recovery},
};

/// What a change tells the audit. `holders` are the references of those whom it binds, in order; `ended` are the activations that it ends.
pub(in crate::ledger) fn entries(change: &Change, holders: Vec<String>, ended: Vec<String>) -> Vec<Entry> {
    let license = change.key.to_string();
    let limit = change.seats.map(|seats| Entry::Limit { license: license.clone(), seats });
    let freed =
        change.free.iter().map(|seat| Entry::Free { license: license.clone(), seat: seat.to_string() });
    let ended = ended.into_iter().map(|activation| Entry::Deactivate {
        license: license.clone(),
        activation,
        why: Said::Withdrawn,
        by: None,
    });
    let moved = change.moved.iter().map(|(seat, to)| Entry::Move {
        license: license.clone(),
        seat: seat.to_string(),
        to: to.to_string(),
    });
    let bound = change.bind.iter().zip(holders).map(|(bind, holder)| Entry::Bind {
        license: license.clone(),
        seat: bind.seat.to_string(),
        holder,
    });
    let issued = change.issue.iter().map(|document| {
        let (license, subject) = (license.clone(), document.subject.to_string());
        let (serial, key) = (document.serial.clone(), document.key_id.clone());
        let until = document.expires_at.as_second();
        if change.recovery != Recovery::None {
            Entry::Adopt { license, subject, serial, key, until }
        } else {
            Entry::Issue { license, subject, serial, key, until }
        }
    });
    let keys = change
        .keys
        .iter()
        .map(|(name, _)| Entry::ActivationKey { license: license.clone(), key: name.clone() });
    let gone =
        change.forget.then(|| Entry::Forget { license: license.clone(), uid: change.license.to_string() });
    limit
        .into_iter()
        .chain(freed)
        .chain(ended)
        .chain(moved)
        .chain(bound)
        .chain(issued)
        .chain(keys)
        .chain(gone)
        .collect()
}

/// Calls that were refused.
pub(in crate::ledger) fn of_refusals(refused: &[Told]) -> Vec<Entry> {
    let reference = |Caller(caller): Caller| hex(caller.get(..16).unwrap_or_default());
    let entry = |told: &Told| match told {
        Told::First(call, what, by, About { license, activation }) => Entry::Refuse {
            call: (*call).to_owned(),
            code: what.as_str().to_owned(),
            by: reference(*by),
            license: license.as_ref().map(ToString::to_string),
            activation: activation.clone(),
        },
        Told::More(what, by, more) => {
            Entry::RefuseMore { code: what.as_str().to_owned(), by: by.map(reference), more: *more }
        }
    };
    refused.iter().map(entry).collect()
}

/// What became of an Authority.
pub(in crate::ledger) fn of_authority(before: Option<&AuthorityFacts>, after: &AuthorityFacts) -> Vec<Entry> {
    let authority = after.name.clone();
    let established = before.is_none().then(|| Entry::Establish {
        authority: authority.clone(),
        issuer: after.issuer.to_string(),
        root: after.root.to_string(),
    });
    let former = |key: &Key| before?.keys.iter().find(|former| former.kid == key.kid);
    let turned = after
        .keys
        .iter()
        .filter(|key| former(key).is_none_or(|former| former.state.name() != key.state.name()));
    let keys = turned.map(|key| Entry::Key {
        authority: authority.clone(),
        key: key.kid.to_string(),
        state: key.state.name().to_owned(),
    });
    let signed = after.keys_jws.is_some() && before.is_none_or(|before| before.keys_jws != after.keys_jws);
    let set = signed.then(|| Entry::KeySet { authority: authority.clone(), serial: after.serial });
    established.into_iter().chain(keys).chain(set).collect()
}
