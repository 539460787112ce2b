//! Heartbeats, and whom they are told of.

use super::*;
use crate::ledger::{activations::User, people::Pin};

pub(super) async fn what_was_heard_is_kept_and_is_nothing_else<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    ledger.record(begins("a", taken(&*ledger, "", 200).await.turn, 1)).await.unwrap();
    let begun = seen(&*ledger, "a").await;
    assert_eq!(begun.heard_at, at(100), "since it began");
    ledger.record(advances(&begun, begun.activation.chain.clone())).await.unwrap();
    let used = seen(&*ledger, "a").await;
    assert_eq!(used.heard_at, at(200), "whoever uses a nonce is there");

    let (head, turn) = (ledger.last_link().await.unwrap(), taken(&*ledger, "", 200).await.turn);
    let heard = Step { heard: Some("a".into()), at: at(300), ..step() };
    ledger.record(heard.clone()).await.unwrap();
    assert_eq!(seen(&*ledger, "a").await, Seen { heard_at: at(300), ..used.clone() }, "nothing else is new");
    assert_eq!((ledger.last_link().await.unwrap(), taken(&*ledger, "", 200).await.turn), (head, turn));
    // A call that was under way meanwhile is not in its way.
    ledger.record(advances(&used, used.activation.chain.clone())).await.unwrap();

    // Whoever is ended by somebody else was not heard of.
    let last = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Deactivated), ..last.activation.chain.clone() };
    let advance = Advance::new("a".into(), last.version, ended);
    ledger.record(Step { advance: Some(advance), at: at(900), ..step() }).await.unwrap();
    assert_eq!(seen(&*ledger, "a").await.heard_at, at(200));
}

pub(super) async fn people_with_seats_are_listed_by_pages_and_machines_are_not<L: Ledger>(ledger: Shared<L>) {
    let mut told = change(None);
    told.seats = Some(5);
    told.bind = vec![
        bind("s1", "cy"),
        Bind { seat: uid("s2"), holder: "device:9f86".into() },
        Bind { seat: uid("s3"), holder: "identity:https://idp.acme.example 1".into() },
        bind("s4", "ann"),
    ];
    ledger.commit(&told).await.unwrap();
    let pin = Pin {
        holder: "email:ann@acme.example".into(),
        issuer: "https://idp.acme.example".parse().unwrap(),
        subject: "7".parse().unwrap(),
    };
    ledger.record(Step { pin: Some(pin), ..step() }).await.unwrap();
    let users = async |after, at_most| ledger.users(&uid("l"), after, at_most).await.unwrap();
    let user = |ordinal, holder: &str, pinned: Option<(&str, &str)>| User {
        ordinal,
        holder: holder.into(),
        pinned: pinned.map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned())),
    };
    let all = [
        user(1, "email:cy@acme.example", None),
        user(3, "identity:https://idp.acme.example 1", None),
        user(4, "email:ann@acme.example", Some(("https://idp.acme.example", "7"))),
    ];
    assert_eq!(users(0, 10).await, all);
    assert_eq!(users(0, 2).await, all[..2]);
    assert_eq!(users(3, 2).await, all[2..]);
    assert_eq!(ledger.users(&uid("m"), 0, 10).await.unwrap(), []);

    let mut rest = change(Some(facts(&*ledger).await.version));
    let rests = Carries { suspended: true, ..Carries::default() };
    rest.carries = vec![("email:cy@acme.example".into(), rests)];
    ledger.commit(&rest).await.unwrap();
    assert_eq!(users(0, 10).await, all[1..], "whose assignments are suspended has no use of the seat");
}
