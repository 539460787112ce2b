//! Rules 2 to 4: the head, the same call again, and what is not ours.

use super::*;

#[test]
fn the_head_goes_and_the_next_one_is_its_successor() {
    let chain = activated();
    assert_eq!((chain.state, chain.head), (State::Active, place(1, 0)));
    let after = go(&chain, chain.head, &refresh("k"), &ground(1));
    assert_eq!(after.head, place(1, 1));
    assert_eq!(after.expires_at, ground(1).times.expires_at, "a new document was given");
    assert_eq!(after.last, LastCall { used: Some(place(1, 0)), call: refresh("k") });
    let verdict = present(&chain, Presented::Genuine(chain.head), &refresh("k"), &ground(1));
    assert_eq!(verdict, Verdict::Go { after, restored: false });
}

#[test]
fn a_place_is_held_until_the_last_document_has_ended_though_the_clock_went_back() {
    let chain = go(&activated(), place(1, 0), &refresh("k"), &ground(5));
    let after = go(&chain, chain.head, &refresh("l"), &ground(4));
    assert_eq!(after.expires_at, ground(5).times.expires_at);
    let later = go(&after, after.head, &refresh("m"), &ground(6));
    assert_eq!(later.expires_at, ground(6).times.expires_at);
}

#[test]
fn asking_for_the_state_advances_and_gives_no_document() {
    let chain = activated();
    let after = go(&chain, chain.head, &call(Operation::State, "k"), &ground(1));
    assert_eq!((after.head, after.expires_at), (place(1, 1), chain.expires_at));
}

#[test]
fn a_nonce_that_is_not_ours_has_no_effect() {
    let verdict = present(&activated(), Presented::NotOurs, &refresh("k"), &ground(1));
    assert_eq!(refused(&verdict), Code::NonceUnknown);
}

#[test]
fn what_is_refused_leaves_the_head() {
    let refusal = Refusal::new(Code::SeatsExhausted, "No.");
    let shut = Ground { grants: Err(refusal.clone()), ..ground(1) };
    let chain = activated();
    let verdict = present(&chain, Presented::Genuine(chain.head), &refresh("k"), &shut);
    assert_eq!(verdict, Verdict::Refused(refusal));
    let after = go(&chain, chain.head, &call(Operation::State, "k"), &shut);
    assert_eq!(after.head, place(1, 1), "only documents are refused");
    go(&chain, chain.head, &refresh("k"), &ground(2));
}

#[test]
fn the_same_call_again_is_given_its_answer_again() {
    let chain = after_calls(3);
    let again = present(&chain, Presented::Genuine(place(1, 2)), &refresh("2"), &ground(2));
    assert_eq!(again, Verdict::Again);
}

#[test]
fn the_answer_is_given_again_whatever_became_of_the_activation() {
    for state in [State::Quarantined, State::Lapsed, State::Ended(Why::Superseded)] {
        let chain = Chain { state, ..after_calls(3) };
        let again = present(&chain, Presented::Genuine(place(1, 2)), &refresh("2"), &ground(2));
        assert_eq!(again, Verdict::Again, "{state:?}");
    }
}

#[test]
fn another_request_under_a_used_key_is_refused_and_is_no_fork() {
    let chain = after_calls(3);
    let others = [
        call(Operation::State, "2"),
        Call { request: digest("other"), ..refresh("2") },
        Call { caller: digest("other"), ..refresh("2") },
    ];
    for other in others {
        let verdict = present(&chain, Presented::Genuine(place(1, 2)), &other, &ground(2));
        assert_eq!(refused(&verdict), Code::IdempotencyKeyUsed, "{other:?}");
    }
    for (used, by) in [(chain.head, "2"), (chain.head, "0"), (chain.head, "made"), (place(1, 1), "0")] {
        let verdict = present(&chain, Presented::Genuine(used), &refresh(by), &ground(2));
        assert_eq!(refused(&verdict), Code::IdempotencyKeyUsed, "{by} at {used}");
    }
}

#[test]
fn a_late_copy_of_an_earlier_call_is_refused_and_is_no_fork() {
    let calls = RECENT as u64 + 2;
    let chain = after_calls(calls);
    assert_eq!(chain.earlier.len(), RECENT - 1);
    for back in 2..=RECENT as u64 {
        let used = calls - back;
        let verdict =
            present(&chain, Presented::Genuine(place(1, used)), &refresh(&used.to_string()), &ground(2));
        assert_eq!(refused(&verdict), Code::NonceUsed, "{back} calls late");
    }
    let too_late = present(&chain, Presented::Genuine(place(1, 1)), &refresh("1"), &ground(2));
    assert!(matches!(too_late, Verdict::Fork { .. }), "{too_late:?}");
}

#[test]
fn to_ask_whether_a_nonce_is_the_next_one_accuses_nobody() {
    let chain = after_calls(3);
    assert_eq!(check(&chain, Presented::Genuine(chain.head)), Ok(()));
    assert_eq!(check(&chain, Presented::Genuine(place(1, 7))), Ok(()), "after a restore");
    assert_eq!(check(&chain, Presented::Genuine(place(1, 2))), Err(Code::NonceUsed.into()));
    assert_eq!(check(&chain, Presented::NotOurs), Err(Code::NonceUnknown.into()));
    for (why, code) in [
        (Why::Superseded, Code::ActivationSuperseded),
        (Why::Deactivated, Code::ActivationEnded),
        (Why::Withdrawn, Code::ActivationEnded),
    ] {
        let ended = end(&chain, why).unwrap();
        assert_eq!(check(&ended, Presented::Genuine(chain.head)), Err(code.into()), "{why:?}");
    }
}

#[test]
fn a_chain_survives_being_written_and_read() {
    let chain = after_calls(3);
    let json = serde_json::to_string(&chain).unwrap();
    assert_eq!(serde_json::from_str::<Chain>(&json).unwrap(), chain);
    assert!(serde_json::from_str::<Digest>(r#""AAAA""#).is_err());
    assert_eq!(place(1, 12).to_string(), "1.12");
}
