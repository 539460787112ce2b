//! `kill -9` under load: whatever was answered is still true, and whatever was not is answered when it is asked again.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{
    Own, for_devices,
    program::{Program, drawn, key_named},
};
use crate::{
    ground::{Ground, Listening, Machine, until, wait_for},
    scenarios::Place,
};
use usher::service::edge::Edge as _;

const KILLS: usize = 12;
const DEVICES: usize = 8;

/// A process that ends with us.
struct Usher(Child);

impl Usher {
    fn start(kubeconfig: &Path, ledger: &Path, port: u16) -> Self {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_usher"), "run", "--secrets-cluster-wide"])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--ops-listen", "127.0.0.1:0", "--ledger"])
            .arg(ledger)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program has written down before it asks: the nonce in its state, and the key of the request that is under way.
struct Device {
    own: Own,
    key: String,
    answered: usize,
}

/// Asks on and on, as rule 5 of the chain says, until no answer comes.
async fn ask(program: &Program, device: &mut Device) {
    loop {
        let path = format!("/v1/activations/{}/refresh", device.own.id);
        let call = super::program::Call {
            token: Some(&device.own.token),
            nonce: Some(&device.own.nonce),
            key: Some(&device.key),
            body: None,
        };
        match program.try_send(::http::Method::POST, &path, &call).await {
            // Right after a start nobody signs yet.
            Ok(told) if told.status == 503 => {}
            Ok(told) => {
                assert_eq!(told.status, 200, "{told:?}");
                device.own.nonce = told.nonce.unwrap();
                device.key = drawn();
                device.answered += 1;
            }
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn killed_under_load_again_and_again_no_answer_is_lost_and_no_chain_is_stuck() {
    let ground = Ground::own();
    let directory = tempfile::tempdir().unwrap();
    let (kubeconfig, ledger) = (directory.path().join("kubeconfig"), directory.path().join("ledger.db"));
    std::fs::write(&kubeconfig, ground.kubeconfig_of_usher()).unwrap();
    std::fs::set_permissions(&kubeconfig, std::fs::Permissions::from_mode(0o600)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut usher = Usher::start(&kubeconfig, &ledger, port);

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
            let _ = usher.0.kill();
        };
        futures::join!(death, join_all(devices.iter_mut().map(|device| ask(&program, device))));
        drop(usher);
        assert!(devices.iter().zip(before).all(|(device, before)| device.answered > before));
        usher = Usher::start(&kubeconfig, &ledger, port);
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

/// Asks until the request that is under way is answered: the server may not be there yet.
async fn ask_until_answered(program: &Program, device: &mut Device) {
    let path = format!("/v1/activations/{}/refresh", device.own.id);
    let told = until("it is answered", async || {
        let call = super::program::Call {
            token: Some(&device.own.token),
            nonce: Some(&device.own.nonce),
            key: Some(&device.key),
            body: None,
        };
        let told = program.try_send(::http::Method::POST, &path, &call).await.ok()?;
        (told.status != 503).then_some(told)
    })
    .await;
    assert_eq!(told.status, 200, "{told:?}");
    device.own.nonce = told.nonce.unwrap();
    device.key = drawn();
    device.answered += 1;
}
