//! What users do, and what they then see.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use usher::cluster::api::{License, Seat, SeatState};

use crate::ground::{apply, license, outside::Watcher, seat, shared, wait_for};

fn is(state: SeatState) -> impl Fn(&Seat) -> bool {
    move |seat| seat.status.as_ref().is_some_and(|status| status.state == Some(state))
}

#[tokio::test]
async fn two_seats_bind_two_of_three_and_a_freed_one_goes_to_the_third() {
    let (client, namespace) = shared().namespace().await;
    let watcher = Watcher::start(&client, &namespace).await;
    let seats: Api<Seat> = Api::namespaced(client.clone(), &namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    apply(&client, &namespace, &license(2)).await.unwrap();
    for name in ["ann", "bob", "cy"] {
        apply(&client, &namespace, &seat(name)).await.unwrap();
    }
    wait_for(&seats, "ann", "is bound", is(SeatState::Bound)).await;
    wait_for(&seats, "bob", "is bound", is(SeatState::Bound)).await;
    let cy = wait_for(&seats, "cy", "waits", is(SeatState::Waiting)).await;
    assert_eq!(cy.status.unwrap().waiting.unwrap().position, 1);
    assert!(secrets.get_opt("cy-seat").await.unwrap().is_none());

    seats.delete("ann", &DeleteParams::default()).await.unwrap();
    wait_for(&seats, "cy", "is bound", is(SeatState::Bound)).await;
    wait_for(&secrets, "cy-seat", "is there", |_| true).await;
    assert!(secrets.get_opt("ann-seat").await.unwrap().is_none());
    let licenses: Api<License> = Api::namespaced(client, &namespace);
    let counted = |license: &License| {
        license.status.as_ref().is_some_and(|s| (s.seats.bound, s.seats.waiting) == (2, 0))
    };
    wait_for(&licenses, "cad", "counts two", counted).await;
    let sight = watcher.sight();
    assert!(sight.most_bound <= 2 && sight.most_secrets <= 2 && sight.events > 0, "{sight:?}");
}
