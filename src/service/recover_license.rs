//! A License whose facts were lost, or are older than what is out there: they are made true again from its Secrets.
//!
//! ```text
//!   Secrets ──genuine?──► who holds, by whose document is newest ──► one commit ──► an ordinary look
//! ```
//!
//! 1. Only what this License's Authority signed counts, about this License and this Seat, for the holder that the Seat
//!    names today, in the Secret of that name. Status is never read, nor what a Secret says beside the document.
//! 2. No more are bound than the limit allows: if more documents claim a seat, the newest count.
//! 3. Documents are taken over to the byte. One that says what it should is not due, so nothing is signed again. They tell in which order the
//!    seats were bound as far as it matters: who carries a feature that only some seats carry goes on carrying it.
//! 4. A Secret that bears the name for this License or for a Seat that there is, is claimed, genuine or not: what is not wanted
//!    is then removed as ever. So is a genuine one of a Seat that is gone; anything else is somebody else's.
//! 5. What an older ledger says of a binding without a genuine document does not count: that seat was freed since.
//! 6. An activation key in its Secret goes on if its tag says that it was ours, for this License and this name.
//! 7. Where seats cool, all places that are free cool from when the loss was found, for nobody knows whose they were before: so none is another's
//!    before the time that the License says. Only of a License that was made since, and has no document yet, no seat can have been freed.
//! 8. One commit brings back a bounded part, and until the last one the facts are still old: nothing is decided upon them. All
//!    that was brought back before is found there, so that a part is decided upon as if it were the first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use crate::{
    domain::{
        document::times,
        features::{Carries, carried},
        license::{License, Seat, Uid},
        terms::{Client, Enforcement},
    },
    keys::Signer,
    ledger::{Bind, Change, CommitError, Document, Facts, Freed, Ledger, Recovery, UNKNOWN},
    service::{
        issue::{Subject, adopt, is_about, scarce_features},
        reconcile_license::{cools_until, seat_secret, terms},
    },
};

/// A Secret of ours as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// For whom it says that it is.
    pub subject: Uid,
    /// The document in it.
    pub jws: String,
    /// The key set in it.
    pub keys_jws: String,
}

/// What is recovered, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Remains<'a> {
    /// The License.
    pub license: &'a License,
    /// Its Seats.
    pub seats: &'a [Seat],
    /// Seats that cannot be read: what an older ledger says that they hold, they keep.
    pub unreadable: &'a BTreeMap<Uid, String>,
    /// Whose signatures count.
    pub signer: &'a Signer,
    /// What the Secrets say.
    pub found: &'a [Found],
    /// The activation keys in their Secret that are ours, and that the ledger does not know: name, hash.
    pub keys: &'a [(String, String)],
    /// What an older ledger says, and what was brought back already.
    pub facts: Option<&'a Facts>,
    /// How many seats of the product each holder has under other Licenses of the namespace.
    pub elsewhere: &'a BTreeMap<String, u32>,
    /// When the loss was found.
    pub lost_at: Timestamp,
    /// Whether the License was made after that, as far as the API server's clock tells.
    pub is_younger: bool,
}

/// What was brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// So many holders.
    pub bound: usize,
    /// So many documents.
    pub documents: usize,
    /// There is more: look again.
    pub more: bool,
}

/// Makes the facts true again, `at_most` of each kind.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn recover_license(
    ledger: &impl Ledger,
    remains: Remains<'_>,
    at_most: usize,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<Recovered, CommitError> {
    let mut change = recovered(remains, now, entropy);
    let more = cut(&mut change, at_most);
    ledger.commit(&change).await?;
    Ok(Recovered { bound: change.bind.len(), documents: change.issue.len(), more })
}

/// Leaves `at_most` of each kind in `change`, and whoever is to be freed goes before anybody is bound. Returns whether there was more.
/// Secrets are claimed with their documents; those without are few and come last, for a claim may be refused again and again.
fn cut(change: &mut Change, at_most: usize) -> bool {
    let Change { free, withdraw, bind, carries, issue, claim, .. } = change;
    let more = [free.len(), withdraw.len(), bind.len(), issue.len()].into_iter().any(|kind| kind > at_most);
    if free.len() > at_most {
        bind.clear();
    }
    free.truncate(at_most);
    withdraw.truncate(at_most);
    bind.truncate(at_most);
    let bound: BTreeSet<&String> = bind.iter().map(|bind| &bind.holder).collect();
    carries.retain(|(holder, _)| bound.contains(holder));
    issue.truncate(at_most);
    if more {
        let issued: BTreeSet<&Uid> = issue.iter().map(|document| &document.subject).collect();
        claim.retain(|(_, subject)| issued.contains(subject));
    }
    if more {
        change.cool.clear();
    }
    change.recovery = if more { Recovery::Part } else { Recovery::Whole };
    more
}

/// What is true, as a change. Pure.
fn recovered(remains: Remains<'_>, now: Timestamp, entropy: [u8; 32]) -> Change {
    let Remains { license, unreadable, facts, .. } = remains;
    let documents = genuine(remains);
    let kept = |seat: &Uid| unreadable.contains_key(seat);
    let former: BTreeMap<&Uid, i64> =
        facts.iter().flat_map(|facts| &facts.bindings).map(|b| (&b.seat, b.ordinal)).collect();
    let held = holders(remains, &documents, former.keys().filter(|seat| kept(seat)).count());

    let mut change =
        Change::new(license.key.clone(), license.uid.clone(), facts.map(|facts| facts.version), now, entropy);
    change.seats = Some(license.limit());
    // Whether anything may be granted, the ordinary look that follows says.
    change.terms = Some(terms(license, None, (0, 0)));
    change.free = former
        .keys()
        .filter(|s| !kept(s) && !held.iter().any(|h| h.uid == ***s))
        .map(|s| (*s).clone())
        .collect();
    change.bind = held
        .iter()
        .filter(|seat| !former.contains_key(&seat.uid))
        .map(|seat| Bind { seat: seat.uid.clone(), holder: seat.holder.identity() })
        .collect();

    // What their activations carry is told with them: nobody is granted more until the ordinary look comes to them.
    let carries = Carries::of(license, &held, &carried(license, &held));
    let told = |bind: &Bind| Some((bind.holder.clone(), carries.get(&bind.holder)?.clone()));
    change.carries = change.bind.iter().filter_map(told).collect();

    let known: BTreeMap<&Uid, &Document> =
        facts.iter().flat_map(|facts| &facts.documents).map(|d| (&d.subject, d)).collect();
    let stays = |uid: &Uid| *uid == license.uid || kept(uid) || held.iter().any(|seat| seat.uid == *uid);
    change.withdraw = known.keys().filter(|uid| !stays(uid)).map(|uid| (*uid).clone()).collect();
    let newer = |document: &&Document| {
        known
            .get(&document.subject)
            .is_none_or(|known| known.issued_at <= document.issued_at && known.serial != document.serial)
    };
    change.issue = documents.values().filter(|d| stays(&d.subject)).filter(newer).cloned().collect();
    let kept = former.keys().filter(|seat| kept(seat)).count();
    change.cool.extend(unknown(remains, held.len() + kept, documents.is_empty()));
    change.claim = claims(remains);
    change.keys = remains.keys.to_vec();
    change
}

/// The places that are free beside those of `held` holders, if they cool.
fn unknown(remains: Remains<'_>, held: usize, undocumented: bool) -> Option<Freed> {
    let Remains { license, facts, lost_at, is_younger, .. } = remains;
    let is_new = facts.is_none() && is_younger && undocumented;
    let cools = facts.into_iter().flat_map(|facts| &facts.cooling).filter(|freed| freed.holder != UNKNOWN);
    let taken = cools.count().saturating_add(held);
    let places = license.limit().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
    let expires_at = times(license, &license.uid, lost_at).expires_at;
    let freed = Freed { holder: UNKNOWN.to_owned(), places, freed_at: lost_at, expires_at };
    let may_cool = license.enforcement == Enforcement::Enforce && places > 0 && !is_new;
    (may_cool && cools_until(license, &freed) > lost_at).then_some(freed)
}

/// For whom the Secret of each name is.
fn by_name<'a>(license: &License, seats: &'a [Seat]) -> BTreeMap<String, Subject<'a>> {
    let of_seats = seats.iter().map(|seat| (seat_secret(&seat.name), Subject::Seat(seat, &[])));
    std::iter::once((license.secret.to_string(), Subject::License)).chain(of_seats).collect()
}

/// The genuine documents in the Secrets, by whom they are about.
fn genuine(Remains { license, seats, signer, found, .. }: Remains<'_>) -> BTreeMap<Uid, Document> {
    let by_name = by_name(license, seats);
    found
        .iter()
        .filter_map(|found| {
            let subject = by_name.get(&found.name)?;
            let uid = subject.uid(license);
            let document = adopt(license, *subject, signer, &found.jws, &found.keys_jws)?;
            (found.subject == *uid).then(|| (uid.clone(), document))
        })
        .collect()
}

/// Who holds a seat, in the order in which they are bound: at most the limit, each holder once, the newest documents first.
fn holders<'a>(
    Remains { license, seats, facts, elsewhere, .. }: Remains<'a>,
    documents: &BTreeMap<Uid, Document>,
    kept: usize,
) -> Vec<&'a Seat> {
    let limit = usize::try_from(license.limit()).unwrap_or(usize::MAX).saturating_sub(kept);
    let ordinal =
        |uid: &Uid| facts.iter().flat_map(|f| &f.bindings).find(|b| b.seat == *uid).map(|b| b.ordinal);
    let mut claiming: Vec<(&Document, &Seat)> =
        seats.iter().filter_map(|seat| Some((documents.get(&seat.uid)?, seat))).collect();
    claiming.sort_by_key(|(document, seat)| {
        (Reverse(document.issued_at), Reverse(seat.priority), seat.created, seat.name.clone())
    });
    let most = license.most_per_user().unwrap_or(u32::MAX);
    let may = |seat: &Seat| {
        seat.holder.client() == Client::Devices
            || elsewhere.get(&seat.holder.identity()).is_none_or(|held| *held < most)
    };
    let mut once = BTreeSet::new();
    claiming.retain(|(_, seat)| may(seat) && once.insert(seat.holder.identity()));
    claiming.truncate(limit);
    // Whoever was bound later loses first when the limit is lowered, and is not among the few who carry a feature: who carries it was bound
    // before who does not. Else the first documents are as old as the bindings.
    claiming.sort_by_key(|(document, seat)| {
        let known = ordinal(&seat.uid).unwrap_or(i64::MAX);
        let carries = Reverse(scarce_features(license, document));
        (known, carries, document.issued_at, Reverse(seat.priority), seat.created, seat.name.clone())
    });
    claiming.into_iter().map(|(_, seat)| seat).collect()
}

/// The Secrets to claim, for whom they say that they are: also of Seats that are gone meanwhile.
fn claims(Remains { license, seats, signer, found, facts, .. }: Remains<'_>) -> Vec<(String, Uid)> {
    let by_name = by_name(license, seats);
    let claimed: BTreeSet<&str> =
        facts.iter().flat_map(|facts| &facts.secrets).map(|claim| claim.name.as_str()).collect();
    let ours =
        |found: &&Found| by_name.contains_key(&found.name) || is_about(&license.key, signer, &found.jws);
    let unclaimed = found.iter().filter(|found| !claimed.contains(found.name.as_str())).filter(ours);
    unclaimed.map(|found| (found.name.clone(), found.subject.clone())).collect()
}

#[cfg(test)]
mod tests;
