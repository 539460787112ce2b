//! Who belongs to a group, and who has asked for a License, as every engine must keep it.

use std::collections::BTreeSet;

use super::{super::*, ISSUER, ann, person, pins, principal, with_seat};
use crate::{
    domain::{principal::Principal, witness::Loss},
    ledger::people::{Arrival, GroupAt, News, Pin},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, members_are_those_whom_their_provider_last_put_into_the_group).await;
    run(open, whoever_has_a_seat_is_known_by_it).await;
    run(open, whoever_asks_is_on_record_until_the_license_or_they_are_gone).await;
    run(open, arrivals_are_told_with_what_they_are_about).await;
    run(open, of_a_restored_ledger_it_is_known_since_when_it_knows).await;
}

pub(super) fn of(provider: Option<&str>, name: &str) -> GroupAt {
    GroupAt { provider: provider.map(|name| name.parse().unwrap()), name: name.parse().unwrap() }
}

fn in_groups(subject: &str, groups: &[&str]) -> Principal {
    let email = format!("{subject}@acme.example");
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Principal { groups, ..principal(subject, Ok(&email)) }
}

pub(super) async fn subjects<L: Ledger>(ledger: &L, of: &[GroupAt]) -> Vec<String> {
    let members = ledger.members(&uid("l"), of).await.unwrap();
    members.people.into_iter().map(|member| member.person.subject.to_string()).collect()
}

async fn members_are_those_whom_their_provider_last_put_into_the_group<L: Ledger>(ledger: Shared<L>) {
    ledger.meet(&in_groups("b", &["cad-users", "staff"]), at(10)).await.unwrap();
    ledger.meet(&in_groups("a", &["cad-users"]), at(20)).await.unwrap();
    let other = Principal { provider: "other".parse().unwrap(), ..in_groups("c", &["cad-users"]) };
    ledger.meet(&other, at(30)).await.unwrap();
    let (acme, any) = ([of(Some("acme"), "cad-users")], of(None, "cad-users"));
    assert_eq!(subjects(&*ledger, &acme).await, ["b", "a"], "whoever came first goes first");
    assert_eq!(subjects(&*ledger, &[any, of(Some("acme"), "staff")]).await, ["b", "a", "c"], "nobody twice");
    assert!(subjects(&*ledger, &[of(Some("acme"), "CAD-users"), of(Some("acme"), "none")]).await.is_empty());

    ledger.meet(&in_groups("b", &["staff"]), at(40)).await.unwrap();
    assert_eq!(subjects(&*ledger, &acme).await, ["a"]);
    ledger.meet(&in_groups("b", &["cad-users"]), at(50)).await.unwrap();
    assert_eq!(subjects(&*ledger, &acme).await, ["b", "a"]);
    assert_eq!(ledger.members(&uid("l"), &acme).await.unwrap().people[0].proven_at, at(50));
    assert_eq!(ledger.erase(&["email:a@acme.example".to_owned()], at(60)).await.unwrap(), 1);
    assert_eq!(subjects(&*ledger, &acme).await, ["b"]);
}

async fn whoever_has_a_seat_is_known_by_it<L: Ledger>(ledger: Shared<L>) {
    let turn = with_seat(&*ledger).await;
    ledger.meet(&ann(), at(10)).await.unwrap();
    let pin = Pin {
        holder: "email:ann@acme.example".into(),
        issuer: ISSUER.parse().unwrap(),
        subject: "1".parse().unwrap(),
    };
    ledger.record(pins("1", turn)).await.unwrap();
    ledger.meet(&principal("1", Ok("ann.b@acme.example")), at(20)).await.unwrap();
    let group = [of(Some("acme"), "cad-users")];
    let holds =
        async |license: &str| ledger.members(&uid(license), &group).await.unwrap().people[0].holds.clone();
    assert_eq!(holds("l").await, Some(pin.holder));
    assert_eq!(holds("m").await, None, "under another License");
    // Whoever is given the address is another, and known by themselves.
    ledger
        .meet(&Principal { groups: ann().groups, ..principal("2", Ok("ann@acme.example")) }, at(30))
        .await
        .unwrap();
    let mut other = change(Some(facts(&*ledger).await.version));
    other.seats = Some(2);
    other.bind = vec![Bind { seat: uid("t"), holder: person("2").identity() }];
    ledger.commit(&other).await.unwrap();
    let people = ledger.members(&uid("l"), &group).await.unwrap().people;
    let known: Vec<_> = people.iter().map(|one| (one.anothers, one.holds.as_deref())).collect();
    assert_eq!(known, [(false, Some("email:ann@acme.example")), (true, Some(&*person("2").identity()))]);
}

async fn whoever_asks_is_on_record_until_the_license_or_they_are_gone<L: Ledger>(ledger: Shared<L>) {
    with_seat(&*ledger).await;
    assert!(!ledger.ask_for(&uid("l"), &person("1"), at(10)).await.unwrap(), "nobody has proven them");
    ledger.meet(&ann(), at(10)).await.unwrap();
    assert!(ledger.ask_for(&uid("l"), &person("1"), at(20)).await.unwrap());
    assert!(ledger.ask_for(&uid("l"), &person("1"), at(30)).await.unwrap(), "once is as good as twice");
    let asked = ledger.members(&uid("l"), &[]).await.unwrap().people;
    assert!(asked.len() == 1 && asked[0].asked && asked[0].person.subject.as_str() == "1");
    assert!(ledger.members(&uid("m"), &[]).await.unwrap().people.is_empty());
    let group = [of(None, "cad-users")];
    assert_eq!(ledger.members(&uid("l"), &group).await.unwrap().people, asked, "a member who asked is one");

    let mut free = change(Some(facts(&*ledger).await.version));
    free.free = vec![uid("s")];
    ledger.commit(&free).await.unwrap();
    assert_eq!(ledger.erase(&["email:ann@acme.example".to_owned()], at(70)).await.unwrap(), 1);
    assert!(ledger.members(&uid("l"), &[]).await.unwrap().people.is_empty());
}

async fn arrivals_are_told_with_what_they_are_about<L: Ledger>(ledger: Shared<L>) {
    with_seat(&*ledger).await;
    ledger.meet(&ann(), at(10)).await.unwrap();
    ledger.ask_for(&uid("l"), &person("1"), at(20)).await.unwrap();
    let arrival =
        |at, news| Arrival { issuer: ISSUER.parse().unwrap(), subject: "1".parse().unwrap(), at, news };
    let proven = arrival(at(10), News::Proven("acme".parse().unwrap(), ann().groups));
    let asked = arrival(at(20), News::Asked(key()));
    assert_eq!(ledger.arrivals(at(10)).await.unwrap(), [proven, asked.clone()].into());
    assert_eq!(ledger.arrivals(at(11)).await.unwrap(), [asked].into());
    assert!(ledger.arrivals(at(21)).await.unwrap().is_empty());
    // Whoever has left a group concerns those that name it, also if they come a second time at once.
    for when in [30, 30, 31] {
        ledger.meet(&Principal { groups: BTreeSet::new(), ..ann() }, at(when)).await.unwrap();
    }
    let left = arrival(at(31), News::Proven("acme".parse().unwrap(), ann().groups));
    assert_eq!(ledger.arrivals(at(30)).await.unwrap(), [left].into());
}

async fn of_a_restored_ledger_it_is_known_since_when_it_knows<L: Ledger>(ledger: Shared<L>) {
    let known_since = async || ledger.members(&uid("l"), &[]).await.unwrap().known_since;
    assert_eq!(known_since().await, None);
    ledger.lead(&lead::claim("here")).await.unwrap();
    ledger.recover(Loss::Missing, None, at(70)).await.unwrap();
    assert_eq!(known_since().await, Some(at(70)));
}
