//! What one person has under all Licenses, as every engine must find it.

use super::{super::*, ANN, ISSUER, person, pins, with_seat};
use crate::{
    domain::standing::{Candidate, Person},
    ledger::{
        activations::{Activation, Step},
        conformance::activations::{activation, step},
        holdings::{Holdings, OnSeat},
        sessions::Use,
    },
};

/// Runs this part of the suite.
pub(in crate::ledger::conformance) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, what_may_be_somebodys_is_found_under_every_license_and_nothing_else).await;
}

async fn of<L: Ledger>(ledger: &L, who: &Person, now: i64, at_most: u32) -> Holdings {
    ledger.holdings(who, at(now), at_most).await.unwrap()
}

async fn begins<L: Ledger>(ledger: &L, id: &str, number: u8, holder: &str) {
    let turn = ledger.met(&key(), &person("1")).await.unwrap().unwrap().turn;
    let begun = Activation { holder: holder.into(), fingerprint: id.into(), ..activation(id, number, 900) };
    ledger.record(Step { turn: Some(turn), begin: Some(begun), ..step() }).await.unwrap();
}

async fn what_may_be_somebodys_is_found_under_every_license_and_nothing_else<L: Ledger>(ledger: Shared<L>) {
    assert_eq!(of(&*ledger, &person("1"), 200, 9).await, Holdings::default());
    with_seat(&*ledger).await;
    let mut more = Change::new(Key::new("art", "more"), uid("m"), None, at(100), [7; 32]);
    more.seats = Some(2);
    let identity = person("1").identity();
    more.bind = vec![bind("u", "bob"), Bind { seat: uid("t"), holder: identity.clone() }];
    ledger.commit(&more).await.unwrap();
    for (id, number, holder) in [("a", 1, ANN), ("b", 2, ANN), ("c", 3, "email:bob@acme.example")] {
        begins(&*ledger, id, number, holder).await;
    }
    let opens = Use::Open { id: "s".into(), activation: "b".into(), request: "request".into() };
    ledger.record(Step { session: Some(opens), ..step() }).await.unwrap();

    let names = |held: &Holdings| held.seats.iter().map(|seat| seat.key.to_string()).collect::<Vec<_>>();
    let held = of(&*ledger, &person("1"), 200, 9).await;
    assert_eq!(names(&held), ["art/more", "design/cad"]);
    assert_eq!(held.seats[0].candidate, Candidate { holder: identity, pinned: None });
    assert!(held.seats[0].contract.is_none() && held.seats[1].contract.is_some() && !held.elsewhere);
    let seat = OnSeat { license: uid("l"), holder: ANN.into() };
    let devices: Vec<_> = held.devices.iter().map(|on| (on.id.as_str(), &on.seat)).collect();
    assert_eq!(devices, [("a", &seat), ("b", &seat)]);
    assert_eq!((held.sessions.len(), &held.sessions[0].seat), (1, &seat));
    let few = of(&*ledger, &person("1"), 200, 1).await;
    assert_eq!((few.seats.len(), few.devices.len()), (1, 1));
    let late = of(&*ledger, &person("1"), 901, 9).await;
    assert_eq!((late.devices.len(), late.sessions.len(), late.seats.len()), (0, 0, 2));

    // From now on the seat is the person's, whatever their address is; and it is known of whoever has that next.
    let turn = ledger.met(&key(), &person("1")).await.unwrap().unwrap().turn;
    ledger.record(pins("1", turn)).await.unwrap();
    let without = Person { email: None, ..person("1") };
    assert_eq!(names(&of(&*ledger, &without, 200, 9).await), ["art/more", "design/cad"]);
    let second = of(&*ledger, &person("2"), 200, 9).await;
    assert_eq!((names(&second), second.elsewhere), (vec!["design/cad".to_owned()], true));
    assert_eq!(second.seats[0].candidate.pinned, Some((ISSUER.into(), "1".into())));
}
