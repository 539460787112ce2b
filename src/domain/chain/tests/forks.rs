//! Rule 6: a used nonce under a new key, and what becomes of it.

use super::*;

fn presented(chain: &Chain, used: Position, policy: ClonePolicy) -> Verdict {
    present(chain, Presented::Genuine(used), &refresh("clone"), &Ground { policy, ..ground(2) })
}

fn forked(chain: &Chain, policy: ClonePolicy) -> (Chain, bool) {
    match presented(chain, place(1, 1), policy) {
        Verdict::Fork { at, after, replace, refusal } => {
            assert_eq!((at, refusal.code), (place(1, 1), Code::NonceUsed));
            (after, replace)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_two_copies_the_first_to_refresh_lives() {
    let chain = after_calls(2);
    assert_eq!(forked(&chain, ClonePolicy::Refuse), (chain.clone(), false));
    go(&chain, chain.head, &refresh("k"), &ground(2));
}

#[test]
fn a_fork_is_seen_at_every_used_position() {
    let chain = after_calls(20);
    for sequence in 0..20 {
        let verdict = presented(&chain, place(1, sequence), ClonePolicy::Refuse);
        assert!(matches!(verdict, Verdict::Fork { at, .. } if at == place(1, sequence)), "{verdict:?}");
    }
}

#[test]
fn under_quarantine_nobody_is_renewed_until_it_is_resolved() {
    let chain = after_calls(2);
    let (quarantined, replace) = forked(&chain, ClonePolicy::Quarantine);
    assert!(!replace);
    assert_eq!(quarantined, Chain { state: State::Quarantined, ..chain.clone() });
    let verdict = present(&quarantined, Presented::Genuine(chain.head), &refresh("k"), &ground(2));
    assert_eq!(refused(&verdict), Code::ActivationQuarantined);
    let stays = go(&quarantined, chain.head, &call(Operation::State, "k"), &ground(2));
    assert_eq!(stays.state, State::Quarantined, "it may ask how it stands");
    let resolved = resolve(&quarantined).unwrap();
    go(&resolved, chain.head, &refresh("k"), &ground(2));
    assert_eq!(resolve(&chain), None);
}

#[test]
fn a_copy_that_was_judged_stops_nobody_again_and_a_later_one_does() {
    let (quarantined, _) = forked(&after_calls(2), ClonePolicy::Quarantine);
    let resolved = resolve(&quarantined).unwrap();
    let after = go(&resolved, place(1, 2), &refresh("k"), &ground(2));
    assert_eq!(forked(&after, ClonePolicy::Quarantine).0.state, State::Active);
    let Verdict::Fork { after, .. } = presented(&after, place(1, 2), ClonePolicy::Quarantine) else {
        panic!()
    };
    assert_eq!(after.state, State::Quarantined);
}

#[test]
fn a_quarantine_ends_with_the_last_document() {
    let (quarantined, _) = forked(&after_calls(2), ClonePolicy::Quarantine);
    assert_eq!(quarantined.expires_at, at(25 * HOUR));
    let shut = Ground { now: at(25 * HOUR), ..ground(25) };
    let verdict = present(&quarantined, Presented::Genuine(place(1, 2)), &refresh("k"), &shut);
    assert_eq!(refused(&verdict), Code::ActivationQuarantined, "it may be accepted at `exp` still");
    let after = go(&quarantined, place(1, 2), &refresh("k"), &ground(26));
    assert_eq!(after.state, State::Active);
}

#[test]
fn under_replace_the_other_copy_is_to_have_an_activation_of_its_own() {
    let chain = after_calls(2);
    assert_eq!(forked(&chain, ClonePolicy::Replace), (chain, true));
}

#[test]
fn a_superseded_activation_that_speaks_again_is_a_fork() {
    let chain = end(&after_calls(3), Why::Superseded).unwrap();
    for used in [chain.head, place(1, 1)] {
        match presented(&chain, used, ClonePolicy::Replace) {
            Verdict::Fork { at, after, replace, refusal } => {
                assert_eq!((at, refusal.code), (used, Code::ActivationSuperseded));
                assert_eq!((after, replace), (chain.clone(), false));
            }
            other => panic!("{other:?}"),
        }
    }
    let late = present(&chain, Presented::Genuine(place(1, 0)), &refresh("0"), &ground(2));
    assert_eq!(refused(&late), Code::ActivationSuperseded, "a late copy proves nothing");
}

#[test]
fn an_activation_that_was_ended_says_so_and_is_no_fork() {
    for why in [Why::Deactivated, Why::Withdrawn] {
        let chain = end(&after_calls(3), why).unwrap();
        let calls = [(chain.head, "k"), (place(1, 1), "clone"), (place(1, 1), "1")];
        for (used, key) in calls {
            let verdict = present(&chain, Presented::Genuine(used), &refresh(key), &ground(2));
            assert_eq!(refused(&verdict), Code::ActivationEnded, "{key} at {used}");
        }
    }
}

#[test]
fn whoever_is_known_to_be_a_copy_by_another_proof_is_one_with_the_last_nonce_too() {
    let chain = after_calls(2);
    let said = |presented, policy| copied(&chain, presented, Code::PodActive, policy);
    let forked = |policy| match said(Presented::Genuine(chain.head), policy) {
        Verdict::Fork { at, after, replace, refusal } => {
            assert_eq!((at, replace, refusal.code), (chain.head, false, Code::PodActive));
            after.state
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(forked(ClonePolicy::Refuse), State::Active);
    assert_eq!(forked(ClonePolicy::Quarantine), State::Quarantined);
    assert_eq!(forked(ClonePolicy::Replace), State::Active, "it has a way of its own");
    assert_eq!(refused(&said(Presented::NotOurs, ClonePolicy::Quarantine)), Code::NonceUnknown);
}
