//! Rule 9: the ledger comes back older than its clients.

use super::*;

fn verdict(chain: &Chain, used: Position, key: &str, ground: &Ground) -> Verdict {
    present(chain, Presented::Genuine(used), &refresh(key), ground)
}

fn restored(incarnation: u32) -> Ground {
    Ground { incarnation, ..ground(2) }
}

#[test]
fn a_position_above_the_head_proves_a_restore_and_goes_on_in_a_new_incarnation() {
    let chain = after_calls(3);
    let Verdict::Go { after, restored } = verdict(&chain, place(1, 10), "k", &ground(2)) else { panic!() };
    assert!(restored);
    assert_eq!((after.head, &after.floors[..]), (place(2, 11), &[place(1, 10)][..]));
    assert_eq!(after.last, LastCall { used: Some(place(1, 10)), call: refresh("k") });
    assert_eq!(verdict(&after, place(1, 10), "k", &ground(2)), Verdict::Again);
    assert!(matches!(verdict(&after, place(1, 10), "clone", &ground(2)), Verdict::Fork { .. }));
    go(&after, after.head, &refresh("l"), &ground(2));
}

#[test]
fn a_known_restore_raises_no_further() {
    let chain = after_calls(3);
    let after = go(&chain, place(1, 10), &refresh("k"), &restored(2));
    assert_eq!(after.head, place(2, 11));
    let after = go(&chain, chain.head, &refresh("k"), &restored(2));
    assert_eq!((after.head, &after.floors[..]), (place(2, 4), &[place(1, 3)][..]));
    let next = go(&after, after.head, &refresh("l"), &restored(2));
    assert_eq!((next.head, &next.floors[..]), (place(2, 5), &[place(1, 3)][..]));
}

#[test]
fn a_later_incarnation_than_the_ledger_knows_is_outdone() {
    let after = go(&after_calls(3), place(5, 2), &refresh("k"), &restored(2));
    assert_eq!((after.head, &after.floors[..]), (place(6, 4), &[place(1, 3), place(5, 2)][..]));
}

#[test]
fn of_lost_positions_each_wins_once_and_only_over_lower_ones() {
    let by_copy = go(&after_calls(3), place(1, 7), &refresh("copy"), &restored(2));
    let by_latest = verdict(&by_copy, place(1, 10), "latest", &restored(2));
    let Verdict::Go { after, restored: true } = by_latest else { panic!("{by_latest:?}") };
    assert_eq!((after.head, &after.floors[..]), (place(2, 11), &[place(1, 10)][..]));
    let copy = verdict(&after, by_copy.head, "copy 2", &restored(2));
    assert!(matches!(copy, Verdict::Fork { .. }), "{copy:?}");
    for used in [place(1, 7), place(1, 9)] {
        assert_eq!(refused(&verdict(&after, used, "other", &restored(2))), Code::NonceUsed, "{used}");
    }
    let spent = verdict(&after, place(1, 10), "other", &restored(2));
    assert!(matches!(spent, Verdict::Fork { .. }), "{spent:?}");
}

#[test]
fn who_used_what_was_lost_is_not_known_but_what_is_long_past_is_a_fork() {
    let after = go(&after_calls(3), place(1, 30), &refresh("k"), &restored(2));
    assert_eq!(after.head, place(2, 31));
    let recent = place(1, 31 - RECENT as u64);
    assert_eq!(refused(&verdict(&after, recent, "any", &restored(2))), Code::NonceUsed);
    let past = place(1, 30 - RECENT as u64);
    assert!(matches!(verdict(&after, past, "any", &restored(2)), Verdict::Fork { .. }));
    let superseded = end(&after, Why::Superseded).unwrap();
    assert_eq!(refused(&verdict(&superseded, recent, "any", &restored(2))), Code::ActivationSuperseded);
}

#[test]
fn without_a_restore_nothing_is_above_the_floor() {
    let moved = go(&after_calls(3), place(1, 3), &refresh("k"), &restored(2));
    let verdict = verdict(&moved, place(1, 3), "clone", &restored(2));
    assert!(matches!(verdict, Verdict::Fork { .. }), "{verdict:?}");
}

/// A copy goes on after a restore, and the ledger is restored again before the latest one speaks.
#[test]
fn what_a_former_incarnation_has_issued_and_used_here_is_not_taken_for_lost() {
    let by_copy = go(&after_calls(3), place(1, 3), &refresh("copy"), &restored(2));
    let by_copy = go(&by_copy, place(2, 4), &refresh("copy 2"), &restored(2));
    let after = go(&by_copy, place(1, 7), &refresh("latest"), &restored(3));
    assert_eq!((after.head, &after.floors[..]), (place(3, 8), &[place(1, 7), place(2, 5)][..]));
    for used in [place(2, 4), place(2, 5)] {
        assert_eq!(refused(&verdict(&after, used, "copy 3", &restored(3))), Code::NonceUsed, "{used}");
    }
    let lost = go(&after, place(2, 6), &refresh("copy 3"), &restored(3));
    assert_eq!((lost.head, &lost.floors[..]), (place(3, 9), &[place(1, 7), place(2, 6)][..]));
}

/// The chain goes on in a later life than the one in which the copy of the request was made, and knows only these two.
#[test]
fn a_late_copy_of_a_life_that_was_never_here_does_not_win_over_what_came_after_it() {
    let after = go(&after_calls(3), place(4, 9), &refresh("latest"), &restored(5));
    assert_eq!(after.floors, [place(1, 3), place(4, 9)]);
    assert_eq!(refused(&verdict(&after, place(3, 8), "late", &restored(5))), Code::NonceUsed);
    go(&after, place(3, 9), &refresh("as many calls"), &restored(5));
}

#[test]
fn of_an_incarnation_that_is_older_than_all_that_are_known_nothing_is_lost() {
    let lives = u32::try_from(LIVES).unwrap();
    let through = |incarnation: u32| {
        (3..=incarnation).fold(after_calls(3), |chain, incarnation| {
            go(&chain, chain.head, &refresh(&format!("in {incarnation}")), &restored(incarnation))
        })
    };
    let chain = through(lives + 1);
    assert_eq!((chain.floors.len(), chain.floors[0]), (LIVES - 1, place(1, 3)));
    go(&chain, place(1, 30), &refresh("lost"), &restored(lives + 1));
    go(&chain, place(2, 30), &refresh("of a life that was never here"), &restored(lives + 1));
    let chain = through(lives + 3);
    assert_eq!((chain.floors.len(), chain.floors[0]), (LIVES, place(3, 4)));
    let verdict = verdict(&chain, place(2, 30), "lost", &restored(lives + 3));
    assert!(matches!(verdict, Verdict::Fork { .. }), "{verdict:?}");
    go(&chain, place(3, 30), &refresh("lost"), &restored(lives + 3));
}

#[test]
fn an_activation_that_was_lost_is_rebuilt_from_its_last_document() {
    let made = call(Operation::Activate, "k");
    let presented = Presented::Genuine(place(1, 9));
    let chain = rebuild(presented, ground(2).now, &made, &restored(2)).unwrap().unwrap();
    assert_eq!((chain.state, chain.head), (State::Active, place(2, 10)));
    assert_eq!(chain.floors, [place(1, 9)]);
    assert_eq!(chain.expires_at, restored(2).times.expires_at);
    assert_eq!(repeated(&chain, &made), Verdict::Again);
    let unknown = rebuild(presented, ground(2).now, &made, &ground(2)).unwrap().unwrap();
    assert_eq!(unknown.head, place(2, 10), "it proves the restore");
    let higher = go(&chain, place(1, 12), &refresh("latest"), &restored(2));
    assert_eq!(higher.head, place(2, 13), "the highest wins");
}

#[test]
fn nothing_is_rebuilt_without_a_nonce_a_good_document_a_grant_and_a_place() {
    let (made, presented) = (call(Operation::Activate, "k"), Presented::Genuine(place(1, 9)));
    let (good, ended) = (ground(2).now, ground(1).now);
    let no = Refusal::new(Code::SeatsExhausted, "No.");
    let full = Ground { place: Err(no.clone()), ..restored(2) };
    let shut = Ground { grants: Err(no.clone()), ..restored(2) };
    assert_eq!(rebuild(Presented::NotOurs, good, &made, &restored(2)), Ok(None));
    assert_eq!(rebuild(presented, ended, &made, &restored(2)), Ok(None));
    assert_eq!(rebuild(presented, good, &made, &full), Err(no.clone()));
    assert_eq!(rebuild(presented, good, &made, &shut), Err(no));
}
