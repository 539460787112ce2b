//! A nonce is presented: rules 2 to 4, 6 and 9.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    Call, Chain, EarlierCall, Ground, LIVES, LastCall, Operation, Position, Presented, RECENT, State,
    Verdict, Why,
};
use crate::domain::{
    refusal::{Code, Refusal},
    terms::ClonePolicy,
};

/// How a genuine position stands to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is the head.
    Head,
    /// It was issued by a part of the ledger's life that a restore has lost, and is the highest of those seen.
    Lost,
    /// It was used in a part that a restore has lost, lately: by whom nobody knows.
    Unproven,
    /// It was used.
    Spent,
}

fn standing(chain: &Chain, at: Position) -> Standing {
    let of_former_life = at.incarnation < chain.head.incarnation;
    if at == chain.head {
        Standing::Head
    } else if at > chain.head || (of_former_life && !is_below(chain, at) && !is_forgotten(chain, at)) {
        Standing::Lost
    } else if is_below(chain, at) && !is_remembered(chain, at) && is_recent(chain, at) {
        Standing::Unproven
    } else {
        Standing::Spent
    }
}

/// Whether something went on from later than `at`: in its incarnation, or in a later one and after more calls.
fn is_below(chain: &Chain, at: Position) -> bool {
    let is_later = |floor: &Position| {
        let (lives, calls) = (floor.incarnation.cmp(&at.incarnation), floor.sequence.cmp(&at.sequence));
        match lives {
            Ordering::Less => false,
            Ordering::Equal => calls.is_ge(),
            Ordering::Greater => calls.is_gt(),
        }
    };
    chain.floors.iter().any(is_later)
}

/// Whether it is of a life that is older than all that are known.
fn is_forgotten(chain: &Chain, at: Position) -> bool {
    let oldest = chain.floors.first().filter(|_| chain.floors.len() >= LIVES);
    oldest.is_some_and(|oldest| at.incarnation < oldest.incarnation)
}

fn is_remembered(chain: &Chain, at: Position) -> bool {
    chain.last.used == Some(at) || chain.earlier.iter().any(|call| call.used == at)
}

/// Whether a late copy of a request could come from there.
fn is_recent(chain: &Chain, at: Position) -> bool {
    usize::try_from(chain.head.sequence.saturating_sub(at.sequence)).is_ok_and(|back| back <= RECENT)
}

/// What becomes of `call` with the nonce `presented`. The caller's credential was checked before.
#[must_use]
pub fn present(chain: &Chain, presented: Presented, call: &Call, ground: &Ground) -> Verdict {
    let Presented::Genuine(at) = presented else { return Verdict::Refused(Code::NonceUnknown.into()) };
    if let Some(verdict) = seen_before(chain, at, call) {
        return verdict;
    }
    match (chain.state, standing(chain, at)) {
        (State::Ended(Why::Superseded), Standing::Unproven) => {
            Verdict::Refused(Code::ActivationSuperseded.into())
        }
        (State::Ended(Why::Superseded), _) => fork(chain, at, Code::ActivationSuperseded, ground.policy),
        (State::Ended(Why::Deactivated | Why::Withdrawn), _) => {
            Verdict::Refused(Code::ActivationEnded.into())
        }
        (_, standing @ (Standing::Head | Standing::Lost)) => match may(chain, call.operation, ground) {
            Ok(()) => {
                let after = advanced(chain, at, call, ground);
                Verdict::Go { after, restored: standing == Standing::Lost }
            }
            Err(refusal) => Verdict::Refused(refusal),
        },
        (_, Standing::Unproven) => Verdict::Refused(Code::NonceUsed.into()),
        (_, Standing::Spent) => fork(chain, at, Code::NonceUsed, ground.policy),
    }
}

/// Whether `presented` is the nonce to use next. Changes nothing and accuses nobody: a client may ask while a reply is lost.
///
/// # Errors
/// When it is not.
pub fn check(chain: &Chain, presented: Presented) -> Result<(), Refusal> {
    let Presented::Genuine(at) = presented else { return Err(Code::NonceUnknown.into()) };
    match (chain.state, standing(chain, at)) {
        (State::Ended(Why::Superseded), _) => Err(Code::ActivationSuperseded.into()),
        (State::Ended(Why::Deactivated | Why::Withdrawn), _) => Err(Code::ActivationEnded.into()),
        (_, Standing::Head | Standing::Lost) => Ok(()),
        (_, Standing::Unproven | Standing::Spent) => Err(Code::NonceUsed.into()),
    }
}

/// What a request meets that was made before, or whose key was.
fn seen_before(chain: &Chain, at: Position, call: &Call) -> Option<Verdict> {
    if chain.last == (LastCall { used: Some(at), call: *call }) {
        return Some(Verdict::Again);
    }
    let others = [(chain.last.used, chain.last.call.key), (None, chain.made_by.key)];
    let of_earlier = chain.earlier.iter().map(|earlier| (Some(earlier.used), earlier.key));
    let (used, _) = of_earlier.chain(others).find(|(_, key)| *key == call.key)?;
    let is_late_copy = used == Some(at) && used != chain.last.used;
    let code = match chain.state {
        _ if !is_late_copy => Code::IdempotencyKeyUsed,
        State::Ended(Why::Superseded) => Code::ActivationSuperseded,
        State::Ended(Why::Deactivated | Why::Withdrawn) => Code::ActivationEnded,
        State::Active | State::Quarantined | State::Lapsed => Code::NonceUsed,
    };
    Some(Verdict::Refused(code.into()))
}

/// Whether the operation may be done. A document is given only where the License grants it, where nobody has to decide first,
/// and to whoever holds a place or finds one.
fn may(chain: &Chain, operation: Operation, ground: &Ground) -> Result<(), Refusal> {
    if operation != Operation::Refresh {
        return Ok(());
    }
    ground.grants.clone()?;
    match chain.state {
        State::Quarantined if ground.now <= chain.expires_at => Err(Code::ActivationQuarantined.into()),
        State::Active | State::Quarantined | State::Ended(_) => Ok(()),
        State::Lapsed => ground.place.clone(),
    }
}

/// The chain after `call` has used `at`.
fn advanced(chain: &Chain, at: Position, call: &Call, ground: &Ground) -> Chain {
    let known = chain.head.incarnation.max(ground.incarnation);
    let incarnation = if at > chain.head { known.max(at.incarnation.saturating_add(1)) } else { known };
    let sequence = chain.head.sequence.max(at.sequence).saturating_add(1);
    let renews = call.operation == Operation::Refresh;
    Chain {
        state: if renews { State::Active } else { chain.state },
        head: Position { incarnation, sequence },
        floors: risen(&chain.floors, [at, chain.head], incarnation),
        made_by: chain.made_by,
        last: LastCall { used: Some(at), call: *call },
        earlier: if at == chain.head { remembered(chain) } else { Vec::new() },
        resolved_at: chain.resolved_at,
        // The document before it may be good for longer: the clock went back, or leases are shorter now.
        expires_at: if renews { ground.times.expires_at.max(chain.expires_at) } else { chain.expires_at },
    }
}

/// The floors in `incarnation`, of which these positions are not to be taken for lost.
fn risen(floors: &[Position], known: [Position; 2], incarnation: u32) -> Vec<Position> {
    let mut highest: BTreeMap<u32, u64> = BTreeMap::new();
    for place in floors.iter().copied().chain(known).filter(|place| place.incarnation < incarnation) {
        let floor = highest.entry(place.incarnation).or_default();
        *floor = place.sequence.max(*floor);
    }
    let too_many = highest.len().saturating_sub(LIVES);
    let floors = highest.into_iter().skip(too_many);
    floors.map(|(incarnation, sequence)| Position { incarnation, sequence }).collect()
}

/// The calls before the next one.
fn remembered(chain: &Chain) -> Vec<EarlierCall> {
    let last = chain.last.used.map(|used| EarlierCall { used, key: chain.last.call.key });
    let too_many = (chain.earlier.len() + 2).saturating_sub(RECENT);
    chain.earlier.iter().copied().chain(last).skip(too_many).collect()
}

/// What becomes of a nonce that is presented by whoever is known to be a copy, by another proof than the nonce.
#[must_use]
pub fn copied(chain: &Chain, presented: Presented, code: Code, policy: ClonePolicy) -> Verdict {
    let Presented::Genuine(at) = presented else { return Verdict::Refused(Code::NonceUnknown.into()) };
    match fork(chain, at, code, policy) {
        // It has a way to an activation of its own.
        Verdict::Fork { at, after, refusal, .. } => Verdict::Fork { at, after, replace: false, refusal },
        other => other,
    }
}

fn fork(chain: &Chain, at: Position, code: Code, policy: ClonePolicy) -> Verdict {
    let ended = matches!(chain.state, State::Ended(_));
    let is_judged = chain.resolved_at.is_some_and(|head| at < head);
    let quarantines = policy == ClonePolicy::Quarantine && chain.state == State::Active && !is_judged;
    let state = if quarantines { State::Quarantined } else { chain.state };
    Verdict::Fork {
        at,
        after: Chain { state, ..chain.clone() },
        replace: policy == ClonePolicy::Replace && !ended,
        refusal: code.into(),
    }
}
