//! The ledger is gone, and what is left does not tell all: the License went meanwhile, keys turned or are missing, and one
//! License knows of another.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use usher::{
    cluster::{Settings, api::Authority, ca, rights::Rights, saml_key},
    keys::tls,
    service::edge::Edge as _,
};

use crate::{
    faults::{
        lost::{are_as_before, is_rebuilt_as, lines, secrets, settled, start, usher_ledger},
        place::{Disk, Place},
        wire::{self, Act},
    },
    ground::{self, Ground, Machine, Operator, until, wait_for},
};

/// Gives the Secrets to nobody, so that the garbage collector leaves them.
async fn disown(place: &Place<'_>) {
    let nobody = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    for secret in secrets(place).await {
        place.secrets().patch(&secret.name_any(), &PatchParams::default(), &nobody).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_license_that_went_with_the_ledger_only_what_was_signed_for_it_is_removed() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    disk.lose();
    disown(&place).await;
    let of_ann = place.secrets().get("ann-seat").await.unwrap();
    // What looks like ours and is not: nothing that we signed, and what we signed under another name.
    let like_ours = |name: &str, license: &str, jws: &str| Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/managed-by".into(), "usher".into()),
                ("usher.dev/license".into(), license.into()),
                ("usher.dev/subject".into(), of_ann.labels()["usher.dev/subject"].clone()),
            ])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("license.jws".into(), of_ann.data.clone().unwrap()[jws].clone())])),
        type_: Some("usher.dev/license".into()),
        ..Secret::default()
    };
    for theirs in [like_ours("unsigned", "cad", "keys.jws"), like_ours("elsewhere", "pcb", "license.jws")] {
        place.secrets().create(&PostParams::default(), &theirs).await.unwrap();
    }
    place.clear().await;
    until("they are gone", async || {
        place.seats().list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;

    let operator = start(&ground, &disk).await;
    let names = async || secrets(&place).await.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>();
    until("only theirs is left", async || (names().await == ["elsewhere", "unsigned"]).then_some(())).await;

    // And nothing of it stands in the way of a License that comes with the same name.
    place.license(1).await;
    place.seat(&["bob"]).await;
    place.are_bound(&["bob"]).await;
    until("the License counts him", async || {
        place
            .state()
            .await
            .iter()
            .any(|line| line.starts_with("License cad: 1 of 1 bound, 0 waits"))
            .then_some(())
    })
    .await;
    place.never_over(2);
    place.is_silent(&operator).await;
    assert_eq!(names().await, ["bob-seat", "cad-license", "elsewhere", "unsigned"]);
    operator.stop().await;
}

#[tokio::test]
async fn whoever_waits_for_a_second_seat_of_a_product_is_not_given_it_because_the_first_was_forgotten() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = Place::new(&ground).await;
    let license = |name: &str| {
        let mut license = ground::license(1);
        license["metadata"]["name"] = json!(name);
        license["spec"]["maxPerUser"] = json!(1);
        license
    };
    place.apply(&license("cad")).await;
    place.seat(&["ann"]).await;
    place.are_bound(&["ann"]).await;
    place.apply(&license("aaa")).await;
    let mut too = ground::seat("ann");
    too["metadata"]["name"] = json!("ann-too");
    too["spec"]["licenseRef"]["name"] = json!("aaa");
    place.apply(&too).await;
    until("she waits for another one", async || {
        let state = place.state().await;
        let told = |line: &str| state.iter().any(|known| known.starts_with(line));
        (told("Seat ann-too: Waiting") && told("License aaa: 0 of 1 bound, ")).then_some(())
    })
    .await;
    operator.stop().await;
    let (before, bytes) = (place.state().await, secrets(&place).await);
    disk.lose();

    // One after the other, and the one where she waits comes first.
    let (client, _) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    let settings = Settings { workers: 1, ..Settings::default() };
    let operator =
        Operator::start_as(client, Rights::new(true), &disk.ledger(), Arc::new(Machine), settings).await;
    is_rebuilt_as(&place, &operator, &lines(&before), &bytes, 1).await;
    operator.stop().await;
}

async fn signing_key(place: &Place<'_>) -> Option<String> {
    let authorities: Api<Authority> = Api::all(place.client.clone());
    authorities.get("default").await.unwrap().status?.signing_key
}

#[tokio::test]
async fn keys_that_turned_after_the_backup_are_found_again_and_what_they_signed_counts() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    let backup = usher_ledger(&["backup", "-"], &disk.ledger(), b"").unwrap();
    let first = signing_key(&place).await;
    let turn = Patch::Merge(json!({
        "metadata": {"annotations": {"usher.dev/rotate-key": "now"}}, "spec": {"rotation": {"every": "2160h", "overlap": "0s"}},
    }));
    let authorities: Api<Authority> = Api::all(place.client.clone());
    authorities.patch("default", &PatchParams::default(), &turn).await.unwrap();
    until("another key signs", async || (signing_key(&place).await != first).then_some(())).await;
    place.delete_seat("ann").await;
    place.are_bound(&["bob", "cy"]).await;
    until("the License counts them", async || {
        place
            .state()
            .await
            .iter()
            .any(|line| line.starts_with("License cad: 2 of 2 bound, 0 waits"))
            .then_some(())
    })
    .await;
    operator.stop().await;
    let (before, bytes, second) = (place.state().await, secrets(&place).await, signing_key(&place).await);
    usher_ledger(&["restore", "-"], &disk.ledger(), &backup).unwrap();

    let operator = start(&ground, &disk).await;
    is_rebuilt_as(&place, &operator, &lines(&before), &bytes, 2).await;
    assert_eq!(signing_key(&place).await, second);
    operator.stop().await;
}

#[tokio::test]
async fn keys_that_went_with_the_ledger_are_not_made_again_and_nobody_loses_anything_meanwhile() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    let (before, bytes) = (place.state().await, secrets(&place).await);
    disk.lose();
    let kept: Api<Secret> = Api::namespaced(place.client.clone(), "usher-system");
    let of_authorities = ListParams::default().labels("usher.dev/authority");
    let keys = kept.list(&of_authorities).await.unwrap().items;
    assert_eq!(keys.len(), 2);
    for key in &keys {
        kept.delete(&key.name_any(), &DeleteParams::default()).await.unwrap();
    }

    let operator = start(&ground, &disk).await;
    let authorities: Api<Authority> = Api::all(place.client.clone());
    let is_missing = |authority: &Authority| {
        authority.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.reason == "KeyMissing"))
    };
    wait_for(&authorities, "default", "misses its keys", is_missing).await;
    until("the License was looked at", async || (operator.looks("License") > 0).then_some(())).await;
    place.are_bound(&["ann", "bob"]).await;
    are_as_before(&place, &bytes).await;
    assert!(kept.list(&of_authorities).await.unwrap().items.is_empty(), "no other key is made");

    for key in keys {
        let metadata =
            ObjectMeta { name: key.metadata.name, labels: key.metadata.labels, ..ObjectMeta::default() };
        kept.create(&PostParams::default(), &Secret { metadata, ..key }).await.unwrap();
    }
    is_rebuilt_as(&place, &operator, &lines(&before), &bytes, 2).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_ca_that_was_deleted_is_made_anew_once_and_published_and_one_that_is_there_never_is() {
    let ground = Ground::own();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let keep = async || {
        let fresh = tls::make_ca(Machine.now()).unwrap();
        ca::keep(&client, "usher-system", fresh).await.unwrap().certificate
    };
    let admin = ground.admin().await;
    let (secrets, maps): (Api<Secret>, Api<ConfigMap>) =
        (Api::namespaced(admin.clone(), "usher-system"), Api::namespaced(admin, "usher-system"));
    let published = async || maps.get("usher-ca").await.unwrap().data.unwrap().remove("ca.crt");
    let first = keep().await;
    let silent = ground.writes();
    assert_eq!((keep().await, published().await), (first.clone(), Some(first.clone())));
    assert_eq!(ground.writes(), silent, "nothing is written where nothing changed");

    maps.delete("usher-ca", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        (keep().await, published().await),
        (first.clone(), Some(first.clone())),
        "it is published again"
    );
    secrets.delete("usher-ca", &DeleteParams::default()).await.unwrap();
    let second = keep().await;
    assert_ne!(second, first, "its key is gone for good");
    assert_eq!((keep().await, published().await), (second.clone(), Some(second)));
}

#[tokio::test]
async fn the_key_of_saml_is_one_for_all_replicas_and_one_that_is_there_is_never_replaced() {
    let ground = Ground::own();
    let client = Client::try_from(ground.usher_config().await).unwrap();
    let keep = async || saml_key::keep(&client, "usher-system", Machine.now()).await;
    let kept = async || keep().await.unwrap().to_pem().unwrap();
    // Two begin at once.
    let (one, other) = tokio::join!(kept(), kept());
    assert_eq!(one, other);
    let silent = ground.writes();
    assert_eq!((kept().await, ground.writes()), (one.clone(), silent), "it is found, and nothing is written");

    let secrets: Api<Secret> = Api::namespaced(ground.admin().await, "usher-system");
    let secret = secrets.get("usher-saml-key").await.unwrap();
    assert_eq!((secret.immutable, secret.type_.as_deref()), (Some(true), Some("kubernetes.io/tls")));
    let gone = async || drop(secrets.delete("usher-saml-key", &DeleteParams::default()).await.unwrap());
    gone().await;
    let new = kept().await;
    assert!(one.0 != new.0 && one.1 != new.1, "whoever deletes it turns it");

    // Somebody has put other things there: the certificate of the former one, a key of another kind, nothing.
    let ec = tls::make_ca(Machine.now()).unwrap();
    let anew = "delete it, restart Usher and give your identity providers its new certificate, from /signin/saml/metadata";
    let changed = format!("the Secret usher-saml-key was changed: restore it from a backup, or {anew}");
    for (certificate, key) in [(&one.0, &new.1), (&ec.certificate, &ec.key), (&one.0, &String::new().into())]
    {
        gone().await;
        let data = [("tls.crt".to_owned(), certificate.clone()), ("tls.key".to_owned(), key.to_string())];
        let metadata = ObjectMeta { name: Some("usher-saml-key".into()), ..ObjectMeta::default() };
        let put = Secret { metadata, string_data: Some(data.into()), ..Secret::default() };
        secrets.create(&PostParams::default(), &put).await.unwrap();
        assert_eq!(keep().await.err().unwrap().to_string(), changed);
        let there = secrets.get("usher-saml-key").await.unwrap().data.unwrap();
        assert_eq!(there["tls.key"].0, key.as_bytes(), "it is as it was put there");
    }
    gone().await;
    let metadata = ObjectMeta { name: Some("usher-saml-key".into()), ..ObjectMeta::default() };
    secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await.unwrap();
    let why = format!("the Secret usher-saml-key has no tls.crt: restore it from a backup, or {anew}");
    assert_eq!(keep().await.err().unwrap().to_string(), why);
}
