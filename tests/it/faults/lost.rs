//! The ledger is gone, or older than it was, or somebody would have it rebuilt to his liking.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use usher::{
    cluster::{
        Settings,
        api::{Authority, Type},
    },
    domain::witness::OnLoss,
    ledger::{Ledger as _, Trail as _, audit::Link, sqlite::Sqlite},
};

use crate::{
    faults::{
        place::{Disk, Place},
        wire::{self, Act},
    },
    ground::{Ground, Machine, Operator, until},
};

/// Runs `usher ledger …`, as an administrator does; what it wrote, or said when it refused.
pub fn usher_ledger(arguments: &[&str], ledger: &Path, input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_usher"))
        .arg("ledger")
        .args(arguments)
        .env("USHER_LEDGER", ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses does not read.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout) } else { Err(said) }
}

pub(super) async fn start(ground: &Ground, disk: &Disk) -> Operator {
    let (client, _) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    Operator::start(client, &disk.ledger(), Arc::new(Machine)).await
}

/// Two sit and one waits.
pub(super) async fn settled(ground: &Ground) -> Place<'_> {
    let place = Place::new(ground).await;
    place.license(2).await;
    place.seat(&["ann", "bob", "cy"]).await;
    place.are_bound(&["ann", "bob"]).await;
    let wanted = "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued".to_owned();
    until("the License counts them", async || place.state().await.contains(&wanted).then_some(())).await;
    place
}

pub(super) async fn secrets(place: &Place<'_>) -> Vec<Secret> {
    place.secrets().list(&ListParams::default()).await.unwrap().items
}

/// Not one write was made to a Secret since these were listed.
pub(super) async fn are_as_before(place: &Place<'_>, before: &[Secret]) {
    let versions = |secrets: &[Secret]| -> Vec<(String, Option<String>)> {
        secrets.iter().map(|secret| (secret.name_any(), secret.resource_version())).collect()
    };
    assert_eq!(versions(&secrets(place).await), versions(before), "not one write to a Secret");
}

pub(super) fn lines(state: &[String]) -> Vec<&str> {
    state.iter().map(String::as_str).collect()
}

/// Waits until the Authority gives this reason for how it stands with the ledger.
pub(super) async fn says(place: &Place<'_>, reason: &str) {
    let authorities: Api<Authority> = Api::all(place.client.clone());
    until(&format!("the Authority says {reason}"), async || {
        let status = authorities.get("default").await.unwrap().status?;
        status.conditions.into_iter().find(|c| c.type_ == Type::LedgerMissing && c.reason == reason)
    })
    .await;
}

/// Waits until the ledger is rebuilt; then everything is as in `end`, of Secrets to the byte, `limit` was never exceeded, and there is
/// silence.
pub(super) async fn is_rebuilt_as(
    place: &Place<'_>,
    operator: &Operator,
    end: &[&str],
    secrets: &[Secret],
    limit: usize,
) {
    says(place, "LedgerRebuilt").await;
    place.look(operator).await;
    place.ends_as(end).await;
    are_as_before(place, secrets).await;
    assert!(!signed(operator), "nothing is signed again");
    place.never_over(limit);
    place.is_silent(operator).await;
}

async fn events(place: &Place<'_>) -> Vec<String> {
    let events: Api<Event> = Api::all(place.client.clone());
    events.list(&ListParams::default()).await.unwrap().items.into_iter().filter_map(|e| e.reason).collect()
}

pub(super) fn signed(operator: &Operator) -> bool {
    !operator.metrics.text().contains("usher_documents_signed_total 0\n")
}

async fn first_and_last_link(ledger: &Path) -> (Link, Link) {
    let ledger = Sqlite::open(ledger).await.unwrap();
    let links = ledger.audit(0, 500).await.unwrap();
    (links[0].clone(), links.last().unwrap().clone())
}

#[tokio::test]
async fn a_ledger_that_was_deleted_is_rebuilt_and_every_holder_and_every_byte_is_as_before() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    let (_, last) = first_and_last_link(&disk.ledger()).await;
    let (before, bytes) = (place.state().await, secrets(&place).await);
    disk.lose();

    let operator = start(&ground, &disk).await;
    is_rebuilt_as(&place, &operator, &lines(&before), &bytes, 2).await;
    let told = events(&place).await;
    assert!(told.contains(&"LedgerMissing".into()) && told.contains(&"LedgerRebuilt".into()), "{told:?}");

    // What was recovered is known: the next in the queue sits, and the former one's Secret goes.
    place.delete_seat("ann").await;
    place.are_bound(&["bob", "cy"]).await;
    place.never_over(2);
    operator.stop().await;
    let (first, _) = first_and_last_link(&disk.ledger()).await;
    assert!(first.follows(None));
    let names = format!("\"witnessed\":{},\"hash\":\"{}\"", last.sequence, last.hash);
    assert!(first.entries.contains(&names), "{} does not name {names}", first.entries);
}

#[tokio::test]
async fn places_that_were_free_when_the_ledger_was_lost_cool_before_somebody_else_has_one() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = Place::new(&ground).await;
    let reassign = async |after: &str| {
        let spec = json!({"spec": {"reassignAfter": after}});
        place.licenses().patch("cad", &PatchParams::default(), &Patch::Merge(spec)).await.unwrap();
    };
    place.license(3).await;
    reassign("2h").await;
    place.seat(&["ann", "bob"]).await;
    place.are_bound(&["ann", "bob"]).await;
    place.delete_seat("bob").await;
    let stands = async |line: &str| {
        until(line, async || place.state().await.iter().any(|l| l.starts_with(line)).then_some(())).await;
    };
    place.secret_of("bob-seat", false).await;
    operator.stop().await;
    disk.lose();

    let operator = start(&ground, &disk).await;
    says(&place, "LedgerRebuilt").await;
    place.seat(&["cy"]).await;
    stands("Seat cy: Cooling 1").await;
    stands("Seat ann: Bound").await;
    // What is bought beyond that is nobody's, and what need not cool is free.
    place
        .licenses()
        .patch("cad", &PatchParams::default(), &Patch::Merge(json!({"spec": {"seats": 4}})))
        .await
        .unwrap();
    place.are_bound(&["ann", "cy"]).await;
    place.seat(&["di"]).await;
    stands("Seat di: Cooling 1").await;
    reassign("0s").await;
    place.are_bound(&["ann", "cy", "di"]).await;
    place.never_over(4);
    operator.stop().await;
}

#[tokio::test]
async fn a_ledger_restored_from_before_a_seat_changed_hands_gives_it_to_nobody_twice() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    // While Usher is at work, from another process.
    let backup = usher_ledger(&["backup", "-"], &disk.ledger(), b"").unwrap();
    let in_use = usher_ledger(&["restore", "-"], &disk.ledger(), &backup).unwrap_err();
    assert!(in_use.contains("is in use by another usher process: stop that one first"), "{in_use}");
    place.delete_seat("ann").await;
    place.are_bound(&["bob", "cy"]).await;
    place.seat(&["ann"]).await;
    let end = [
        "License cad: 2 of 2 bound, 1 waits, in cad-license, True Issued",
        "Seat ann: Waiting 1, True NoFreeSeat",
        "Seat bob: Bound, in bob-seat, True Bound",
        "Seat cy: Bound, in cy-seat, True Bound",
        "Secret bob-seat of Seat bob: bob@acme.example",
        "Secret cad-license of License cad: license",
        "Secret cy-seat of Seat cy: cy@acme.example",
    ];
    place.ends_as(&end).await;
    operator.stop().await;
    let bytes = secrets(&place).await;

    // As it should be done, and as people do it.
    for incarnation in [2, 3] {
        if incarnation == 2 {
            usher_ledger(&["restore", "-"], &disk.ledger(), &backup).unwrap();
        } else {
            disk.lose();
            std::fs::write(disk.ledger(), &backup).unwrap();
        }
        let operator = start(&ground, &disk).await;
        is_rebuilt_as(&place, &operator, &end, &bytes, 2).await;
        operator.stop().await;
        let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
        assert_eq!(ledger.head().await.unwrap().mark.incarnation, incarnation);
    }
}

#[tokio::test]
async fn neither_a_forged_status_nor_forged_secrets_win_a_seat_in_a_rebuild() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    let before = place.state().await;
    disk.lose();

    // First she is said to wait, then he to be bound, so that nobody sees three.
    for (name, state) in [("ann", "Waiting"), ("cy", "Bound")] {
        let patch = Patch::Merge(json!({"status": {"state": state}}));
        place.seats().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }
    let cy = place.seats().get("cy").await.unwrap().uid().unwrap();
    let of_ann = place.secrets().get("ann-seat").await.unwrap().data.unwrap();
    for (name, jws) in [("cy-seat", "license.jws"), ("dan-seat", "keys.jws")] {
        let mut data = of_ann.clone();
        data.insert("license.jws".into(), of_ann[jws].clone());
        let forged = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {
                "app.kubernetes.io/managed-by": "usher", "usher.dev/license": "cad", "usher.dev/subject": cy,
            }},
            "type": "usher.dev/license", "data": data,
        }));
        place.secrets().create(&PostParams::default(), &forged.unwrap()).await.unwrap();
    }

    let operator = start(&ground, &disk).await;
    says(&place, "LedgerRebuilt").await;
    // Nobody has signed the one, so it is somebody else's, and it gives nobody anything.
    let theirs =
        "Secret dan-seat of nobody: does not verify: expected typ `license+jwt`, found `usher-keys+jwt`";
    let mut end = lines(&before);
    end.push(theirs);
    place.ends_as(&end).await;
    place.never_over(2);
    place.is_silent(&operator).await;
    operator.stop().await;
}

#[tokio::test]
async fn whoever_refuses_to_rebuild_decides_nothing_until_told_to() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    let (before, bytes) = (place.state().await, secrets(&place).await);
    disk.lose();

    let (client, _) = wire::client(&ground.usher_config().await, |_| Act::Pass);
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let settings = Settings { identity: ledger.owner(), on_loss: OnLoss::Refuse, ..Settings::default() };
    let operator = Operator::follow(client, ledger, Arc::new(Machine), settings).await;
    says(&place, "LedgerMissing").await;
    place.seat(&["dan"]).await;
    are_as_before(&place, &bytes).await;
    assert!(!operator.is_leader() && operator.looks("License") == 0, "nothing is decided");
    assert_eq!(
        place.state().await.iter().filter(|line| !line.contains("dan")).cloned().collect::<Vec<_>>(),
        before
    );

    let told = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(["ledger", "rebuild"])
        .env("KUBECONFIG", ground.kubeconfig())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    operator.leads().await;
    says(&place, "LedgerRebuilt").await;
    let wanted: Vec<String> = before
        .iter()
        .map(|line| line.replace("1 waits", "2 waits"))
        .chain(["Seat dan: Waiting 2, True NoFreeSeat".to_owned()])
        .collect();
    let mut wanted = wanted;
    wanted.sort();
    place.ends_as(&lines(&wanted)).await;
    are_as_before(&place, &bytes).await;
    place.never_over(2);
    place.is_silent(&operator).await;
    operator.stop().await;
    until("the Lease is released", async || {
        let holder = ground.kubectl(&[
            "get",
            "lease",
            "usher",
            "-n",
            "usher-system",
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ]);
        holder.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_witness_follows_the_ledger_and_is_not_written_when_nothing_changed() {
    let (ground, disk) = (Ground::own(), Disk::new());
    let operator = start(&ground, &disk).await;
    let place = settled(&ground).await;
    operator.stop().await;
    let witnessed = || {
        ground
            .all_requests()
            .into_iter()
            .filter(|r| r.contains(" usher-system/usher-witness "))
            .collect::<Vec<_>>()
    };
    let writes = || witnessed().into_iter().filter(|request| !request.starts_with("get ")).count();
    let (before, read) = (writes(), witnessed().len());
    assert!(before > 0);
    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let mark = ledger.head().await.unwrap().mark;
    drop(ledger);
    let commits = ground.kubectl(&[
        "get",
        "configmap",
        "usher-witness",
        "-n",
        "usher-system",
        "-o",
        "jsonpath={.data.commits}",
    ]);
    assert_eq!(commits, mark.commits.to_string());

    let operator = start(&ground, &disk).await;
    place.look(&operator).await;
    place.look(&operator).await;
    operator.stop().await;
    assert!(witnessed().len() > read, "it was read");
    assert_eq!(writes(), before, "a restart is no change: {:?}", witnessed());
}
