//! The rules, one by one, each with its positive twin.

use jiff::SignedDuration;

use super::*;
use crate::domain::{license::tests::at, refusal::Code};

const HOUR: i64 = 3_600;

pub(super) fn digest(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    Digest(bytes)
}

/// A call by the key `key`.
pub(super) fn call(operation: Operation, key: &str) -> Call {
    Call { operation, key: digest(key), request: digest("request"), caller: digest("caller") }
}

pub(super) fn refresh(key: &str) -> Call {
    call(Operation::Refresh, key)
}

pub(super) fn place(incarnation: u32, sequence: u64) -> Position {
    Position { incarnation, sequence }
}

/// The ground at the hour `hour`, with documents that are good for a day.
pub(super) fn ground(hour: i64) -> Ground {
    let now = at(hour * HOUR);
    let later = |hours: i64| now.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let times = Times {
        issued_at: now,
        not_before: now,
        expires_at: later(24),
        lease_until: later(12),
        renew_at: Some(later(6)),
    };
    Ground { incarnation: 1, policy: ClonePolicy::Refuse, now, times, grants: Ok(()), place: Ok(()) }
}

pub(super) fn activated() -> Chain {
    activate(&call(Operation::Activate, "made"), &ground(0)).unwrap()
}

/// The chain after this call, which must go.
pub(super) fn go(chain: &Chain, at: Position, call: &Call, ground: &Ground) -> Chain {
    match present(chain, Presented::Genuine(at), call, ground) {
        Verdict::Go { after, .. } => after,
        other => panic!("{call:?} at {at}: {other:?}"),
    }
}

/// After calls by the keys 0, 1, … at the head, `calls` of them.
pub(super) fn after_calls(calls: u64) -> Chain {
    (0..calls).fold(activated(), |chain, key| go(&chain, chain.head, &refresh(&key.to_string()), &ground(1)))
}

pub(super) fn refused(verdict: &Verdict) -> Code {
    match verdict {
        Verdict::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

mod forks;
mod life;
mod restore;
mod sequence;
