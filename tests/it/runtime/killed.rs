//! `kill -9` under load: whatever was answered is still true, and whatever was not is answered when it is asked again.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{
    Own, for_devices,
    program::{Call, Program, Told, drawn, key_named},
};
use crate::{
    ground::{
        Ground, Listening, Machine,
        process::{Usher, kubeconfig_beside},
        until, wait_for,
    },
    scenarios::Place,
};
use usher::service::edge::Edge as _;

const KILLS: usize = 12;
const DEVICES: usize = 8;

/// What a program has written down before it asks: the nonce in its state, and the key of the request that is under way.
struct Device {
    own: Own,
    key: String,
    answered: usize,
}

impl Device {
    /// Sends the request that is under way. Right after a start nobody signs yet, which is no answer.
    async fn asks(&self, program: &Program) -> Result<Option<Told>, kube::Error> {
        let path = format!("/v1/activations/{}/refresh", self.own.id);
        let call = Call {
            token: Some(&self.own.token),
            nonce: Some(&self.own.nonce),
            key: Some(&self.key),
            body: None,
        };
        let told = program.try_send(::http::Method::POST, &path, &call).await?;
        Ok((told.status != 503).then_some(told))
    }

    fn is_told(&mut self, told: Told) {
        assert_eq!(told.status, 200, "{told:?}");
        self.own.nonce = told.nonce.unwrap();
        self.key = drawn();
        self.answered += 1;
    }
}

/// Asks on and on, as rule 5 of the chain says, until no answer comes.
async fn ask(program: &Program, device: &mut Device) {
    while let Ok(told) = device.asks(program).await {
        if let Some(told) = told {
            device.is_told(told);
        }
    }
}

/// Asks until the request that is under way is answered: the server may not be there yet.
async fn ask_until_answered(program: &Program, device: &mut Device) {
    let told = until("it is answered", async || device.asks(program).await.ok()?).await;
    device.is_told(told);
}

#[tokio::test]
async fn killed_under_load_again_and_again_no_answer_is_lost_and_no_chain_is_stuck() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let kubeconfig = kubeconfig_beside(&ledger, &ground);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let start = || Usher::start(&kubeconfig, &ledger, &["--secrets-cluster-wide", "--listen", &listen]);
    let mut usher = start();

    let place = Place::new(&ground).await;
    place.apply(&for_devices(u32::try_from(DEVICES).unwrap())).await;
    let key = key_named(&place.secrets, "lab").await;
    let maps: Api<ConfigMap> = Api::namespaced(place.client.clone(), "usher-system");
    let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let program = Program::at(&Listening { url: format!("https://localhost:{port}"), ca });
    let mut devices = Vec::new();
    for name in 0..DEVICES {
        let (name, request) = (format!("d{name}"), drawn());
        let own = until("it is activated", async || {
            let told = program.try_activate(&place.namespace, &key, &name, &request).await.ok()?;
            (told.status == 201).then(|| Own::of(&told))
        })
        .await;
        devices.push(Device { own, key: drawn(), answered: 0 });
    }
    for _ in 0..KILLS {
        let before: Vec<usize> = devices.iter().map(|device| device.answered).collect();
        // When it dies is the fault that is tried here; nothing is waited for.
        let life = Duration::from_micros(u64::from(Machine.entropy()[0]) * 4_000);
        let asking = join_all(devices.iter_mut().map(|device| ask_until_answered(&program, device)));
        asking.await;
        let death = async {
            let _ = tokio::time::timeout(life, std::future::pending::<()>()).await;
            usher.kill();
        };
        futures::join!(death, join_all(devices.iter_mut().map(|device| ask(&program, device))));
        drop(usher);
        assert!(devices.iter().zip(before).all(|(device, before)| device.answered > before));
        usher = start();
    }
    join_all(devices.iter_mut().map(|device| ask_until_answered(&program, device))).await;
    // Nobody was taken for a clone, and every place is still held.
    let license = wait_for(&place.licenses, "cad", "counts them", |license| {
        license.status.as_ref().is_some_and(|status| status.seats.activated == DEVICES as i64)
    })
    .await;
    let conditions = crate::scenarios::license_conditions(&license);
    assert!(conditions.iter().all(|condition| condition.reason != "CloneSeen"), "{conditions:?}");
}
