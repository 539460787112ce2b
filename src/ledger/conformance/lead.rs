//! Who may commit, and which ledger this is.

use super::{Shared, activations::step, at, bind, change, document, facts, run, uid};
use crate::{
    domain::{
        license::Key,
        witness::{AuditHead, Bar, Loss, Mark, Owner, Witness},
    },
    ledger::{Change, Claim, CommitError, KeepError, Ledger, Recovery},
};

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard), another: impl Fn(&L) -> L) {
    run(open, async |ledger| {
        whoever_takes_the_lead_deposes_who_had_it(another(&ledger), ledger).await;
    })
    .await;
    run(open, async |ledger| {
        let other = another(&ledger);
        a_ledger_is_of_the_cluster_that_led_it_first_until_another_takes_it_over(other, ledger).await;
    })
    .await;
    run(open, async |ledger| {
        programs_are_answered_out_of_their_own_clusters_ledger_only(another(&ledger), ledger).await;
    })
    .await;
    run(open, async |ledger| {
        a_ledger_that_was_found_lost_takes_nothing_until_an_incarnation_begins(another(&ledger), ledger)
            .await;
    })
    .await;
    run(open, every_commit_counts_and_no_refused_one_does).await;
    run(open, a_recovered_ledger_is_of_a_new_incarnation_and_says_after_what).await;
    run(open, what_was_known_before_is_old_until_it_is_said_to_be_true).await;
}

pub(super) fn claim(cluster: &str) -> Claim {
    Claim { cluster: uid(cluster), adopt: None, token: [1; 32], at: at(50) }
}

async fn whoever_takes_the_lead_deposes_who_had_it<L: Ledger>(other: L, ledger: Shared<L>) {
    let first = ledger.lead(&claim("here")).await.unwrap();
    ledger.commit(&change(None)).await.unwrap();
    assert!(matches!(other.commit(&change(Some(1))).await, Err(CommitError::Deposed)), "it never led");
    let second = other.lead(&claim("here")).await.unwrap();
    assert!(second > first);
    assert!(!ledger.deposed(), "it does not know yet");
    assert!(matches!(ledger.commit(&change(Some(1))).await, Err(CommitError::Deposed)));
    assert!(matches!(ledger.rekey("a", "b", at(1)).await, Err(CommitError::Deposed)));
    assert!(matches!(ledger.retain_authorities(&[], at(1)).await, Err(KeepError::Conflict)));
    assert!(ledger.deposed() && !other.deposed());
    assert_eq!(facts(&*ledger).await.version, 1, "nothing was committed, and reading goes on");
    other.commit(&change(Some(1))).await.unwrap();
    ledger.lead(&claim("here")).await.unwrap();
    assert!(!ledger.deposed());
    ledger.commit(&change(Some(2))).await.unwrap();
}

async fn every_commit_counts_and_no_refused_one_does<L: Ledger>(ledger: Shared<L>) {
    let commits = async || ledger.head().await.unwrap().mark;
    assert_eq!(commits().await, Mark { incarnation: 1, commits: 0 });
    assert_eq!(ledger.head().await.unwrap().audit, None);
    ledger.commit(&change(None)).await.unwrap();
    assert_eq!(commits().await.commits, 1);
    assert!(ledger.commit(&change(None)).await.is_err());
    ledger.lead(&claim("here")).await.unwrap();
    ledger.takes_writes().await.unwrap();
    assert_eq!(
        commits().await.commits,
        1,
        "to take the lead changes no fact, nor does to ask whether one could"
    );
    let mut told = change(Some(1));
    told.bind = vec![bind("s", "ann")];
    ledger.commit(&told).await.unwrap();
    let last = ledger.audit(0, 10).await.unwrap().pop().unwrap();
    let head = ledger.head().await.unwrap();
    assert_eq!(head.audit, Some(AuditHead { sequence: last.sequence, hash: last.hash }));
}

async fn a_recovered_ledger_is_of_a_new_incarnation_and_says_after_what<L: Ledger>(ledger: Shared<L>) {
    let audit = Some(AuditHead { sequence: 41, hash: "f00d".into() });
    let witness = Witness { mark: Mark { incarnation: 3, commits: 90 }, audit };
    ledger.recover(Loss::Missing, Some(&witness), at(77)).await.unwrap();
    let head = ledger.head().await.unwrap();
    assert_eq!((head.mark.incarnation, head.since, head.restored), (4, at(77), false));
    assert!(head.mark > witness.mark && head.rebuilding);
    let first = ledger.audit(0, 10).await.unwrap().remove(0);
    assert!(first.follows(None));
    assert!(first.entries.contains(r#""witnessed":41,"hash":"f00d""#), "{}", first.entries);
}

async fn what_was_known_before_is_old_until_it_is_said_to_be_true<L: Ledger>(ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    ledger.recover(Loss::Older, None, at(77)).await.unwrap();
    assert_eq!(facts(&*ledger).await.incarnation, 1);
    let mut part = change(Some(1));
    part.recovery = Recovery::Part;
    part.issue = vec![document("s", "2")];
    ledger.commit(&part).await.unwrap();
    assert_eq!(facts(&*ledger).await.incarnation, 1, "a part of it is not all of it");
    let mut true_again = change(Some(2));
    true_again.recovery = Recovery::Whole;
    true_again.issue = vec![document("l", "1")];
    ledger.commit(&true_again).await.unwrap();
    let facts = facts(&*ledger).await;
    assert_eq!((facts.incarnation, facts.documents.len()), (2, 2));
    let told = ledger.audit(1, 10).await.unwrap().pop().unwrap().entries;
    assert!(told.contains("\"adopt\"") && !told.contains("\"issue\""), "found again, not signed: {told}");
    let mut new = Change::new(Key::new("design", "pcb"), uid("m"), None, at(100), [8; 32]);
    new.seats = Some(1);
    ledger.commit(&new).await.unwrap();
    assert_eq!(ledger.facts(&new.key).await.unwrap()[0].incarnation, 2);
    let mut of_lost = Change::new(Key::new("design", "xr"), uid("n"), None, at(100), [8; 32]);
    of_lost.recovery = Recovery::Part;
    ledger.commit(&of_lost).await.unwrap();
    let part = ledger.facts(&of_lost.key).await.unwrap()[0].incarnation;
    assert!(part < 2, "nothing was known of it, and not all of it is");
    assert!(ledger.head().await.unwrap().rebuilding, "it ends when somebody says so");
    assert!(!ledger.rebuilt(1).await.unwrap() && ledger.head().await.unwrap().rebuilding, "of a former loss");
    assert!(ledger.rebuilt(2).await.unwrap());
    assert!(!ledger.head().await.unwrap().rebuilding);
}

async fn a_ledger_is_of_the_cluster_that_led_it_first_until_another_takes_it_over<L: Ledger>(
    other: L,
    ledger: Shared<L>,
) {
    ledger.commit(&change(None)).await.unwrap();
    assert_eq!(ledger.head().await.unwrap().owner, None);
    let epoch = ledger.lead(&claim("here")).await.unwrap();
    let owner = ledger.head().await.unwrap().owner.unwrap();
    assert_eq!(owner, Owner { cluster: uid("here"), epoch });

    // Of another cluster, nobody leads it, nor with a consent to something else.
    let adopts = |owner: Owner| Claim { adopt: Some(owner), ..claim("there") };
    let before = ledger.head().await.unwrap();
    for refused in [
        claim("there"),
        adopts(Owner { cluster: uid("elsewhere"), epoch }),
        adopts(Owner { epoch: epoch - 1, ..owner.clone() }),
    ] {
        assert!(matches!(other.lead(&refused).await, Err(CommitError::Conflict)), "{refused:?}");
    }
    assert_eq!(ledger.head().await.unwrap(), before, "nothing was written");
    ledger.commit(&change(Some(1))).await.unwrap();

    other.lead(&adopts(owner.clone())).await.unwrap();
    assert!(matches!(ledger.commit(&change(Some(2))).await, Err(CommitError::Deposed)));
    assert!(matches!(ledger.lead(&claim("here")).await, Err(CommitError::Conflict)));
    other.commit(&change(Some(2))).await.unwrap();
    let told = ledger.audit(0, 10).await.unwrap();
    assert!(
        told.iter().any(|link| link.entries.contains(r#""takeOver","from":"here","by":"there""#)),
        "{told:?}"
    );
    assert_eq!(ledger.head().await.unwrap().owner.unwrap().cluster, uid("there"));
}

async fn programs_are_answered_out_of_their_own_clusters_ledger_only<L: Ledger>(other: L, ledger: Shared<L>) {
    ledger.commit(&change(None)).await.unwrap();
    // Whatever it is, it is recorded; nobody has led yet.
    ledger.record(step()).await.unwrap();
    let epoch = other.lead(&claim("there")).await.unwrap();
    ledger.serve(&uid("here"));
    let before = ledger.head().await.unwrap();
    let barred = Bar::Foreign(Owner { cluster: uid("there"), epoch });
    match ledger.record(step()).await {
        Err(CommitError::Barred(bar)) => assert_eq!(bar, barred),
        other => panic!("{other:?}"),
    }
    assert_eq!(ledger.head().await.unwrap(), before, "nothing was written");
    let owner = before.owner.unwrap();
    ledger.lead(&Claim { adopt: Some(owner), ..claim("here") }).await.unwrap();
    ledger.record(step()).await.unwrap();
}

async fn a_ledger_that_was_found_lost_takes_nothing_until_an_incarnation_begins<L: Ledger>(
    other: L,
    ledger: Shared<L>,
) {
    ledger.commit(&change(None)).await.unwrap();
    ledger.lead(&claim("here")).await.unwrap();
    ledger.serve(&uid("here"));
    ledger.record(step()).await.unwrap();
    other.condemn(Loss::Older, 1).await.unwrap();
    other.condemn(Loss::Missing, 1).await.unwrap();
    let lost = ledger.head().await.unwrap();
    assert_eq!(lost.lost, Some(Loss::Older), "what was found first");
    match ledger.record(step()).await {
        Err(CommitError::Barred(bar)) => assert_eq!(bar, Bar::Lost(Loss::Older)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(ledger.commit(&change(Some(1))).await, Err(CommitError::Deposed)));
    assert_eq!(ledger.head().await.unwrap(), lost, "nothing was written");

    ledger.lead(&claim("here")).await.unwrap();
    ledger.recover(Loss::Older, None, at(77)).await.unwrap();
    assert_eq!(ledger.head().await.unwrap().lost, None);
    ledger.commit(&change(Some(1))).await.unwrap();
    ledger.record(step()).await.unwrap();
    // Whoever judged it before that comes too late.
    other.condemn(Loss::Older, 1).await.unwrap();
    assert_eq!(ledger.head().await.unwrap().lost, None);
}
