use super::*;
use crate::domain::license::tests::at;

fn uid(text: &str) -> Uid {
    Uid(text.into())
}

fn mark(incarnation: i64, commits: i64) -> Mark {
    Mark { incarnation, commits }
}

fn link(sequence: i64, hash: &str) -> Option<AuditHead> {
    Some(AuditHead { sequence, hash: hash.into() })
}

fn owned(cluster: &str) -> Owner {
    Owner { cluster: uid(cluster), epoch: 4 }
}

fn head(incarnation: i64, commits: i64) -> Head {
    let owner = Some(owned("here"));
    Head {
        mark: mark(incarnation, commits),
        audit: None,
        since: at(0),
        restored: false,
        owner,
        lost: None,
        rebuilding: false,
    }
}

fn witness(incarnation: i64, commits: i64) -> Witness {
    Witness { mark: mark(incarnation, commits), audit: None }
}

fn loss(head: &Head, witness: Option<&Witness>) -> Option<Loss> {
    judge(head, None, witness, &uid("here")).loss
}

#[test]
fn a_ledger_that_is_as_far_as_its_witness_or_further_is_the_one() {
    for (head, seen) in
        [(head(1, 0), None), (head(1, 7), Some(witness(1, 7))), (head(1, 9), Some(witness(1, 7)))]
    {
        let fine = Verdict { foreign: None, loss: None };
        assert_eq!(judge(&head, None, seen.as_ref(), &uid("here")), fine);
    }
    assert_eq!(loss(&head(2, 1), Some(&witness(1, 900))), None, "a new incarnation has few commits");
}

#[test]
fn an_empty_ledger_beside_a_witness_is_missing_and_a_short_one_is_older() {
    assert_eq!(loss(&head(1, 0), Some(&witness(1, 7))), Some(Loss::Missing));
    assert_eq!(loss(&head(1, 6), Some(&witness(1, 7))), Some(Loss::Older));
    assert_eq!(loss(&head(1, 900), Some(&witness(2, 1))), Some(Loss::Older), "of a former incarnation");
}

#[test]
fn a_restored_ledger_is_one_even_if_nothing_happened_since_the_backup() {
    let restored = Head { restored: true, ..head(1, 7) };
    assert_eq!(loss(&restored, Some(&witness(1, 7))), Some(Loss::Restored));
    assert_eq!(loss(&restored, None), Some(Loss::Restored));
}

#[test]
fn a_ledger_that_was_found_lost_stays_so_however_far_it_goes() {
    let lost = Head { lost: Some(Loss::Older), ..head(1, 900) };
    assert_eq!(loss(&lost, Some(&witness(1, 7))), Some(Loss::Older));
    assert_eq!(loss(&lost, None), Some(Loss::Older));
}

#[test]
fn a_ledger_with_another_link_where_the_witness_saw_one_has_another_history() {
    let saw = Witness { audit: link(5, "f00d"), ..witness(1, 7) };
    let own = |last: i64| Head { audit: link(last, "cafe"), ..head(1, 9) };
    let judged = |head: &Head, seen| judge(head, seen, Some(&saw), &uid("here")).loss;
    assert_eq!(judged(&own(9), Some("f00d")), None);
    assert_eq!(judged(&own(9), Some("beef")), Some(Loss::Diverged));
    assert_eq!(judged(&own(9), None), None, "old links are pruned");
    assert_eq!(judged(&own(4), None), Some(Loss::Diverged), "it never had so many");
    assert_eq!(judged(&head(1, 9), None), Some(Loss::Diverged), "it has none");
    let later = Head { mark: mark(2, 1), ..own(1) };
    assert_eq!(judged(&later, None), None, "an incarnation may begin a new chain");
}

#[test]
fn a_ledger_belongs_to_the_cluster_that_led_it_first_whatever_else_it_says() {
    let foreign = Head { owner: Some(owned("there")), ..head(1, 9) };
    assert_eq!(
        judge(&foreign, None, None, &uid("here")),
        Verdict { foreign: Some(owned("there")), loss: None }
    );
    let nobodys = Head { owner: None, ..head(1, 9) };
    assert_eq!(judge(&nobodys, None, None, &uid("here")).foreign, None);
}

#[test]
fn of_a_lost_or_foreign_ledger_this_becomes_and_nothing_else() {
    use Loss::{Diverged, Missing, Older, Proven, Restored};
    let (none, rebuild, adopt) = (
        Consent::default(),
        Consent { rebuild: true, adopt: false },
        Consent { rebuild: false, adopt: true },
    );
    let both = Consent { rebuild: true, adopt: true };
    let lead = |recover| Next::Lead { adopt: None, recover };
    let lost = |loss| Verdict { foreign: None, loss: Some(loss) };
    let fine = Verdict { foreign: None, loss: None };
    for on_loss in [OnLoss::Rebuild, OnLoss::Refuse] {
        for consent in [none, rebuild, adopt, both] {
            assert_eq!(next(&fine, on_loss, consent), lead(None));
            assert_eq!(
                next(&lost(Restored), on_loss, consent),
                lead(Some(Restored)),
                "somebody put it there"
            );
        }
    }
    for loss in [Missing, Older, Diverged, Proven] {
        for consent in [none, rebuild, adopt, both] {
            assert_eq!(next(&lost(loss), OnLoss::Rebuild, consent), lead(Some(loss)));
            let refused = if consent.rebuild { lead(Some(loss)) } else { Next::Wait(Bar::Lost(loss)) };
            assert_eq!(next(&lost(loss), OnLoss::Refuse, consent), refused);
        }
    }
    for loss in [None, Some(Missing), Some(Restored)] {
        let foreign = Verdict { foreign: Some(owned("there")), loss };
        for on_loss in [OnLoss::Rebuild, OnLoss::Refuse] {
            for consent in [none, rebuild] {
                assert_eq!(next(&foreign, on_loss, consent), Next::Wait(Bar::Foreign(owned("there"))));
            }
            let adopted = Next::Lead { adopt: Some(owned("there")), recover: loss };
            assert_eq!(next(&foreign, on_loss, both), adopted);
        }
        let waits = loss == Some(Missing);
        let adopted = Next::Lead { adopt: Some(owned("there")), recover: loss };
        let wanted = if waits { Next::Wait(Bar::Lost(Missing)) } else { adopted };
        assert_eq!(next(&foreign, OnLoss::Refuse, adopt), wanted);
    }
}

#[test]
fn programs_are_answered_out_of_a_ledger_of_ours_that_is_not_lost() {
    let lost = Head { lost: Some(Loss::Older), ..head(1, 9) };
    assert_eq!(Standing::of(&head(1, 9), &uid("here")), Standing::Good);
    assert_eq!(Standing::of(&Head { owner: None, ..head(1, 0) }, &uid("here")), Standing::Good);
    assert_eq!(Standing::of(&lost, &uid("here")), Standing::Barred(Bar::Lost(Loss::Older)));
    let rebuilding = Head { rebuilding: true, ..head(1, 9) };
    assert_eq!(Standing::of(&rebuilding, &uid("here")), Standing::Rebuilding);
    let lost_again = Head { rebuilding: true, ..lost.clone() };
    assert_eq!(Standing::of(&lost_again, &uid("here")), Standing::Barred(Bar::Lost(Loss::Older)));
    let answered = [Standing::Good, Standing::Rebuilding].iter().all(Standing::serves);
    assert!(answered && !Standing::Unknown.serves() && !Standing::of(&lost, &uid("here")).serves());
    assert_eq!(Standing::of(&lost, &uid("there")), Standing::Barred(Bar::Foreign(owned("here"))));
}

#[test]
fn the_owner_of_a_ledger_is_read_as_it_was_written() {
    assert_eq!(owned("there").to_string(), "there/4");
    assert_eq!("there/4".parse::<Owner>().unwrap(), owned("there"));
    for text in ["there", "/4", "there/", "there/four"] {
        assert!(text.parse::<Owner>().is_err(), "{text}");
    }
}

#[test]
fn every_loss_is_read_as_it_was_written() {
    for loss in Loss::ALL {
        assert_eq!(loss.word().parse::<Loss>().unwrap(), loss);
        assert_eq!(serde_json::to_value(loss).unwrap(), loss.word(), "as the audit says it");
    }
    assert!("asleep".parse::<Loss>().is_err());
}

#[test]
fn the_next_incarnation_is_one_that_nobody_had() {
    assert_eq!(next_incarnation(1, Some(&witness(4, 9))), 5);
    assert_eq!(next_incarnation(3, None), 4);
}
