use std::cell::RefCell;

use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn of(holder: Option<&str>, version: &str) -> Record {
    Record { holder: holder.map(str::to_owned), version: version.into(), duration: Terms::USUAL.duration }
}

fn candidate() -> Candidate {
    Candidate::new("me".into(), Terms::USUAL, false, Seen::default())
}

#[test]
fn a_free_lease_and_my_own_are_claimed_at_once() {
    assert_eq!(candidate().evaluate(Some(&of(None, "1")), s(0)), Step::Claim);
    assert_eq!(candidate().evaluate(Some(&of(Some("me"), "1")), s(0)), Step::Claim);
}

#[test]
fn anothers_lease_is_claimed_once_it_was_seen_unchanged_for_so_long_and_not_before() {
    let mut me = candidate();
    assert_eq!(me.evaluate(Some(&of(Some("other"), "1")), s(100)), Step::Wait(s(102)));
    assert_eq!(me.evaluate(Some(&of(Some("other"), "2")), s(110)), Step::Wait(s(112)), "it was renewed");
    assert_eq!(me.evaluate(Some(&of(Some("other"), "2")), s(121)), Step::Wait(s(122)));
    assert_eq!(me.evaluate(Some(&of(Some("other"), "2")), s(122)), Step::Claim);
}

#[test]
fn what_was_seen_before_it_would_lead_counts() {
    let mut seen = Seen::default();
    seen.note(Some(&of(Some("other"), "1")), s(100));
    seen.note(Some(&of(Some("other"), "2")), s(103));
    let mut me = Candidate::new("me".into(), Terms::USUAL, false, seen);
    assert_eq!(me.evaluate(Some(&of(Some("other"), "2")), s(114)), Step::Wait(s(115)), "since 103");
    assert_eq!(me.evaluate(Some(&of(Some("other"), "2")), s(115)), Step::Claim);
}

#[test]
fn whoever_asks_for_more_patience_gets_it() {
    let slow = Record { duration: s(60), ..of(Some("other"), "1") };
    let mut me = candidate();
    me.evaluate(Some(&slow), s(0));
    assert!(matches!(me.evaluate(Some(&slow), s(59)), Step::Wait(_)));
    assert_eq!(me.evaluate(Some(&slow), s(60)), Step::Claim);
}

#[test]
fn a_lease_that_was_deleted_is_not_free_and_its_leader_puts_it_back() {
    let mut follower = candidate();
    follower.evaluate(Some(&of(Some("other"), "1")), s(0));
    assert!(matches!(follower.evaluate(None, s(5)), Step::Wait(_)));
    assert!(matches!(follower.evaluate(None, s(16)), Step::Wait(_)));
    assert_eq!(follower.evaluate(None, s(17)), Step::Claim, "nobody put it back");
    follower.claimed(true, s(17), s(17));
    follower.claimed(false, s(24), s(24));
    assert_eq!(follower.leads_until(s(28)), None, "who makes one waits once more");
    assert_eq!(follower.leads_until(s(29)), Some(s(32)));
    let mut leader = candidate();
    leader.claimed(false, s(0), s(0));
    assert_eq!(leader.evaluate(None, s(3)), Step::Claim);
    leader.claimed(true, s(3), s(3));
    assert_eq!(leader.leads_until(s(4)), Some(s(11)), "it leads on");
    assert_eq!(
        Candidate::new("me".into(), Terms::USUAL, true, Seen::default()).evaluate(None, s(0)),
        Step::Claim
    );
}

#[test]
fn a_lease_that_bears_my_name_by_a_claim_of_nothing_that_came_late_is_waited_for() {
    let mut me = candidate();
    me.evaluate(None, s(0));
    assert_eq!(me.evaluate(None, s(12)), Step::Claim, "no answer comes");
    assert_eq!(me.evaluate(Some(&of(Some("me"), "7")), s(20)), Step::Claim);
    me.claimed(false, s(20), s(20));
    assert_eq!(me.leads_until(s(20)), None, "another may have led when the claim came");
    me.claimed(false, s(27), s(27));
    assert_eq!(me.leads_until(s(32)), Some(s(35)));
}

#[test]
fn who_has_seen_a_lease_is_no_newcomer() {
    let mut me = Candidate::new("me".into(), Terms::USUAL, true, Seen::default());
    me.evaluate(Some(&of(Some("other"), "1")), s(0));
    assert!(matches!(me.evaluate(None, s(1)), Step::Wait(_)));
}

#[test]
fn a_lead_ends_by_itself_and_with_the_sight_of_another() {
    let mut me = candidate();
    assert_eq!(me.claimed(false, s(10), s(11)), s(13));
    assert_eq!(me.claimed(false, s(13), s(14)), s(16));
    assert_eq!(me.leads_until(s(20)), Some(s(21)));
    assert_eq!(me.leads_until(s(21)), None, "counted from before it was sent");
    me.claimed(false, s(21), s(22));
    assert_eq!(me.leads_until(s(22)), Some(s(29)), "what ended begins anew");
    me.evaluate(Some(&of(Some("other"), "9")), s(23));
    assert_eq!(me.leads_until(s(23)), None);
}

/// What may become of one round of a candidate: read, then perhaps write. In milliseconds of the true time.
#[derive(Debug, Clone, Copy)]
struct Round {
    read: u64,
    /// Between the read and the write: a pause of the process, at worst.
    pause: u64,
    write: u64,
    /// The reply to the write comes so late, or never.
    reply: Option<u64>,
    after: u64,
    deleted: bool,
}

fn round() -> impl Strategy<Value = Round> {
    let pause = prop_oneof![8 => 0u64..50, 1 => 0u64..30_000];
    let reply =
        prop_oneof![8 => (0u64..300).prop_map(Some), 1 => (0u64..20_000).prop_map(Some), 1 => Just(None)];
    let after = prop_oneof![6 => Just(0u64), 1 => 0u64..40_000];
    (0u64..500, pause, 0u64..4_000, reply, after, prop::bool::weighted(0.03)).prop_map(
        |(read, pause, write, reply, after, deleted)| Round { read, pause, write, reply, after, deleted },
    )
}

/// A candidate with a clock of its own: begun elsewhere, running at another speed.
struct Runner {
    candidate: Candidate,
    offset: u64,
    percent: u64,
    rounds: Vec<Round>,
    at: u64,
    /// From and until when it led, in true milliseconds.
    led: Vec<(u64, u64)>,
}

impl Runner {
    fn clock(&self, true_ms: u64) -> Duration {
        Duration::from_millis(self.offset + true_ms * self.percent / 100)
    }

    fn true_ms(&self, clock: Duration) -> u64 {
        (u64::try_from(clock.as_millis()).unwrap() - self.offset) * 100 / self.percent
    }
}

/// A claim on its way.
struct Sent {
    arrives: u64,
    whose: usize,
    read: Option<String>,
    sent: u64,
    reply: Option<u64>,
}

/// The writes to the Lease in their order, for all runners; the server is the only one who orders them.
fn run(mut runners: Vec<Runner>) -> Vec<Runner> {
    let lease: RefCell<Option<Record>> = RefCell::new(None);
    let mut version = 0;
    let mut writes: Vec<Sent> = Vec::new();
    loop {
        let next =
            (0..runners.len()).filter(|n| !runners[*n].rounds.is_empty()).min_by_key(|n| runners[*n].at);
        writes.sort_by_key(|write| std::cmp::Reverse(write.arrives));
        let write_first = match (next, writes.last()) {
            (None, None) => return runners,
            (Some(n), Some(write)) => write.arrives <= runners[n].at,
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        if write_first {
            let Sent { arrives: when, whose: n, read, sent, reply } = writes.pop().unwrap();
            if lease.borrow().as_ref().map(|r| r.version.clone()) != read {
                continue;
            }
            version += 1;
            let me = format!("r{n}");
            *lease.borrow_mut() = Some(of(Some(&me), &version.to_string()));
            let Some(reply) = reply else { continue };
            let created = read.is_none();
            let runner = &mut runners[n];
            let (sent, now) = (runner.clock(sent), runner.clock(when + reply));
            runner.candidate.claimed(created, sent, now);
            if let Some(until) = runner.candidate.leads_until(now) {
                let until = runner.true_ms(until);
                runner.led.push((when + reply, until));
            }
            continue;
        }
        let n = next.unwrap();
        let round = runners[n].rounds.pop().unwrap();
        if round.deleted {
            *lease.borrow_mut() = None;
        }
        let found = lease.borrow().clone();
        let runner = &mut runners[n];
        let read_at = runner.at + round.read;
        let step = runner.candidate.evaluate(found.as_ref(), runner.clock(read_at));
        // The server answered at `at`; the reply took `read`.
        let sent = read_at + round.pause;
        let done = match step {
            Step::Claim => {
                let arrives = sent + round.write;
                let waits = round.reply.map_or(2_500, |reply| round.write + reply).min(2_500);
                let reply = round.reply.filter(|reply| round.write + reply <= 2_500);
                writes.push(Sent { arrives, whose: n, read: found.map(|r| r.version), sent, reply });
                sent + waits.max(round.write + 1) + 3_000
            }
            Step::Wait(until) => runner.true_ms(until).max(read_at + 1),
        };
        runner.at = done + round.after;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn two_never_lead_at_once_whatever_their_clocks_say_and_the_network_does(
        runners in prop::collection::vec((0u64..1_000_000, 90u64..111, prop::collection::vec(round(), 1..60)), 2..4),
    ) {
        let runners = runners.into_iter().enumerate().map(|(n, (offset, percent, rounds))| Runner {
            candidate: Candidate::new(format!("r{n}"), Terms::USUAL, false, Seen::default()),
            offset, percent, rounds, at: u64::try_from(n).unwrap(), led: Vec::new(),
        });
        let ran = run(runners.collect());
        for (n, one) in ran.iter().enumerate() {
            for other in &ran[n + 1..] {
                for (a, until_a) in &one.led {
                    for (b, until_b) in &other.led {
                        prop_assert!(until_a <= b || until_b <= a, "{a}..{until_a} and {b}..{until_b}");
                    }
                }
            }
        }
    }

    #[test]
    fn when_nothing_goes_wrong_somebody_leads_soon_and_for_good(offset in 0u64..1_000_000, percent in 90u64..111) {
        let calm = Round { read: 5, pause: 0, write: 5, reply: Some(5), after: 0, deleted: false };
        let runner = |n: u64| Runner {
            candidate: Candidate::new(format!("r{n}"), Terms::USUAL, false, Seen::default()),
            offset: offset * n, percent: if n == 0 { 100 } else { percent }, rounds: vec![calm; 60], at: n, led: Vec::new(),
        };
        let ran = run(vec![runner(0), runner(1)]);
        let leaders: Vec<&Runner> = ran.iter().filter(|runner| !runner.led.is_empty()).collect();
        prop_assert_eq!(leaders.len(), 1, "who leads is not relieved");
        // Nothing is there at first, and none of them is a newcomer: both waits.
        prop_assert!(leaders[0].led[0].0 < 30_000);
        for pair in leaders[0].led.windows(2) {
            prop_assert!(pair[1].0 < pair[0].1, "the lead has a gap");
        }
    }
}
