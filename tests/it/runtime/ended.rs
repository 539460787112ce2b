//! An activation that is silent gives its place back when its last document has ended, and not before.

use jiff::SignedDuration;
use kube::Client;

use super::{
    Own, for_devices,
    program::{Program, key_named},
};
use crate::{
    ground::{Ground, Operator, operator::Turned},
    scenarios::Place,
};
use usher::cluster::api::SeatState;

/// A day, and three more offline.
const LIFE: SignedDuration = SignedDuration::from_hours(96);

#[tokio::test]
async fn a_place_is_held_until_the_last_document_has_ended_and_then_given_to_others() {
    let ground = Ground::own();
    let (clock, directory) = (Turned::new(), tempfile::tempdir().unwrap());
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let operator = Operator::start(client, &directory.path().join("ledger.db"), clock.clone()).await;
    let program = Program::at(&operator.listen().await);
    let place = Place::new(&ground).await;
    place.apply(&for_devices(1)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let activate = async |device: &str| program.activate(&place.namespace, &key, device, None).await;

    let mut silent = Own::of(&activate("silent").await);
    clock.forward(LIFE - SignedDuration::from_mins(5));
    assert_eq!(activate("other").await.code(), "seats-exhausted", "it may still be running");
    clock.forward(SignedDuration::from_mins(10));
    let other = Own::of(&activate("other").await);
    assert_eq!(program.refresh(&silent).await.code(), "seats-exhausted", "somebody else has the place");
    assert_eq!(program.deactivate(&other).await.status, 204);
    let back = program.refresh(&silent).await;
    assert_eq!(back.status, 200, "it comes back when there is a place: {back:?}");
    silent.nonce = back.nonce.unwrap();

    // Somebody who waits for a Seat is given the place by the clock alone.
    place.apply(&crate::ground::seat("ann")).await;
    place.seat("ann", SeatState::Waiting).await;
    clock.forward(LIFE + SignedDuration::from_mins(5));
    place.seat("ann", SeatState::Bound).await;
    assert_eq!(program.refresh(&silent).await.code(), "seats-exhausted");
    operator.stop().await;
}
