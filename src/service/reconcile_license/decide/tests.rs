mod carried;
mod over;

use super::*;
use crate::{
    domain::{
        license::{
            Holder,
            tests::{at, feature, license},
        },
        terms::{Client, Enforcement, Feature, Provisioning},
    },
    keys::{KeyPair, Signer, key_set::Request},
};

/// Until when the documents of these tests are good.
const EXP: i64 = 900;

fn signer() -> Signer {
    signer_of("https://usher.acme.example/a/default")
}

fn signer_of(issuer: &str) -> Signer {
    let (root, signing) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let issuer: crate::domain::text::Issuer = issuer.parse().unwrap();
    let request = Request { iss: issuer.clone(), serial: 1, keys: Vec::new() };
    let keys_jws = request.sign(&root, 0).unwrap();
    Signer::new(issuer, signing, keys_jws, None)
}

fn seat_of(name: &str) -> Seat {
    crate::domain::allocation::tests::seat(name, name, 0, 0)
}

fn document(subject: &str) -> Document {
    Document {
        subject: Uid(subject.into()),
        serial: subject.into(),
        digest: "of what it says".into(),
        key_id: "key".into(),
        jws: "a.b.c".into(),
        keys_jws: "a.b.c".into(),
        issued_at: at(0),
        expires_at: at(EXP),
        renew_at: Some(at(10)),
    }
}

/// The facts of `license` when these people hold seats.
fn facts(license: &License, holders: &[&str]) -> Facts {
    let binding = |(ordinal, name): (i64, &&str)| Binding {
        seat: Uid(format!("uid-{name}")),
        holder: seat_of(name).holder.identity(),
        ordinal,
    };
    Facts {
        license: license.uid.clone(),
        version: 1,
        incarnation: 1,
        seats: license.limit(),
        terms: terms(license, Some(&signer()), (0, 0)),
        bindings: (1..).zip(holders).map(binding).collect(),
        carries: BTreeMap::new(),
        cooling: Vec::new(),
        documents: holders.iter().map(|name| document(&format!("uid-{name}"))).collect(),
        secrets: Vec::new(),
        keys: BTreeMap::new(),
        copies: Vec::new(),
        forked: Vec::new(),
        contested: Default::default(),
    }
}

/// Nobody has activated.
static NONE: Holding = Holding { places: 0, first_end: None, holders: Vec::new() };

fn known(facts: Option<&Facts>) -> Known<'_> {
    Known { facts, elsewhere: None, holding: &NONE, last: &[] }
}

/// Decides at the second 100.
fn look(license: &License, seats: &[Seat], facts: Option<&Facts>) -> (Change, Outcome) {
    let (signer, unreadable) = (signer(), BTreeMap::new());
    let wanted = Wanted { license, seats, unreadable: &unreadable, signer: Some(&signer), may_grant: true };
    decide(wanted, known(facts), usize::MAX, at(100), [0; 32]).unwrap()
}

fn claims(document: &Document) -> usher_license::Claims {
    usher_license::License::parse(document.jws.as_bytes()).unwrap().unverified_claims().clone()
}

fn names(uids: impl IntoIterator<Item = Uid>) -> Vec<String> {
    uids.into_iter().map(|uid| uid.0.trim_start_matches("uid-").to_owned()).collect()
}

#[test]
fn a_renewal_that_nobody_can_sign_is_not_waited_for() {
    let license = license(1);
    let facts = Facts { documents: vec![document("license-1")], ..facts(&license, &[]) };
    let unreadable = BTreeMap::new();
    let wanted =
        Wanted { license: &license, seats: &[], unreadable: &unreadable, signer: None, may_grant: false };
    let known = known(Some(&facts));
    let (change, outcome) = decide(wanted, known, usize::MAX, at(20), [0; 32]).unwrap();
    assert_eq!(outcome.next_look, None, "a look in the past would come again and again");
    assert_eq!(outcome.documents.len(), 1, "what there is stays");
    assert!(change.issue.is_empty() && change.withdraw.is_empty());
}

#[test]
fn an_authority_that_may_not_grant_any_more_ends_what_it_granted_and_signs_nothing_else() {
    let mut license = license(3);
    let people = ["ann", "bob"].map(seat_of);
    let issued = look(&license, &people[..1], None).0.issue;
    let facts = Facts { documents: issued, ..facts(&license, &["ann"]) };
    let unreadable = BTreeMap::new();
    let decide_at = |license: &License, signer: &Signer, facts: &Facts, second: i64| {
        let wanted = Wanted {
            license,
            seats: &people,
            unreadable: &unreadable,
            signer: Some(signer),
            may_grant: false,
        };
        decide(wanted, known(Some(facts)), usize::MAX, at(second), [1; 32]).unwrap()
    };
    let (change, outcome) = decide_at(&license, &signer(), &facts, 50_000_000);
    assert!(change.issue.is_empty() && change.bind.is_empty(), "no renewal, nobody new: {change:?}");
    assert_eq!(outcome.next_look, None, "a look in the past would come again and again");

    license.suspended = true;
    let (change, outcome) = decide_at(&license, &signer(), &facts, 200);
    let ended: Vec<&str> = change.issue.iter().map(|document| document.subject.0.as_str()).collect();
    assert_eq!(ended, ["license-1", "uid-ann"], "bob has nothing that could end");
    assert!(change.issue.iter().all(|d| claims(d).state == usher_license::State::Suspended));
    let ended = Facts { documents: outcome.documents.into_values().collect(), ..facts.clone() };
    assert!(decide_at(&license, &signer(), &ended, 50_000_000).0.issue.is_empty(), "it is not renewed");

    let other = signer_of("https://usher.acme.example/a/other");
    assert!(decide_at(&license, &other, &facts, 200).0.issue.is_empty(), "it never granted anything here");
}

#[test]
fn a_freed_seat_cools_before_it_is_given_away_and_nobody_forgets_when_it_has() {
    let mut license = license(1);
    license.reassign = Reassign::After(50);
    let facts = facts(&license, &["ann"]);
    let (change, outcome) = look(&license, &[seat_of("bob")], Some(&facts));
    let freed =
        Freed { holder: seat_of("ann").holder.identity(), places: 1, freed_at: at(100), expires_at: at(EXP) };
    assert_eq!((change.cool, change.bind), (vec![freed.clone()], vec![]));
    assert_eq!((outcome.cooling, outcome.next_look), (1, Some(at(150))));

    let later =
        Facts { bindings: Vec::new(), documents: Vec::new(), cooling: vec![freed.clone()], ..facts.clone() };
    license.reassign = Reassign::Lease;
    let (change, outcome) = look(&license, &[seat_of("bob")], Some(&later));
    assert!(change.bind.is_empty() && change.cooled.is_empty());
    assert_eq!(outcome.next_look.unwrap(), at(EXP).min(outcome.next_look.unwrap()));
    let (change, outcome) = look(&license, &[seat_of("ann"), seat_of("bob")], Some(&later));
    assert_eq!(
        (names(change.bind.into_iter().map(|b| b.seat)), outcome.cooling),
        (vec!["ann".to_owned()], 0)
    );

    license.reassign = Reassign::After(0);
    let (change, _) = look(&license, &[seat_of("bob")], Some(&later));
    assert_eq!(change.cooled, [freed.holder]);
    assert_eq!(names(change.bind.into_iter().map(|b| b.seat)), ["bob"]);
}

#[test]
fn overage_and_advice_say_who_is_too_many() {
    let mut license = license(1);
    let people = ["ann", "bob", "cy"].map(seat_of);
    assert!(look(&license, &people, None).1.over.is_empty());
    license.overage_percent = 100;
    let (change, outcome) = look(&license, &people, None);
    assert_eq!((change.seats, names(outcome.over.into_keys())), (Some(2), vec!["bob".to_owned()]));
    license.enforcement = Enforcement::Advise;
    let (_, outcome) = look(&license, &people, None);
    assert_eq!(names(outcome.over.into_keys()), ["bob", "cy"]);
    assert_eq!(outcome.bound.len(), 3);
}

#[test]
fn how_a_license_is_provided_was_fixed_when_it_was_first_seen() {
    let mut license = license(1);
    let facts = facts(&license, &["ann"]);
    license.terms.provisioning = Provisioning::Floating;
    let (change, outcome) = look(&license, &[seat_of("ann")], Some(&facts));
    let refused = outcome.refused.unwrap();
    assert_eq!(refused.reason, Reason::ProvisioningChanged);
    assert!(
        refused.message.starts_with("the License is Named and cannot become Floating"),
        "{}",
        refused.message
    );
    assert!(change.free.is_empty() && change.withdraw.is_empty(), "nothing is taken away: {change:?}");
    assert!(change.issue.is_empty(), "nothing is signed: {change:?}");
    let told = change.terms.unwrap();
    let contract = told.contract.unwrap();
    let kept = (told.provisioning, contract.license.terms.provisioning);
    assert_eq!(kept, (Provisioning::Named, Provisioning::Named), "nothing is forgotten");
    assert_eq!(contract.issuer, None, "and the runtime grants nothing either");
    let (change, outcome) = look(&license, &[], None);
    assert_eq!((outcome.refused, change.seats), (None, Some(0)), "a new one may be what it likes");
}

#[test]
fn a_seat_carries_what_its_group_may_and_says_suspended_while_it_rests() {
    let mut license = license(3);
    license.terms.features.push(Feature { seats: Some(1), ..feature("xr") });
    license.terms.devices_per_seat = Some(2);
    license.edition = Some("standard".parse().unwrap());
    let mut people = ["ann", "bob"].map(seat_of);
    people[1].rests = Some(Because::new(Reason::Suspended, "rests"));
    let facts = facts(&license, &["bob", "ann"]);
    let (change, _) = look(&license, &people, Some(&facts));
    let said: BTreeMap<String, usher_license::Claims> =
        change.issue.iter().map(|d| (d.subject.0.clone(), claims(d))).collect();
    let features = |name: &str| said[name].features.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    assert_eq!(features("license-1"), ["render", "xr"]);
    assert_eq!(features("uid-ann"), ["render"], "bob was bound first, and carries xr when he does not rest");
    assert_eq!(said["uid-bob"].state, usher_license::State::Suspended);
    assert!(said["uid-bob"].features.is_empty());
    assert_eq!(said["uid-ann"].limits.devices_per_seat, Some(2));
    assert_eq!(said["uid-ann"].license.edition.as_deref(), Some("standard"));
}

#[test]
fn a_holder_who_moves_to_another_seat_gets_a_document_for_it_and_loses_the_former() {
    let license = license(1);
    let facts = facts(&license, &["ann"]);
    let other = Seat { uid: Uid("uid-other".into()), name: "other".into(), ..seat_of("ann") };
    let (change, outcome) = look(&license, &[other], Some(&facts));
    assert_eq!(change.moved, [(Uid("uid-ann".into()), Uid("uid-other".into()))]);
    assert!(change.bind.is_empty() && change.free.is_empty() && outcome.freed.is_empty());
    assert_eq!(names(change.withdraw), ["ann"]);
    assert!(change.issue.iter().any(|document| document.subject.0 == "uid-other"));
}

#[test]
fn a_person_is_no_device() {
    let device = Holder::Device { id: "9f86".parse().unwrap(), name: None };
    assert_eq!((device.client(), seat_of("ann").holder.client()), (Client::Devices, Client::Users));
}

/// Nothing here measures time: whatever looks through all Seats for each Seat takes minutes where this takes a second.
#[test]
fn twenty_thousand_seats_are_bound_kept_and_taken_away() {
    const MANY: u32 = 20_000;
    let mut license = license(MANY);
    license.reassign = Reassign::After(50);
    let names: Vec<String> = (0..MANY).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let people: Vec<Seat> = names.iter().map(|name| seat_of(name)).collect();
    let (unreadable, none) = (BTreeMap::new(), facts(&license, &[]));
    let unsigned = |license: &License, facts: &Facts| {
        let wanted =
            Wanted { license, seats: &people, unreadable: &unreadable, signer: None, may_grant: false };
        decide(wanted, known(Some(facts)), usize::MAX, at(100), [0; 32]).unwrap()
    };
    let (change, _) = look(&license, &people, Some(&none));
    assert_eq!((change.bind.len(), change.claim.len()), (people.len(), people.len() + 1));
    let claim = |name: &&str| SecretClaim {
        name: seat_secret(name),
        subject: Uid(format!("uid-{name}")),
        removing: false,
    };
    let secrets = names.iter().map(claim).collect();
    let all = Facts { secrets, terms: terms(&license, None, (0, 0)), ..facts(&license, &names) };
    let (change, _) = unsigned(&license, &all);
    assert!(change.is_empty(), "whoever holds keeps");
    license.seats = 0;
    let (change, outcome) = unsigned(&license, &all);
    assert_eq!((change.free.len(), change.cool.len()), (people.len(), people.len()));
    assert_eq!((change.withdraw.len(), change.release.len()), (people.len(), people.len()));
    let freed = Facts { bindings: Vec::new(), documents: Vec::new(), cooling: change.cool, ..all };
    license.seats = MANY;
    let (change, _) = look(&license, &people, Some(&freed));
    assert_eq!((change.bind.len(), outcome.cooling), (people.len(), people.len()));
}

#[test]
fn one_look_binds_and_signs_a_part_and_says_nothing_of_those_whose_turn_has_not_come() {
    let license = license(5);
    let people = ["ann", "bob", "cy", "dee", "eve"].map(seat_of);
    let (signer, unreadable) = (signer(), BTreeMap::new());
    let wanted = Wanted {
        license: &license,
        seats: &people,
        unreadable: &unreadable,
        signer: Some(&signer),
        may_grant: true,
    };
    let look = |facts: Option<&Facts>| decide(wanted, known(facts), 2, at(100), [0; 32]).unwrap();
    let told = |outcome: &Outcome| names(outcome.standings.keys().cloned());
    let (change, outcome) = look(None);
    assert_eq!(names(change.bind.into_iter().map(|bind| bind.seat)), ["ann", "bob"]);
    assert_eq!((told(&outcome), outcome.more), (vec!["ann".to_owned(), "bob".to_owned()], true));
    assert_eq!(change.issue.len(), 3, "the License's own beside those of two Seats");

    // All of them hold, and all documents say what is no longer so.
    let facts = facts(&license, &["ann", "bob", "cy", "dee", "eve"]);
    let (change, outcome) = look(Some(&facts));
    assert_eq!((change.issue.len(), outcome.documents.len(), outcome.more), (3, 3, true));
    assert_eq!(told(&outcome), ["ann", "bob"], "the others go on showing what they show");
    assert!(change.withdraw.is_empty() && change.release.is_empty());
}

#[test]
fn reserves_are_kept_from_activations_unless_nobody_could_fill_them() {
    let mut license = license(5);
    license.groups = vec![crate::domain::allocation::tests::group("interns", None, 5)];
    let kept = |license: &License| {
        look(license, &[], None).0.terms.and_then(|terms| terms.contract).map(|contract| contract.kept)
    };
    assert_eq!(kept(&license), Some(5));
    license.terms.provisioning = Provisioning::Floating;
    assert_eq!(kept(&license), Some(0), "a Floating License has no Seats");
}
