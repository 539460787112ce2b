//! Single turns, and lives of Authorities under whatever happens to them.

use proptest::prelude::*;

use super::*;
use crate::domain::license::tests::at;

const EVERY: i64 = 1_000;
const OVERLAP: i64 = 100;

fn kid(ordinal: u32) -> KeyId {
    format!("{ordinal:0>42}A").parse().unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// An Authority as the service drives it, with a root that signs when it likes, and with documents.
struct Life {
    keys: Vec<Key>,
    policy: Policy,
    serial: u64,
    /// The number of the set that the root has vouched for.
    signed: u64,
    now: i64,
    asked: Asked,
    made: u32,
    next: Option<Timestamp>,
    /// Key and `exp` of every document that was ever signed.
    documents: Vec<(KeyId, i64)>,
}

impl Life {
    fn new(root: Root) -> Self {
        let policy = Policy { every: Some(seconds(EVERY)), overlap: seconds(OVERLAP), root };
        Self {
            keys: Vec::new(),
            policy,
            serial: 0,
            signed: 0,
            now: 0,
            asked: Asked::default(),
            made: 0,
            next: None,
            documents: Vec::new(),
        }
    }

    /// One look: turns, makes keys, signs with a root that is here, until there is nothing to do. Returns what it did.
    fn look(&mut self) -> usize {
        let mut effects = 0;
        loop {
            let before = self.keys.clone();
            let turn = turn(&self.keys, &self.asked, self.policy, at(self.now));
            self.serial += u64::from(turn.raised);
            self.keys = turn.keys;
            self.next = turn.next;
            self.check(&before);
            if turn.make {
                self.asked.rotate = false;
                self.made += 1;
                let public = kid(self.made).to_string().parse().unwrap();
                self.keys.push(Key::new(self.made, kid(self.made), public));
            } else if self.policy.root == Root::Here && !is_vouched(&self.keys) {
                self.vouch();
            } else {
                effects += usize::from(before != self.keys);
                self.asked.rotate = false;
                return effects;
            }
            effects += 1;
            assert!(effects < 10, "a look turns in circles: {:?}", self.keys);
        }
    }

    fn vouch(&mut self) {
        vouch(&mut self.keys);
        assert!(self.serial > self.signed, "two sets have one number");
        self.signed = self.serial;
    }

    fn show(&mut self) {
        show(&mut self.keys, at(self.now));
    }

    /// Signs a document that is good for so long, if anybody may sign.
    fn sign(&mut self, life: i64) {
        let exp = self.now + life;
        if let Some(key) = self.keys.iter_mut().find(|key| key.signs()) {
            key.last_exp = key.last_exp.max(Some(at(exp)));
            self.documents.push((key.kid.clone(), exp));
        }
    }

    fn signing(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.signs())
    }

    /// What is never the case, whatever happened between `before` and now.
    fn check(&self, before: &[Key]) {
        assert!(self.keys.iter().filter(|key| key.signs()).count() <= 1, "two keys sign: {:?}", self.keys);
        assert!(self.keys.iter().filter(|key| key.is_coming()).count() <= 1, "two keys are coming");
        let signed_before = before.iter().any(Key::signs);
        for (key, former) in self.keys.iter().zip(before) {
            assert_eq!(key.kid, former.kid);
            assert!(age(key) >= age(former), "{former:?} became {key:?}");
            if key.signs() && !former.signs() {
                let State::Announced { shown } = former.state else { panic!("{former:?} became {key:?}") };
                assert!(former.vouched.is_some());
                let was_revoked = self.keys.iter().zip(before).any(|(k, f)| k.is_revoked() && f.signs());
                let in_time = shown.is_some_and(|at| later(at, self.policy.overlap) <= self::at(self.now));
                assert!(in_time || was_revoked || !signed_before, "{former:?} signs at {}", self.now);
            }
        }
        for (kid, exp) in self.documents.iter().filter(|(_, exp)| *exp > self.now) {
            let key = self.keys.iter().find(|key| key.kid == *kid).unwrap();
            assert!(key.is_published() || key.is_revoked(), "a document until {exp} is under {key:?}");
            if let (Some(not_after), false) = (key.vouched, key.is_revoked()) {
                assert!(not_after >= u64::try_from(*exp).unwrap(), "{not_after} is before {exp}");
            }
        }
    }
}

/// States are only ever left for later ones.
fn age(key: &Key) -> u8 {
    match key.state {
        State::Made => 0,
        State::Announced { .. } => 1,
        State::Signing { .. } => 2,
        State::Retired { .. } => 3,
        State::Withdrawn => 4,
        State::Revoked { .. } => 5,
    }
}

fn states(life: &Life) -> Vec<u8> {
    life.keys.iter().map(age).collect()
}

#[test]
fn the_first_key_signs_at_once() {
    let mut life = Life::new(Root::Here);
    life.look();
    assert_eq!((states(&life), life.serial), (vec![2], 1));
    assert_eq!(life.next, Some(at(EVERY - OVERLAP)));
    assert_eq!(rotates_at(&life.keys, life.policy), Some(at(EVERY)));
}

#[test]
fn a_successor_is_shown_for_the_overlap_and_the_former_stays_published_to_its_last_exp() {
    let mut life = Life::new(Root::Here);
    life.look();
    life.now = EVERY - OVERLAP;
    life.sign(500);
    life.look();
    assert_eq!((states(&life), life.serial), (vec![2, 1], 2));
    life.show();
    life.look();
    assert_eq!(life.next, Some(at(EVERY)));
    life.now = EVERY - 1;
    assert_eq!(life.look(), 0);
    life.now = EVERY;
    life.look();
    assert_eq!((states(&life), life.serial), (vec![3, 2], 3));
    assert_eq!(life.keys[0].vouched, Some(1_400), "the last exp under it is its not-after");
    life.now = 1_399;
    assert_eq!(life.look(), 0);
    life.now = 1_400;
    life.look();
    assert_eq!((states(&life), life.serial), (vec![4, 2], 4));
}

#[test]
fn a_key_that_was_announced_and_not_seen_does_not_sign() {
    let mut life = Life::new(Root::Here);
    life.look();
    life.now = EVERY;
    life.look();
    life.now = 10 * EVERY;
    assert_eq!(life.look(), 0, "the clock of the overlap begins when it is shown");
    life.show();
    life.now += OVERLAP;
    life.look();
    assert_eq!(life.signing().unwrap().ordinal, 2);
}

#[test]
fn who_asks_for_a_successor_gets_one_and_only_one() {
    let mut life = Life::new(Root::Here);
    life.look();
    for _ in 0..2 {
        life.asked.rotate = true;
        life.look();
    }
    assert_eq!(states(&life), [2, 1]);
    assert_eq!(rotates_at(&life.keys, life.policy), None, "it is not shown yet");
    life.show();
    assert_eq!(rotates_at(&life.keys, life.policy), Some(at(OVERLAP)));
}

#[test]
fn without_a_schedule_a_key_signs_until_somebody_asks() {
    let mut life = Life::new(Root::Here);
    life.policy.every = None;
    life.look();
    life.now = i64::from(u32::MAX);
    assert_eq!((life.look(), life.next, rotates_at(&life.keys, life.policy)), (0, None, None));
    life.asked.rotate = true;
    life.look();
    assert_eq!(states(&life), [2, 1]);
}

#[test]
fn a_revoked_key_is_out_at_once_and_another_signs_at_once() {
    let mut life = Life::new(Root::Here);
    life.look();
    life.sign(500);
    life.asked.revoke = vec![kid(1)];
    life.look();
    assert_eq!((states(&life), life.signed), (vec![5, 2], life.serial));
    assert!(life.serial > 1);
    assert_eq!(life.keys[0].vouched, None);
    assert_eq!(life.look(), 0, "a revocation is acted upon once");
    assert!(may_be_shown(&life.keys));
}

#[test]
fn a_successor_that_was_announced_takes_the_place_of_a_revoked_key() {
    let mut life = Life::new(Root::Here);
    life.look();
    life.asked.rotate = true;
    life.look();
    life.asked.revoke = vec![kid(1)];
    life.look();
    assert_eq!((states(&life), life.made), (vec![5, 2], 2));
    life.asked.revoke = vec![kid(2)];
    life.look();
    assert_eq!(states(&life), [5, 5, 2]);
}

#[test]
fn a_root_outside_is_asked_only_when_a_key_has_come_or_was_revoked() {
    let mut life = Life::new(Root::Outside);
    life.look();
    assert_eq!((states(&life), life.serial, is_vouched(&life.keys)), (vec![0], 1, false), "nobody may sign");
    life.vouch();
    life.look();
    assert_eq!(states(&life), [2]);
    life.sign(5_000);

    life.now = EVERY - OVERLAP;
    life.look();
    life.now = 2 * EVERY;
    life.look();
    assert_eq!((states(&life), life.serial), (vec![2, 0], 2), "rotation waits for the root");
    life.vouch();
    life.show();
    life.now += OVERLAP;
    life.look();
    assert_eq!((states(&life), life.serial), (vec![3, 2], 2), "that it retired, the root need not be told");
    assert!(is_vouched(&life.keys));

    life.asked.revoke = vec![kid(2)];
    life.look();
    assert_eq!((states(&life), life.serial), (vec![3, 5, 0], 4));
    assert!(!may_be_shown(&life.keys), "the signed set still has the revoked key");
    life.vouch();
    assert!(may_be_shown(&life.keys));
}

#[test]
fn who_rotates_faster_than_documents_end_waits_at_the_most_published_keys() {
    let mut life = Life::new(Root::Here);
    for _ in 0..100 {
        life.look();
        life.show();
        life.sign(1_000_000);
        life.now += EVERY;
    }
    assert!(is_full(&life.keys));
    assert_eq!(life.keys.iter().filter(|key| key.is_published()).count(), MOST_PUBLISHED);
    assert_eq!(life.look(), 0);
    life.asked.revoke = vec![life.signing().unwrap().kid.clone()];
    life.look();
    assert!(life.signing().is_some(), "where nothing would sign there is always room");
}

/// What happens to an Authority.
#[derive(Debug, Clone)]
enum Happens {
    Time(i64),
    Sign(i64),
    Ask,
    Revoke(usize),
    Show,
    RootSigns,
    Every(Option<i64>),
    Overlap(i64),
    Look,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0i64..600).prop_map(Happens::Time),
        6 => (1i64..3_000).prop_map(Happens::Sign),
        2 => Just(Happens::Ask),
        1 => (0usize..8).prop_map(Happens::Revoke),
        3 => Just(Happens::Show),
        3 => Just(Happens::RootSigns),
        1 => prop::option::of(1i64..3_000).prop_map(Happens::Every),
        1 => (0i64..500).prop_map(Happens::Overlap),
        8 => Just(Happens::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_one_key_signs_what_lives_is_published_and_nothing_is_done_twice(
        here in any::<bool>(), story in prop::collection::vec(happens(), 1..120),
    ) {
        let mut life = Life::new(if here { Root::Here } else { Root::Outside });
        let mut serial = 0;
        for what in story {
            match what {
                Happens::Time(by) => life.now += by,
                Happens::Sign(exp) => life.sign(exp),
                Happens::Ask => life.asked.rotate = true,
                Happens::Revoke(n) => {
                    let named = life.keys.get(n).map(|key| key.kid.clone());
                    life.asked.revoke.extend(named);
                }
                Happens::Show => life.show(),
                Happens::RootSigns if !is_vouched(&life.keys) => life.vouch(),
                Happens::RootSigns => {}
                Happens::Every(every) => life.policy.every = every.map(seconds),
                Happens::Overlap(overlap) => life.policy.overlap = seconds(overlap),
                Happens::Look => drop(life.look()),
            }
            prop_assert!(life.serial >= serial && life.signed <= life.serial);
            serial = life.serial;
        }
        life.look();
        prop_assert_eq!(life.look(), 0, "nothing is done twice");
        let none_may = !here && life.keys.iter().all(|key| key.vouched.is_none() || key.is_revoked() || age(key) > 2);
        prop_assert!(life.signing().is_some() || none_may, "nothing signs: {:?}", life.keys);
        if let Some(next) = life.next {
            prop_assert!(next > at(life.now));
            life.now = next.as_second();
            life.show();
            prop_assert!(life.look() > 0 || life.keys.iter().any(Key::is_coming), "it was told to come back for nothing");
        }
    }
}
