//! Namespaces that go, with copies elsewhere and without, whether Usher looks or not; and a ledger that forgot the copies.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use usher::{
    domain::license::Key,
    ledger::{Ledger as _, sqlite::Sqlite},
    service::edge::Edge as _,
};

use crate::{
    faults::{
        lost::says,
        place::{Disk, Place},
        wire::{self, Act},
    },
    ground::{self, Ground, Machine, Operator, until, wait_for},
};

/// How each place ends, and stays.
const SETTLED: &[&str] = &[
    "License cad: 1 of 1 bound, 1 waits, in cad-license, True Issued",
    "Seat ann: Bound, in ann-seat, True Bound",
    "Seat bob: Waiting 1, True NoFreeSeat",
    "Secret ann-seat of Seat ann: ann@acme.example",
    "Secret cad-license of License cad: license",
];

async fn start(ground: &Ground, disk: &Disk) -> Operator {
    let (client, _) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    Operator::start(client, &disk.ledger(), Arc::new(Machine)).await
}

/// One sits and one waits, and these get copies of the License's Secret, under the name of its namespace.
async fn settled<'a>(ground: &'a Ground, copies_in: &[&str]) -> Place<'a> {
    let place = Place::new(ground).await;
    place.apply(&copied(&place, copies_in)).await;
    place.seat(&["ann"]).await;
    place.are_bound(&["ann"]).await;
    place.seat(&["bob"]).await;
    place
}

fn copied(place: &Place<'_>, copies_in: &[&str]) -> serde_json::Value {
    let mut license = ground::license(1);
    if !copies_in.is_empty() {
        license["spec"]["secret"] = json!({"name": place.namespace, "namespaces": copies_in});
    }
    license
}

/// [`SETTLED`], with the Secret called as [`settled`] calls it.
async fn ends_settled(place: &Place<'_>, with_copies: bool) {
    let name = if with_copies { place.namespace.as_str() } else { "cad-license" };
    let mut wanted: Vec<String> = SETTLED.iter().map(|line| line.replace("cad-license", name)).collect();
    wanted.sort();
    place.ends_as(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

async fn delete_namespace(place: &Place<'_>) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await.unwrap();
}

/// Waits until the namespace is gone, and prints how long that took since `begun`.
async fn goes(place: &Place<'_>, begun: Timestamp, what: &str) {
    let namespaces: Api<Namespace> = Api::all(place.client.clone());
    until(&format!("{what} goes"), async || {
        namespaces.get_opt(&place.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
    let took = Machine.now().duration_since(begun).as_secs_f64();
    println!("{what}: gone after {took:.1} s");
}

async fn there(place: &Place<'_>, secret: &str) -> Secret {
    wait_for(&place.secrets(), secret, "is there", |_| true).await
}

/// The names of the Secrets in a place, in order.
async fn secrets(place: &Place<'_>) -> Vec<String> {
    let all = place.secrets().list(&Default::default()).await.unwrap().items;
    all.iter().map(kube::ResourceExt::name_any).collect()
}

async fn are(place: &Place<'_>, wanted: &[&str]) {
    until(&format!("{wanted:?} are the Secrets in {}", place.namespace), async || {
        (secrets(place).await == wanted).then_some(())
    })
    .await;
}

/// What the ledger still knows, once nobody has it open.
async fn known(disk: &Disk) -> Vec<Key> {
    let ledger = until("the ledger is free", async || Sqlite::open(&disk.ledger()).await.ok()).await;
    ledger.licenses().await.unwrap()
}

#[tokio::test]
async fn with_usher_stopped_a_namespace_goes_and_one_with_copies_waits_and_goes_when_usher_returns() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let farm = Place::new(&ground).await;
    let into_farm = [farm.namespace.as_str()];
    let (plain, with_copies) = (settled(&ground, &[]).await, settled(&ground, &into_farm).await);
    let stays = settled(&ground, &into_farm).await;
    for place in [&with_copies, &stays] {
        there(&farm, &place.namespace).await;
    }
    ends_settled(&plain, false).await;
    ends_settled(&with_copies, true).await;
    ends_settled(&stays, true).await;
    operator.stop().await;

    let begun = Machine.now();
    delete_namespace(&plain).await;
    delete_namespace(&with_copies).await;
    goes(&plain, begun, "with Usher stopped, a namespace without copies").await;
    // All else there is gone, and it waits for the finalizer.
    let waits = |namespace: &Namespace| {
        let conditions = namespace.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let remaining = |c: &str| ["NamespaceFinalizersRemaining", "NamespaceContentRemaining"].contains(&c);
        let mut of_content = conditions.filter(|c| remaining(&c.type_) && c.status == "True");
        of_content.any(|c| c.message.as_deref().is_some_and(|said| said.contains("usher.dev/copies")))
    };
    let namespaces: Api<Namespace> = Api::all(ground.admin().await);
    wait_for(&namespaces, &with_copies.namespace, "waits for the finalizer", waits).await;
    there(&farm, &with_copies.namespace).await;

    let begun = Machine.now();
    let operator = start(&ground, &disk).await;
    goes(&with_copies, begun, "once Usher is back, a namespace with copies").await;
    are(&farm, &[&stays.namespace]).await;
    for place in [&plain, &with_copies, &stays] {
        place.never_over(1);
    }
    ends_settled(&stays, true).await;
    stays.is_silent(&operator).await;
    operator.stop().await;
    assert_eq!(known(&disk).await, [Key::new(&stays.namespace, "cad")]);
}

#[tokio::test]
async fn namespaces_that_go_while_usher_works_leave_nothing_behind_and_hold_up_nobody() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let (farm, lab) = (Place::new(&ground).await, Place::new(&ground).await);
    let into = [farm.namespace.as_str(), lab.namespace.as_str()];
    let stays = settled(&ground, &into).await;
    let (mut go, begun) = (Vec::new(), Machine.now());
    for number in 0..4 {
        let place = settled(&ground, if number % 2 == 0 { &into } else { &[] }).await;
        // In the middle of what people do there.
        place.seat(&["cy", "dan"]).await;
        place.delete_seat("ann").await;
        delete_namespace(&place).await;
        go.push(place);
    }
    // And one of those where the copies are.
    delete_namespace(&lab).await;
    for place in go.iter().chain([&lab]) {
        goes(place, begun, "with Usher at work, a namespace").await;
    }
    for place in go.iter().chain([&stays]) {
        place.never_over(1);
    }
    are(&farm, &[&stays.namespace]).await;
    let stalled = "False NamespaceNotGranted Stalled=True";
    let mut wanted: Vec<String> =
        SETTLED.iter().map(|line| line.replace("cad-license", &stays.namespace)).collect();
    wanted[0] = wanted[0].replace("True Issued", stalled);
    wanted.sort();
    stays.ends_as(&wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    stays.apply(&copied(&stays, &into[..1])).await;
    ends_settled(&stays, true).await;
    stays.is_silent(&operator).await;
    operator.stop().await;
    assert_eq!(known(&disk).await, [Key::new(&stays.namespace, "cad")]);
}

#[tokio::test]
async fn a_ledger_that_was_lost_knows_the_copies_again_and_writes_none_of_them() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let farm = Place::new(&ground).await;
    let (stays, goes_meanwhile) =
        (settled(&ground, &[&farm.namespace]).await, settled(&ground, &[&farm.namespace]).await);
    let before = there(&farm, &stays.namespace).await;
    there(&farm, &goes_meanwhile.namespace).await;
    ends_settled(&stays, true).await;
    ends_settled(&goes_meanwhile, true).await;
    operator.stop().await;
    disk.lose();
    delete_namespace(&goes_meanwhile).await;

    // What the ledger forgot, the finalizer remembers.
    let begun = Machine.now();
    let operator = start(&ground, &disk).await;
    goes(&goes_meanwhile, begun, "after the loss of the ledger, a namespace with copies").await;
    says(&stays, "LedgerRebuilt").await;
    are(&farm, &[&stays.namespace]).await;
    ends_settled(&stays, true).await;
    stays.is_silent(&operator).await;
    let after = there(&farm, &stays.namespace).await;
    assert_eq!(after.resource_version(), before.resource_version(), "not one write");
    // And it goes with its reason, as any other.
    stays.delete_license().await;
    are(&farm, &[]).await;
    for place in [&stays, &goes_meanwhile] {
        place.never_over(1);
    }
    operator.stop().await;
}

#[tokio::test]
async fn of_two_who_want_one_name_the_one_whose_copy_lies_there_has_it_again_after_the_ledger_was_lost() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let farm = Place::new(&ground).await;
    let (first, second) = (settled(&ground, &[&farm.namespace]).await, Place::new(&ground).await);
    let named =
        |namespace: &str, name: &str| json!({"spec": {"secret": {"name": name, "namespaces": [namespace]}}});
    let set = async |place: &Place<'_>, patch: serde_json::Value| {
        place.licenses().patch("cad", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    let before = there(&farm, &first.namespace).await;
    second.license(1).await;
    set(&second, named(&farm.namespace, &first.namespace)).await;
    let is_refused = async || {
        until("the second is told that the name is taken", async || {
            let state = second.state().await;
            state.iter().any(|line| line.contains("SecretNameTaken")).then_some(())
        })
        .await;
    };
    is_refused().await;
    operator.stop().await;
    disk.lose();

    // The second is looked at, and the first is not.
    let pause = |is: bool| json!({"metadata": {"annotations": {"usher.dev/paused": is.then_some("true")}}});
    set(&first, pause(true)).await;
    let operator = start(&ground, &disk).await;
    says(&second, "LedgerRebuilt").await;
    for _ in 0..2 {
        second.look(&operator).await;
    }
    is_refused().await;
    set(&first, pause(false)).await;
    ends_settled(&first, true).await;
    is_refused().await;
    let after = there(&farm, &first.namespace).await;
    assert_eq!(after.resource_version(), before.resource_version(), "not one write");
    // It is let go, and then the second has it.
    set(&first, named(&farm.namespace, "cad-license")).await;
    let uid = second.licenses().get("cad").await.unwrap().metadata.uid;
    wait_for(&farm.secrets(), &first.namespace, "is the second's", |secret| {
        secret.labels().get("usher.dev/subject") == uid.as_ref()
    })
    .await;
    operator.stop().await;
}

#[tokio::test]
async fn after_the_loss_of_the_ledger_a_copy_takes_no_name_from_whoever_is_at_home() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    // Whose namespace comes first by its name is looked at first.
    let (greedy, home) = (Place::new(&ground).await, settled(&ground, &[]).await);
    ends_settled(&home, false).await;
    let mut license = ground::license(1);
    license["spec"]["secret"] = json!({"name": "cad-license", "namespaces": [home.namespace]});
    greedy.apply(&license).await;
    let taken = "License cad: 0 of 1 bound, 0 waits, in cad-license, False SecretNameTaken Stalled=True";
    let wanted = [taken, "Secret cad-license of License cad: license"];
    greedy.ends_as(&wanted).await;
    let before = there(&home, "cad-license").await;
    operator.stop().await;
    disk.lose();

    let operator = start(&ground, &disk).await;
    says(&home, "LedgerRebuilt").await;
    for place in [&greedy, &home] {
        place.look(&operator).await;
    }
    home.is_silent(&operator).await;
    ends_settled(&home, false).await;
    greedy.ends_as(&wanted).await;
    let after = there(&home, "cad-license").await;
    assert_eq!(after.resource_version(), before.resource_version(), "not one write");
    home.never_over(1);
    // And who is at home still has the name.
    home.apply(&ground::license(2)).await;
    wait_for(&home.secrets(), "cad-license", "is written again", |secret| {
        secret.resource_version() != before.resource_version()
    })
    .await;
    operator.stop().await;
}
