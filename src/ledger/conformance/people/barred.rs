//! Of people nothing is written into a ledger that is lost, or another cluster's, as every engine must keep it.

use super::{super::*, ann, devices, lead::claim, login, person, signed_in};
use crate::{
    domain::witness::{Bar, Loss},
    ledger::people::{Login, Pass},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, into_a_lost_ledger_nothing_of_people_is_written).await;
    run(open, into_another_clusters_ledger_nothing_of_people_is_written).await;
}

/// What each thing that would be written comes to.
async fn tried<L: Ledger>(ledger: &L, login: &Login) -> Vec<CommitError> {
    let pass = Pass { hash: "b".into(), content: String::new(), until: at(900) };
    let now = at(100);
    let tried = [
        ledger.meet(&ann(), now).await.err(),
        ledger.keep_pass(&pass, None, now).await.err(),
        ledger.take_pass("a", now).await.err(),
        ledger.use_assertion("a", at(900), now).await.err(),
        ledger.await_person(&devices::device("tv", 900), now).await.err(),
        ledger.answer_device("tv", None, now).await.err(),
        ledger.ask_answer("tv", now).await.err(),
        ledger.begin_login("a", login).await.err(),
        ledger.go_on(login).await.err(),
        ledger.ask_provider(login, now).await.err(),
        ledger.told(login, None, now).await.err(),
        ledger.unasked(login, now).await.err(),
        ledger.deny(login, now).await.err(),
        ledger.end_login(&login.id).await.err(),
        ledger.ask_for(&uid("l"), &person("1"), now).await.err(),
    ];
    let many = tried.len();
    let refused: Vec<CommitError> = tried.into_iter().flatten().collect();
    assert_eq!(refused.len(), many, "nothing of it is done: {refused:?}");
    refused
}

async fn nothing_is_written<L: Ledger>(ledger: &L, login: &Login, because: &Bar) {
    let before = ledger.head().await.unwrap();
    for refused in tried(ledger, login).await {
        assert!(matches!(&refused, CommitError::Barred(bar) if bar == because), "{refused:?}");
    }
    assert_eq!(ledger.head().await.unwrap(), before);
}

async fn into_a_lost_ledger_nothing_of_people_is_written<L: Ledger>(ledger: Shared<L>) {
    let mine = login("a", "1", 60);
    ledger.lead(&claim("here")).await.unwrap();
    ledger.serve(&uid("here"));
    signed_in(&*ledger, &mine).await;
    ledger.condemn(Loss::Older, 1).await.unwrap();
    nothing_is_written(&*ledger, &mine, &Bar::Lost(Loss::Older)).await;
    ledger.recover(Loss::Older, None, at(110)).await.unwrap();
    signed_in(&*ledger, &login("b", "1", 120)).await;
}

async fn into_another_clusters_ledger_nothing_of_people_is_written<L: Ledger>(ledger: Shared<L>) {
    let mine = login("a", "1", 60);
    signed_in(&*ledger, &mine).await;
    ledger.lead(&claim("there")).await.unwrap();
    ledger.serve(&uid("here"));
    let owner = ledger.head().await.unwrap().owner.unwrap();
    nothing_is_written(&*ledger, &mine, &Bar::Foreign(owner)).await;
}
