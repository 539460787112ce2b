//! Activations, as every engine must keep them.

#[cfg(test)]
mod asking;
#[cfg(test)]
pub(crate) mod full;
#[cfg(test)]
mod heard;

use super::*;
use crate::{
    domain::{
        chain::{Call, Chain, Digest, LastCall, Operation, Position, State, Why},
        contract::ActivationKey,
        features::Carries,
        license::License,
    },
    ledger::activations::{
        Activated, Activation, Advance, Given, Holding, Keep, Question, Recorded, Seen, Step, Taken,
    },
};

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, an_activation_is_read_back_as_it_was_recorded).await;
    run(open, of_two_steps_upon_one_version_or_one_turn_exactly_one_is_recorded).await;
    run(open, a_step_that_fails_leaves_nothing_behind_and_its_neighbours_alone).await;
    run(open, a_step_at_which_the_database_fails_fails_alone).await;
    run(open, places_are_held_by_seats_and_by_activations_without_one_while_they_last).await;
    run(open, what_ended_long_ago_is_forgotten_with_all_that_hangs_on_it).await;
    run(open, of_a_loop_no_more_is_kept_than_counts).await;
    run(open, an_activation_ends_with_its_seat_and_with_its_license).await;
    run(open, transfers_and_recoveries_are_counted_by_when_they_happened).await;
    run(open, the_audit_tells_of_activations_and_names_nobody).await;
    run(open, heard::what_was_heard_is_kept_and_is_nothing_else).await;
    run(open, heard::people_with_seats_are_listed_by_pages_and_machines_are_not).await;
    run(open, a_nonce_that_proves_a_restore_begins_an_incarnation_once).await;
    run(open, asking::of_those_who_asked_the_last_are_remembered).await;
}

fn call(key: u8) -> Call {
    let digest = |byte| Digest([byte; 32]);
    Call { operation: Operation::Activate, key: digest(key), request: digest(0), caller: digest(9) }
}

/// The activation `id` of the device of the same name, good until the second `until`.
pub(super) fn activation(id: &str, key: u8, until: i64) -> Activation {
    let head = Position { incarnation: 1, sequence: 0 };
    Activation {
        id: id.into(),
        license: uid("l"),
        holder: format!("device:{id}"),
        device: "{}".into(),
        fingerprint: String::new(),
        token: "hash".into(),
        chain: Chain {
            state: State::Active,
            head,
            floors: Vec::new(),
            resolved_at: None,
            made_by: call(key),
            last: LastCall { used: None, call: call(key) },
            earlier: Vec::new(),
            expires_at: at(until),
        },
        answer: "first".into(),
        since: at(100),
        workload: None,
        jkt: Some(format!("the key of {id}")),
    }
}

pub(super) fn step() -> Step {
    Step::new(uid("l"), key(), at(200), [3; 32])
}

fn begins(id: &str, turn: i64, key: u8) -> Step {
    Step { turn: Some(turn), begin: Some(activation(id, key, 900)), ..step() }
}

pub(super) fn advances(seen: &Seen, chain: Chain) -> Step {
    let advance = Advance {
        id: seen.activation.id.clone(),
        version: seen.version,
        chain,
        answer: Some("next".into()),
        recovery: false,
        pod: None,
    };
    Step { advance: Some(advance), ..step() }
}

pub(super) async fn taken<L: Ledger>(ledger: &L, holder: &str, now: i64) -> Taken {
    let (license, none) = (uid("l"), at(0));
    let question = Question {
        license: &license,
        holder,
        device: None,
        now: at(now),
        transfers_after: none,
        recoveries_after: none,
        at_most: 2,
        ended_at_most: 3,
    };
    ledger.taken(&question).await.unwrap()
}

pub(super) async fn seen<L: Ledger>(ledger: &L, id: &str) -> Seen {
    ledger.activation(id).await.unwrap().unwrap().seen
}

/// The License `l` with two seats and the activation key `lab`.
async fn with_license<L: Ledger>(ledger: &L) -> Contract {
    let lab = ActivationKey { name: "lab".parse().unwrap(), expires: None, uses: Some(5), sees_users: false };
    let license = License { activation_keys: vec![lab], ..license(2) };
    let contract = Contract { license, issuer: None, kept: 0, unknown: 0 };
    let mut told = change(None);
    told.seats = Some(2);
    told.terms = Some(Terms { contract: Some(contract.clone()), ..Terms::default() });
    told.keys = vec![("lab".into(), "hash of lab".into())];
    ledger.commit(&told).await.unwrap();
    contract
}

async fn an_activation_is_read_back_as_it_was_recorded<L: Ledger>(ledger: Shared<L>) {
    let contract = with_license(&*ledger).await;
    assert!(!ledger.needs_nonces().await.unwrap());
    for thumbprint in ["first", "second"] {
        assert!(ledger.nonces_are_by(thumbprint).await.unwrap(), "nothing depends on one yet");
    }
    assert!(ledger.activation("a").await.unwrap().is_none());
    let shown = ledger.activation_key("hash of lab").await.unwrap().unwrap();
    assert_eq!((shown.license, shown.key, shown.name.as_str(), shown.used), (uid("l"), key(), "lab", 0));
    assert_eq!(shown.contract, Some(contract.clone()));
    assert!(ledger.activation_key("another").await.unwrap().is_none());

    let begins = Step { by_key: Some("lab".into()), ..begins("a", shown.turn, 1) };
    assert_eq!(ledger.record(begins).await.unwrap(), Recorded::default());
    let living = ledger.activation("a").await.unwrap().unwrap();
    assert_eq!(living.seen.activation, activation("a", 1, 900));
    assert_eq!((living.key, living.contract, living.incarnation), (key(), Some(contract), 1));
    assert!(ledger.needs_nonces().await.unwrap());
    assert!(!ledger.nonces_are_by("first").await.unwrap() && ledger.nonces_are_by("second").await.unwrap());
    let key = String::from(call(1).key);
    assert_eq!(ledger.begun_by(&uid("l"), &key).await.unwrap(), Some(living.seen));
    assert_eq!(ledger.begun_by(&uid("m"), &key).await.unwrap(), None);
    assert_eq!(ledger.activation_key("hash of lab").await.unwrap().unwrap().used, 1);
}

async fn of_two_steps_upon_one_version_or_one_turn_exactly_one_is_recorded<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    let turn = taken(&*ledger, "", 200).await.turn;
    // All at once: they may share a transaction.
    let begun = (0..8).map(|n| ledger.record(begins(&format!("a{n}"), turn, n)));
    let begun = futures::future::join_all(begun).await;
    assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 1);
    assert!(begun.iter().all(|begun| matches!(begun, Ok(_) | Err(CommitError::Conflict))));
    assert_eq!(taken(&*ledger, "", 200).await.places, 1);

    let first = ledger.last_activated(&uid("l"), 1, at(200)).await.unwrap()[0].id.clone();
    let before = seen(&*ledger, &first).await;
    let used =
        |sequence| Chain { head: Position { incarnation: 1, sequence }, ..before.activation.chain.clone() };
    let advanced = (1..9).map(|n| ledger.record(advances(&before, used(n))));
    let advanced = futures::future::join_all(advanced).await;
    let winner = advanced.iter().position(Result::is_ok).unwrap();
    assert_eq!(advanced.iter().filter(|advanced| advanced.is_ok()).count(), 1);
    let after = seen(&*ledger, &first).await;
    assert_eq!(after.activation.chain.head.sequence, u64::try_from(winner).unwrap() + 1);
    assert_eq!(after.activation.answer, "next");
}

async fn a_step_that_fails_leaves_nothing_behind_and_its_neighbours_alone<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    ledger.record(begins("a", taken(&*ledger, "", 200).await.turn, 1)).await.unwrap();
    let before = seen(&*ledger, "a").await;
    let turn = taken(&*ledger, "", 200).await.turn;
    // It would take a turn, lapse others and begin by a key that has begun another one already.
    let fails = Step { by_key: Some("lab".into()), ..begins("b", turn, 1) };
    let goes = advances(&before, Chain { expires_at: at(990), ..before.activation.chain.clone() });
    let (failed, went) = futures::join!(ledger.record(fails), ledger.record(goes));
    assert!(matches!(failed, Err(CommitError::Conflict)) && went.is_ok());
    assert!(ledger.activation("b").await.unwrap().is_none());
    assert_eq!(taken(&*ledger, "", 200).await.turn, turn, "the turn is not taken");
    assert_eq!(ledger.activation_key("hash of lab").await.unwrap().unwrap().used, 0);
    assert_eq!(seen(&*ledger, "a").await.activation.chain.expires_at, at(990));
}

async fn a_step_at_which_the_database_fails_fails_alone<L: Ledger>(ledger: Shared<L>) {
    const MANY: usize = 9;
    with_license(&*ledger).await;
    let mut goes = Vec::new();
    for n in 0..MANY {
        let (id, key) = (format!("a{n}"), u8::try_from(n).unwrap());
        ledger.record(begins(&id, taken(&*ledger, "", 200).await.turn, key)).await.unwrap();
        let before = seen(&*ledger, &id).await;
        goes.push(advances(&before, Chain { expires_at: at(990), ..before.activation.chain.clone() }));
    }
    // There is no such activation that could have a fork: a key of the tables says so, and no rule of ours.
    let breaks =
        || Step { fork: Some(("nobody".into(), Position { incarnation: 1, sequence: 7 })), ..step() };
    goes.insert(MANY / 2, breaks());
    goes.push(breaks());
    // All at once: they share a transaction.
    let went = futures::future::join_all(goes.into_iter().map(|step| ledger.record(step))).await;
    for (n, went) in went.iter().enumerate() {
        match went {
            Err(CommitError::Unavailable(_)) => assert!([MANY / 2, MANY + 1].contains(&n), "{n}: {went:?}"),
            went => assert!(went.is_ok(), "{n}: {went:?}"),
        }
    }
    for n in 0..MANY {
        assert_eq!(seen(&*ledger, &format!("a{n}")).await.activation.chain.expires_at, at(990), "a{n}");
    }
}

async fn places_are_held_by_seats_and_by_activations_without_one_while_they_last<L: Ledger>(
    ledger: Shared<L>,
) {
    with_license(&*ledger).await;
    let turn = || async { taken(&*ledger, "", 200).await.turn };
    ledger.record(begins("a", turn().await, 1)).await.unwrap();
    assert_eq!(taken(&*ledger, "device:a", 900).await.places, 1, "it is good at its last second");
    assert_eq!(taken(&*ledger, "device:a", 901).await.places, 0);

    // A Seat for its device is the same place; a third holder is one too many.
    let mut bound = change(Some(1));
    bound.seats = Some(2);
    bound.bind = vec![Bind { seat: uid("s"), holder: "device:a".into() }, bind("t", "ann")];
    ledger.commit(&bound).await.unwrap();
    let now = taken(&*ledger, "device:a", 200).await;
    assert_eq!((now.places, now.has_seat), (2, true));
    assert_eq!(now.carries, Carries::default());
    let carries = Carries { features: Some(vec!["xr".parse().unwrap()]), suspended: true };
    let mut told = change(Some(2));
    told.seats = None;
    told.carries = vec![("device:a".into(), carries.clone()), ("device:c".into(), carries.clone())];
    ledger.commit(&told).await.unwrap();
    assert_eq!(facts(&*ledger).await.carries, [("device:a".to_owned(), carries.clone())].into());
    assert_eq!(taken(&*ledger, "device:a", 200).await.carries, carries);
    assert_eq!(taken(&*ledger, "device:c", 200).await.carries, Carries::default(), "who has no seat");
    assert_eq!(ledger.activation("a").await.unwrap().unwrap().carries, carries);
    let asked = ["device:a".to_owned(), "device:c".to_owned()];
    let holding = async |now| ledger.holding(&uid("l"), &asked, at(now)).await.unwrap();
    assert_eq!(holding(200).await, Holding::default());
    ledger.record(begins("c", turn().await, 3)).await.unwrap();
    let end = Some(at(900));
    let one = Holding { places: 1, first_end: end, holders: vec!["device:c".into()] };
    assert_eq!((holding(900).await, holding(901).await), (one, Holding::default()));
    let last = ledger.last_activated(&uid("l"), 9, at(900)).await.unwrap();
    assert_eq!(last, [Activated { id: "c".into(), holder: "device:c".into() }]);
    let mut more = change(Some(3));
    more.seats = Some(3);
    more.bind = vec![bind("u", "bob")];
    assert!(matches!(ledger.commit(&more).await, Err(CommitError::Conflict)), "an activation was faster");

    // Whose document has ended gives way, and for good: also if the clock goes back.
    more.at = at(901);
    ledger.commit(&more).await.unwrap();
    assert_eq!(seen(&*ledger, "c").await.activation.chain.state, State::Lapsed);
    assert_eq!(taken(&*ledger, "", 200).await.places, 3);
}

async fn what_ended_long_ago_is_forgotten_with_all_that_hangs_on_it<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    for (id, n) in [("a", 1), ("b", 2)] {
        ledger.record(begins(id, taken(&*ledger, "", 200).await.turn, n)).await.unwrap();
        let fork = Step { fork: Some((id.into(), Position { incarnation: 1, sequence: 7 })), ..step() };
        ledger.record(fork).await.unwrap();
    }
    let before = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Deactivated), ..before.activation.chain.clone() };
    ledger.record(Step { at: at(950), ..advances(&before, ended) }).await.unwrap();
    let forget = async |before| {
        let keep = Keep { silent_since: at(before), ended_since: at(before), recovered_since: at(0) };
        ledger.forget_ended(&uid("l"), keep, 9).await.unwrap()
    };
    assert_eq!(forget(900).await, 0, "both are good at their last second");
    assert_eq!(forget(901).await, 1, "the one ended after that");
    assert_eq!((ledger.activation("b").await.unwrap(), forget(950).await), (None, 0));
    assert_eq!((forget(951).await, ledger.activation("a").await.unwrap()), (1, None));
}

async fn of_a_loop_no_more_is_kept_than_counts<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    for n in 0..7 {
        let turn = taken(&*ledger, "", 200).await.turn;
        ledger.record(begins(&format!("a{n}"), turn, n)).await.unwrap();
        let before = seen(&*ledger, &format!("a{n}")).await;
        let why = if n == 0 { Why::Superseded } else { Why::Deactivated };
        let mut ends =
            advances(&before, Chain { state: State::Ended(why), ..before.activation.chain.clone() });
        ends.at = at(300 + i64::from(n));
        ends.advance.as_mut().unwrap().recovery = n == 0;
        ledger.record(ends).await.unwrap();
    }
    ledger.record(begins("silent", taken(&*ledger, "", 200).await.turn, 9)).await.unwrap();
    assert_eq!(taken(&*ledger, "", 200).await.ended, 3, "no more are counted than is asked for");
    let keep = |silent, ended, recovered| Keep {
        silent_since: at(silent),
        ended_since: at(ended),
        recovered_since: at(recovered),
    };
    let forget = async |keep, at_most| ledger.forget_ended(&uid("l"), keep, at_most).await.unwrap();
    // Nothing as long as a document is good: what is not known and has a good one was lost.
    assert_eq!(forget(keep(0, 900, 900), 9).await, 0);
    assert_eq!((forget(keep(0, 901, 300), 4).await, forget(keep(0, 901, 300), 4).await), (4, 2));
    assert_eq!(taken(&*ledger, "", 200).await.ended, 1, "the recovery still counts");
    assert_eq!(forget(keep(0, 901, 301), 9).await, 1);
    assert!(ledger.activation("silent").await.unwrap().is_some());
    assert_eq!(forget(keep(901, 0, 0), 9).await, 1);
}

async fn an_activation_ends_with_its_seat_and_with_its_license<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    let mut bound = change(Some(1));
    bound.bind = vec![Bind { seat: uid("s"), holder: "device:a".into() }];
    ledger.commit(&bound).await.unwrap();
    ledger.record(begins("a", taken(&*ledger, "", 200).await.turn, 1)).await.unwrap();
    ledger.record(begins("b", taken(&*ledger, "", 200).await.turn, 2)).await.unwrap();
    let fork = Step { fork: Some(("b".into(), Position { incarnation: 1, sequence: 7 })), ..step() };
    assert!(ledger.record(fork.clone()).await.unwrap().new_fork);
    assert!(!ledger.record(fork).await.unwrap().new_fork, "it is known");
    assert_eq!(facts(&*ledger).await.forked, ["b"]);

    let mut freed = change(Some(2));
    (freed.free, freed.end) = (vec![uid("s")], vec!["b".into()]);
    ledger.commit(&freed).await.unwrap();
    for id in ["a", "b"] {
        assert_eq!(seen(&*ledger, id).await.activation.chain.state, State::Ended(Why::Withdrawn), "{id}");
    }
    assert!(facts(&*ledger).await.forked.is_empty(), "copies of what has ended are no danger");
    let mut gone = change(Some(3));
    gone.forget = true;
    ledger.commit(&gone).await.unwrap();
    assert!(ledger.activation("a").await.unwrap().is_none());
}

async fn transfers_and_recoveries_are_counted_by_when_they_happened<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    for (n, (why, recovery)) in (1..).zip([
        (Why::Deactivated, false),
        (Why::Superseded, true),
        (Why::Superseded, false),
        (Why::Deactivated, false),
        (Why::Deactivated, false),
    ]) {
        let id = format!("a{n}");
        let begun = Activation { holder: "device:a".into(), ..activation(&id, n, 900) };
        let turn = taken(&*ledger, "", 200).await.turn;
        ledger.record(Step { turn: Some(turn), begin: Some(begun), ..step() }).await.unwrap();
        let before = seen(&*ledger, &id).await;
        let mut ends =
            advances(&before, Chain { state: State::Ended(why), ..before.activation.chain.clone() });
        ends.at = at(300 + i64::from(n));
        ends.advance.as_mut().unwrap().recovery = recovery;
        ledger.record(ends).await.unwrap();
    }
    let now = taken(&*ledger, "device:a", 400).await;
    assert_eq!(now.transfers, [at(305), at(304)], "the last two");
    assert_eq!((now.recovered, now.former), (vec![at(302)], None));
    assert!(taken(&*ledger, "device:b", 400).await.recovered.is_empty(), "that was another device");
}

async fn the_audit_tells_of_activations_and_names_nobody<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    let given = Given { serial: "serial".into(), key_id: "kid".into(), until: at(900) };
    let turn = taken(&*ledger, "", 200).await.turn;
    ledger.record(Step { given: Some(given), ..begins("a", turn, 1) }).await.unwrap();
    let before = seen(&*ledger, "a").await;
    ledger.record(advances(&before, before.activation.chain.clone())).await.unwrap();
    let before = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Deactivated), ..before.activation.chain.clone() };
    ledger.record(advances(&before, ended)).await.unwrap();
    let links = ledger.audit(0, 10).await.unwrap();
    assert_eq!(links.len(), 3, "going on is not told");
    assert!(links[1].entries.contains(r#""kind":"activate","license":"design/cad","activation":"a""#));
    assert!(links[1].entries.contains("serial") && !links[1].entries.contains("device:a"));
    assert!(links[2].entries.contains(r#""why":"deactivated""#), "{}", links[2].entries);
}

async fn a_nonce_that_proves_a_restore_begins_an_incarnation_once<L: Ledger>(ledger: Shared<L>) {
    with_license(&*ledger).await;
    ledger.record(begins("a", taken(&*ledger, "", 200).await.turn, 1)).await.unwrap();
    for is_new in [true, false] {
        let before = seen(&*ledger, "a").await;
        let proves = Step { incarnation: Some(2), ..advances(&before, before.activation.chain.clone()) };
        assert_eq!(ledger.record(proves).await.unwrap().new_incarnation, is_new);
    }
    let head = ledger.head().await.unwrap();
    assert_eq!((head.mark.incarnation, head.since), (2, at(200)));
    assert!(facts(&*ledger).await.incarnation < 2, "what is known of the License is old");
    let links = ledger.audit(0, 10).await.unwrap();
    let told: Vec<_> = links.iter().filter(|link| link.entries.contains("proven")).collect();
    assert_eq!(told.len(), 1);
}
