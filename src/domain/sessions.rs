//! Sessions: short uses of a License by its activations, counted against limits, kept alive by heartbeats.
//!
//! ```text
//!   open ──► Open ──heartbeat──► Open, for another ttl
//!             │
//!             ├─ closed · no heartbeat until `until` has passed
//!             ├─ its activation has ended, or lapsed: deactivated, superseded, its seat freed, its user gone
//!             └─ the License is suspended, or gone ──► Ended, for good
//! ```
//!
//! 1. What is open counts: for its holder (a user on all devices; a device by itself), and for the License. Both are counted and one more is
//!    taken in one transaction.
//! 2. An absent limit is none. A lowered limit closes nothing: no new session is opened until fewer are open.
//! 3. `until` is the last instant at which a session is open. It never moves back, and what was counted as ended once stays ended,
//!    also if the clock goes back.
//! 4. Under `Advise` a session beyond a limit is opened, and marked.
//! 5. While two copies of an activation are known and nobody has decided, no session is opened; those that are open go on.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    chain::{State, Why},
    license::License,
    refusal::{Code, Refusal},
    terms::{Enforcement, Sessions},
    text::DeviceName,
};

/// So many of the sessions that stand in the way are named.
pub const NAMED: u32 = 8;

/// How many are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of the holder.
    pub own: u32,
    /// Of the License.
    pub total: u32,
}

/// Whose sessions are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// One holder's: `sessions.perUser`.
    Holder,
    /// All of the License: `sessions.total`.
    License,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Whose sessions it limits.
    pub whose: Whose,
    /// How many may be open.
    pub most: u32,
    /// How many are.
    pub open: u32,
}

/// A session that stands in the way, as whoever is refused is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What people call the device.
    pub device: Option<DeviceName>,
    /// When it was opened.
    pub since: Timestamp,
}

/// What is told beside the refusal of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// The limit.
    pub reached: Reached,
    /// Those that were opened first.
    pub oldest: Vec<Elsewhere>,
}

/// Whether an activation in `state`, whose document is good until `expires_at`, may use sessions.
///
/// # Errors
/// When the License rests, or the activation has ended or lapsed.
pub fn may_use(
    license: &License,
    state: State,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    match state {
        State::Ended(Why::Superseded) => return Err(Code::ActivationSuperseded.into()),
        State::Ended(Why::Deactivated | Why::Withdrawn) => return Err(Code::ActivationEnded.into()),
        State::Lapsed => return Err(Code::ActivationLapsed.into()),
        State::Active | State::Quarantined if now > expires_at => {
            return Err(Code::ActivationLapsed.into());
        }
        State::Active | State::Quarantined => {}
    }
    license.grants(now)
}

/// The same, for one session more.
///
/// # Errors
/// The same, and while a fork is not resolved.
pub fn may_open(
    license: &License,
    state: State,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    may_use(license, state, expires_at, now)?;
    if state == State::Quarantined { Err(Code::ActivationQuarantined.into()) } else { Ok(()) }
}

/// Whether one more may be opened beside those that are counted; and if so, whether it is beyond a limit.
///
/// # Errors
/// The limit that is reached.
pub fn open(terms: &Sessions, enforcement: Enforcement, counted: Counted) -> Result<bool, Reached> {
    let limits = [(Whose::Holder, terms.per_user, counted.own), (Whose::License, terms.total, counted.total)];
    let reached = limits.into_iter().find_map(|(whose, most, open)| {
        most.filter(|most| open >= *most).map(|most| Reached { whose, most, open })
    });
    match (reached, enforcement) {
        (None, _) => Ok(false),
        (Some(_), Enforcement::Advise) => Ok(true),
        (Some(reached), Enforcement::Enforce) => Err(reached),
    }
}

/// The last instant at which a session is open of which was heard at `now`.
#[must_use]
pub fn until(terms: &Sessions, now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(terms.ttl)).unwrap_or(Timestamp::MAX)
}

impl From<Exhausted> for Refusal {
    fn from(exhausted: Exhausted) -> Self {
        let Reached { whose, most, open } = exhausted.reached;
        let whose = match whose {
            Whose::Holder => "of this user or device",
            Whose::License => "of the License",
        };
        let names: Vec<&str> =
            exhausted.oldest.iter().filter_map(|one| one.device.as_ref().map(DeviceName::as_str)).collect();
        let on =
            if names.is_empty() { String::new() } else { format!(", the oldest on {}", names.join(", ")) };
        let detail = format!("{open} sessions {whose} are open{on}; {most} may be.");
        Self { exhausted: Some(Box::new(exhausted)), ..Self::new(Code::SessionsExhausted, detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        license::{
            Validity,
            tests::{at, license},
        },
        terms::Afterwards,
    };

    const TERMS: Sessions = Sessions { per_user: Some(1), total: Some(3), ttl: 60 };

    fn asked(terms: &Sessions, enforcement: Enforcement, own: u32, total: u32) -> Result<bool, Reached> {
        open(terms, enforcement, Counted { own, total })
    }

    #[test]
    fn a_holder_has_so_many_open_and_a_license_so_many_in_all() {
        let asked = |own, total| asked(&TERMS, Enforcement::Enforce, own, total);
        assert_eq!(asked(0, 2), Ok(false));
        assert_eq!(asked(1, 1), Err(Reached { whose: Whose::Holder, most: 1, open: 1 }));
        assert_eq!(asked(0, 3), Err(Reached { whose: Whose::License, most: 3, open: 3 }));
        assert_eq!(asked(0, 9), Err(Reached { whose: Whose::License, most: 3, open: 9 }), "it was lowered");
        assert_eq!(asked(1, 3).map_err(|reached| reached.whose), Err(Whose::Holder), "one's own come first");
    }

    #[test]
    fn an_absent_limit_is_none_and_advice_grants_and_marks() {
        let unlimited = Sessions { per_user: None, total: None, ttl: 60 };
        assert_eq!(asked(&unlimited, Enforcement::Enforce, 1_000, 1_000), Ok(false));
        assert_eq!(asked(&TERMS, Enforcement::Advise, 0, 2), Ok(false));
        assert_eq!(asked(&TERMS, Enforcement::Advise, 1, 1), Ok(true));
    }

    #[test]
    fn a_session_lasts_its_ttl_from_when_it_was_last_heard_of() {
        assert_eq!(until(&TERMS, at(100)), at(160));
        assert_eq!(until(&TERMS, Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn an_activation_uses_sessions_while_it_lasts_and_its_license_grants() {
        let code = |license: &License, state, now| {
            may_use(license, state, at(100), at(now)).err().map(|refusal| refusal.code)
        };
        let grants = license(1);
        for (state, expected) in [
            (State::Active, None),
            (State::Quarantined, None),
            (State::Lapsed, Some(Code::ActivationLapsed)),
            (State::Ended(Why::Superseded), Some(Code::ActivationSuperseded)),
            (State::Ended(Why::Deactivated), Some(Code::ActivationEnded)),
            (State::Ended(Why::Withdrawn), Some(Code::ActivationEnded)),
        ] {
            assert_eq!(code(&grants, state, 100), expected, "{state:?}");
        }
        assert_eq!(code(&grants, State::Active, 101), Some(Code::ActivationLapsed));
        let rests = License { suspended: true, ..grants.clone() };
        assert_eq!(code(&rests, State::Active, 100), Some(Code::LicenseSuspended));
        let validity = Validity { from: None, until: Some(at(50)), afterwards: Afterwards::Stop };
        let over = License { validity, ..grants };
        assert_eq!(code(&over, State::Active, 49), None);
        assert_eq!(code(&over, State::Active, 50), Some(Code::LicenseExpired));
    }

    #[test]
    fn of_an_activation_with_an_open_fork_no_session_is_opened() {
        let opens = |state| may_open(&license(1), state, at(100), at(1)).map_err(|refusal| refusal.code);
        assert_eq!(opens(State::Active), Ok(()));
        assert_eq!(opens(State::Quarantined), Err(Code::ActivationQuarantined));
        assert_eq!(opens(State::Lapsed), Err(Code::ActivationLapsed));
    }

    #[test]
    fn a_refusal_says_how_many_are_open_and_where() {
        let refusal = |whose, devices: &[Option<&str>]| {
            let oldest = devices.iter().map(|device| Elsewhere {
                device: device.map(|device| device.parse().unwrap()),
                since: at(1),
            });
            let reached = Reached { whose, most: 2, open: 3 };
            Refusal::from(Exhausted { reached, oldest: oldest.collect() })
        };
        let two = refusal(Whose::License, &[Some("Lab 3"), None, Some("Lab 4")]);
        assert_eq!(two.detail, "3 sessions of the License are open, the oldest on Lab 3, Lab 4; 2 may be.");
        assert_eq!((two.code, two.exhausted.unwrap().oldest.len()), (Code::SessionsExhausted, 3));
        let unnamed = refusal(Whose::Holder, &[None]);
        assert_eq!(unnamed.detail, "3 sessions of this user or device are open; 2 may be.");
    }
}
