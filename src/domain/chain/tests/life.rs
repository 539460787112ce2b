//! Rules 4, 7 and 8: how activations begin, lapse, are recovered and end.

use super::*;

fn no_place() -> Refusal {
    Refusal::new(Code::SeatsExhausted, "All are taken.")
}

fn full(hour: i64) -> Ground {
    Ground { place: Err(no_place()), ..ground(hour) }
}

fn shut(hour: i64) -> Ground {
    Ground { grants: Err(no_place()), ..ground(hour) }
}

fn made(key: &str) -> Call {
    call(Operation::Activate, key)
}

#[test]
fn an_activation_begins_where_there_is_a_place_and_a_grant() {
    let chain = activated();
    assert_eq!(chain.expires_at, ground(0).times.expires_at);
    assert!(chain.holds_place());
    assert_eq!(activate(&made("made"), &full(0)), Err(no_place()));
    assert_eq!(activate(&made("made"), &shut(0)), Err(no_place()));
}

#[test]
fn an_activation_repeated_is_the_same_activation() {
    let chain = activated();
    assert_eq!(repeated(&chain, &made("made")), Verdict::Again);
    let other = Call { request: digest("other device"), ..made("made") };
    assert_eq!(refused(&repeated(&chain, &other)), Code::IdempotencyKeyUsed);
    assert_eq!(refused(&repeated(&after_calls(1), &made("made"))), Code::NonceUsed, "n0 was used");
    for (why, code) in [
        (Why::Superseded, Code::ActivationSuperseded),
        (Why::Deactivated, Code::ActivationEnded),
        (Why::Withdrawn, Code::ActivationEnded),
    ] {
        let ended = end(&chain, why).unwrap();
        assert_eq!(refused(&repeated(&ended, &made("made"))), code, "a late copy takes no place");
    }
}

#[test]
fn an_activation_whose_last_document_has_ended_lapses() {
    let chain = activated();
    assert_eq!(expire(&chain, chain.expires_at), None, "it may be accepted at `exp` still");
    let lapsed = expire(&chain, at(25 * HOUR)).unwrap();
    assert_eq!(lapsed, Chain { state: State::Lapsed, ..chain.clone() });
    assert!(!lapsed.holds_place());
    assert_eq!(expire(&lapsed, at(25 * HOUR)), None);
    let quarantined = Chain { state: State::Quarantined, ..chain.clone() };
    assert_eq!(expire(&quarantined, at(25 * HOUR)), Some(lapsed));
    let ended = end(&chain, Why::Withdrawn).unwrap();
    assert_eq!(expire(&ended, at(25 * HOUR)), None);
}

#[test]
fn a_lapsed_activation_comes_back_where_there_is_a_place() {
    let lapsed = expire(&activated(), at(25 * HOUR)).unwrap();
    let verdict = present(&lapsed, Presented::Genuine(lapsed.head), &refresh("k"), &full(26));
    assert_eq!(verdict, Verdict::Refused(no_place()));
    let asked = go(&lapsed, lapsed.head, &call(Operation::State, "k"), &full(26));
    assert_eq!(asked.state, State::Lapsed, "to ask takes no place");
    assert_eq!(go(&lapsed, lapsed.head, &refresh("k"), &ground(26)).state, State::Active);
}

#[test]
fn a_place_that_is_held_is_not_asked_for_again() {
    let chain = activated();
    assert_eq!(go(&chain, chain.head, &refresh("k"), &full(1)).state, State::Active);
    let late = go(&chain, chain.head, &refresh("k"), &full(26));
    assert_eq!(late.state, State::Active, "nobody was given it");
}

#[test]
fn a_device_activated_again_supersedes_itself_and_takes_no_second_place() {
    let former = after_calls(3);
    let Recovery { superseded, chain, counts } = recover(&former, &made("again"), Ok(()), &full(2)).unwrap();
    assert_eq!(superseded, Chain { state: State::Ended(Why::Superseded), ..former.clone() });
    assert!(!superseded.holds_place() && chain.holds_place() && counts);
    assert_eq!((chain.head, chain.made_by), (place(1, 0), made("again")));
    assert_eq!(recover(&former, &made("again"), Err(no_place()), &ground(2)), Err(no_place()), "too often");
    assert_eq!(recover(&former, &made("again"), Ok(()), &shut(2)), Err(no_place()));
}

#[test]
fn a_lapsed_device_is_activated_again_like_a_new_one() {
    let lapsed = expire(&activated(), at(25 * HOUR)).unwrap();
    let recovery = recover(&lapsed, &made("again"), Err(no_place()), &ground(26)).unwrap();
    assert!(!recovery.counts, "no document of the old one is good any more");
    assert_eq!(recovery.superseded.state, State::Ended(Why::Superseded));
    assert_eq!(recover(&lapsed, &made("again"), Ok(()), &full(26)), Err(no_place()));
}

#[test]
fn an_activation_ends_once_whatever_its_state() {
    let chain = activated();
    for state in [State::Active, State::Quarantined, State::Lapsed] {
        let ended = end(&Chain { state, ..chain.clone() }, Why::Deactivated).unwrap();
        assert_eq!(ended, Chain { state: State::Ended(Why::Deactivated), ..chain.clone() });
        assert!(!ended.holds_place());
        assert_eq!(end(&ended, Why::Withdrawn), None);
    }
}

#[test]
fn who_came_in_the_place_of_a_document_holds_it_until_that_has_ended_though_the_clock_went_back() {
    let end = ground(5).times.expires_at;
    let former = go(&activated(), place(1, 0), &refresh("k"), &ground(5));
    let made = call(Operation::Activate, "again");
    let recovery = recover(&former, &made, Ok(()), &ground(4)).unwrap();
    assert_eq!(recovery.chain.expires_at, end);
    let rebuilt = rebuild(Presented::Genuine(place(1, 1)), end, &made, &ground(4)).unwrap().unwrap();
    assert_eq!(rebuilt.expires_at, end);
    let later = recover(&former, &made, Ok(()), &ground(6)).unwrap();
    assert_eq!(later.chain.expires_at, ground(6).times.expires_at);
}
