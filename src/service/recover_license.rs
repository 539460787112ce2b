//! A License whose facts were lost, or are older than what is out there: they are made true again from its Secrets.
//!
//! ```text
//!   Secrets ──genuine?──► who holds, by whose document is newest ──► one commit ──► an ordinary look
//! ```
//!
//! 1. Only what this License's Authority signed counts, about this License and this Seat, for the holder that the Seat
//!    names today, in the Secret of that name. Status is never read, nor what a Secret says beside the document.
//! 2. No more are bound than the limit allows: if more documents claim a seat, the newest count.
//! 3. Documents are taken over to the byte. One that says what it should is not due, so nothing is signed again.
//! 4. Every Secret that bears one of our names is claimed, genuine or not: what is not wanted is then removed as ever.
//! 5. What an older ledger says of a binding without a genuine document does not count: that seat was freed since.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use crate::{
    domain::{
        license::{License, Seat, Uid},
        terms::Client,
    },
    keys::Signer,
    ledger::{Bind, Change, CommitError, Document, Facts, Ledger},
    service::{
        issue::{Subject, adopt},
        reconcile_license::{SEAT_SUFFIX, seat_secret, terms},
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
    /// What an older ledger says.
    pub facts: Option<&'a Facts>,
    /// How many seats of the product each holder has under other Licenses of the namespace.
    pub elsewhere: &'a BTreeMap<String, u32>,
}

/// Makes the facts true again. Returns how many holders and documents were found.
///
/// # Errors
/// When the ledger is away or somebody else was faster: look again.
pub async fn recover_license(
    ledger: &impl Ledger,
    remains: Remains<'_>,
    now: Timestamp,
    entropy: [u8; 32],
) -> Result<(usize, usize), CommitError> {
    let change = recovered(remains, now, entropy);
    ledger.commit(&change).await?;
    Ok((change.bind.len(), change.issue.len()))
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
    change.recover = true;
    change.seats = Some(license.limit());
    // Whether anything may be granted, the ordinary look that follows says.
    change.terms = Some(terms(license, None));
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
    change.claim = claims(remains);
    change
}

/// The genuine documents in the Secrets, by whom they are about.
fn genuine(Remains { license, seats, signer, found, .. }: Remains<'_>) -> BTreeMap<Uid, Document> {
    let subjects = std::iter::once((license.secret.to_string(), Subject::License))
        .chain(seats.iter().map(|seat| (seat_secret(&seat.name), Subject::Seat(seat, &[]))));
    let by_name: BTreeMap<String, Subject<'_>> = subjects.collect();
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
    let most = license.max_per_user.unwrap_or(u32::MAX);
    let may = |seat: &Seat| {
        seat.holder.client() == Client::Devices
            || elsewhere.get(&seat.holder.identity()).is_none_or(|held| *held < most)
    };
    let mut once = BTreeSet::new();
    claiming.retain(|(_, seat)| may(seat) && once.insert(seat.holder.identity()));
    claiming.truncate(limit);
    // Whoever was bound later loses first when the limit is lowered; the first documents are as old as the bindings.
    claiming.sort_by_key(|(document, seat)| {
        (ordinal(&seat.uid), document.issued_at, seat.created, seat.name.clone())
    });
    claiming.into_iter().map(|(_, seat)| seat).collect()
}

/// The Secrets that bear a name of ours, for whom they say that they are: also of Seats that are gone meanwhile.
fn claims(Remains { license, found, facts, .. }: Remains<'_>) -> Vec<(String, Uid)> {
    let ours = |name: &str| name == license.secret.as_str() || name.ends_with(SEAT_SUFFIX);
    let claimed =
        |name: &str| facts.is_some_and(|facts| facts.secrets.iter().any(|claim| claim.name == name));
    let unclaimed = found.iter().filter(|found| ours(&found.name) && !claimed(&found.name));
    unclaimed.map(|found| (found.name.clone(), found.subject.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            allocation::Binding,
            license::{
                Holder,
                tests::{at, license},
            },
        },
        keys::{KeyPair, key_set::Request},
        ledger::Terms,
        service::issue::issue_if_due,
    };

    fn signer(seed: u8) -> Signer {
        let (root, signing) = (KeyPair::from_seed(&[seed; 32]), KeyPair::from_seed(&[seed + 1; 32]));
        let issuer: crate::domain::text::Issuer = "https://usher.acme.example/a/default".parse().unwrap();
        let request = Request { iss: issuer.clone(), serial: 1, keys: Vec::new() };
        let keys = request.sign(&root, 1).unwrap();
        Signer::new(issuer, signing, keys, None)
    }

    fn seat(name: &str) -> Seat {
        Seat {
            uid: Uid(format!("uid-{name}")),
            name: name.into(),
            holder: Holder::Email(format!("{name}@acme.example").parse().unwrap()),
            priority: 0,
            created: at(1),
            place: 0,
            group: None,
            rests: None,
        }
    }

    fn document(license: &License, seat: &Seat, signer: &Signer, iat: i64) -> Document {
        issue_if_due(license, Subject::Seat(seat, &[]), signer, None, at(iat), &[7; 32]).unwrap().unwrap().0
    }

    fn found(seat: &Seat, document: &Document) -> Found {
        Found {
            name: seat_secret(&seat.name),
            subject: seat.uid.clone(),
            jws: document.jws.clone(),
            keys_jws: document.keys_jws.clone(),
        }
    }

    /// What comes of it: who is bound anew, and the change.
    fn recover(
        license: &License,
        seats: &[Seat],
        found: &[Found],
        facts: Option<&Facts>,
    ) -> (Vec<String>, Change) {
        let (unreadable, elsewhere, signer) = (BTreeMap::new(), BTreeMap::new(), signer(1));
        let remains = Remains {
            license,
            seats,
            unreadable: &unreadable,
            signer: &signer,
            found,
            facts,
            elsewhere: &elsewhere,
        };
        let change = recovered(remains, at(2_000), [9; 32]);
        (change.bind.iter().map(|bind| bind.seat.to_string()).collect(), change)
    }

    #[test]
    fn a_genuine_document_is_taken_over_to_the_byte_and_is_not_due() {
        let (license, ann) = (license(1), seat("ann"));
        let issued = document(&license, &ann, &signer(1), 1_000);
        let (bound, change) = recover(&license, std::slice::from_ref(&ann), &[found(&ann, &issued)], None);
        assert_eq!(bound, ["uid-ann"]);
        assert_eq!(
            change.issue,
            std::slice::from_ref(&issued),
            "with the digest and the renewal that it had"
        );
        let again = issue_if_due(
            &license,
            Subject::Seat(&ann, &[]),
            &signer(1),
            change.issue.first(),
            at(2_000),
            &[8; 32],
        );
        assert!(again.unwrap().is_none());
        let mut edited = license.clone();
        edited.customer = "acme inc".parse().unwrap();
        let (_, change) = recover(&edited, std::slice::from_ref(&ann), &[found(&ann, &issued)], None);
        let again = issue_if_due(
            &edited,
            Subject::Seat(&ann, &[]),
            &signer(1),
            change.issue.first(),
            at(2_000),
            &[8; 32],
        );
        assert!(again.unwrap().is_some(), "it says what was edited meanwhile");
    }

    #[test]
    fn no_document_counts_but_this_authoritys_about_this_license_seat_and_holder() {
        let (license, ann, bob) = (license(5), seat("ann"), seat("bob"));
        let genuine = document(&license, &ann, &signer(1), 1_000);
        let of = |found: Found| recover(&license, &[ann.clone(), bob.clone()], &[found], None);
        let foreign = document(&license, &ann, &signer(50), 1_000);
        assert!(of(found(&ann, &foreign)).0.is_empty(), "another key");
        let former = License { uid: Uid("former".into()), ..license.clone() };
        assert!(
            of(found(&ann, &document(&former, &ann, &signer(1), 1_000))).0.is_empty(),
            "a former License"
        );
        let (bound, change) =
            of(Found { name: "bob-seat".into(), subject: bob.uid.clone(), ..found(&ann, &genuine) });
        assert!(bound.is_empty(), "hers in his Secret");
        assert_eq!(change.claim, [("bob-seat".to_owned(), bob.uid.clone())], "so that it is removed");
        assert!(
            of(Found { subject: Uid("gone".into()), ..found(&ann, &genuine) }).0.is_empty(),
            "a former Seat"
        );
        let before = Seat { holder: Holder::Email("eve@acme.example".parse().unwrap()), ..ann.clone() };
        assert!(
            of(found(&ann, &document(&license, &before, &signer(1), 1_000))).0.is_empty(),
            "another holder"
        );
        let mut broken = found(&ann, &genuine);
        broken.jws = broken.jws.replacen('.', ".A", 1);
        assert!(of(broken).0.is_empty(), "another text");
        assert_eq!(of(found(&ann, &genuine)).0, ["uid-ann"]);
    }

    #[test]
    fn when_more_documents_claim_a_seat_than_there_are_the_newest_count() {
        let seats = ["ann", "bob", "cy"].map(seat);
        let many = license(9);
        let found: Vec<Found> = seats
            .iter()
            .zip([1_000, 1_200, 1_100])
            .map(|(seat, iat)| found(seat, &document(&many, seat, &signer(1), iat)))
            .collect();
        assert_eq!(
            recover(&license(2), &seats, &found, None).0,
            ["uid-cy", "uid-bob"],
            "in the order of their documents"
        );
        let (bound, change) = recover(&license(0), &seats, &found, None);
        assert!(bound.is_empty() && change.issue.is_empty());
        assert_eq!(change.claim.len(), 3, "so that they are removed");
    }

    #[test]
    fn what_an_older_ledger_says_gives_way_to_the_documents() {
        let (license, ann, bob) = (license(1), seat("ann"), seat("bob"));
        let (old, new) =
            (document(&license, &ann, &signer(1), 500), document(&license, &bob, &signer(1), 1_000));
        let facts = Facts {
            license: license.uid.clone(),
            version: 4,
            incarnation: 1,
            seats: 1,
            terms: Terms::default(),
            bindings: vec![Binding { seat: ann.uid.clone(), holder: ann.holder.identity(), ordinal: 1 }],
            cooling: Vec::new(),
            documents: vec![old],
            secrets: Vec::new(),
            copies: Vec::new(),
            keys: BTreeMap::new(),
        };
        let (bound, change) =
            recover(&license, &[ann.clone(), bob.clone()], &[found(&bob, &new)], Some(&facts));
        assert_eq!(
            (bound, change.free, change.withdraw),
            (vec!["uid-bob".into()], vec![ann.uid.clone()], vec![ann.uid])
        );
        assert_eq!((change.issue, change.expected), (vec![new], Some(4)));
    }
}
