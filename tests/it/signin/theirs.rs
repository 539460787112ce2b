//! What somebody does with their own activations by an access token: they see them, end them, and have them rebuilt.

use ::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use usher::{cluster::api::SeatState, domain::namespaces::Namespaces};

use super::{Scene, for_people};
use crate::{
    ground::seat,
    runtime::{
        Own,
        program::{Call, Told, drawn},
    },
    scenarios::with,
};

impl Scene {
    /// Ann, Bob and their seats, on the License `cad` of two seats, which says this besides; and an access token of each.
    async fn two(&self, spec: &Value) -> (String, String) {
        self.people_count_in(&json!({"from": "All"}), Namespaces::All).await;
        let two = json!({"spec": {"seats": 2, "devicesPerSeat": 2}});
        self.place.apply(&with(with(for_people(), &two), spec)).await;
        for name in ["ann", "bob"] {
            self.place.apply(&seat(name)).await;
            self.place.seat(name, SeatState::Bound).await;
        }
        let token = async |name: &str| self.token_in(name, Ok(&format!("{name}@acme.example")), &[]).await;
        (token("ann").await, token("bob").await)
    }

    async fn on(&self, token: &str, device: &str, lost: Option<Value>) -> Told {
        let license = format!("{}/cad", self.place.namespace);
        let mut body = json!({"license": license, "device": {"id": device, "name": "Lab 3"}});
        if let Some(lost) = lost {
            body["lost"] = lost;
        }
        let key = drawn();
        let call = Call { token: Some(token), key: Some(&key), body: Some(body), ..Call::default() };
        self.program.send(Method::POST, "/v1/activations", &call).await
    }

    async fn ends(&self, token: &str, activation: &str) -> (u16, String) {
        let call = Call { token: Some(token), ..Call::default() };
        let told = self.program.send(Method::DELETE, &format!("/v1/activations/{activation}"), &call).await;
        (told.status, if told.status == 204 { String::new() } else { told.code() })
    }

    async fn mine(&self, token: &str) -> Value {
        let call = Call { token: Some(token), ..Call::default() };
        let told = self.program.send(Method::GET, "/v1/me/licenses", &call).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_signed_in_sees_what_is_theirs_and_ends_that_and_nobody_elses() {
    let scene = Scene::new().await;
    let (ann, bob) = scene.two(&json!({})).await;
    let own = Own::of(&scene.on(&ann, "9f86d081", None).await);
    super::mine::opens_session(&scene, &own).await;
    let mine = scene.mine(&ann).await;
    let cad = &mine["licenses"][0];
    assert_eq!((cad["place"].as_str(), cad["state"].as_str()), (Some("seat"), Some("active")), "{mine}");
    assert_eq!(cad["devices"][0]["activation"], own.id.as_str());
    assert_eq!(cad["devices"][0]["device"]["name"], "Lab 3");
    assert_eq!(
        (cad["devices_per_seat"].as_u64(), cad["sessions"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    assert_eq!(scene.mine(&bob).await["licenses"][0]["devices"], json!([]));
    let nobody = Call { token: Some("usher_acc_none"), ..Call::default() };
    assert_eq!(scene.program.send(Method::GET, "/v1/me/licenses", &nobody).await.code(), "unauthorized");

    let none = || (401, "unauthorized".to_owned());
    assert_eq!(scene.ends(&bob, &own.id).await, none());
    assert_eq!(scene.ends("usher_acc_none", &own.id).await, none());
    assert_eq!(scene.ends(&ann, &"0".repeat(32)).await, none(), "whether there is one is not told");
    assert_eq!(scene.program.check(&own).await.status, 200);
    assert_eq!(scene.ends(&ann, &own.id).await, (204, String::new()));
    assert_eq!(scene.ends(&ann, &own.id).await, (204, String::new()), "it stays so");
    assert_eq!(scene.program.refresh(&own).await.code(), "activation-ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_has_lost_is_rebuilt_for_whose_it_was_and_for_nobody_else() {
    let scene = Scene::new().await;
    let (ann, bob) = scene.two(&json!({})).await;
    let told = scene.on(&ann, "9f86d081", None).await;
    let own = Own::of(&told);
    let lost = || json!({"nonce": own.nonce, "document": told.text("document")});
    let file = scene.directory.path().join("ledger.db");
    let mut ledger = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("DELETE FROM activations WHERE id = $1").bind(&own.id).execute(&mut ledger).await.unwrap();
    assert_eq!(scene.program.check(&own).await.code(), "unauthorized");

    // With what is Ann's, on a device of the same fingerprint, Bob has one of his own.
    let his = scene.on(&bob, "9f86d081", Some(lost())).await;
    assert_ne!(Own::of(&his).id, own.id);
    let elsewhere = scene.on(&ann, "0000aaaa", Some(lost())).await;
    assert_ne!(Own::of(&elsewhere).id, own.id, "another device of hers");
    let again = scene.on(&ann, "9f86d081", Some(lost())).await;
    assert_eq!(Own::of(&again).id, own.id);
    assert_eq!(again.claims().holder, told.claims().holder);
    assert_eq!(scene.program.refresh(&Own::of(&again)).await.status, 200);
    assert_eq!(scene.program.refresh(&own).await.code(), "nonce-used", "its chain goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_somebody_is_activated_again_so_often_and_their_other_devices_do_not_count() {
    let scene = Scene::new().await;
    let clones = json!({"spec": {"clones": {"recoveries": {"limit": 1, "per": "720h"}}}});
    let (ann, _) = scene.two(&clones).await;
    for device in ["9f86d081", "0000aaaa"] {
        for _ in 0..2 {
            assert_eq!(scene.on(&ann, device, None).await.status, 201, "{device}");
        }
        let told = scene.on(&ann, device, None).await;
        assert_eq!((told.status, told.code()), (409, "recoveries-exhausted".to_owned()), "{device}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_on_somebodys_seat_is_one_more_of_their_devices_where_copies_may_be() {
    let scene = Scene::new().await;
    let (ann, _) = scene.two(&json!({"spec": {"clones": {"policy": "Replace"}}})).await;
    let told = scene.on(&ann, "9f86d081", None).await;
    let own = Own::of(&told);
    assert_eq!(scene.program.refresh(&own).await.status, 200);
    let copy = scene.program.refresh(&own).await;
    assert_eq!(copy.status, 201, "{copy:?}");
    assert_ne!(Own::of(&copy).id, own.id);
    assert_eq!((copy.claims().holder, copy.claims().device), (told.claims().holder, told.claims().device));
    assert_eq!(scene.program.refresh(&Own::of(&copy)).await.claims().holder, told.claims().holder);
    assert_eq!(scene.mine(&ann).await["licenses"][0]["devices"].as_array().map(Vec::len), Some(2));
    let third = scene.program.refresh(&own).await;
    assert_eq!((third.status, third.code()), (409, "nonce-used".to_owned()));
    assert!(
        third.text("detail").contains("2 of 2 devices on which the seat may be active are taken."),
        "{third:?}"
    );
    assert_eq!(scene.ends(&ann, &Own::of(&copy).id).await.0, 204);
}
