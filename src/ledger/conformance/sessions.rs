//! Sessions, as every engine must keep them.

use jiff::SignedDuration;

use super::{
    activations::{activation, advances, seen, step, taken},
    *,
};
use crate::{
    domain::{
        chain::{Chain, State, Why},
        license::License,
        sessions::{NAMED, Reached, Whose},
        terms::{self, Enforcement, Sessions},
    },
    ledger::{
        activations::Step,
        sessions::{OpenSessions, REMEMBERED, Use, Used},
    },
};

/// Runs this part of the suite.
pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, a_session_is_open_until_its_last_instant_and_each_heartbeat_moves_that).await;
    run(open, of_callers_who_race_for_the_last_session_exactly_one_has_it).await;
    run(open, a_holder_has_sessions_of_their_own_and_the_oldest_in_the_way_are_told).await;
    run(open, the_same_request_is_the_same_session_and_another_one_is_told_so).await;
    run(open, sessions_end_with_what_they_stand_upon).await;
    run(open, what_ended_stays_ended_also_if_the_clock_goes_back).await;
    run(open, where_limits_only_advise_a_session_beyond_them_is_marked).await;
    run(open, what_has_ended_is_swept_in_small_steps).await;
}

const TTL: i64 = 60;

fn limits(per_user: Option<u32>, total: Option<u32>) -> Sessions {
    Sessions { per_user, total, ttl: TTL }
}

/// The License `l` says this from now on; of its facts, `expected` is the version.
async fn says<L: Ledger>(
    ledger: &L,
    expected: Option<i64>,
    sessions: Sessions,
    other: impl FnOnce(&mut License),
) {
    let mut license = license(9);
    license.terms = terms::Terms { sessions, ..license.terms };
    other(&mut license);
    let mut told = change(expected);
    told.seats = Some(9);
    let contract = Contract { license, issuer: None, kept: 0, unknown: 0 };
    told.terms = Some(Terms { contract: Some(contract), ..Terms::default() });
    ledger.commit(&told).await.unwrap();
}

/// The License `l` with these limits, and the activations `a` and `b` of two devices.
async fn with_activations<L: Ledger>(ledger: &L, sessions: Sessions) {
    says(ledger, None, sessions, |_| {}).await;
    for (id, key) in [("a", 1), ("b", 2)] {
        begin(ledger, id, id, key).await;
    }
}

/// Begins the activation `id` of the device `device`.
async fn begin<L: Ledger>(ledger: &L, id: &str, device: &str, key: u8) {
    let mut begun = activation(id, key, 900_000);
    begun.holder = format!("device:{device}");
    begun.device = format!(r#"{{"id":"{device}"}}"#);
    let turn = taken(ledger, "", 200).await.turn;
    ledger.record(Step { turn: Some(turn), begin: Some(begun), ..step() }).await.unwrap();
}

async fn does<L: Ledger>(ledger: &L, session: Use, second: i64) -> Result<Used, CommitError> {
    let step = Step { session: Some(session), at: at(second), ..step() };
    Ok(ledger.record(step).await?.session.unwrap())
}

fn opening(activation: &str, id: &str) -> Use {
    Use::Open { id: id.into(), activation: activation.into(), request: "request".into() }
}

/// Whether a session is opened; not if a limit is reached.
async fn opens<L: Ledger>(ledger: &L, activation: &str, id: &str, second: i64) -> bool {
    match does(ledger, opening(activation, id), second).await.unwrap() {
        Used::Open { new, .. } => new,
        Used::Refused { .. } => false,
        other => panic!("{other:?}"),
    }
}

/// Until when it is open after a heartbeat; nothing if it has ended.
async fn keeps<L: Ledger>(ledger: &L, id: &str, second: i64) -> Option<i64> {
    match does(ledger, Use::Keep { id: id.into(), until: at(second + TTL) }, second).await.unwrap() {
        Used::Open { session, new: false } => Some(session.until.as_second()),
        Used::Ended => None,
        other => panic!("{other:?}"),
    }
}

async fn closes<L: Ledger>(ledger: &L, id: &str, second: i64) -> bool {
    does(ledger, Use::Close { id: id.into() }, second).await.unwrap() == Used::Closed
}

async fn open_at<L: Ledger>(ledger: &L, second: i64) -> OpenSessions {
    ledger.open_sessions(&uid("l"), at(second)).await.unwrap()
}

async fn a_session_is_open_until_its_last_instant_and_each_heartbeat_moves_that<L: Ledger>(
    ledger: Shared<L>,
) {
    with_activations(&*ledger, limits(None, None)).await;
    assert_eq!(open_at(&*ledger, 1_000).await, OpenSessions::default());
    assert!(opens(&*ledger, "a", "1", 1_000).await);
    assert_eq!(open_at(&*ledger, 1_000).await, OpenSessions { open: 1, over: 0, next_end: Some(at(1_060)) });
    assert_eq!(keeps(&*ledger, "1", 1_060).await, Some(1_120), "it is open at that very second");
    assert_eq!(keeps(&*ledger, "1", 1_000).await, Some(1_120), "and it never moves back");
    assert_eq!(open_at(&*ledger, 1_120).await.open, 1);
    assert_eq!(open_at(&*ledger, 1_121).await.open, 0);
    assert_eq!(keeps(&*ledger, "1", 1_121).await, None);
    assert_eq!(keeps(&*ledger, "never opened", 1_000).await, None);

    assert!(opens(&*ledger, "a", "2", 1_200).await);
    assert!(closes(&*ledger, "2", 1_200).await);
    assert!(!closes(&*ledger, "2", 1_200).await, "once");
    assert!(!closes(&*ledger, "never opened", 1_200).await);
    assert_eq!((open_at(&*ledger, 1_200).await.open, keeps(&*ledger, "2", 1_200).await), (0, None));
}

async fn of_callers_who_race_for_the_last_session_exactly_one_has_it<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(None, Some(2))).await;
    assert!(opens(&*ledger, "b", "first", 1_000).await);
    for round in 0..5 {
        let ids: Vec<String> = (0..64).map(|n| format!("{round}-{n}")).collect();
        let told = ids.iter().map(|id| opens(&*ledger, "a", id, 1_000 + round));
        let told = futures::future::join_all(told).await;
        let won: Vec<_> = ids.iter().zip(told).filter(|(_, opened)| *opened).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        assert!(closes(&*ledger, won[0].0, 1_000 + round).await);
    }
}

async fn a_holder_has_sessions_of_their_own_and_the_oldest_in_the_way_are_told<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(Some(2), Some(3))).await;
    // The same holder by another activation.
    begin(&*ledger, "a2", "a", 3).await;
    assert!(opens(&*ledger, "b", "b1", 999).await && opens(&*ledger, "a", "a1", 1_000).await);
    assert!(opens(&*ledger, "a2", "a2", 1_001).await);
    let refused = |reached, oldest: &[(&str, i64)]| {
        let told = oldest.iter().map(|(device, since)| (format!(r#"{{"id":"{device}"}}"#), at(*since)));
        Used::Refused { reached, oldest: told.collect() }
    };
    let own = Reached { whose: Whose::Holder, most: 2, open: 2 };
    let told = does(&*ledger, opening("a", "more"), 1_002).await.unwrap();
    assert_eq!(told, refused(own, &[("a", 1_000), ("a", 1_001)]), "the other's are nobody's business");
    let all = Reached { whose: Whose::License, most: 3, open: 3 };
    let told = does(&*ledger, opening("b", "more"), 1_002).await.unwrap();
    assert_eq!(told, refused(all, &[("b", 999), ("a", 1_000), ("a", 1_001)]));

    says(&*ledger, Some(1), limits(None, None), |_| {}).await;
    for n in 0..20 {
        assert!(opens(&*ledger, "b", &format!("b{n}-more"), 1_003).await);
    }
    says(&*ledger, Some(2), limits(None, Some(1)), |_| {}).await;
    let Used::Refused { reached, oldest } = does(&*ledger, opening("b", "more"), 1_004).await.unwrap() else {
        panic!("it was opened")
    };
    assert_eq!((reached.open, oldest.len()), (23, NAMED as usize), "a lowered limit closes nothing");
}

async fn the_same_request_is_the_same_session_and_another_one_is_told_so<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(Some(1), None)).await;
    // Within a second: what is told is what is kept.
    let first =
        Step { session: Some(opening("a", "1")), at: at(1_000) + SignedDuration::from_millis(500), ..step() };
    let Some(Used::Open { session, new: true }) = ledger.record(first).await.unwrap().session else {
        panic!("it is not opened")
    };
    let again = does(&*ledger, opening("a", "1"), 1_030).await.unwrap();
    assert_eq!((session.since, session.until), (at(1_000), at(1_060)));
    assert_eq!(again, Used::Open { session, new: false }, "and no heartbeat");
    let other = Use::Open { id: "1".into(), activation: "a".into(), request: "other".into() };
    assert_eq!(does(&*ledger, other, 1_030).await.unwrap(), Used::OtherRequest);
    // A copy of the request that is late opens nothing again.
    assert!(closes(&*ledger, "1", 1_031).await);
    assert_eq!(does(&*ledger, opening("a", "1"), 1_032).await.unwrap(), Used::Ended);
    assert!(opens(&*ledger, "a", "2", 1_033).await, "it gave its place back");
}

async fn sessions_end_with_what_they_stand_upon<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(Some(1), Some(2))).await;
    assert!(opens(&*ledger, "a", "1", 1_000).await && opens(&*ledger, "b", "2", 1_000).await);
    let before = seen(&*ledger, "a").await;
    let ended = Chain { state: State::Ended(Why::Superseded), ..before.activation.chain.clone() };
    ledger.record(advances(&before, ended)).await.unwrap();
    assert_eq!((keeps(&*ledger, "1", 1_001).await, keeps(&*ledger, "2", 1_001).await), (None, Some(1_061)));
    assert_eq!(open_at(&*ledger, 1_001).await.open, 1);
    let gone = does(&*ledger, opening("a", "3"), 1_001).await;
    assert!(matches!(gone, Err(CommitError::Conflict)), "its activation has ended since it was decided");
    begin(&*ledger, "a2", "a", 3).await;
    assert!(opens(&*ledger, "a2", "3", 1_001).await, "the place is free");

    // A License that is suspended ends them for good; so does one that is gone.
    says(&*ledger, Some(1), limits(Some(1), Some(2)), |license| license.suspended = true).await;
    assert_eq!((keeps(&*ledger, "2", 1_002).await, open_at(&*ledger, 1_002).await.open), (None, 0));
    let rests = does(&*ledger, opening("b", "4"), 1_002).await;
    assert!(matches!(rests, Err(CommitError::Conflict)));
    says(&*ledger, Some(2), limits(Some(1), Some(2)), |_| {}).await;
    assert_eq!((keeps(&*ledger, "2", 1_003).await, open_at(&*ledger, 1_003).await.open), (None, 0));
    assert!(opens(&*ledger, "b", "4", 1_003).await);
    let mut gone = change(Some(3));
    gone.forget = true;
    ledger.commit(&gone).await.unwrap();
    assert_eq!(keeps(&*ledger, "4", 1_004).await, None);
}

async fn what_ended_stays_ended_also_if_the_clock_goes_back<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(None, None)).await;
    // So many that the one in question is not swept.
    for n in 0..5 {
        assert!(opens(&*ledger, "a", &format!("before {n}"), 990).await);
    }
    assert!(opens(&*ledger, "a", "1", 1_000).await);
    says(&*ledger, Some(1), limits(None, Some(1)), |_| {}).await;
    assert!(opens(&*ledger, "b", "2", 1_061).await, "nothing was heard of the others in time");
    assert_eq!(keeps(&*ledger, "1", 1_010).await, None, "and its place is given");
    assert_eq!(open_at(&*ledger, 1_010).await.open, 1);
    assert!(!opens(&*ledger, "a", "3", 1_010).await);
    assert_eq!(keeps(&*ledger, "2", 1_010).await, Some(1_121), "it goes on");
}

async fn where_limits_only_advise_a_session_beyond_them_is_marked<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(None, Some(1))).await;
    assert!(opens(&*ledger, "a", "1", 1_000).await && !opens(&*ledger, "b", "2", 1_000).await);
    says(&*ledger, Some(1), limits(None, Some(1)), |license| license.enforcement = Enforcement::Advise).await;
    let Used::Open { session, new: true } = does(&*ledger, opening("b", "2"), 1_000).await.unwrap() else {
        panic!("it is refused")
    };
    assert!(session.over);
    let counted = open_at(&*ledger, 1_000).await;
    assert_eq!((counted.open, counted.over), (2, 1));
}

async fn what_has_ended_is_swept_in_small_steps<L: Ledger>(ledger: Shared<L>) {
    with_activations(&*ledger, limits(None, None)).await;
    for n in 0..6 {
        assert!(opens(&*ledger, "a", &format!("{n}"), 1_000 + n).await);
    }
    assert!(closes(&*ledger, "5", 1_005).await);
    let known = async |id: &str| {
        let other = Use::Open { id: id.into(), activation: "a".into(), request: "other".into() };
        does(&*ledger, other, 1_000).await.unwrap() == Used::OtherRequest
    };
    assert!(opens(&*ledger, "b", "later", 2_000).await);
    assert!(!known("0").await, "four of them are gone; it was swept, and is another session now");
    assert!(known("4").await && known("5").await);
    assert!(opens(&*ledger, "b", "much later", 2_061).await);
    assert!(!known("4").await && !known("5").await);

    // What was closed need not last as long as it would have been open.
    let long = Sessions { ttl: 10 * REMEMBERED, ..limits(None, None) };
    says(&*ledger, Some(1), long, |_| {}).await;
    assert!(opens(&*ledger, "a", "long", 3_000).await && closes(&*ledger, "long", 3_000).await);
    assert!(opens(&*ledger, "a", "last", 3_000 + REMEMBERED).await && known("long").await);
    assert!(opens(&*ledger, "a", "more", 3_001 + REMEMBERED).await && !known("long").await);
}
