//! One look at a License: who holds, what is signed, which Secrets are wanted, committed as one change.
//!
//! ```text
//!   facts ──► decide (pure) ──► commit ──► Outcome ──► the cluster removes, `settle`, and looks again
//!                                                  └──► nothing to remove: the cluster shows it
//! ```
//!
//! What is bound was bound by the commit; the outcome tells the cluster what to show. A License that is gone, or
//! was made again under its old name, is emptied by the same look. If documents cannot be signed, nothing
//! is taken away: whoever holds keeps, documents stay as they are, and nobody is bound anew.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    domain::{
        allocation::{Allocation, Standing, allocate},
        license::{Key, License, Phase, Seat, Uid},
    },
    keys::Signer,
    ledger::{Bind, Change, CommitError, Document, Facts, Ledger, SecretClaim, Unavailable},
    service::issue::{Subject, issue_if_due},
};

/// A License as it is to be, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The License.
    pub license: &'a License,
    /// Its Seats.
    pub seats: &'a [Seat],
    /// Seats that cannot be read, here or under other Licenses: what they hold they keep.
    pub unreadable: &'a BTreeSet<Uid>,
    /// Who signs; absent while its Authority cannot.
    pub signer: Option<&'a Signer>,
}

/// What the cluster is to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// In which phase the License is; absent when it is gone.
    pub phase: Option<Phase>,
    /// How each Seat stands.
    pub standings: BTreeMap<Uid, Standing>,
    /// The current document of the License and of each bound Seat.
    pub documents: BTreeMap<Uid, Document>,
    /// The Secrets to remove, before anything is added.
    pub removals: Vec<Removal>,
    /// Those whose wanted Secret belongs to another License or Seat.
    pub taken: BTreeSet<Uid>,
    /// Seats that were bound just now.
    pub bound: BTreeSet<Uid>,
    /// Seats that lost their place just now.
    pub freed: BTreeSet<Uid>,
    /// How many documents were signed just now.
    pub signed: usize,
    /// When to look again.
    pub next_look: Option<Timestamp>,
}

/// A Secret to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The License that it was for.
    pub license: Uid,
    /// That License's version after this look.
    pub version: i64,
    /// The Secret's name.
    pub name: String,
    /// The License or Seat whose document it held.
    pub subject: Uid,
}

/// Why a look came to nothing. The next one starts afresh.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Reading the facts.
    #[error("reading the facts failed")]
    Read(#[from] Unavailable),
    /// Writing them.
    #[error("committing failed")]
    Commit(#[from] CommitError),
    /// Signing.
    #[error("signing failed")]
    Sign(#[from] serde_json::Error),
}

/// The name of the Secret for a Seat's document.
#[must_use]
pub fn seat_secret(seat: &str) -> String {
    format!("{seat}-seat")
}

/// Looks at the License `key`, commits what follows, and says what to show.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn reconcile_license(
    ledger: &impl Ledger,
    key: &Key,
    wanted: Option<Wanted<'_>>,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<Outcome, ReconcileError> {
    let mut outcome = Outcome::default();
    let current = wanted.map(|wanted| wanted.license.uid.clone());
    let mut facts_of_current = None;
    for facts in ledger.facts(key).await? {
        if Some(&facts.license) == current.as_ref() {
            facts_of_current = Some(facts);
        } else {
            let change = emptied(key, &facts, now, entropy);
            outcome.freed.extend(change.free.iter().cloned());
            commit(ledger, &change, &facts.secrets, &mut outcome).await?;
        }
    }
    if let Some(wanted) = wanted {
        let (change, decided) = decide(key, wanted, facts_of_current.as_ref(), now, entropy)?;
        let secrets = facts_of_current.map(|facts| facts.secrets).unwrap_or_default();
        let former = std::mem::replace(&mut outcome, decided);
        outcome.removals = former.removals;
        outcome.freed.extend(former.freed);
        commit(ledger, &change, &secrets, &mut outcome).await?;
    }
    Ok(outcome)
}

/// Tells the ledger that these Secrets are gone.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn settle(
    ledger: &impl Ledger,
    key: &Key,
    removals: &[Removal],
    now: Timestamp,
) -> Result<(), CommitError> {
    let mut by_license: BTreeMap<(&Uid, i64), Vec<String>> = BTreeMap::new();
    for removal in removals {
        by_license.entry((&removal.license, removal.version)).or_default().push(removal.name.clone());
    }
    for ((license, version), settle) in by_license {
        // Settling binds nobody, so nothing is made of the entropy.
        let change =
            Change { settle, ..Change::new(key.clone(), license.clone(), Some(version), now, [0; 32]) };
        ledger.commit(&change).await?;
    }
    Ok(())
}

async fn commit(
    ledger: &impl Ledger,
    change: &Change,
    before: &[SecretClaim],
    outcome: &mut Outcome,
) -> Result<(), CommitError> {
    let mut version = change.expected.unwrap_or(0);
    let mut refused = Vec::new();
    if !change.is_empty() {
        refused = ledger.commit(change).await?;
        version += 1;
    }
    let without = change.claim.iter().filter(|(name, _)| refused.contains(name));
    outcome.taken.extend(without.map(|(_, subject)| subject.clone()));
    let removing = before.iter().filter(|claim| {
        let wanted_again = change.claim.iter().any(|(name, _)| *name == claim.name);
        // A name that went from one Seat to its namesake is refused to the new one until the old Secret is gone.
        (claim.removing || change.release.contains(&claim.name))
            && (!wanted_again || refused.contains(&claim.name))
    });
    outcome.removals.extend(removing.map(|claim| Removal {
        license: change.license.clone(),
        version,
        name: claim.name.clone(),
        subject: claim.subject.clone(),
    }));
    Ok(())
}

/// The change that empties a License that is gone. Once its Secrets are gone too, it is forgotten.
fn emptied(key: &Key, facts: &Facts, now: Timestamp, entropy: [u8; 32]) -> Change {
    Change {
        free: facts.bindings.iter().map(|binding| binding.seat.clone()).collect(),
        withdraw: facts.documents.iter().map(|document| document.subject.clone()).collect(),
        release: facts
            .secrets
            .iter()
            .filter(|claim| !claim.removing)
            .map(|claim| claim.name.clone())
            .collect(),
        forget: facts.secrets.is_empty(),
        ..Change::new(key.clone(), facts.license.clone(), Some(facts.version), now, entropy)
    }
}

/// Decides on a License that there is. Pure.
fn decide(
    key: &Key,
    wanted: Wanted<'_>,
    facts: Option<&Facts>,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<(Change, Outcome), serde_json::Error> {
    let Wanted { license, seats, unreadable, signer } = wanted;
    let phase = license.phase(now);
    let bindings = facts.map(|facts| facts.bindings.clone()).unwrap_or_default();
    let (kept, held): (Vec<_>, Vec<_>) =
        bindings.into_iter().partition(|binding| unreadable.contains(&binding.seat));
    let limit = license.seats.saturating_sub(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    let grants = phase.grants() && signer.is_some();
    let Allocation { standings, take, free } = allocate(limit, grants, seats, &held);

    let mut change =
        Change::new(key.clone(), license.uid.clone(), facts.map(|facts| facts.version), now, entropy);
    let holders: BTreeMap<&Uid, &Seat> = seats.iter().map(|seat| (&seat.uid, seat)).collect();
    change.bind = take
        .iter()
        .filter_map(|uid| holders.get(uid))
        .map(|seat| Bind { seat: seat.uid.clone(), holder: seat.holder.identity() })
        .collect();
    change.free = free.iter().cloned().collect();
    change.seats = (facts.map(|facts| facts.seats) != Some(license.seats)).then_some(license.seats);

    let bound = seats.iter().filter(|seat| standings.get(&seat.uid) == Some(&Standing::Bound));
    let subjects: Vec<Subject<'_>> =
        std::iter::once(Subject::License).chain(bound.map(Subject::Seat)).collect();
    let mut documents = documents_by_subject(facts);
    let lost: Vec<Uid> = documents
        .keys()
        .filter(|uid| !unreadable.contains(uid) && subjects.iter().all(|s| s.uid(license) != *uid))
        .cloned()
        .collect();
    documents.retain(|uid, _| !lost.contains(uid));
    change.withdraw = lost;
    if let Some(signer) = signer {
        for subject in &subjects {
            let current = documents.get(subject.uid(license));
            if let Some((document, _)) = issue_if_due(license, *subject, signer, current, now, &entropy)? {
                documents.insert(document.subject.clone(), document.clone());
                change.issue.push(document);
            }
        }
    }
    let taken;
    (change.claim, change.release, taken) = secrets(wanted, &subjects, &documents, facts);

    // Without a signer, and for who cannot be read, no renewal can be made, however due: an event brings us back.
    let renewable = documents.values().filter(|document| !unreadable.contains(&document.subject));
    let renewals = renewable.filter(|_| signer.is_some()).filter_map(|document| document.renew_at);
    let next_look = renewals.chain(license.next_phase(now)).min();
    let outcome = Outcome {
        phase: Some(phase),
        standings,
        documents,
        taken,
        bound: take.into_iter().collect(),
        freed: free,
        signed: change.issue.len(),
        next_look,
        ..Outcome::default()
    };
    Ok((change, outcome))
}

fn documents_by_subject(facts: Option<&Facts>) -> BTreeMap<Uid, Document> {
    facts
        .into_iter()
        .flat_map(|facts| &facts.documents)
        .map(|document| (document.subject.clone(), document.clone()))
        .collect()
}

/// Which Secrets to claim, which of the claimed ones to release, and who must go without: of two that want one
/// name, whoever has it keeps it, and else the License comes first.
fn secrets(
    Wanted { license, unreadable, .. }: Wanted<'_>,
    subjects: &[Subject<'_>],
    documents: &BTreeMap<Uid, Document>,
    facts: Option<&Facts>,
) -> (Vec<(String, Uid)>, Vec<String>, BTreeSet<Uid>) {
    let claims = facts.map(|facts| facts.secrets.as_slice()).unwrap_or_default();
    let ours = |name: &str, subject: &Uid| {
        claims.iter().any(|c| c.name == name && c.subject == *subject && !c.removing)
    };
    let mut wanted: BTreeMap<String, Uid> = BTreeMap::new();
    let mut without = BTreeSet::new();
    for subject in subjects.iter().filter(|subject| documents.contains_key(subject.uid(license))) {
        let name = match subject {
            Subject::License => license.secret.to_string(),
            Subject::Seat(seat) => seat_secret(&seat.name),
        };
        let uid = subject.uid(license).clone();
        if wanted.contains_key(&name) && !ours(&name, &uid) {
            without.insert(uid);
        } else {
            without.extend(wanted.insert(name, uid));
        }
    }
    let claim = wanted.iter().filter(|(name, subject)| !ours(name, subject));
    let stays = |c: &&SecretClaim| unreadable.contains(&c.subject) || wanted.get(&c.name) == Some(&c.subject);
    let release = claims.iter().filter(|c| !c.removing && !stays(c));
    (
        claim.map(|(name, uid)| (name.clone(), uid.clone())).collect(),
        release.map(|c| c.name.clone()).collect(),
        without,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::{at, license};

    fn document(renew_at: i64) -> Document {
        Document {
            subject: Uid("license-1".into()),
            serial: "1".into(),
            digest: "of what it says".into(),
            key_id: "key".into(),
            jws: "a.b.c".into(),
            keys_jws: "a.b.c".into(),
            issued_at: at(0),
            expires_at: at(100),
            renew_at: Some(at(renew_at)),
        }
    }

    #[test]
    fn a_renewal_that_nobody_can_sign_is_not_waited_for() {
        let license = license(1);
        let facts = Facts {
            license: license.uid.clone(),
            version: 1,
            seats: 1,
            bindings: Vec::new(),
            documents: vec![document(10)],
            secrets: Vec::new(),
        };
        let unreadable = BTreeSet::new();
        let wanted = Wanted { license: &license, seats: &[], unreadable: &unreadable, signer: None };
        let (change, outcome) = decide(&license.key, wanted, Some(&facts), at(20), [0; 32]).unwrap();
        assert_eq!(outcome.next_look, None, "a look in the past would come again and again");
        assert_eq!(outcome.documents.len(), 1, "what there is stays");
        assert!(change.issue.is_empty() && change.withdraw.is_empty());
    }
}
