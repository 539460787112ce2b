//! People, as every engine must keep them.

#[cfg(test)]
mod again;
#[cfg(test)]
mod barred;
#[cfg(test)]
mod contested;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod holdings;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod members;

use super::{
    activations::{activation, step},
    *,
};
use crate::{
    domain::{
        chain::{Chain, State, Why},
        login::{ACCESS, IDLE, ends_at},
        principal::{NoAddress, Principal},
        standing::{Candidate, Person},
    },
    ledger::{
        EraseError,
        activations::{Activation, Advance, Question, Step},
        audit::Entry,
        people::{Begun, Login, PASSES, Pass, Pin, REMEMBERED},
    },
};

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, a_pass_is_good_until_its_last_instant_and_taken_once).await;
    run(open, what_is_over_is_swept_and_there_are_never_too_many).await;
    run(open, where_there_is_no_room_for_strangers_there_is_for_whoever_was_proven).await;
    run(open, an_assertion_is_used_once_however_many_show_it).await;
    run(open, a_code_begins_one_login_however_many_show_it).await;
    run(open, whoever_is_signed_in_is_known_by_their_access_token_until_it_ends).await;
    run(open, an_address_opens_a_seat_once_and_then_the_person_does).await;
    run(open, a_persons_devices_are_counted_by_themselves).await;
    run(open, whoever_is_erased_is_signed_out_and_unknown).await;
    run(open, who_signed_in_before_the_ledger_was_restored_signs_in_again).await;
    again::check(open).await;
    barred::check(open).await;
    contested::check(open).await;
    devices::check(open).await;
    holdings::check(open).await;
    logins::check(open).await;
    members::check(open).await;
}

pub(super) const ISSUER: &str = "https://idp.acme.example";
const ANN: &str = "email:ann@acme.example";

pub(super) fn principal(subject: &str, email: Result<&str, NoAddress>) -> Principal {
    Principal {
        provider: "acme".parse().unwrap(),
        issuer: ISSUER.parse().unwrap(),
        subject: subject.parse().unwrap(),
        email: email.map(|email| email.parse().unwrap()),
        groups: ["cad-users".parse().unwrap()].into(),
        name: "Ann Example".into(),
    }
}

pub(super) fn ann() -> Principal {
    principal("1", Ok("ann@acme.example"))
}

pub(super) fn person(subject: &str) -> Person {
    let Principal { issuer, email, .. } = ann();
    Person { issuer, subject: subject.parse().unwrap(), email: email.ok() }
}

/// The login `id` of whoever has this subject, since then.
fn login(id: &str, subject: &str, since: i64) -> Login {
    Login {
        id: id.into(),
        issuer: ISSUER.parse().unwrap(),
        subject: subject.parse().unwrap(),
        device: "Lab 3".into(),
        jkt: Some(format!("the key of {id}")),
        family: format!("family of {id}"),
        current: format!("{id} 0"),
        sibling: None,
        previous: None,
        late: None,
        access: format!("access of {id}"),
        access_until: at(since + ACCESS),
        since: at(since),
        used_at: at(since),
        ends_at: ends_at(at(since), at(since)),
        again: None,
        asked_at: at(since),
        in_doubt: false,
        version: 1,
    }
}

async fn keep<L: Ledger>(ledger: &L, hash: &str, until: i64, now: i64) -> bool {
    let pass = Pass { hash: hash.into(), content: format!("for {hash}"), until: at(until) };
    ledger.keep_pass(&pass, Some(PASSES), at(now)).await.unwrap()
}

/// Ann, signed in by the code of the login's id.
async fn signed_in<L: Ledger>(ledger: &L, login: &Login) {
    let now = login.since.as_second();
    ledger.meet(&Principal { subject: login.subject.clone(), ..ann() }, login.since).await.unwrap();
    assert!(keep(ledger, &login.id, now, now).await);
    assert_eq!(ledger.begin_login(&login.id, login).await.unwrap(), Begun::Now);
}

async fn a_pass_is_good_until_its_last_instant_and_taken_once<L: Ledger>(ledger: Shared<L>) {
    assert!(keep(&*ledger, "a", 100, 50).await);
    assert_eq!(ledger.pass("a", at(101)).await.unwrap(), None);
    assert_eq!(ledger.take_pass("a", at(101)).await.unwrap(), None);
    assert_eq!(ledger.pass("b", at(60)).await.unwrap(), None);
    for _ in 0..2 {
        assert_eq!(
            ledger.pass("a", at(100)).await.unwrap().as_deref(),
            Some("for a"),
            "looking takes nothing"
        );
    }
    let taken = (0..8).map(|_| ledger.take_pass("a", at(100)));
    let taken = futures::future::join_all(taken).await;
    assert_eq!(taken.iter().filter(|taken| matches!(taken, Ok(Some(for_a)) if for_a == "for a")).count(), 1);
    assert_eq!(ledger.pass("a", at(100)).await.unwrap(), None);
}

async fn what_is_over_is_swept_and_there_are_never_too_many<L: Ledger>(ledger: Shared<L>) {
    for number in 0..40 {
        assert!(keep(&*ledger, &format!("{number}"), 100 + number, 50).await);
    }
    // With each that comes some go: none of those that were over is left, and those that are not are.
    assert!(keep(&*ledger, "new", 900, 120).await && keep(&*ledger, "newer", 900, 120).await);
    assert_eq!(ledger.pass("0", at(1)).await.unwrap(), None);
    assert_eq!(ledger.pass("19", at(1)).await.unwrap(), None);
    assert!(ledger.pass("20", at(1)).await.unwrap().is_some());
    ledger.meet(&principal("old", Err(NoAddress::Missing)), at(0)).await.unwrap();
    ledger.meet(&ann(), at(REMEMBERED + 1)).await.unwrap();
    assert!(matches!(ledger.erase(&[format!("identity:{ISSUER} old")], at(5)).await, Ok(0)));
    assert!(matches!(ledger.erase(&[format!("identity:{ISSUER} 1")], at(5)).await, Ok(1)));
}

async fn where_there_is_no_room_for_strangers_there_is_for_whoever_was_proven<L: Ledger>(ledger: Shared<L>) {
    let kept = async |hash: &str, at_most, now| {
        let pass = Pass { hash: hash.into(), content: String::new(), until: at(100) };
        ledger.keep_pass(&pass, at_most, at(now)).await.unwrap()
    };
    assert!(kept("a", Some(2), 50).await && kept("b", Some(2), 50).await);
    assert!(!kept("c", Some(2), 50).await);
    assert!(kept("d", None, 50).await);
    assert_eq!(ledger.pass("c", at(50)).await.unwrap(), None);
    assert!(ledger.pass("d", at(50)).await.unwrap().is_some());
    assert!(kept("e", Some(2), 101).await, "those that are over make room");
}

async fn an_assertion_is_used_once_however_many_show_it<L: Ledger>(ledger: Shared<L>) {
    let used = futures::future::join_all((0..8).map(|_| ledger.use_assertion("a", at(100), at(50)))).await;
    assert_eq!(used.iter().filter(|used| matches!(used, Ok(true))).count(), 1);
    assert_eq!(used.iter().filter(|used| matches!(used, Ok(false))).count(), 7);
    // Up to the last instant at which it could be shown it is remembered, and no other is held against it.
    assert!(ledger.use_assertion("b", at(900), at(100)).await.unwrap());
    assert!(!ledger.use_assertion("a", at(100), at(100)).await.unwrap());
    assert!(ledger.use_assertion("c", at(900), at(101)).await.unwrap());
    assert!(ledger.use_assertion("a", at(900), at(101)).await.unwrap(), "it was swept");
}

async fn a_code_begins_one_login_however_many_show_it<L: Ledger>(ledger: Shared<L>) {
    assert!(keep(&*ledger, "code", 100, 50).await);
    ledger.meet(&ann(), at(50)).await.unwrap();
    assert_eq!(ledger.begin_login("code", &login("late", "1", 101)).await.unwrap(), Begun::Unknown);
    assert_eq!(ledger.begin_login("other", &login("a", "1", 60)).await.unwrap(), Begun::Unknown);
    let logins: Vec<Login> = (0..8).map(|number| login(&format!("l{number}"), "1", 60)).collect();
    let begun = futures::future::join_all(logins.iter().map(|login| ledger.begin_login("code", login))).await;
    let begun: Vec<Begun> = begun.into_iter().map(Result::unwrap).collect();
    let winner = begun.iter().position(|begun| *begun == Begun::Now).unwrap();
    let others = begun.iter().filter(|begun| **begun == Begun::Before(format!("l{winner}")));
    assert_eq!(others.count(), 7);
    let there = ledger.login(&logins[winner].family, at(60)).await.unwrap().unwrap();
    assert_eq!((there.principal, &there.login), (ann(), &logins[winner]));
    assert_eq!(ledger.begun_login("code").await.unwrap(), Some(format!("l{winner}")));
    assert_eq!(ledger.begun_login("other").await.unwrap(), None);
    let gone = &logins[(winner + 1) % 8].family;
    assert_eq!(ledger.login(gone, at(60)).await.unwrap(), None, "it never began");
}

async fn whoever_is_signed_in_is_known_by_their_access_token_until_it_ends<L: Ledger>(ledger: Shared<L>) {
    let mine = login("a", "1", 60);
    signed_in(&*ledger, &mine).await;
    let who = async |access: &str, now| ledger.signed_in(access, at(now)).await.unwrap();
    let known = who(&mine.access, 60 + ACCESS).await.unwrap();
    assert_eq!((known.principal, known.proven_at, &known.login), (ann(), at(60), &mine));
    assert_eq!(who(&mine.access, 61 + ACCESS).await, None);
    assert_eq!(who("another", 60).await, None);
    assert!(ledger.login(&mine.family, at(59 + IDLE)).await.unwrap().is_some());
    assert_eq!(ledger.login(&mine.family, at(60 + IDLE)).await.unwrap(), None);
    // What the provider says today counts.
    let unverified = principal("1", Err(NoAddress::Unverified));
    ledger.meet(&unverified, at(80)).await.unwrap();
    let known = who(&mine.access, 80).await.unwrap();
    assert_eq!((known.principal, known.proven_at), (unverified, at(80)));
    assert!(ledger.end_login("a").await.unwrap());
    assert_eq!(who(&mine.access, 60).await, None, "at once, with its login");
}

/// The License `l` with three seats, and a seat of Ann's.
pub(super) async fn with_seat<L: Ledger>(ledger: &L) -> i64 {
    let mut told = change(None);
    told.seats = Some(3);
    told.bind = vec![bind("s", "ann")];
    told.terms = Some(Terms {
        contract: Some(Contract { license: license(3), issuer: None, kept: 0, unknown: 0 }),
        ..Terms::default()
    });
    ledger.commit(&told).await.unwrap();
    ledger.met(&key(), &person("1")).await.unwrap().unwrap().turn
}

pub(super) fn pins(subject: &str, turn: i64) -> Step {
    let Person { issuer, subject, .. } = person(subject);
    Step { turn: Some(turn), pin: Some(Pin { holder: ANN.into(), issuer, subject }), ..step() }
}

async fn an_address_opens_a_seat_once_and_then_the_person_does<L: Ledger>(ledger: Shared<L>) {
    assert_eq!(ledger.met(&key(), &person("1")).await.unwrap(), None, "there is no such License");
    let turn = with_seat(&*ledger).await;
    let met = async |subject: &str| ledger.met(&key(), &person(subject)).await.unwrap().unwrap();
    let free = Candidate { holder: ANN.into(), pinned: None };
    let before = met("1").await;
    assert_eq!((before.license, before.candidates, before.elsewhere), (uid("l"), vec![free], false));
    assert_eq!(before.contract.unwrap().license, license(3));

    let raced = [ledger.record(pins("1", turn)), ledger.record(pins("2", turn))];
    let raced = futures::future::join_all(raced).await;
    assert_eq!(raced.iter().filter(|one| one.is_ok()).count(), 1);
    let (first, second) = if raced[0].is_ok() { ("1", "2") } else { ("2", "1") };
    let pinned = Candidate { holder: ANN.into(), pinned: Some((ISSUER.into(), first.into())) };
    let (his, other) = (met(first).await, met(second).await);
    assert_eq!((&his.candidates[..], his.elsewhere), (&[pinned.clone()][..], false));
    assert_eq!((&other.candidates[..], other.elsewhere), (&[pinned][..], true));
    assert!(matches!(ledger.record(pins(second, other.turn)).await, Err(CommitError::Conflict)));
    let links = ledger.audit(0, 100).await.unwrap();
    let last: Vec<Entry> = serde_json::from_str(&links.last().unwrap().entries).unwrap();
    assert!(matches!(&last[..], [Entry::Pin { license, seat, holder }]
        if license == "design/cad" && seat == "s" && !holder.contains("ann")));

    // Whoever has the address no more has the seat all the same.
    let without = Person { email: None, ..person(first) };
    assert_eq!(ledger.met(&key(), &without).await.unwrap().unwrap().candidates.len(), 1);
    // Under no other License is the address anybody else's.
    let mut more = Change::new(Key::new("design", "more"), uid("m"), None, at(100), [7; 32]);
    more.seats = Some(1);
    more.bind = vec![bind("t", "ann")];
    ledger.commit(&more).await.unwrap();
    let elsewhere = ledger.met(&more.key, &person(second)).await.unwrap().unwrap();
    assert!(elsewhere.elsewhere && elsewhere.candidates[0].pinned.is_none());
    let stolen = Step { license: uid("m"), key: more.key.clone(), ..pins(second, elsewhere.turn) };
    assert!(matches!(ledger.record(stolen).await, Err(CommitError::Conflict)));
    // Whoever deletes the Seat has decided, also if the holder keeps the place.
    let mut moved = change(Some(facts(&*ledger).await.version));
    moved.moved = vec![(uid("s"), uid("s2"))];
    ledger.commit(&moved).await.unwrap();
    let anew = met(second).await;
    assert!(!anew.elsewhere && anew.candidates[0].pinned.is_none());
    let begun = Activation { holder: ANN.into(), ..activation("a", 1, 900) };
    ledger.record(Step { begin: Some(begun), ..pins(second, anew.turn) }).await.unwrap();
    let mut back = change(Some(facts(&*ledger).await.version));
    back.moved = vec![(uid("s2"), uid("s"))];
    ledger.commit(&back).await.unwrap();
    let ran = ledger.activation("a").await.unwrap().unwrap().seen.activation;
    assert_eq!(ran.chain.state, State::Ended(Why::Withdrawn), "it was the former person's");
    ledger.record(pins(first, met(first).await.turn)).await.unwrap();
    // A seat that is taken away and given again is as new.
    let mut free = change(Some(facts(&*ledger).await.version));
    free.free = vec![uid("s")];
    ledger.commit(&free).await.unwrap();
    let mut again = change(Some(facts(&*ledger).await.version));
    again.bind = vec![bind("s", "ann")];
    ledger.commit(&again).await.unwrap();
    let turn = met(second).await.turn;
    ledger.record(pins(second, turn)).await.unwrap();
}

async fn a_persons_devices_are_counted_by_themselves<L: Ledger>(ledger: Shared<L>) {
    let mut turn = with_seat(&*ledger).await;
    for (number, (id, holder, device)) in
        [("a", ANN, "d1"), ("b", ANN, "d2"), ("c", "email:bob@acme.example", "d1")].into_iter().enumerate()
    {
        let number = u8::try_from(number).unwrap();
        let begun = activation(id, number, 900);
        let begun = Activation { holder: holder.into(), fingerprint: device.into(), ..begun };
        ledger.record(Step { turn: Some(turn), begin: Some(begun), ..step() }).await.unwrap();
        turn += 1;
    }
    let taken = async |device: Option<&str>, now| {
        let license = uid("l");
        let question = Question {
            license: &license,
            holder: ANN,
            device,
            now: at(now),
            transfers_after: at(0),
            recoveries_after: at(0),
            at_most: 2,
            ended_at_most: 3,
        };
        ledger.taken(&question).await.unwrap()
    };
    let of = |taken: &crate::ledger::activations::Taken| {
        taken.former.as_ref().map(|seen| seen.activation.id.clone())
    };
    let first = taken(Some("d1"), 200).await;
    assert_eq!((first.devices, first.has_seat, of(&first).as_deref()), (2, true, Some("a")));
    assert_eq!(of(&taken(Some("d2"), 200).await).as_deref(), Some("b"));
    assert_eq!(of(&taken(Some("d3"), 200).await), None);
    assert_eq!(taken(Some("d1"), 901).await.devices, 0, "their documents have ended");
    // Whether one of them was activated again, too.
    let seen = ledger.activation("a").await.unwrap().unwrap().seen;
    let chain = Chain { state: State::Ended(Why::Superseded), ..seen.activation.chain };
    let again = Advance { recovery: true, ..Advance::new("a".into(), seen.version, chain) };
    ledger.record(Step { advance: Some(again), ..step() }).await.unwrap();
    assert_eq!(taken(Some("d1"), 300).await.recovered, [at(200)]);
    assert_eq!(taken(Some("d2"), 300).await.recovered, []);
}

async fn whoever_is_erased_is_signed_out_and_unknown<L: Ledger>(ledger: Shared<L>) {
    let mine = login("a", "1", 60);
    signed_in(&*ledger, &mine).await;
    with_seat(&*ledger).await;
    let holds = ledger.erase(&[ANN.to_owned()], at(70)).await;
    assert!(matches!(holds, Err(EraseError::Holds(_))));
    assert!(ledger.signed_in(&mine.access, at(70)).await.unwrap().is_some(), "nothing was changed");
    let mut free = change(Some(facts(&*ledger).await.version));
    free.free = vec![uid("s")];
    ledger.commit(&free).await.unwrap();
    assert!(keep(&*ledger, "under way", 900, 70).await && devices::waits(&*ledger, "tv", 900, 70).await);
    assert_eq!(ledger.erase(&[ANN.to_owned()], at(70)).await.unwrap(), 1);
    assert_eq!(ledger.signed_in(&mine.access, at(70)).await.unwrap(), None);
    assert_eq!(ledger.login(&mine.family, at(70)).await.unwrap(), None);
    assert_eq!(ledger.pass("under way", at(70)).await.unwrap(), None);
    assert_eq!(ledger.ask_answer("tv", at(70)).await.unwrap(), None);
}

async fn who_signed_in_before_the_ledger_was_restored_signs_in_again<L: Ledger>(ledger: Shared<L>) {
    let mine = login("a", "1", 60);
    signed_in(&*ledger, &mine).await;
    ledger.lead(&lead::claim("here")).await.unwrap();
    ledger.serve(&uid("here"));
    ledger.recover(crate::domain::witness::Loss::Older, None, at(70)).await.unwrap();
    assert_eq!(ledger.signed_in(&mine.access, at(70)).await.unwrap(), None);
    assert_eq!(ledger.login(&mine.family, at(70)).await.unwrap(), None);
    let again = login("b", "1", 80);
    signed_in(&*ledger, &again).await;
    assert!(ledger.signed_in(&again.access, at(80)).await.unwrap().is_some());
}
