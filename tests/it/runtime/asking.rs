//! A device that no Seat names asks: whoever approves it sees which, and what to write.

use serde_json::json;
use usher::cluster::api::{License, SeatState, Type};

use super::{Scene, for_devices};
use crate::{
    ground::{shared, wait_for},
    scenarios::{license_conditions, with},
};

fn asked(license: &License) -> Option<String> {
    let conditions = license_conditions(license).iter();
    conditions
        .filter(|c| c.type_ == Type::DeviceAsked && c.status == "True")
        .map(|c| c.message.clone())
        .next()
}

#[tokio::test]
async fn whoever_approves_a_device_is_told_which_one_asked_and_what_to_write() {
    let scene = Scene::new(&with(for_devices(2), &json!({"spec": {"admission": "Listed"}}))).await;
    let namespace = &*scene.place.namespace;
    for _ in 0..3 {
        let refused = scene.activate("9f86d081884c7d65").await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "device-not-listed"));
    }
    let license = wait_for(&scene.place.licenses, "cad", "says so", |license| asked(license).is_some()).await;
    let message = asked(&license).unwrap();
    assert!(message.starts_with("device 9f86d081884c7d65 asked to be activated"), "{message}");
    assert!(!message.contains("Lab 3"), "what anybody calls it is no condition's: {message}");
    let shown = shared().kubectl(&["describe", "license", "cad", "-n", namespace]);
    for told in ["9f86d081884c7d65", "Lab 3", "DeviceAsked", "spec {licenseRef: {name: cad}"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    let events = shared().kubectl(&["get", "events", "-n", namespace, "-o", "json"]);
    assert!(!events.contains("Lab 3"), "{events}");

    // What it says to write is what lets the device in.
    let spec = message.split_once("apply a Seat with spec ").unwrap().1;
    let manifest = format!(
        "{{apiVersion: usher.dev/v1alpha1, kind: Seat, metadata: {{name: lab-3, namespace: {namespace}}}, spec: {spec}}}"
    );
    let (ok, said) = shared().try_kubectl(&["apply", "-f", "-"], &manifest);
    assert!(ok, "{said}");
    scene.place.seat("lab-3", SeatState::Bound).await;
    let license = wait_for(&scene.place.licenses, "cad", "says nothing more", |l| asked(l).is_none()).await;
    assert_eq!(license.status.unwrap().asking, []);
    scene.active("9f86d081884c7d65").await;
}
