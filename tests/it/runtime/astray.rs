//! The keys of Usher's own are lost or replaced while it is at work: it goes on with the ones that it has, says so, and never uses another.

use std::sync::Arc;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use usher::{
    cluster::{ca, metrics::Metrics},
    keys::{nonce::NonceKey, tls},
    service::edge::Edge as _,
};

use super::{
    Own, for_devices,
    program::{Program, drawn, key_named},
};
use crate::{
    faults::place::Disk,
    ground::{Ground, Machine, Operator, until},
    scenarios::Place,
};

const NONCES: &str = "usher-nonce-key";

async fn start(ground: &Ground, disk: &Disk) -> Operator {
    let client = Client::try_from(ground.usher_config().await).unwrap();
    Operator::start(client, &disk.ledger(), Arc::new(Machine)).await
}

/// Waits until the metrics say whether the key in this Secret is another.
async fn says(metrics: &Metrics, secret: &str, astray: bool) {
    let line = format!("usher_keys_astray{{secret=\"{secret}\"}} {}\n", u8::from(astray));
    until(&line, async || metrics.text().contains(&line).then_some(())).await;
}

/// Puts the Secret there, in the place of whatever has its name.
async fn put(secrets: &Api<Secret>, secret: &Secret) {
    let metadata = ObjectMeta {
        name: secret.metadata.name.clone(),
        labels: secret.metadata.labels.clone(),
        ..ObjectMeta::default()
    };
    let _ = secrets.delete(metadata.name.as_ref().unwrap(), &DeleteParams::default()).await;
    secrets.create(&PostParams::default(), &Secret { metadata, ..secret.clone() }).await.unwrap();
}

#[tokio::test]
async fn the_key_of_nonces_that_was_found_is_used_and_no_other_before_or_after_a_restart() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let program = Program::at(&operator.listen().await);
    let place = Place::new(&ground).await;
    place.apply(&for_devices(2)).await;
    let key = key_named(&place.secrets, "lab").await;
    place.license_says("cad", "Issued").await;
    let mut own = Own::of(&program.activate(&place.namespace, &key, "a", Some(&drawn())).await);
    let secrets: Api<Secret> = Api::namespaced(ground.admin().await, "usher-system");
    let kept = secrets.get(NONCES).await.unwrap();
    says(&operator.metrics, NONCES, false).await;

    secrets.delete(NONCES, &DeleteParams::default()).await.unwrap();
    says(&operator.metrics, NONCES, true).await;
    own.nonce = program.refresh(&own).await.nonce.expect("it goes on");
    put(&secrets, &kept).await;
    says(&operator.metrics, NONCES, false).await;
    let jwk = NonceKey::from_secret([9; 32]).to_jwk().unwrap();
    let data = Some([("private.jwk".to_owned(), ByteString(jwk.as_bytes().to_vec()))].into());
    put(&secrets, &Secret { data, ..kept.clone() }).await;
    says(&operator.metrics, NONCES, true).await;
    own.nonce = program.refresh(&own).await.nonce.expect("it goes on");
    operator.stop().await;

    let asked =
        || ground.all_requests().iter().filter(|r| r.contains(" usher-system/usher-nonce-key ")).count();
    let before = asked();
    let operator = start(&ground, &disk).await;
    let program = Program::at(&operator.serve().await);
    until("the other key was found, and is looked for again", async || (asked() > before + 1).then_some(()))
        .await;
    let told = program.refresh(&own).await;
    assert_eq!((told.status, told.code()), (503, "unavailable".to_owned()), "{told:?}");
    put(&secrets, &kept).await;
    let told = until("the key is found", async || {
        let told = program.refresh(&own).await;
        (told.status != 503).then_some(told)
    })
    .await;
    assert_eq!(told.status, 200, "{told:?}");
    operator.stop().await;
}

#[tokio::test]
async fn a_ca_that_is_replaced_while_usher_serves_by_it_is_said() {
    let ground = Ground::own();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let ca = ca::keep(&client, "usher-system", tls::make_ca(Machine.now()).unwrap()).await.unwrap();
    let metrics = Metrics::default();
    let secrets: Api<Secret> = Api::namespaced(ground.admin().await, "usher-system");
    let kept = secrets.get("usher-ca").await.unwrap();
    let told = async {
        secrets.delete("usher-ca", &DeleteParams::default()).await.unwrap();
        says(&metrics, "usher-ca", true).await;
        put(&secrets, &kept).await;
        says(&metrics, "usher-ca", false).await;
        let other = tls::make_ca(Machine.now()).unwrap();
        let entries = [("tls.crt", other.certificate.as_bytes()), ("tls.key", other.key.as_bytes())];
        let data = entries.map(|(name, text)| (name.to_owned(), ByteString(text.to_vec())));
        put(&secrets, &Secret { data: Some(data.into()), ..kept.clone() }).await;
        says(&metrics, "usher-ca", true).await;
    };
    tokio::select! {
        () = told => {}
        never = ca::follow(&client, "usher-system", &ca, &Machine, &metrics) => match never {},
    }
}
