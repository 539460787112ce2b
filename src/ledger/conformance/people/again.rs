//! What providers say, asked again, as every engine must keep it.

use super::{
    super::*,
    ISSUER, ann, login,
    members::{of, subjects},
    person, principal, signed_in, with_seat,
};
use crate::{
    domain::principal::Principal,
    ledger::people::{Arrival, Login, News},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, of_all_who_would_ask_about_one_login_one_does).await;
    run(open, what_a_provider_says_is_kept_while_the_login_is_not_over).await;
    run(open, whoever_is_denied_is_no_member_any_more_until_they_are_proven_again).await;
    run(open, a_provider_can_be_asked_if_it_can_be_about_all).await;
    run(open, what_was_not_understood_is_asked_the_next_time).await;
    run(open, where_else_somebody_is_signed_in_is_found_by_when_it_was_used).await;
}

async fn there<L: Ledger>(ledger: &L, login: &Login) -> Option<Login> {
    ledger.login(&login.family, at(200)).await.unwrap().map(|found| found.login)
}

async fn of_all_who_would_ask_about_one_login_one_does<L: Ledger>(ledger: Shared<L>) {
    let first = Login { again: Some("sealed".into()), ..login("a", "1", 60) };
    signed_in(&*ledger, &first).await;
    assert_eq!(there(&*ledger, &first).await, Some(first.clone()));
    let asked = (0..8).map(|_| ledger.ask_provider(&first, at(120)));
    let asked = futures::future::join_all(asked).await;
    assert_eq!(asked.iter().filter(|asked| matches!(asked, Ok(true))).count(), 1);
    assert_eq!(asked.iter().filter(|asked| matches!(asked, Ok(false))).count(), 7);
    let claimed = Login { asked_at: at(120), in_doubt: true, ..first.clone() };
    assert_eq!(there(&*ledger, &first).await, Some(claimed.clone()), "whoever dies now leaves it in doubt");
    // That does not hold up whoever goes on.
    ledger.go_on(&Login { current: "next".into(), ..claimed.clone() }).await.unwrap();
    let gone_on = Login { current: "next".into(), version: 2, ..claimed };
    assert_eq!(there(&*ledger, &first).await, Some(gone_on));
}

async fn what_a_provider_says_is_kept_while_the_login_is_not_over<L: Ledger>(ledger: Shared<L>) {
    let first = Login { again: Some("sealed".into()), ..login("a", "1", 60) };
    signed_in(&*ledger, &first).await;
    assert!(ledger.ask_provider(&first, at(120)).await.unwrap());
    let told = Login { again: Some("next".into()), asked_at: at(120), ..first.clone() };
    let renamed = Principal { name: "Ann B.".into(), ..ann() };
    ledger.told(&told, Some(&renamed), at(121)).await.unwrap();
    let found = ledger.login(&first.family, at(121)).await.unwrap().unwrap();
    assert_eq!((&found.principal, found.proven_at, &found.login), (&renamed, at(121), &told));
    // Of a question that was asked before the last one nothing counts.
    ledger.told(&first, Some(&ann()), at(122)).await.unwrap();
    assert_eq!(there(&*ledger, &first).await, Some(told.clone()));
    assert!(ledger.ask_provider(&told, at(180)).await.unwrap());
    assert!(ledger.end_login("a").await.unwrap());
    assert_eq!(ledger.erase(&["email:ann@acme.example".to_owned()], at(181)).await.unwrap(), 1);
    let late = Login { asked_at: at(180), ..told };
    assert!(!ledger.ask_provider(&late, at(240)).await.unwrap());
    ledger.told(&late, Some(&renamed), at(182)).await.unwrap();
    ledger.deny(&late, at(182)).await.unwrap();
    assert!(there(&*ledger, &first).await.is_none());
    assert!(subjects(&*ledger, &[of(None, "cad-users")]).await.is_empty(), "nobody is known again by that");
}

async fn whoever_is_denied_is_no_member_any_more_until_they_are_proven_again<L: Ledger>(ledger: Shared<L>) {
    with_seat(&*ledger).await;
    let (first, second) = (login("a", "1", 60), login("b", "1", 70));
    signed_in(&*ledger, &first).await;
    signed_in(&*ledger, &second).await;
    assert!(ledger.ask_for(&uid("l"), &person("1"), at(80)).await.unwrap());
    let proven_at = async || {
        let people = ledger.members(&uid("l"), &[of(None, "cad-users")]).await.unwrap().people;
        assert_eq!(people.len(), 1);
        people[0].proven_at
    };
    assert_eq!(proven_at().await, at(70));
    // She was proven after it was asked: that counts.
    ledger.deny(&Login { asked_at: at(65), ..first.clone() }, at(100)).await.unwrap();
    assert_eq!((there(&*ledger, &first).await, proven_at().await), (None, at(70)));
    signed_in(&*ledger, &Login { id: "c".into(), ..login("c", "1", 90) }).await;
    ledger.deny(&Login { asked_at: at(120), ..second.clone() }, at(121)).await.unwrap();
    assert_eq!((there(&*ledger, &second).await, proven_at().await), (None, at(0)));
    let other = ledger.login("family of c", at(130)).await.unwrap().unwrap();
    assert_eq!(other.proven_at, at(0), "on no other device either");
    // Whoever follows who comes is told of what it concerns.
    let told = ledger.arrivals(at(121)).await.unwrap();
    let groups = News::Proven("acme".parse().unwrap(), ann().groups);
    let arrival = |news| Arrival { issuer: ann().issuer, subject: person("1").subject, at: at(121), news };
    assert_eq!(told, [arrival(groups), arrival(News::Asked(Key::new("design", "cad")))].into());
    ledger.meet(&ann(), at(140)).await.unwrap();
    assert_eq!(proven_at().await, at(140));
    ledger.meet(&principal("2", Ok("bob@acme.example")), at(150)).await.unwrap();
    assert_eq!(ledger.members(&uid("l"), &[of(None, "cad-users")]).await.unwrap().people.len(), 2);
}

async fn a_provider_can_be_asked_if_it_can_be_about_all<L: Ledger>(ledger: Shared<L>) {
    let issuer = ISSUER.parse().unwrap();
    let can = async |now| ledger.can_be_asked(&issuer, at(now)).await.unwrap();
    assert_eq!(can(60).await, None);
    let with = Login { again: Some("sealed".into()), ..login("a", "1", 60) };
    signed_in(&*ledger, &with).await;
    assert_eq!(can(60).await, Some(true));
    let without = Login { ends_at: at(100), ..login("b", "2", 60) };
    signed_in(&*ledger, &without).await;
    assert_eq!((can(99).await, can(100).await), (Some(false), Some(true)), "it is over then");
    assert_eq!(
        ledger.can_be_asked(&"https://other.acme.example".parse().unwrap(), at(60)).await.unwrap(),
        None
    );
}

async fn what_was_not_understood_is_asked_the_next_time<L: Ledger>(ledger: Shared<L>) {
    let first = Login { again: Some("sealed".into()), ..login("a", "1", 60) };
    signed_in(&*ledger, &first).await;
    assert!(ledger.ask_provider(&first, at(120)).await.unwrap());
    let claimed = Login { asked_at: at(120), ..first.clone() };
    ledger.unasked(&first, at(30)).await.unwrap();
    let in_doubt = Login { in_doubt: true, ..claimed.clone() };
    assert_eq!(there(&*ledger, &first).await, Some(in_doubt), "that was about another question");
    ledger.unasked(&claimed, first.asked_at).await.unwrap();
    assert_eq!(there(&*ledger, &first).await, Some(first));
}

async fn where_else_somebody_is_signed_in_is_found_by_when_it_was_used<L: Ledger>(ledger: Shared<L>) {
    let asked = |id: &str, subject: &str, since| Login {
        again: Some(format!("of {id}")),
        ..login(id, subject, since)
    };
    let mine = asked("a", "1", 60);
    for login in [
        mine.clone(),
        asked("b", "1", 70),
        asked("c", "1", 80),
        login("none", "1", 90),
        asked("d", "1", 75),
        asked("bob", "2", 90),
        Login { ends_at: at(99), ..asked("over", "1", 90) },
    ] {
        signed_in(&*ledger, &login).await;
    }
    let elsewhere = async |at_most| -> Vec<String> {
        let found = ledger.elsewhere(&mine, at(99), at_most).await.unwrap();
        assert!(found.iter().all(|found| found.principal == ann()));
        found.into_iter().map(|found| found.login.id).collect()
    };
    assert_eq!(elsewhere(9).await, ["c", "d", "b"]);
    assert_eq!(elsewhere(2).await, ["c", "d"]);
}
