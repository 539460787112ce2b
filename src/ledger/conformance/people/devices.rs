//! Devices that wait for somebody, as every engine must keep them.

use super::{super::*, ann, login};
use crate::{
    domain::device::{NotYet, PAUSE, REMEMBERED},
    ledger::people::{Begun, Pass, Waiting},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, a_device_waits_until_its_last_instant_and_is_found_by_its_user_code).await;
    run(open, of_several_who_answer_exactly_one_does).await;
    run(open, of_several_who_ask_at_once_one_is_told_and_the_others_are_too_soon).await;
    run(open, a_device_code_begins_one_login_however_often_it_is_shown).await;
    run(open, a_device_is_told_that_it_is_over_and_then_forgotten).await;
}

pub(super) fn device(hash: &str, until: i64) -> Waiting {
    let user_code = format!("user code of {hash}");
    Waiting { hash: hash.into(), user_code, device: "{}".into(), until: at(until) }
}

pub(super) async fn waits<L: Ledger>(ledger: &L, hash: &str, until: i64, now: i64) -> bool {
    ledger.await_person(&device(hash, until), at(now)).await.unwrap()
}

fn pass(hash: &str, until: i64) -> Pass {
    Pass { hash: hash.into(), content: "Ann".into(), until: at(until) }
}

async fn a_device_waits_until_its_last_instant_and_is_found_by_its_user_code<L: Ledger>(ledger: Shared<L>) {
    let tv = device("tv", 100);
    assert!(ledger.await_person(&tv, at(50)).await.unwrap());
    assert_eq!(ledger.waiting(&tv.user_code, at(100)).await.unwrap(), Some(tv.clone()));
    for (user_code, now) in [(tv.user_code.as_str(), 101), ("another", 60), ("tv", 60)] {
        assert_eq!(ledger.waiting(user_code, at(now)).await.unwrap(), None, "{user_code} {now}");
    }
    // Two with one user code: nobody could tell them apart.
    let other = Waiting { hash: "other".into(), ..tv.clone() };
    assert!(!ledger.await_person(&other, at(60)).await.unwrap());
    assert_eq!(ledger.ask_answer("other", at(60)).await.unwrap(), None);
    assert_eq!(ledger.ask_answer("tv", at(60)).await.unwrap(), Some(Err(NotYet::Pending)));
}

async fn of_several_who_answer_exactly_one_does<L: Ledger>(ledger: Shared<L>) {
    assert!(waits(&*ledger, "tv", 100, 50).await && waits(&*ledger, "pc", 100, 50).await);
    assert!(!ledger.answer_device("tv", Some(&pass("tv", 100)), at(101)).await.unwrap(), "too late");
    assert_eq!(ledger.pass("tv", at(60)).await.unwrap(), None, "and nothing was kept");
    let yes = pass("tv", 100);
    let answers = (0..8).map(|number| {
        let yes = (number % 2 == 0).then_some(&yes);
        ledger.answer_device("tv", yes, at(60))
    });
    let answers: Vec<bool> =
        futures::future::join_all(answers).await.into_iter().map(Result::unwrap).collect();
    let winner = answers.iter().position(|answered| *answered).unwrap();
    assert_eq!(answers.iter().filter(|answered| **answered).count(), 1);
    let told = if winner % 2 == 0 { Ok(()) } else { Err(NotYet::Denied) };
    assert_eq!(ledger.ask_answer("tv", at(70)).await.unwrap(), Some(told));
    assert_eq!(ledger.pass("tv", at(70)).await.unwrap().is_some(), told.is_ok());
    assert_eq!(ledger.waiting(&device("tv", 100).user_code, at(60)).await.unwrap(), None, "it is answered");
    assert!(ledger.answer_device("pc", None, at(60)).await.unwrap());
    assert!(!ledger.answer_device("pc", Some(&pass("pc", 100)), at(60)).await.unwrap(), "no is no");
    assert_eq!(ledger.ask_answer("pc", at(60)).await.unwrap(), Some(Err(NotYet::Denied)));
    assert!(!ledger.answer_device("none", None, at(60)).await.unwrap());
}

async fn of_several_who_ask_at_once_one_is_told_and_the_others_are_too_soon<L: Ledger>(ledger: Shared<L>) {
    assert!(waits(&*ledger, "tv", 900, 50).await && waits(&*ledger, "pc", 900, 50).await);
    let asked = futures::future::join_all((0..8).map(|_| ledger.ask_answer("tv", at(60)))).await;
    let told = |wanted: NotYet| {
        asked.iter().filter(move |one| matches!(one, Ok(Some(Err(told))) if *told == wanted))
    };
    assert_eq!((told(NotYet::Pending).count(), told(NotYet::SlowDown).count()), (1, 7));
    // It is to wait seven times five seconds longer.
    let soon = at(60 + PAUSE + 34);
    assert_eq!(ledger.ask_answer("tv", soon).await.unwrap(), Some(Err(NotYet::SlowDown)));
    assert_eq!(ledger.ask_answer("tv", at(200)).await.unwrap(), Some(Err(NotYet::Pending)));
    assert_eq!(ledger.ask_answer("pc", at(60)).await.unwrap(), Some(Err(NotYet::Pending)), "another one");
}

async fn a_device_code_begins_one_login_however_often_it_is_shown<L: Ledger>(ledger: Shared<L>) {
    assert!(waits(&*ledger, "tv", 100, 50).await);
    ledger.meet(&ann(), at(50)).await.unwrap();
    assert_eq!(
        ledger.begin_login("tv", &login("a", "1", 60)).await.unwrap(),
        Begun::Unknown,
        "no answer yet"
    );
    assert!(ledger.answer_device("tv", Some(&pass("tv", 100)), at(60)).await.unwrap());
    let logins: Vec<_> = (0..4).map(|number| login(&format!("l{number}"), "1", 60)).collect();
    let begun = futures::future::join_all(logins.iter().map(|login| ledger.begin_login("tv", login))).await;
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Ok(Begun::Now))).count(), 1);
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Ok(Begun::Before(_)))).count(), 3);
    assert_eq!(ledger.pass("tv", at(60)).await.unwrap(), None);
}

async fn a_device_is_told_that_it_is_over_and_then_forgotten<L: Ledger>(ledger: Shared<L>) {
    assert!(waits(&*ledger, "tv", 100, 50).await);
    assert!(waits(&*ledger, "pc", 900, 100 + REMEMBERED).await);
    assert_eq!(ledger.ask_answer("tv", at(101)).await.unwrap(), Some(Err(NotYet::Expired)));
    assert!(waits(&*ledger, "new", 900, 101 + REMEMBERED).await);
    assert_eq!(ledger.ask_answer("tv", at(101)).await.unwrap(), None);
    assert!(ledger.ask_answer("pc", at(101)).await.unwrap().is_some());
}
