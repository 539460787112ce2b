//! What every engine must do for the audit.

use super::{Shared, at, bind, change, facts, key, run, uid};
use crate::ledger::{
    CommitError, EraseError, Freed, Held, Ledger,
    audit::{Checkpoint, Entry},
};

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, a_checkpoint_seals_a_link_that_there_is_and_once).await;
    run(open, another_key_is_an_entry).await;
    run(open, whole_prefixes_are_pruned_up_to_a_checkpoint_and_the_last_link_stays).await;
    run(open, nothing_is_pruned_that_no_checkpoint_seals).await;
    run(open, whoever_holds_nothing_can_be_erased_and_the_chain_stays).await;
}

/// Changes the License so often, from this version on: each is one link.
async fn grow<L: Ledger>(ledger: &L, from: i64, times: i64) {
    for version in from..from + times {
        let mut change = change((version > 0).then_some(version));
        change.entropy = [u8::try_from(version).unwrap(); 32];
        if version % 2 == 0 {
            change.bind = vec![bind("s", "ann")];
        } else {
            change.free = vec![uid("s")];
        }
        ledger.commit(&change).await.unwrap();
    }
}

/// Seals the last link as of this second.
async fn seal<L: Ledger>(ledger: &L, second: i64) -> Checkpoint {
    let head = ledger.last_link().await.unwrap().unwrap();
    let jws = format!("jws of {}", head.sequence);
    let checkpoint = Checkpoint { sequence: head.sequence, hash: head.hash, at: second, jws, anchor: false };
    ledger.seal(&checkpoint).await.unwrap();
    checkpoint
}

async fn a_checkpoint_seals_a_link_that_there_is_and_once<L: Ledger>(ledger: Shared<L>) {
    assert_eq!(ledger.last_link().await.unwrap(), None);
    grow(&*ledger, 0, 3).await;
    let first = seal(&*ledger, 10).await;
    assert_eq!(first.sequence, 3);
    assert!(matches!(ledger.seal(&first).await, Err(CommitError::Conflict)), "it has one");
    grow(&*ledger, 3, 1).await;
    let head = ledger.last_link().await.unwrap().unwrap();
    for (sequence, hash) in [(4, first.hash.clone()), (5, head.hash.clone())] {
        let invented = Checkpoint { sequence, hash, ..first.clone() };
        assert!(matches!(ledger.seal(&invented).await, Err(CommitError::Conflict)), "there is no such link");
    }
    let second = seal(&*ledger, 20).await;
    assert_eq!(ledger.checkpoints(0, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(ledger.checkpoints(3, 10).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(ledger.checkpoints(0, 1).await.unwrap(), [first]);
    assert_eq!(ledger.last_checkpoints(1).await.unwrap(), [second]);
    assert_eq!(ledger.audit(0, 10).await.unwrap().len(), 4, "sealing is no entry");
}

async fn whole_prefixes_are_pruned_up_to_a_checkpoint_and_the_last_link_stays<L: Ledger>(ledger: Shared<L>) {
    grow(&*ledger, 0, 2).await;
    seal(&*ledger, 10).await;
    grow(&*ledger, 2, 2).await;
    let anchor = Checkpoint { anchor: true, ..seal(&*ledger, 20).await };
    assert!(!ledger.prune(at(10), at(100)).await.unwrap(), "nothing is so old");
    grow(&*ledger, 4, 1).await;
    let last = seal(&*ledger, 30).await;

    assert!(ledger.prune(at(25), at(1_000)).await.unwrap());
    assert!(!ledger.prune(at(25), at(1_000)).await.unwrap(), "once");
    assert_eq!(ledger.checkpoints(0, 10).await.unwrap(), [anchor.clone(), last.clone()]);
    let left = ledger.audit(0, 10).await.unwrap();
    assert_eq!(left.iter().map(|link| link.sequence).collect::<Vec<_>>(), [5, 6]);
    assert!(left[0].follows(Some((4, &anchor.hash))), "the anchor is what the rest follows");
    let told: Vec<Entry> = serde_json::from_str(&left[1].entries).unwrap();
    assert_eq!(told, [Entry::Prune { through: 4 }], "and the chain says so");

    assert_eq!(ledger.sweep(3).await.unwrap(), 4, "three links and a checkpoint");
    assert_eq!(ledger.sweep(3).await.unwrap(), 1);
    assert_eq!(ledger.sweep(3).await.unwrap(), 0);
    assert_eq!(ledger.audit(0, 10).await.unwrap(), left);
    assert_eq!(ledger.checkpoints(0, 10).await.unwrap(), [anchor, last]);
    grow(&*ledger, 5, 1).await;
    assert_eq!(ledger.last_link().await.unwrap().unwrap().sequence, 7, "it counts on");
}

async fn nothing_is_pruned_that_no_checkpoint_seals<L: Ledger>(ledger: Shared<L>) {
    grow(&*ledger, 0, 3).await;
    assert!(!ledger.prune(at(1_000), at(1_000)).await.unwrap());
    seal(&*ledger, 10).await;
    assert!(!ledger.prune(at(1_000), at(1_000)).await.unwrap(), "the last link stays");
    assert_eq!((ledger.sweep(10).await.unwrap(), ledger.audit(0, 10).await.unwrap().len()), (0, 3));
}

async fn another_key_is_an_entry<L: Ledger>(ledger: Shared<L>) {
    grow(&*ledger, 0, 1).await;
    let former = ledger.last_link().await.unwrap().unwrap();
    ledger.rekey("a", "b", at(50)).await.unwrap();
    let link = ledger.last_link().await.unwrap().unwrap();
    assert!(link.follows(Some((1, &former.hash))) && link.at == 50, "{link:?}");
    let told: Vec<Entry> = serde_json::from_str(&link.entries).unwrap();
    assert_eq!(told, [Entry::Rekey { from: "a".into(), to: "b".into() }]);
}

async fn whoever_holds_nothing_can_be_erased_and_the_chain_stays<L: Ledger>(ledger: Shared<L>) {
    let ann = "email:ann@acme.example".to_owned();
    grow(&*ledger, 0, 1).await;
    let links = ledger.audit(0, 10).await.unwrap();
    let reference = links[0].entries.split("\"holder\":\"").nth(1).unwrap()[..32].to_owned();
    assert_eq!(ledger.person(&reference).await.unwrap(), Some(ann.clone()));
    let refused = ledger.erase(std::slice::from_ref(&ann), at(200)).await;
    let Err(EraseError::Holds(held)) = refused else { panic!("{refused:?}") };
    assert_eq!(held, [Held { license: key(), seat: uid("s") }]);
    assert_eq!(ledger.person(&reference).await.unwrap(), Some(ann.clone()), "a refusal erases nothing");

    grow(&*ledger, 1, 1).await;
    let mut cooling = change(Some(2));
    cooling.seats = None;
    cooling.cool = vec![Freed { holder: ann.clone(), places: 1, freed_at: at(150), expires_at: at(900) }];
    ledger.commit(&cooling).await.unwrap();
    let both = [ann.clone(), "identity:https://idp.acme.example 7".to_owned()];
    assert_eq!(ledger.erase(&both, at(200)).await.unwrap(), 1);
    assert_eq!(ledger.person(&reference).await.unwrap(), None);
    let facts = facts(&*ledger).await;
    assert_eq!(facts.cooling.len(), 1, "a seat that cools goes on cooling");
    assert!(facts.cooling[0].holder.starts_with("forgotten:"), "{facts:?}");
    let after = ledger.audit(0, 10).await.unwrap();
    assert_eq!((&after[..1], after.len()), (&links[..], 3), "what was done stays");
    let told: Vec<Entry> = serde_json::from_str(&after[2].entries).unwrap();
    assert_eq!(told, [Entry::Erase { identities: 1 }], "the act is an entry that names nobody");
    assert_eq!(ledger.erase(&[ann], at(200)).await.unwrap(), 0);
    assert_eq!(ledger.audit(0, 10).await.unwrap().len(), 3, "nothing done is no entry");

    let mut back = change(Some(3));
    back.entropy = [9; 32];
    back.bind = vec![bind("s", "ann")];
    ledger.commit(&back).await.unwrap();
    let again = ledger.last_link().await.unwrap().unwrap();
    assert!(!again.entries.contains(&reference), "who comes back is somebody else");
}
