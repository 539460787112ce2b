//! How often callers may ask: each for itself, whoever else is behind the same address.

use ::http::Method;
use kube::Client;
use usher::http::{Bounds, Pace};

use super::{
    Own, for_devices,
    program::{Call, Program, Told, drawn, key_named},
};
use crate::{
    faults::place::Disk,
    ground::{Ground, Machine, Operator, until},
    scenarios::Place,
};

/// So many calls, and no more after that, however long one waits.
const STRANGER: u32 = 3;
const CALLER: u32 = 12;

const fn in_all(at_once: u32) -> Pace {
    Pace { at_once, a_second: 0 }
}

/// What a program with this token is told of the activation `id`.
async fn asks(program: &Program, token: &str, id: &str) -> Told {
    let call = Call { token: Some(token), nonce: Some("x"), ..Call::default() };
    program.send(Method::GET, &format!("/v1/activations/{id}"), &call).await
}

/// `token` with another last character: its mark is wrong.
fn forged(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    format!("{rest}{}", if last == "A" { "B" } else { "A" })
}

#[tokio::test]
async fn strangers_shut_out_each_other_and_nobody_whose_token_usher_made() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &disk.ledger(), std::sync::Arc::new(Machine)).await;
    let bounds = Bounds { caller: in_all(CALLER), stranger: in_all(STRANGER), ..Bounds::default() };
    let (wide, narrow) = (operator.listen().await, operator.serve_within(bounds).await);
    let (setting_up, program) = (Program::at(&wide), Program::at(&narrow));
    let place = Place::new(&ground).await;
    place.apply(&for_devices(3)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let active = async |device: &str| {
        let drawn = drawn();
        let told = until("it is activated", async || {
            let told = setting_up.activate(&place.namespace, &key, device, Some(&drawn)).await;
            (told.status == 201).then_some(told)
        });
        Own::of(&told.await)
    };
    let (own, other) = (active("a").await, active("b").await);

    // A token that Usher made and that is good for nothing here, as after a restore, is at the cost of whoever shows it.
    for _ in 0..=STRANGER {
        assert_eq!(asks(&program, &other.token, &own.id).await.code(), "unauthorized");
    }
    // What was made up is at the cost of its network; what is made up to look like ours, too.
    for token in ["usher_act_x", &forged(&own.token), &forged(&key)] {
        assert_eq!(asks(&program, token, &own.id).await.code(), "unauthorized", "{token}");
    }
    let late = asks(&program, &forged(&other.token), &own.id).await;
    assert_eq!((late.status, late.code().as_str()), (429, "rate-limited"));
    let nobody = program.send(Method::GET, "/v1/activations/x", &Call::default()).await;
    assert_eq!(nobody.code(), "rate-limited");
    // What others made is paced apart.
    for told in ["audience-wrong", "audience-wrong", "audience-wrong", "rate-limited"] {
        assert_eq!(asks(&program, "e30.e30.c2ln", &own.id).await.code(), told);
    }

    // Whoever has a token of Usher's never notices, the first time they come from there.
    assert_eq!(program.refresh(&own).await.status, 200);
    let third = program.activate(&place.namespace, &key, "c", Some(&drawn())).await;
    assert_eq!(program.deactivate(&Own::of(&third)).await.status, 204);

    // They are held to what is theirs, and others of them not.
    let mut left = CALLER;
    let refused = loop {
        let told = asks(&program, &own.token, &other.id).await;
        match told.status {
            429 => break told,
            _ => left = left.checked_sub(1).expect("somebody holds it up"),
        }
    };
    assert_eq!(refused.code(), "rate-limited");
    assert_eq!(program.refresh(&other).await.status, 200);
    operator.stop().await;
}
