//! Addresses of seats that are somebody else's now, as every engine must find them.

use super::{super::*, ANN, person, pins, principal, with_seat};
use crate::{
    domain::principal::NoAddress,
    ledger::people::{Arrival, News},
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, a_seat_is_contested_by_whoever_comes_with_its_address_until_they_have_one_of_their_own).await;
}

async fn contested<L: Ledger>(ledger: &L) -> Vec<String> {
    ledger.facts(&key()).await.unwrap()[0].contested.iter().cloned().collect()
}

/// Who contested a seat of the License since then.
async fn told<L: Ledger>(ledger: &L, since: i64) -> Vec<String> {
    let arrivals = ledger.arrivals(at(since)).await.unwrap();
    let contests = |one: &Arrival| one.news == News::Contests(key());
    arrivals.into_iter().filter(contests).map(|one| one.subject.to_string()).collect()
}

async fn a_seat_is_contested_by_whoever_comes_with_its_address_until_they_have_one_of_their_own<L: Ledger>(
    ledger: Shared<L>,
) {
    let turn = with_seat(&*ledger).await;
    let comes = async |subject: &str, email, now| {
        ledger.meet(&principal(subject, email), at(now)).await.unwrap();
    };
    comes("1", Ok("ann@acme.example"), 200).await;
    comes("2", Ok("ann@acme.example"), 210).await;
    assert!(contested(&*ledger).await.is_empty(), "nobody was first yet");
    ledger.record(pins("1", turn)).await.unwrap();
    assert_eq!(
        (contested(&*ledger).await, told(&*ledger, 200).await),
        (vec![ANN.to_owned()], vec!["2".into()])
    );
    // The first one's own proof contests nothing, nor does another address of the second one, or none that counts.
    for email in [Ok("ann.c@acme.example"), Err(NoAddress::Unverified)] {
        comes("1", Ok("ann@acme.example"), 220).await;
        comes("2", email, 220).await;
        assert!(contested(&*ledger).await.is_empty() && told(&*ledger, 220).await.is_empty(), "{email:?}");
    }
    comes("2", Ok("ann@acme.example"), 230).await;
    assert_eq!(
        (contested(&*ledger).await, told(&*ledger, 230).await),
        (vec![ANN.to_owned()], vec!["2".into()])
    );
    // They are given a seat of their own.
    let version = ledger.facts(&key()).await.unwrap()[0].version;
    let mut own = Change::new(key(), uid("l"), Some(version), at(240), [7; 32]);
    own.bind = vec![Bind { seat: uid("own"), holder: person("2").identity() }];
    ledger.commit(&own).await.unwrap();
    assert!(contested(&*ledger).await.is_empty());
}
