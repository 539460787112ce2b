//! Seats by signing in: members of groups at the provider, and everybody whose address counts.

use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use usher::{
    cluster::api::{Seat, SeatState},
    domain::namespaces::Namespaces,
};

use super::Scene;
use crate::{
    ground::{license, until},
    runtime::{Own, program::Told},
    scenarios::{ready, with},
};

/// Members of the group `cad-users` at `acme` are assigned to `cad`.
pub(super) fn members() -> Value {
    json!({"kind": "UserAssignment", "metadata": {"name": "members"},
        "spec": {"licenseRef": {"name": "cad"}, "groups": [{"provider": "acme", "name": "cad-users"}]}})
}

pub(super) fn admitting(sign_in: &str) -> Value {
    let interns = json!([{"name": "interns", "seats": 1, "match": {"provider": "acme", "providerGroups": ["interns"]}}]);
    with(
        license(1),
        &json!({"spec": {"client": "Users", "devicesPerSeat": 1, "signIn": sign_in, "groups": interns}}),
    )
}

impl Scene {
    pub(super) async fn seat_of(&self, person: &str, state: SeatState) -> Seat {
        let address = format!("{person}@acme.example");
        let is = |seat: &Seat| {
            let user = seat.spec.holder.user.as_ref().and_then(|user| user.email.as_ref());
            user.is_some_and(|email| email.as_str() == address)
                && seat.status.as_ref().is_some_and(|status| status.state == Some(state))
        };
        until(&format!("{person} has a Seat that is {state:?}"), async || {
            self.place.seats.list(&ListParams::default()).await.unwrap().items.into_iter().find(is)
        })
        .await
    }

    async fn assignment_says(&self, reason: &str) -> String {
        until(&format!("the assignment says {reason}"), async || {
            let found = self.place.assignments.get("members").await.unwrap();
            let conditions = found.status?.conditions;
            let ready = ready(&conditions).filter(|ready| ready.reason == reason)?;
            Some(ready.message.clone())
        })
        .await
    }

    async fn comes(&self, person: &str, groups: &[&str], license: &str) -> Told {
        let address = format!("{person}@acme.example");
        let token = self.token_in(person, Ok(&address), groups).await;
        self.activate(&token, license).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_take_seats_as_they_come_and_give_them_up_when_they_leave_it() {
    let scene = Scene::new().await;
    let cad = format!("{}/cad", scene.place.namespace);
    scene.place.apply(&admitting("None")).await;
    scene.place.apply(&members()).await;
    let said = scene.assignment_says("Assigned").await;
    assert!(said.ends_with("its groups admit nobody: set signIn of License cad to Members"), "{said}");
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    assert_eq!(scene.comes("ann", &["cad-users"], &cad).await.code(), "seat-missing");

    scene.place.apply(&admitting("Members")).await;
    let ann = scene.seat_of("ann", SeatState::Bound).await;
    assert_eq!(ann.owner_references()[0].kind, "UserAssignment");
    let own = Own::of(&scene.comes("ann", &["cad-users", "interns"], &cad).await);
    // Her group of the License is that of her group at the provider, which has one seat; there is but one anyway.
    assert_eq!(scene.comes("bob", &["staff"], &cad).await.code(), "seat-missing");
    assert_eq!(scene.comes("cy", &["cad-users"], &cad).await.code(), "seat-waiting");
    until("the UserAssignment counts who waits", async || {
        let said = scene.assignment_says("Assigned").await;
        said.starts_with("1 of 2 users hold a seat of License cad, 1 wait").then_some(())
    })
    .await;

    // Her provider says that she is in the group no more.
    scene.token_in("ann", Ok("ann@acme.example"), &["staff"]).await;
    scene.seat_of("cy", SeatState::Bound).await;
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended", "it went with her seat");
    Own::of(&scene.comes("cy", &["cad-users"], &cad).await);

    // What cannot be resolved takes nothing away.
    scene.providers().delete("acme", &DeleteParams::default()).await.unwrap();
    scene.assignment_says("ProviderNotFound").await;
    scene.seat_of("cy", SeatState::Bound).await;
    scene.people_count_in(&json!({"from": "None"}), Namespaces::None).await;
    scene.assignment_says("ProviderNotAllowed").await;
    until("nobody has a seat", async || {
        let seats = scene.place.seats.list(&ListParams::default()).await.unwrap();
        seats.items.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_whose_address_counts_takes_a_seat_by_asking_where_that_is_declared() {
    let scene = Scene::new().await;
    let cad = format!("{}/cad", scene.place.namespace);
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    scene.place.apply(&admitting("Members")).await;
    assert_eq!(scene.comes("ann", &["staff"], &cad).await.code(), "seat-missing");
    scene.place.apply(&admitting("Verified")).await;
    let no_address = usher::domain::principal::NoAddress::Unverified;
    let eve = scene.token_in("eve", Err(no_address), &[]).await;
    until("the License says so to programs", async || {
        (scene.comes("ann", &["staff"], &cad).await.status == 201).then_some(())
    })
    .await;
    assert_eq!(scene.activate(&eve, &cad).await.code(), "seat-missing");
    let ann = scene.seat_of("ann", SeatState::Bound).await;
    assert_eq!(ann.owner_references()[0].kind, "License");
    assert_eq!(scene.comes("bob", &[], &cad).await.code(), "seat-waiting");
    scene.place.apply(&admitting("None")).await;
    until("nobody has a seat", async || {
        let seats = scene.place.seats.list(&ListParams::default()).await.unwrap();
        seats.items.is_empty().then_some(())
    })
    .await;
}
