//! The rules, and each of them broken: what a world must notice.
//!
//! The server of a world asks the real rules through [`Rules`]. If one is broken, what goes into them or comes out of them is falsified there; if
//! it is one of rule 5, the client does it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use usher::{
    domain::{
        chain::{
            self, Call, Chain, Ground, LastCall, Position, Presented, Recovery, State, Verdict, Why,
            limits::{self, Limits, Taken},
        },
        refusal::{Code, Refusal},
        terms::ClonePolicy,
    },
    keys::nonce::NonceKeys,
};

macro_rules! broken {
    ($($rule:literal $name:ident $says:literal,)+) => {
        /// A rule that is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Broken { $($name,)+ }

        impl Broken {
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The number of the rule, and what is done instead.
            pub const fn says(self) -> (u8, &'static str) {
                match self { $(Self::$name => ($rule, $says),)+ }
            }
        }
    };
}

broken! {
    1 TagUnchecked "the tag is not checked",
    2 AnsweredToAll "the last call is answered again, whoever asks",
    2 UsedGoes "a used nonce goes",
    2 NoFork "a used nonce is refused, and is no fork",
    3 RefusedAdvances "what is refused advances",
    3 HeadStays "the head stays the head",
    4 LostReplyForks "a lost reply is a fork",
    4 LateCopyForks "a late copy of a request is a fork",
    4 RepeatedIsNew "an activation repeated is not known",
    5 KeyForEachAttempt "a client draws a key for each attempt",
    5 NoLock "two threads of a client have no lock",
    5 GivesUp "a client gives up a request that was refused for now",
    5 UsedUnwritten "a client uses an answer before it is written",
    6 ForkGoesOn "a fork does not quarantine",
    6 QuarantinedGoes "who is quarantined is renewed",
    6 JudgedStops "a copy that was judged stops the activation again",
    6 CopyUnplaced "a copy is given a place that is not there",
    7 FormerStays "who recovers keeps the former activation",
    7 SupersededGoes "a superseded activation goes on",
    7 RecoversForEver "recoveries are not limited",
    7 RecoversTwice "who recovers needs a second place",
    8 NothingLapses "nothing lapses",
    8 LapsesEarly "it lapses too early",
    8 ReturnsUnplaced "it comes back without a place",
    8 OneTooMany "there is one place too many",
    8 OnlyActiveEnds "only the active can be ended",
    8 EndedGoes "an ended activation is renewed",
    8 TransfersForEver "transfers are not limited",
    9 LostForks "what was lost is a fork",
    9 OnlyAboveIsLost "only what is above the head was lost",
    9 LostWinsAgain "a lost position wins again and again",
    9 LateLostForks "a late copy from what was lost is a fork",
    9 IncarnationStays "the incarnation does not rise",
    9 SequenceAnew "the sequence begins anew",
    9 FloorOfOwn "a floor covers its own incarnation only",
    9 FloorOfAll "a floor covers all of the earlier incarnations",
    9 HeadNoFloor "the head of an ended incarnation is no floor",
    9 RebuiltUnplaced "what was lost is rebuilt without a place",
    9 MarkStays "the ledger's incarnation stays below that of its heads",
}

/// The real rules, but for the one that is broken.
#[derive(Debug, Clone, Copy)]
pub struct Rules(pub Option<Broken>);

impl Rules {
    pub fn breaks(self, broken: Broken) -> bool {
        self.0 == Some(broken)
    }

    /// Nothing of it matters, if this is broken.
    fn unless<T>(self, broken: Broken, said: T, instead: T) -> T {
        if self.breaks(broken) { instead } else { said }
    }

    pub fn read(self, keys: &NonceKeys, name: &str, nonce: &str) -> Presented {
        let read = keys.read(name, nonce);
        if read != Presented::NotOurs || !self.breaks(Broken::TagUnchecked) {
            return read;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(nonce).unwrap();
        Presented::Genuine(Position {
            incarnation: u32::from_be_bytes(bytes[4..8].try_into().unwrap()),
            sequence: u64::from_be_bytes(bytes[8..16].try_into().unwrap()),
        })
    }

    /// Whether there is a place, for somebody who holds none.
    pub fn place(self, limits: &Limits, taken: Taken<'_>, now: Timestamp) -> Result<(), Refusal> {
        let places = taken.places.saturating_sub(u32::from(self.breaks(Broken::OneTooMany)));
        let transfers = self.unless(Broken::TransfersForEver, taken.transfers, &[]);
        limits::place(limits, Taken { places, transfers, ..taken }, now)
    }

    /// The same, for a copy.
    pub fn place_of_copy(self, place: Result<(), Refusal>) -> Result<(), Refusal> {
        self.unless(Broken::CopyUnplaced, place, Ok(()))
    }

    pub fn expire(self, chain: &Chain, now: Timestamp) -> Option<Chain> {
        match self.0 {
            Some(Broken::NothingLapses) => None,
            Some(Broken::LapsesEarly) => {
                let earlier = chain.expires_at - SignedDuration::from_hours(12);
                chain::expire(&Chain { expires_at: earlier, ..chain.clone() }, now)
                    .map(|lapsed| Chain { expires_at: chain.expires_at, ..lapsed })
            }
            _ => chain::expire(chain, now),
        }
    }

    pub fn end(self, chain: &Chain, why: Why) -> Option<Chain> {
        let ends = chain.state == State::Active || !self.breaks(Broken::OnlyActiveEnds);
        chain::end(chain, why).filter(|_| ends)
    }

    pub fn rebuild(
        self,
        presented: Presented,
        until: Timestamp,
        call: &Call,
        ground: &Ground,
    ) -> Result<Option<Chain>, Refusal> {
        let place = self.unless(Broken::RebuiltUnplaced, ground.place.clone(), Ok(()));
        chain::rebuild(presented, until, call, &Ground { place, ..ground.clone() })
    }

    pub fn recover(
        self,
        former: &Chain,
        call: &Call,
        allowed: Result<(), Refusal>,
        ground: &Ground,
    ) -> Result<Recovery, Refusal> {
        self.unless(Broken::RecoversTwice, Ok(()), ground.place.clone())?;
        let allowed = self.unless(Broken::RecoversForEver, allowed, Ok(()));
        let recovery = chain::recover(former, call, allowed, ground)?;
        let superseded = self.unless(Broken::FormerStays, recovery.superseded, former.clone());
        Ok(Recovery { superseded, ..recovery })
    }

    pub fn present(self, chain: &Chain, presented: Presented, call: &Call, ground: &Ground) -> Verdict {
        let (Some(broken), Presented::Genuine(at)) = (self.0, presented) else {
            return chain::present(chain, presented, call, ground);
        };
        let forgets = match (broken, chain.state) {
            (Broken::QuarantinedGoes, State::Quarantined)
            | (Broken::SupersededGoes, State::Ended(Why::Superseded))
            | (Broken::EndedGoes, State::Ended(Why::Deactivated | Why::Withdrawn)) => State::Active,
            (_, state) => state,
        };
        let place = self.unless(Broken::ReturnsUnplaced, ground.place.clone(), Ok(()));
        let (seen, met) = (Chain { state: forgets, ..chain.clone() }, Ground { place, ..ground.clone() });
        falsified(broken, chain, at, call, ground, chain::present(&seen, presented, call, &met))
    }
}

/// What a call that presents `at` is told instead.
fn falsified(
    broken: Broken,
    chain: &Chain,
    at: Position,
    call: &Call,
    ground: &Ground,
    verdict: Verdict,
) -> Verdict {
    let is_used = matches!(&verdict, Verdict::Refused(refusal) if refusal.code == Code::NonceUsed);
    let is_forked = matches!(verdict, Verdict::Fork { .. });
    let is_remembered = chain.earlier.iter().any(|earlier| earlier.key == call.key);
    let of_former_life = at.incarnation < chain.head.incarnation;
    let in_own = |floor: &Position| floor.incarnation == at.incarnation && floor.sequence >= at.sequence;
    match (broken, verdict) {
        (Broken::AnsweredToAll, _) if chain.last.used == Some(at) => Verdict::Again,
        (Broken::UsedGoes, Verdict::Fork { .. }) => as_head(chain, at, call, ground),
        (Broken::NoFork, Verdict::Fork { refusal, .. }) => Verdict::Refused(refusal),
        (Broken::RefusedAdvances, Verdict::Refused(_)) if at == chain.head => {
            as_head(chain, at, call, ground)
        }
        (Broken::HeadStays, Verdict::Go { after, restored }) => {
            Verdict::Go { after: Chain { head: chain.head, ..after }, restored }
        }
        (Broken::LostReplyForks, Verdict::Again) => forked(chain, at, ground),
        (Broken::LateCopyForks, _) if is_used && is_remembered => forked(chain, at, ground),
        (Broken::ForkGoesOn, Verdict::Fork { at, after, replace, refusal }) => {
            Verdict::Fork { at, after: Chain { state: chain.state, ..after }, replace, refusal }
        }
        (Broken::JudgedStops, Verdict::Fork { at, after, replace, refusal })
            if ground.policy == ClonePolicy::Quarantine && chain.state == State::Active =>
        {
            Verdict::Fork { at, after: Chain { state: State::Quarantined, ..after }, replace, refusal }
        }
        (Broken::LostForks, Verdict::Go { restored: true, .. }) => forked(chain, at, ground),
        (Broken::OnlyAboveIsLost, Verdict::Go { restored: true, .. }) if at < chain.head => {
            forked(chain, at, ground)
        }
        (Broken::LostWinsAgain, _) if (is_used || is_forked) && of_former_life => {
            as_head(chain, at, call, ground)
        }
        (Broken::LateLostForks, _) if is_used && !is_remembered => forked(chain, at, ground),
        (Broken::IncarnationStays, Verdict::Go { mut after, restored: true }) => {
            after.head.incarnation = chain.head.incarnation;
            Verdict::Go { after, restored: true }
        }
        (Broken::SequenceAnew, Verdict::Go { mut after, restored: true }) => {
            after.head.sequence = 1;
            Verdict::Go { after, restored: true }
        }
        (Broken::FloorOfOwn, _) if is_used && !is_remembered && !chain.floors.iter().any(in_own) => {
            as_head(chain, at, call, ground)
        }
        (Broken::FloorOfAll, Verdict::Go { restored: true, .. })
            if chain.floors.iter().any(|floor| floor.incarnation > at.incarnation) =>
        {
            Verdict::Refused(Code::NonceUsed.into())
        }
        (Broken::HeadNoFloor, Verdict::Go { mut after, restored }) if at != chain.head => {
            after.floors.retain(|floor| *floor != chain.head);
            Verdict::Go { after, restored }
        }
        (_, verdict) => verdict,
    }
}

/// A fork, of a state that stays as it is.
fn forked(chain: &Chain, at: Position, ground: &Ground) -> Verdict {
    let replace = ground.policy == ClonePolicy::Replace;
    Verdict::Fork { at, after: chain.clone(), replace, refusal: Code::NonceUsed.into() }
}

/// What would be said if `at` were the head of an active chain, and nothing known of what was before.
fn as_head(chain: &Chain, at: Position, call: &Call, ground: &Ground) -> Verdict {
    let forgetful = Chain {
        state: State::Active,
        head: at,
        floors: Vec::new(),
        last: LastCall { used: None, call: chain.made_by },
        earlier: Vec::new(),
        ..chain.clone()
    };
    chain::present(&forgetful, Presented::Genuine(at), call, ground)
}
