//! The disk of the ledger is full: nothing more is promised, nothing that was promised is lost, and all goes on when there is room.

use std::{
    io::{ErrorKind, Write as _},
    path::Path,
};

use ::http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{
    Own,
    database::{files, operations},
    for_devices,
    program::{Program, drawn, key_named},
};
use crate::{
    ground::{
        Ground, Listening,
        process::{Usher, free_port},
        until, wait_for,
    },
    scenarios::Place,
};

/// As many activations as a disk of that size surely does not hold.
const MANY: usize = 1_000;

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = [0; 1_024];
    let full = loop {
        if let Err(error) = file.write_all(&block) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_promised_that_is_not_kept_and_all_goes_on_when_there_is_room() {
    let ground = Ground::own();
    let (directory, kubeconfig) = files(&ground);
    let (port, ops) = (free_port(), free_port());
    let (listen, operations_at) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{ops}"));
    let options = ["--secrets-cluster-wide", "--listen", &listen, "--ops-listen", &operations_at];
    let disk = directory.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut usher = Usher::start_on_disk("16m", &kubeconfig, &disk.join("ledger.db"), &options);
    usher.is_at_work().await;
    let place = Place::new(&ground).await;
    place.apply(&for_devices(u32::try_from(MANY).unwrap())).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let maps: Api<ConfigMap> = Api::namespaced(ground.admin().await, "usher-system");
    let ca = wait_for(&maps, "usher-ca", "is there", |_| true).await.data.unwrap()["ca.crt"].clone();
    let program = Program::at(&Listening { url: format!("https://localhost:{port}"), ca });
    let activate =
        async |device: String| program.activate(&place.namespace, &key, &device, Some(&drawn())).await;
    let mut owns = vec![Own::of(&activate("first".into()).await)];

    let filler = usher.sees(&disk.join("filler"));
    fill(&filler);
    let refused = loop {
        assert!(owns.len() < MANY, "the disk holds all of them");
        let told = activate(format!("device-{}", owns.len())).await;
        match told.status {
            429 => {}
            201 => owns.push(Own::of(&told)),
            _ => break told,
        }
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    usher.says("no room left").await;
    let (status, why) = operations(&ground, ops, "/readyz").await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.starts_with("the ledger has no room left"), "{why}");
    assert_eq!(
        operations(&ground, ops, "/healthz").await.unwrap().0,
        StatusCode::OK,
        "a restart makes no room"
    );
    for own in &owns {
        let told = until("it is told", async || {
            let told = program.check(own).await;
            (told.status != 429).then_some(told)
        });
        assert_eq!(told.await.status, 200, "what was answered is true");
    }

    std::fs::remove_file(&filler).unwrap();
    until("it is ready", async || {
        operations(&ground, ops, "/readyz").await.filter(|(status, _)| *status == StatusCode::OK)
    })
    .await;
    assert_eq!(activate("last".into()).await.status, 201);
    let first = owns.first().unwrap();
    assert_eq!(program.refresh(first).await.status, 200);
    // And so it is on disk.
    usher.kill();
}
