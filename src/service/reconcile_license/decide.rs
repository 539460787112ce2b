//! What follows from a License, its Seats and the facts. Pure.

mod activated;
mod carried;
mod over;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{
        allocation::{Allocation, Binding, Cooling, Held, Rules, allocate},
        contract::Contract,
        features,
        license::{License, Reassign, Seat, Uid},
        reason::{Because, Reason},
    },
    keys::Signer,
    ledger::{Bind, Change, Document, Facts, Freed, SecretClaim, Terms, activations::Holding},
    service::{
        issue::{Subject, is_to_end, issue_if_due},
        reconcile_license::{Known, Outcome, Wanted, seat_secret},
    },
};

/// Decides on a License that there is.
pub(super) fn decide(
    wanted: Wanted<'_>,
    known: Known<'_>,
    at_most: usize,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<(Change, Outcome), serde_json::Error> {
    let (license, refused) = as_first_seen(wanted.license, known.facts);
    let signer = wanted.signer.filter(|_| wanted.may_grant && refused.is_none());
    let wanted = Wanted { license: &license, may_grant: signer.is_some(), ..wanted };
    let mut seated = seat(wanted, known, at_most, now);
    let bound = in_order(wanted.seats, &seated.allocation.bound);
    let carried = features::carried(&license, &bound);
    let subjects: Vec<Subject<'_>> = std::iter::once(Subject::License)
        .chain(bound.iter().zip(&carried).map(|(seat, carried)| Subject::Seat(seat, carried)))
        .collect();

    let version = known.facts.map(|facts| facts.version);
    let mut change = Change::new(license.key.clone(), license.uid.clone(), version, now, entropy);
    change.seats = Some(license.limit()).filter(|limit| known.facts.map(|facts| facts.seats) != Some(*limit));
    change.terms = Some(terms(&license, signer, activated::kept(&license, wanted.seats, &seated)))
        .filter(|terms| known.facts.map(|facts| &facts.terms) != Some(terms));
    seated.tell(wanted.seats, &mut change);
    let told = carried::tell(&license, known.facts, (&bound, &carried), at_most, &mut change);
    let (mut documents, later) = documents(wanted, known.facts, &subjects, at_most, now, &mut change)?;
    let taken;
    (change.claim, change.release, taken) = secrets(wanted, &subjects, &documents, known.facts);
    let more = seated.more || !told || !later.is_empty();
    for uid in &later {
        documents.remove(uid);
        seated.allocation.standings.remove(uid);
    }

    // Without a signer, and for who cannot be read, no renewal can be made, however due: an event brings us back.
    let renewable = documents.values().filter(|document| !wanted.unreadable.contains_key(&document.subject));
    let renewals = renewable
        .filter_map(|document| signer?.renew_at(&document.key_id, &document.subject, document.renew_at));
    let cooled = seated.cooling.iter().map(|cooling| cooling.until);
    let lapse = activated::next_lapse(&seated);
    let next_look = renewals.chain(cooled).chain(lapse).chain(license.next_phase(now)).min();
    let outcome = Outcome {
        phase: Some(license.phase(now)),
        over: over::over(&license, &bound, (seated.kept, known.elsewhere)),
        kept: seated.kept,
        cooling: seated.cooling.len(),
        activated: seated.activated,
        forked: known.facts.map(|facts| facts.forked.clone()).unwrap_or_default(),
        contested: known.facts.map(|facts| facts.contested.clone()).unwrap_or_default(),
        standings: seated.allocation.standings,
        documents,
        taken,
        refused,
        bound: seated.allocation.take.into_iter().collect(),
        freed: seated.allocation.free,
        signed: change.issue.len(),
        keys: keys(&license, known.facts),
        more,
        next_look,
        ..Outcome::default()
    };
    Ok((change, outcome))
}

/// The License as it goes on: how it is provided was fixed when it was first seen.
fn as_first_seen(license: &License, facts: Option<&Facts>) -> (License, Option<Because>) {
    let mut license = license.clone();
    let first = facts.map_or(license.terms.provisioning, |facts| facts.terms.provisioning);
    let now = std::mem::replace(&mut license.terms.provisioning, first);
    let refused = (first != now).then(|| {
        Because::new(
            Reason::ProvisioningChanged,
            format!(
                "the License is {} and cannot become {}: set its spec.provisioning, or its Edition's, back, or make another License",
                first.as_str(),
                now.as_str()
            ),
        )
    });
    (license, refused)
}

/// What the ledger keeps of the License to enforce it; `signer` if documents may be granted, and `kept` places are not for activations, of which
/// the second number may be those of activations that the ledger has lost.
pub fn terms(license: &License, signer: Option<&Signer>, (kept, unknown): (u32, u32)) -> Terms {
    Terms {
        product: license.product.to_string(),
        provisioning: license.terms.provisioning,
        max_per_user: license.most_per_user(),
        contract: Some(Contract {
            license: license.clone(),
            issuer: signer.map(|signer| signer.issuer.clone()),
            kept,
            unknown,
        }),
    }
}

/// Who holds, who waits, and what cools.
struct Seated {
    allocation: Allocation,
    /// Bindings of Seats that cannot be read.
    kept: usize,
    /// What cools after this.
    cooling: Vec<Cooling>,
    /// What begins to cool.
    cool: Vec<Freed>,
    /// Whose seat has cooled.
    cooled: Vec<String>,
    /// How many places activations hold by themselves, after this.
    activated: usize,
    /// When the first of them gives its place back.
    first_lapse: Option<Timestamp>,
    /// Activations that lose theirs.
    ended: Vec<String>,
    /// There are seats to give that are not given yet.
    more: bool,
}

fn seat(wanted: Wanted<'_>, known: Known<'_>, at_most: usize, now: Timestamp) -> Seated {
    let Wanted { license, seats, unreadable, may_grant, .. } = wanted;
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for binding in known.facts.into_iter().flat_map(|facts| &facts.bindings) {
        match unreadable.get(&binding.seat) {
            Some(name) => kept.push((binding.clone(), name.clone())),
            None => held.push(binding.clone()),
        }
    }
    let freed = known.facts.map(|facts| facts.cooling.as_slice()).unwrap_or_default();
    let (cools, cooled): (Vec<&Freed>, Vec<&Freed>) =
        freed.iter().partition(|f| cools_until(license, f) > now);
    let cooled = cooled.into_iter().map(|freed| freed.holder.clone()).collect();
    let groups = license.enforced_groups();
    let rules = Rules {
        limit: license.limit(),
        grants: license.phase(now).grants() && may_grant,
        groups: &groups,
        max_per_user: license.most_per_user(),
    };
    let Holding { places, first_end, holders } = known.holding;
    let free = as_count(license.limit()).saturating_sub(held.len() + kept.len() + places);
    let of = |freed: &Freed| {
        let cooling = Cooling { holder: freed.holder.clone(), until: cools_until(license, freed) };
        std::iter::repeat_n(cooling, as_count(freed.places).min(free.max(1)))
    };
    let mut cooling: Vec<Cooling> = cools.into_iter().flat_map(of).collect();
    let allot = |cooling: &[Cooling]| {
        let held = Held {
            bindings: &held,
            kept: &kept,
            elsewhere: known.elsewhere,
            cooling,
            activated: *places,
            with_seats: holders,
        };
        allocate(&rules, seats, &held)
    };
    let mut allocation = allot(&cooling);
    // Who loses a seat does so whatever cools; what they lose cools before it is given away.
    let cool = freed_now(license, known.facts, &held, &allocation, now);
    if !cool.is_empty() {
        cooling.extend(cool.iter().flat_map(of));
        allocation = allot(&cooling);
    }
    let mut more = allocation.bind_at_most(at_most);
    let taking = in_order(seats, &allocation.take).into_iter();
    let back: HashSet<String> = taking.map(|seat| seat.holder.identity()).collect();
    cooling.retain(|cooling| !back.contains(&cooling.holder));
    let seated = holders.iter().filter(|holder| back.contains(*holder)).count();
    let activated = places.saturating_sub(seated);
    let last = known.last.iter().filter(|last| !back.contains(&last.holder));
    let beyond = activated::beyond(license, allocation.bound.len() + kept.len(), activated, last);
    more |= beyond.more;
    Seated {
        kept: kept.len(),
        cooling,
        cool,
        cooled,
        activated: activated.saturating_sub(beyond.places),
        first_lapse: *first_end,
        ended: beyond.ended,
        more,
        allocation,
    }
}

fn as_count(places: u32) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// Until when what was freed cools, as the License says today.
pub fn cools_until(license: &License, freed: &Freed) -> Timestamp {
    match license.reassign {
        Reassign::After(seconds) => {
            freed.freed_at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
        }
        Reassign::Lease => freed.expires_at,
    }
}

/// What is freed now, and cools.
fn freed_now(
    license: &License,
    facts: Option<&Facts>,
    held: &[Binding],
    allocation: &Allocation,
    now: Timestamp,
) -> Vec<Freed> {
    let documents = facts.into_iter().flat_map(|facts| &facts.documents);
    let ends: HashMap<&Uid, Timestamp> = documents.map(|d| (&d.subject, d.expires_at)).collect();
    let lost = held.iter().filter(|binding| allocation.free.contains(&binding.seat));
    let freed = lost.map(|binding| Freed {
        holder: binding.holder.clone(),
        places: 1,
        freed_at: now,
        expires_at: ends.get(&binding.seat).copied().unwrap_or(now),
    });
    freed.filter(|freed| cools_until(license, freed) > now).collect()
}

impl Seated {
    /// What the ledger is to be told.
    fn tell(&self, seats: &[Seat], change: &mut Change) {
        let taking = in_order(seats, &self.allocation.take);
        change.bind = taking
            .into_iter()
            .map(|seat| Bind { seat: seat.uid.clone(), holder: seat.holder.identity() })
            .collect();
        change.free = self.allocation.free.iter().cloned().collect();
        change.moved.clone_from(&self.allocation.moved);
        change.cool.clone_from(&self.cool);
        change.cooled.clone_from(&self.cooled);
        change.end.clone_from(&self.ended);
    }
}

/// Those of `seats` whose UIDs these are, in the order of the UIDs.
fn in_order<'a>(seats: &'a [Seat], uids: &[Uid]) -> Vec<&'a Seat> {
    let by_uid: BTreeMap<&Uid, &Seat> = seats.iter().map(|seat| (&seat.uid, seat)).collect();
    uids.iter().filter_map(|uid| by_uid.get(uid).copied()).collect()
}

/// The documents after this look, by subject; what is made anew and what is withdrawn goes into `change`. Once `at_most` Seats have a new one,
/// whether one is due for the others is seen later: who these are comes second.
fn documents(
    wanted: Wanted<'_>,
    facts: Option<&Facts>,
    subjects: &[Subject<'_>],
    at_most: usize,
    now: Timestamp,
    change: &mut Change,
) -> Result<(BTreeMap<Uid, Document>, Vec<Uid>), serde_json::Error> {
    let Wanted { license, unreadable, signer, may_grant, .. } = wanted;
    let mut documents = documents_by_subject(facts);
    let current: HashSet<&Uid> = subjects.iter().map(|subject| subject.uid(license)).collect();
    let stays = |uid: &Uid| unreadable.contains_key(uid) || current.contains(uid);
    change.withdraw = documents.keys().filter(|uid| !stays(uid)).cloned().collect();
    documents.retain(|uid, _| stays(uid));
    let (mut later, mut made) = (Vec::new(), 0);
    let Some(signer) = signer else { return Ok((documents, later)) };
    for subject in subjects {
        if made == at_most {
            later.push(subject.uid(license).clone());
            continue;
        }
        let current = documents.get(subject.uid(license));
        if !may_grant && !is_to_end(license, *subject, signer, current, now) {
            continue;
        }
        if let Some((document, _)) = issue_if_due(license, *subject, signer, current, now, &change.entropy)? {
            documents.insert(document.subject.clone(), document.clone());
            change.issue.push(document);
            made += usize::from(matches!(subject, Subject::Seat(..)));
        }
    }
    Ok((documents, later))
}

/// The activation keys that the License declares, each with the hash of the one that was made.
fn keys(license: &License, facts: Option<&Facts>) -> BTreeMap<String, Option<String>> {
    let hash = |name: &str| facts.and_then(|facts| facts.keys.get(name)).cloned();
    let names = license.activation_keys.iter().map(|key| key.name.as_str());
    names.map(|name| (name.to_owned(), hash(name))).collect()
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
    // A name is claimed once.
    let claimed: HashMap<&str, &Uid> =
        claims.iter().filter(|c| !c.removing).map(|c| (c.name.as_str(), &c.subject)).collect();
    let ours = |name: &str, subject: &Uid| claimed.get(name) == Some(&subject);
    let mut wanted: BTreeMap<String, Uid> = BTreeMap::new();
    let mut without = BTreeSet::new();
    let documented = subjects.iter().filter(|subject| documents.contains_key(subject.uid(license)));
    let named = documented.filter_map(|subject| match subject {
        Subject::License => Some((license.secret.to_string(), license.uid.clone())),
        Subject::Seat(seat, _) => Some((seat_secret(&seat.name), seat.uid.clone())),
        Subject::Activation(..) => None,
    });
    let keys = (!license.activation_keys.is_empty()).then(|| (license.keys_secret(), license.keys_subject()));
    for (name, uid) in named.chain(keys) {
        if wanted.contains_key(&name) && !ours(&name, &uid) {
            without.insert(uid);
        } else {
            without.extend(wanted.insert(name, uid));
        }
    }
    let claim = wanted.iter().filter(|(name, subject)| !ours(name, subject));
    let stays =
        |c: &&SecretClaim| unreadable.contains_key(&c.subject) || wanted.get(&c.name) == Some(&c.subject);
    let release = claims.iter().filter(|c| !c.removing && !stays(c));
    (
        claim.map(|(name, uid)| (name.clone(), uid.clone())).collect(),
        release.map(|c| c.name.clone()).collect(),
        without,
    )
}

#[cfg(test)]
mod tests;
