use super::*;
use crate::{
    domain::{
        allocation::Binding,
        license::{
            Holder, Reassign,
            tests::{at, feature, license},
        },
        terms::Feature,
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

/// An older ledger's facts of a License of which it knows nothing else.
fn known(license: &License) -> Facts {
    Facts {
        license: license.uid.clone(),
        version: 4,
        incarnation: 1,
        seats: 1,
        terms: Terms::default(),
        bindings: Vec::new(),
        carries: BTreeMap::new(),
        cooling: Vec::new(),
        documents: Vec::new(),
        secrets: Vec::new(),
        copies: Vec::new(),
        keys: BTreeMap::new(),
        forked: Vec::new(),
        contested: Default::default(),
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
        keys: &[],
        facts,
        elsewhere: &elsewhere,
        lost_at: at(1_900),
        is_younger: facts.is_none(),
    };
    let change = recovered(remains, at(2_000), [9; 32]);
    (change.bind.iter().map(|bind| bind.seat.to_string()).collect(), change)
}

#[test]
fn who_carries_a_feature_that_few_carry_was_bound_before_who_does_not() {
    let (mut license, ann, bob) = (license(2), seat("ann"), Seat { created: at(9), ..seat("bob") });
    license.terms.features.push(Feature { seats: Some(1), ..feature("xr") });
    let xr: Vec<&Feature> = license.terms.features.iter().collect();
    let carrying = issue_if_due(&license, Subject::Seat(&bob, &xr), &signer(1), None, at(1_500), &[7; 32]);
    let carrying = carrying.unwrap().unwrap().0;
    let found = [found(&ann, &document(&license, &ann, &signer(1), 1_000)), found(&bob, &carrying)];
    let seats = [ann, bob];
    let (bound, change) = recover(&license, &seats, &found, None);
    assert_eq!(bound, ["uid-bob", "uid-ann"]);
    let carries: Vec<&str> = change.carries.iter().map(|(holder, _)| holder.as_str()).collect();
    assert_eq!(carries, [seats[1].holder.identity()]);
    // Whom the ledger knows already was brought back before.
    let binding = Binding { seat: seats[1].uid.clone(), holder: seats[1].holder.identity(), ordinal: 1 };
    let facts = Facts { bindings: vec![binding], ..known(&license) };
    let (bound, change) = recover(&license, &seats, &found, Some(&facts));
    assert_eq!((bound, change.carries), (vec!["uid-ann".to_owned()], Vec::new()));
}

#[test]
fn a_genuine_document_is_taken_over_to_the_byte_and_is_not_due() {
    let (license, ann) = (license(1), seat("ann"));
    let issued = document(&license, &ann, &signer(1), 1_000);
    let (bound, change) = recover(&license, std::slice::from_ref(&ann), &[found(&ann, &issued)], None);
    assert_eq!(bound, ["uid-ann"]);
    assert_eq!(change.issue, std::slice::from_ref(&issued), "with the digest and the renewal that it had");
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
    assert!(of(found(&ann, &document(&former, &ann, &signer(1), 1_000))).0.is_empty(), "a former License");
    let (bound, change) =
        of(Found { name: "bob-seat".into(), subject: bob.uid.clone(), ..found(&ann, &genuine) });
    assert!(bound.is_empty(), "hers in his Secret");
    assert_eq!(change.claim, [("bob-seat".to_owned(), bob.uid.clone())], "so that it is removed");
    assert!(of(Found { subject: Uid("gone".into()), ..found(&ann, &genuine) }).0.is_empty(), "a former Seat");
    let before = Seat { holder: Holder::Email("eve@acme.example".parse().unwrap()), ..ann.clone() };
    assert!(of(found(&ann, &document(&license, &before, &signer(1), 1_000))).0.is_empty(), "another holder");
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
    let (old, new) = (document(&license, &ann, &signer(1), 500), document(&license, &bob, &signer(1), 1_000));
    let facts = Facts {
        bindings: vec![Binding { seat: ann.uid.clone(), holder: ann.holder.identity(), ordinal: 1 }],
        documents: vec![old],
        ..known(&license)
    };
    let (bound, change) = recover(&license, &[ann.clone(), bob.clone()], &[found(&bob, &new)], Some(&facts));
    assert_eq!(
        (bound, change.free, change.withdraw),
        (vec!["uid-bob".into()], vec![ann.uid.clone()], vec![ann.uid])
    );
    assert_eq!((change.issue, change.expected), (vec![new], Some(4)));
}

#[test]
fn places_that_were_free_cool_from_when_the_loss_was_found_for_nobody_knows_whose_they_were() {
    let (ann, bob) = (seat("ann"), seat("bob"));
    let cooling = |license: &License, found: &[Found], facts: Option<&Facts>| {
        let change = recover(license, &[ann.clone(), bob.clone()], found, facts).1;
        change.cool.first().map(|freed| (freed.places, freed.freed_at, freed.expires_at))
    };
    let at_once = license(5);
    let issued = [found(&ann, &document(&at_once, &ann, &signer(1), 1_000))];
    assert_eq!(cooling(&at_once, &issued, None), None, "seats do not cool here");
    let mut license = License { reassign: Reassign::After(50), ..at_once };
    let end = times(&license, &license.uid, at(1_900)).expires_at;
    assert_eq!(cooling(&license, &issued, None), Some((4, at(1_900), end)));
    assert_eq!(cooling(&license, &[], None), None, "it was made since, and nobody has had a seat");
    license.reassign = Reassign::Lease;
    assert_eq!(cooling(&license, &issued, None), Some((4, at(1_900), end)));

    // What an older ledger knows to cool does so by itself.
    let of_bob = Freed { holder: bob.holder.identity(), places: 1, freed_at: at(900), expires_at: at(2_500) };
    let former = Freed { holder: UNKNOWN.into(), places: 3, ..of_bob.clone() };
    let facts = Facts { cooling: vec![of_bob, former], ..known(&license) };
    assert_eq!(cooling(&license, &issued, Some(&facts)), Some((3, at(1_900), end)));
    assert_eq!(cooling(&license, &[], Some(&facts)).map(|(places, ..)| places), Some(4));

    let advises = License { enforcement: Enforcement::Advise, ..license.clone() };
    assert_eq!(cooling(&advises, &issued, None), None, "there is no end of places");
    let full = License { seats: 1, ..license };
    assert_eq!(cooling(&full, &issued, None), None);
}

#[test]
fn a_part_of_what_was_lost_says_nothing_of_what_cools() {
    let seats = ["ann", "bob"].map(seat);
    let license = License { reassign: Reassign::After(50), ..license(5) };
    let found = seats.each_ref().map(|seat| found(seat, &document(&license, seat, &signer(1), 1_000)));
    let mut change = recover(&license, &seats, &found, None).1;
    assert_eq!(change.cool.len(), 1);
    assert!(!cut(&mut change.clone(), 2));
    assert!(cut(&mut change, 1) && change.cool.is_empty());
}
