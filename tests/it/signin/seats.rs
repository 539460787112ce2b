//! Whose a seat is: who has a right to it, and what the others are told.

use ::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use usher::{
    cluster::api::SeatState,
    domain::{
        login::{ACCESS, after},
        namespaces::Namespaces,
        principal::{NoAddress, Principal},
    },
    keys::token::{self, Purpose},
    ledger::people::{Begun, Login, Pass, People as _},
    service::edge::Edge as _,
};

use super::Scene;
use crate::{
    ground::{Machine, idp, license, seat, until},
    runtime::{
        Own,
        program::{Call, Told, drawn},
    },
    scenarios::with,
};

/// Seats of two groups of `cad`: one that may `render` and no more, and one of whom one seat carries `xr`, and none who rests.
fn grouped() -> Value {
    with(
        license(9),
        &json!({"spec": {"client": "Users", "features": [{"name": "render"}, {"name": "simulate"}, {"name": "xr", "seats": 1}],
            "groups": [{"name": "interns", "features": ["render"]}]}}),
    )
}

fn assigned(name: &str, spec: &Value) -> Value {
    let assigned = json!({"kind": "UserAssignment", "metadata": {"name": name}, "spec": {"licenseRef": {"name": "cad"}}});
    with(assigned, &json!({"spec": spec}))
}

impl Scene {
    async fn heartbeat(&self, own: &Own) -> Told {
        let call = Call { body: Some(json!({"activation": own.id})), ..own.call() };
        self.program.send(Method::POST, "/v1/heartbeat", &call).await
    }

    /// An access token of whoever has this subject, as their provider would have proven it.
    async fn token(&self, subject: &str, email: Result<&str, NoAddress>) -> String {
        self.token_in(subject, email, &[]).await
    }

    /// The same of somebody in these groups.
    pub(super) async fn token_in(
        &self,
        subject: &str,
        email: Result<&str, NoAddress>,
        groups: &[&str],
    ) -> String {
        let now: Timestamp = Machine.now();
        let who = Principal {
            provider: "acme".parse().unwrap(),
            issuer: idp::issuer().parse().unwrap(),
            subject: subject.parse().unwrap(),
            email: email.map(|email| email.parse().unwrap()),
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            name: subject.into(),
        };
        let access = Purpose::Access.token(&Machine.entropy(), subject);
        let login = Login {
            id: drawn(),
            issuer: who.issuer.clone(),
            subject: who.subject.clone(),
            device: String::new(),
            family: drawn(),
            current: drawn(),
            sibling: None,
            previous: None,
            late: None,
            access: token::hash(&access),
            access_until: after(now, ACCESS),
            since: now,
            used_at: now,
            ends_at: after(now, ACCESS),
            again: None,
            asked_at: now,
            in_doubt: false,
            jkt: None,
            version: 1,
        };
        let people = &self.operator.people;
        people.meet(&who, now).await.unwrap();
        let code = Pass { hash: drawn(), content: String::new(), until: after(now, ACCESS) };
        assert!(people.keep_pass(&code, None, now).await.unwrap());
        assert_eq!(people.begin_login(&code.hash, &login).await.unwrap(), Begun::Now);
        access.to_string()
    }

    pub(super) async fn activate(&self, token: &str, license: &str) -> Told {
        let body = json!({"license": license, "device": {"id": "9f86d081"}});
        let key = drawn();
        let call = Call { token: Some(token), key: Some(&key), body: Some(body), ..Call::default() };
        self.program.send(Method::POST, "/v1/activations", &call).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_right_to_a_seat_is_told_why() {
    let scene = Scene::new().await;
    scene.place.apply(&seat("ann")).await;
    scene.place.seat("ann", SeatState::Bound).await;
    scene.place.apply(&seat("bob")).await;
    scene.place.waits_at("bob", 1).await;
    let cad = format!("{}/cad", scene.place.namespace);
    let refused = async |token: &str, license: &str| {
        let told = scene.activate(token, license).await;
        (told.status, told.code())
    };
    let said = |status, code: &str| (status, code.to_owned());

    let ann = scene.token("ann", Ok("ann@acme.example")).await;
    assert_eq!(refused(&ann, &cad).await, said(401, "unauthorized"), "of no provider that is known");
    scene.people_count_in(&json!({"from": "None"}), Namespaces::None).await;
    assert_eq!(refused(&ann, &cad).await, said(403, "namespace-not-allowed"));
    let labelled = Namespaces::Labelled([("a".to_owned(), "b".to_owned())].into());
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"a": "b"}}});
    scene.people_count_in(&selector, labelled).await;
    assert_eq!(refused(&ann, &cad).await, said(403, "namespace-not-allowed"));
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    for no_address in [NoAddress::Unverified, NoAddress::OtherDomain, NoAddress::Missing] {
        let eve = scene.token("eve", Err(no_address)).await;
        assert_eq!(refused(&eve, &cad).await, said(403, "seat-missing"), "{no_address:?}");
    }
    let bob = scene.token("bob", Ok("bob@acme.example")).await;
    assert_eq!(refused(&bob, &cad).await, said(409, "seat-waiting"));
    let cy = scene.token("cy", Ok("cy@acme.example")).await;
    for license in [cad.clone(), format!("{}/other", scene.place.namespace)] {
        assert_eq!(refused(&cy, &license).await, said(403, "seat-missing"), "{license}");
    }
    assert_eq!(refused(&ann, "cad").await, said(400, "request-invalid"));
    assert_eq!(refused("usher_acc_none", &cad).await, said(401, "unauthorized"));

    let own = Own::of(&scene.activate(&ann, &cad).await);
    // The address is another's now. The seat is not; and whoever had it first has it by any address.
    let second = scene.token("ann-2", Ok("ann@acme.example")).await;
    assert_eq!(refused(&second, &cad).await, said(403, "holder-changed"));
    let message = scene.place.seat_says("ann", "HolderChanged").await;
    let next = format!("run: kubectl delete seat ann -n {} (", scene.place.namespace);
    assert!(message.contains(&next) && !message.contains('@'), "{message}");
    let renamed = scene.token("ann", Ok("ann.b@acme.example")).await;
    let again = Own::of(&scene.activate(&renamed, &cad).await);
    assert_ne!(again.id, own.id);
    // An administrator decides: the Seat is taken away, and made again.
    scene.place.seats.delete("ann", &Default::default()).await.unwrap();
    scene.place.seat("bob", SeatState::Bound).await;
    assert_eq!(refused(&renamed, &cad).await, said(403, "seat-missing"));
    assert_eq!(scene.program.refresh(&again).await.code(), "activation-ended", "it went with the seat");
    Own::of(&scene.activate(&bob, &cad).await);
    scene.place.apply(&seat("ann")).await;
    scene.place.seats.delete("bob", &Default::default()).await.unwrap();
    scene.place.seat("ann", SeatState::Bound).await;
    Own::of(&scene.activate(&second, &cad).await);
    assert_eq!(refused(&ann, &cad).await, said(403, "seat-missing"));
    scene.place.seat_says("ann", "Bound").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activations_on_a_seat_are_granted_what_it_carries_and_nothing_while_it_rests() {
    let scene = Scene::new().await;
    scene.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
    let cad = format!("{}/cad", scene.place.namespace);
    scene.place.apply(&grouped()).await;
    let staff = assigned("staff", &json!({"users": [{"email": "ann@acme.example"}], "priority": 9}));
    scene.place.apply(&staff).await;
    scene.place.counts("cad", 1, 0).await;
    let interns = assigned("interns", &json!({"users": [{"email": "ivy@acme.example"}], "group": "interns"}));
    scene.place.apply(&interns).await;
    scene.place.counts("cad", 2, 0).await;

    let features = |told: &Told| -> Vec<String> {
        told.claims().features.iter().map(|feature| feature.name.clone()).collect()
    };
    let parameters = |told: &Told| -> Vec<String> {
        let features = told.json()["parameters"]["features"].as_array().cloned().unwrap();
        features.iter().map(|feature| feature["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut owns = Vec::new();
    for (person, carries) in [("ann", &["render", "simulate", "xr"][..]), ("ivy", &["render"])] {
        let token = scene.token(person, Ok(&format!("{person}@acme.example"))).await;
        let told = scene.activate(&token, &cad).await;
        assert_eq!(features(&told), carries, "{person}");
        assert_eq!(parameters(&told), carries, "{person}");
        let own = Own::of(&told);
        assert_eq!(parameters(&scene.heartbeat(&own).await), carries, "{person}");
        let told = scene.program.refresh(&own).await;
        assert_eq!(features(&told), carries, "{person}");
        owns.push((token, Own { nonce: told.nonce.clone().unwrap(), ..own }));
    }

    // Her assignment rests: her seat stays hers, and nothing is granted on it.
    let rests = |suspended: bool| with(staff.clone(), &json!({"spec": {"suspended": suspended}}));
    scene.place.apply(&rests(true)).await;
    let (token, own) = &owns[0];
    until("her heartbeats are refused", async || (scene.heartbeat(own).await.status == 403).then_some(()))
        .await;
    assert_eq!(scene.heartbeat(own).await.code(), "seat-suspended");
    let told = scene.program.refresh(own).await;
    assert_eq!((told.status, told.code()), (403, "seat-suspended".to_owned()));
    assert_eq!(scene.activate(token, &cad).await.code(), "seat-suspended");
    let session = json!({"activation": own.id});
    let key = drawn();
    let call = Call { body: Some(session), key: Some(&key), ..own.call() };
    assert_eq!(scene.program.send(Method::POST, "/v1/sessions", &call).await.code(), "seat-suspended");
    assert_eq!(features(&scene.program.refresh(&owns[1].1).await), ["render"], "others go on");
    scene.place.apply(&rests(false)).await;
    until("she goes on", async || (scene.heartbeat(own).await.status == 200).then_some(())).await;
    assert_eq!(features(&scene.program.refresh(own).await), ["render", "simulate", "xr"]);
}
