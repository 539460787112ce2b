//! How an activation begins and ends: rules 4 and 7 to 9.

use jiff::Timestamp;

use super::{Call, Chain, Ground, LastCall, Position, Presented, State, Verdict, Why};
use crate::domain::refusal::{Code, Refusal};

/// A new activation, whose first nonce is its head. So is the one that a fork is given under `Replace`.
///
/// # Errors
/// When the License grants nothing, or there is no place.
pub fn activate(call: &Call, ground: &Ground) -> Result<Chain, Refusal> {
    ground.grants.clone()?;
    ground.place.clone()?;
    Ok(begun(call, None, ground))
}

/// An activation at its beginning, after `lost` was used.
fn begun(call: &Call, lost: Option<Position>, ground: &Ground) -> Chain {
    let known = ground.incarnation;
    let (incarnation, sequence) = match lost {
        None => (known, 0),
        Some(at) => (known.max(at.incarnation.saturating_add(1)), at.sequence.saturating_add(1)),
    };
    Chain {
        state: State::Active,
        head: Position { incarnation, sequence },
        floors: lost.into_iter().collect(),
        made_by: *call,
        last: LastCall { used: lost, call: *call },
        earlier: Vec::new(),
        resolved_at: None,
        expires_at: ground.times.expires_at,
    }
}

/// What becomes of `call` if a call by the same caller with the same key made `chain`.
#[must_use]
pub fn repeated(chain: &Chain, call: &Call) -> Verdict {
    if chain.made_by != *call {
        return Verdict::Refused(Code::IdempotencyKeyUsed.into());
    }
    match chain.state {
        State::Ended(Why::Superseded) => Verdict::Refused(Code::ActivationSuperseded.into()),
        State::Ended(Why::Deactivated | Why::Withdrawn) => Verdict::Refused(Code::ActivationEnded.into()),
        _ if chain.last.call == *call => Verdict::Again,
        _ => Verdict::Refused(Code::NonceUsed.into()),
    }
}

/// A device that was activated again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The old activation from now on.
    pub superseded: Chain,
    /// The new one.
    pub chain: Chain,
    /// It counts as a recovery: a document of the old one may still be good.
    pub counts: bool,
}

/// Activates again the device of `former`, which has not ended, with the credential that made it. `recoveries` is what
/// [`super::limits::recovery`] says.
///
/// # Errors
/// When the License grants nothing, it was recovered too often, or it had lapsed and there is no place.
pub fn recover(
    former: &Chain,
    call: &Call,
    recoveries: Result<(), Refusal>,
    ground: &Ground,
) -> Result<Recovery, Refusal> {
    let counts = former.holds_place();
    let chain = if counts {
        recoveries?;
        let chain = activate(call, &Ground { place: Ok(()), ..ground.clone() })?;
        Chain { expires_at: chain.expires_at.max(former.expires_at), ..chain }
    } else {
        activate(call, ground)?
    };
    let superseded = Chain { state: State::Ended(Why::Superseded), ..former.clone() };
    Ok(Recovery { superseded, chain, counts })
}

/// An activation that the ledger has lost, rebuilt from its nonce and its last document, which was verified and is good until
/// `expires_at`. Nothing if the nonce is not ours or the document has ended: then it is activated like any other, and
/// the client need not ask in another way. Ended activations are kept until their last document has ended: so one that is not
/// there while its document is good was lost.
///
/// # Errors
/// When the License grants nothing, or there is no place.
pub fn rebuild(
    presented: Presented,
    expires_at: Timestamp,
    call: &Call,
    ground: &Ground,
) -> Result<Option<Chain>, Refusal> {
    let Presented::Genuine(at) = presented else { return Ok(None) };
    if expires_at < ground.now {
        return Ok(None);
    }
    ground.grants.clone()?;
    ground.place.clone()?;
    let chain = begun(call, Some(at), ground);
    Ok(Some(Chain { expires_at: chain.expires_at.max(expires_at), ..chain }))
}

/// Ends an activation; nothing if it has ended. Needs no nonce.
#[must_use]
pub fn end(chain: &Chain, why: Why) -> Option<Chain> {
    let lives = !matches!(chain.state, State::Ended(_));
    lives.then(|| Chain { state: State::Ended(why), ..chain.clone() })
}

/// Lets lapse whose last document has ended; nothing if it has not, or holds no place. To be asked of all who hold places
/// before they are counted for somebody else.
#[must_use]
pub fn expire(chain: &Chain, now: Timestamp) -> Option<Chain> {
    let lapses = chain.holds_place() && now > chain.expires_at;
    lapses.then(|| Chain { state: State::Lapsed, ..chain.clone() })
}

/// The chain as it is by now.
#[must_use]
pub fn as_of(chain: &Chain, now: Timestamp) -> Chain {
    expire(chain, now).unwrap_or_else(|| chain.clone())
}

/// Ends a quarantine: whoever has the head goes on, and older copies do not stop it again. Nothing if there is none.
#[must_use]
pub fn resolve(chain: &Chain) -> Option<Chain> {
    let resolves = chain.state == State::Quarantined;
    resolves.then(|| Chain { state: State::Active, resolved_at: Some(chain.head), ..chain.clone() })
}
