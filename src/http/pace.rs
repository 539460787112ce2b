//! How often a caller may ask. Bounded memory, whoever comes: a caller has one of so many buckets, and may share it.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many buckets there are: two busy callers seldom share one, and all of them take some 100 kB.
const BUCKETS: usize = 4_096;

/// So many at once, and so many a second after that.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// So many at once.
    pub at_once: u32,
    /// So many a second.
    pub a_second: u32,
}

/// What is left of a bucket, in millionths of a request, and when that was.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

const WHOLE: u64 = 1_000_000;

/// The buckets.
#[derive(Debug)]
pub(super) struct Paced {
    pace: Pace,
    /// Drawn anew each time, so that nobody can choose whose bucket to empty.
    hasher: RandomState,
    buckets: Box<[Mutex<Bucket>]>,
}

impl Paced {
    pub(super) fn new(pace: Pace) -> Self {
        let full = || Mutex::new(Bucket { left: u64::from(pace.at_once) * WHOLE, at: Timestamp::MIN });
        Self { pace, hasher: RandomState::new(), buckets: (0..BUCKETS).map(|_| full()).collect() }
    }

    /// Whether `caller` may ask at `now`; if `takes`, that counts.
    pub(super) fn allows(&self, caller: impl Hash, now: Timestamp, takes: bool) -> bool {
        let Some(bucket) = self.buckets.get(number(&self.hasher, caller)) else { return false };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that went back gives nothing.
        let micros = u64::try_from(now.duration_since(bucket.at).as_micros()).unwrap_or(0);
        let more = micros.saturating_mul(self.pace.a_second.into());
        let left = bucket.left.saturating_add(more).min(u64::from(self.pace.at_once) * WHOLE);
        let allows = left >= WHOLE;
        *bucket = Bucket { left: if allows && takes { left - WHOLE } else { left }, at: now };
        allows
    }
}

/// The bucket of `caller`.
fn number(hasher: &RandomState, caller: impl Hash) -> usize {
    usize::try_from(hasher.hash_one(caller) % (BUCKETS as u64)).unwrap_or(0)
}

/// Whose pace that of `address` is. Of IPv6 that is its network: whoever has one address has 2^64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

/// So many at once of each caller: whoever has as many under way waits for one of their own to end, and not in anybody else's way.
#[derive(Debug)]
pub(super) struct Places {
    hasher: RandomState,
    buckets: Box<[Semaphore]>,
}

impl Places {
    pub(super) fn new(each: usize) -> Self {
        let buckets = (0..BUCKETS).map(|_| Semaphore::new(each)).collect();
        Self { hasher: RandomState::new(), buckets }
    }

    /// A place of `caller`'s, once there is one.
    pub(super) async fn of(&self, caller: impl Hash) -> Option<SemaphorePermit<'_>> {
        self.buckets.get(number(&self.hasher, caller))?.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_caller_has_so_many_at_once_and_so_many_a_second_and_others_theirs() {
        let paced = Paced::new(Pace { at_once: 3, a_second: 10 });
        let asked = |caller: &str, millis| paced.allows(caller, at(millis), true);
        assert_eq!((0..5).filter(|_| asked("a", 1_000)).count(), 3);
        assert!(!asked("a", 1_099) && asked("a", 1_100) && !asked("a", 1_100));
        assert!(!asked("a", 500), "the clock went back");
        assert!(asked("b", 1_000), "another caller has a bucket of their own");
        assert_eq!((0..5).filter(|_| asked("a", 90_000)).count(), 3, "nobody saves up");
        assert!((0..9).all(|_| paced.allows("c", at(1_000), false)), "looking takes nothing");
    }
    #[test]
    fn addresses_of_one_ipv6_network_share_what_it_has_and_others_do_not() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
    }

    #[tokio::test]
    async fn whoever_has_all_of_their_places_waits_and_nobody_else() {
        let places = Places::new(2);
        let held = (places.of("a").await, places.of("a").await);
        assert!(places.of("a").now_or_never().is_none());
        assert!(places.of("b").now_or_never().is_some());
        drop(held);
        assert!(places.of("a").now_or_never().is_some());
    }
}
