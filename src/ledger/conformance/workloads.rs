//! Activations of workloads, as every engine must keep them.

use super::{
    activations::{activation, advances, seen, step, taken},
    *,
};
use crate::{
    domain::{
        chain::{Chain, State, Why},
        contract::Contract,
        workload::Slot,
    },
    ledger::activations::{Activated, Activation, Advance, Slotted, Step},
};

const OWNER: &str = "render Deployment.apps/render";

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, what_a_workload_holds_is_read_back_with_the_turn_in_which_it_holds_it).await;
    run(open, activations_of_one_slot_are_one_place_and_are_named_together).await;
    run(open, several_end_with_the_one_that_comes_or_none_of_them).await;
    run(open, an_activation_goes_on_in_another_pod).await;
    run(open, what_pods_give_back_is_no_transfer).await;
}

async fn with_license<L: Ledger>(ledger: &L) {
    let contract = Contract { license: license(2), issuer: None, kept: 0, unknown: 0 };
    let mut told = change(None);
    told.terms = Some(Terms { contract: Some(contract), ..Terms::default() });
    ledger.commit(&told).await.unwrap();
}

/// The activation `id` of the pod of the same name in this slot.
fn slotted(id: &str, slot: u32) -> Activation {
    let workload = Slotted { owner: OWNER.into(), slot: Slot::Number(slot), pod: uid(&format!("pod-{id}")) };
    let key = id.bytes().next().unwrap();
    Activation { holder: format!("workload:{slot}"), workload: Some(workload), ..activation(id, key, 900) }
}

async fn begins<L: Ledger>(ledger: &L, begun: Activation) {
    let turn = taken(ledger, "", 200).await.turn;
    ledger.record(Step { turn: Some(turn), begin: Some(begun), ..step() }).await.unwrap();
}

async fn held<L: Ledger>(ledger: &L, owner: &str) -> Vec<String> {
    let found = ledger.workplace(&key(), owner).await.unwrap().unwrap();
    found.held.into_iter().map(|seen| seen.activation.id).collect()
}

async fn what_a_workload_holds_is_read_back_with_the_turn_in_which_it_holds_it<L: Ledger>(ledger: Shared<L>) {
    assert!(ledger.workplace(&key(), OWNER).await.unwrap().is_none());
    with_license(&*ledger).await;
    begins(&*ledger, slotted("b", 1)).await;
    begins(&*ledger, slotted("a", 0)).await;
    begins(&*ledger, activation("device", 9, 900)).await;
    let found = ledger.workplace(&key(), OWNER).await.unwrap().unwrap();
    assert_eq!((found.license, found.incarnation), (uid("l"), 1));
    assert_eq!(found.contract.unwrap().license, license(2));
    assert_eq!(found.turn, taken(&*ledger, "", 200).await.turn);
    let all: Vec<Activation> = found.held.into_iter().map(|seen| seen.activation).collect();
    assert_eq!(all, [slotted("b", 1), slotted("a", 0)], "in the order in which they began");
    assert_eq!(held(&*ledger, "render Deployment.apps/other").await, [""; 0]);

    // What has lapsed is still its owner's, and what has ended is not.
    let before = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Deactivated), ..before.activation.chain.clone() };
    ledger.record(advances(&before, ended)).await.unwrap();
    let before = seen(&*ledger, "b").await;
    let lapsed = Chain { state: State::Lapsed, ..before.activation.chain.clone() };
    ledger.record(advances(&before, lapsed)).await.unwrap();
    assert_eq!(held(&*ledger, OWNER).await, ["b"]);
}

async fn activations_of_one_slot_are_one_place_and_are_named_together<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    for begun in [slotted("a", 0), slotted("b", 1), slotted("c", 0), activation("device", 9, 900)] {
        begins(&*ledger, begun).await;
    }
    assert_eq!(taken(&*ledger, "", 200).await.places, 3);
    assert_eq!(taken(&*ledger, "", 901).await.places, 0);
    assert_eq!(ledger.holding(&uid("l"), &[], at(200)).await.unwrap().places, 3);
    let last = async |at_most| ledger.last_activated(&uid("l"), at_most, at(200)).await.unwrap();
    let named = |id: &str, holder: &str| Activated { id: id.into(), holder: holder.into() };
    let device = named("device", "device:device");
    assert_eq!(last(1).await, std::slice::from_ref(&device));
    let shared = [named("c", "workload:0"), named("a", "workload:0")];
    assert_eq!(last(2).await, [&[device.clone()][..], &shared].concat());

    // One of them ends: the place is still taken.
    let before = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Deactivated), ..before.activation.chain.clone() };
    ledger.record(advances(&before, ended)).await.unwrap();
    assert_eq!(taken(&*ledger, "", 200).await.places, 3);
}

async fn several_end_with_the_one_that_comes_or_none_of_them<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    begins(&*ledger, slotted("a", 0)).await;
    begins(&*ledger, slotted("b", 0)).await;
    let ends = async |id: &str| {
        let before = seen(&*ledger, id).await;
        let chain = Chain { state: State::Ended(Why::Superseded), ..before.activation.chain.clone() };
        let id = id.to_owned();
        Advance { id, version: before.version, chain, answer: None, recovery: false, pod: None }
    };
    let (first, second) = (ends("a").await, ends("b").await);
    let comes = async |second: Advance| {
        let turn = Some(taken(&*ledger, "", 200).await.turn);
        let (begin, advance) = (Some(slotted("c", 0)), Some(first.clone()));
        ledger.record(Step { turn, begin, advance, also: vec![second], ..step() }).await
    };
    let old = Advance { version: second.version + 1, ..second.clone() };
    assert!(matches!(comes(old).await, Err(CommitError::Conflict)));
    assert_eq!(held(&*ledger, OWNER).await, ["a", "b"], "nothing of it is left behind");
    comes(second).await.unwrap();
    assert_eq!(held(&*ledger, OWNER).await, ["c"]);
    assert_eq!(taken(&*ledger, "workload:0", 200).await.recovered, []);
    let links = ledger.audit(0, 100).await.unwrap();
    let told = links.iter().map(|link| link.entries.matches(r#""why":"superseded""#).count()).sum::<usize>();
    assert_eq!(told, 2);
}

async fn an_activation_goes_on_in_another_pod<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    begins(&*ledger, slotted("a", 0)).await;
    let pod = async || seen(&*ledger, "a").await.activation.workload.unwrap().pod;
    let goes_on = async |pod: Option<Uid>| {
        let before = seen(&*ledger, "a").await;
        let mut step = advances(&before, before.activation.chain.clone());
        step.advance.as_mut().unwrap().pod = pod;
        ledger.record(step).await.unwrap();
    };
    goes_on(Some(uid("pod-b"))).await;
    assert_eq!(pod().await, uid("pod-b"));
    goes_on(None).await;
    assert_eq!(pod().await, uid("pod-b"));
}

async fn what_pods_give_back_is_no_transfer<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    for (begun, transfers) in [(slotted("a", 0), 0), (activation("device", 9, 900), 1)] {
        let id = begun.id.clone();
        begins(&*ledger, begun).await;
        let before = seen(&*ledger, &id).await;
        let ended = Chain { state: State::Ended(Why::Deactivated), ..before.activation.chain.clone() };
        ledger.record(advances(&before, ended)).await.unwrap();
        assert_eq!(taken(&*ledger, "device:device", 300).await.transfers.len(), transfers, "{id}");
    }
}
