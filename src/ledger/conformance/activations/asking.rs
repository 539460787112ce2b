//! Devices that asked, and that no Seat names.

use super::*;
use crate::ledger::activations::asking::{ASKING, Asking};

fn asks(device: &str, name: Option<&str>, second: i64) -> Asking {
    let name = name.map(|name| name.parse().unwrap());
    Asking { license: uid("l"), device: device.parse().unwrap(), name, at: at(second) }
}

pub(super) async fn of_those_who_asked_the_last_are_remembered<L: Ledger>(ledger: Shared<L>) {
    let none = Vec::<Asking>::new();
    ledger.note_asking(&[asks("a", None, 100)]).await.unwrap();
    assert_eq!(ledger.asking(&uid("l"), at(0)).await.unwrap(), none, "there is no such License");
    with_license(&*ledger).await;
    let head = ledger.last_link().await.unwrap();
    let (a, b) = (asks("a", Some("Lab 3"), 100), asks("b", None, 200));
    ledger.note_asking(&[a.clone(), b.clone()]).await.unwrap();
    assert_eq!(ledger.asking(&uid("l"), at(0)).await.unwrap(), [b.clone(), a.clone()]);
    assert_eq!(ledger.asking(&uid("l"), at(150)).await.unwrap(), std::slice::from_ref(&b));
    assert_eq!(ledger.asking(&uid("m"), at(0)).await.unwrap(), none);

    // Soon after, nothing is written; later it is, with what it is called by then.
    ledger.note_asking(&[asks("a", Some("Lab 4"), 100 + 15 * 60 - 1)]).await.unwrap();
    assert_eq!(ledger.asking(&uid("l"), at(0)).await.unwrap(), [b.clone(), a]);
    let again = asks("a", Some("Lab 4"), 100 + 15 * 60);
    ledger.note_asking(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(ledger.asking(&uid("l"), at(0)).await.unwrap(), [again, b]);

    for number in 0..=ASKING {
        ledger.note_asking(&[asks(&format!("d{number}"), None, 10_000 + i64::from(number))]).await.unwrap();
    }
    let asking = ledger.asking(&uid("l"), at(0)).await.unwrap();
    let (first, last) =
        (asking.first().unwrap().device.to_string(), asking.last().unwrap().device.to_string());
    assert_eq!((asking.len(), first, last), (20, format!("d{ASKING}"), "d1".to_owned()));
    assert_eq!(ledger.last_link().await.unwrap(), head, "the audit is told of the refusal alone");
}
