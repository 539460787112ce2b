//! Where somebody is signed in, as every engine must keep it.

use super::{super::*, login, signed_in};
use crate::{
    domain::login::{IDLE, ends_at},
    ledger::people::{LOGINS, Login},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, of_two_who_go_on_with_one_version_exactly_one_does).await;
    run(open, on_one_device_or_in_one_browser_too_many_the_one_that_was_not_used_is_signed_out).await;
}

async fn of_two_who_go_on_with_one_version_exactly_one_does<L: Ledger>(ledger: Shared<L>) {
    let first = login("a", "1", 60);
    signed_in(&*ledger, &first).await;
    let nexts: Vec<Login> = (0..8)
        .map(|number| Login {
            current: format!("next {number}"),
            sibling: Some("sibling".into()),
            previous: Some(first.current.clone()),
            late: Some(("late".into(), at(130))),
            access: format!("access {number}"),
            used_at: at(70),
            ends_at: ends_at(at(60), at(70)),
            ..first.clone()
        })
        .collect();
    let gone_on = futures::future::join_all(nexts.iter().map(|next| ledger.go_on(next))).await;
    let winner = gone_on.iter().position(Result::is_ok).unwrap();
    assert_eq!(gone_on.iter().filter(|one| matches!(one, Err(CommitError::Conflict))).count(), 7);
    let there = ledger.login(&first.family, at(70)).await.unwrap().unwrap().login;
    assert_eq!(there, Login { version: 2, ..nexts[winner].clone() });
    assert!(ledger.end_login("a").await.unwrap() && !ledger.end_login("a").await.unwrap());
    assert!(matches!(ledger.go_on(&there).await, Err(CommitError::Conflict)), "it is over");
}

async fn on_one_device_or_in_one_browser_too_many_the_one_that_was_not_used_is_signed_out<L: Ledger>(
    ledger: Shared<L>,
) {
    for number in 0..=i64::from(LOGINS) {
        signed_in(&*ledger, &login(&format!("l{number}"), "1", 60 + number)).await;
    }
    let is_there =
        async |id: &str| ledger.login(&format!("family of {id}"), at(200)).await.unwrap().is_some();
    assert!(!is_there("l0").await && is_there("l1").await && is_there(&format!("l{LOGINS}")).await);
    // Browsers, which have no tokens, are counted by themselves.
    for number in 0..=i64::from(LOGINS) {
        let since = 100 + number;
        signed_in(&*ledger, &Login { access_until: at(since), ..login(&format!("b{number}"), "1", since) })
            .await;
    }
    assert!(!is_there("b0").await && is_there("b1").await && is_there("l1").await);
    // Another person's do not count, and those that are over go.
    signed_in(&*ledger, &login("bob", "2", 61 + IDLE)).await;
    assert_eq!(ledger.login("family of l1", at(0)).await.unwrap(), None);
    assert!(is_there("bob").await);
}
