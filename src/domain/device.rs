//! A device without a browser, on which somebody signs in from another one (RFC 8628).
//!
//! ```text
//!   device: asks ──► device code, user code                    person, elsewhere: types the user code, signs in, looks, says yes or no
//!     └─ asks again ──► pending … slower … refused, over, or granted, once
//! ```
//!
//! 1. Whoever has the device code is given the tokens; the user code only leads a person to it. The one is 256 bits, the other is for typing.
//! 2. A device that asks sooner than it was told is told to ask less often, from then on, whatever the answer would have been.
//! 3. The answer is given once.

use std::{fmt, str::FromStr};

use jiff::Timestamp;

use crate::domain::login::after;

/// How long a device waits for somebody, in seconds: as long as somebody may take to sign in. A message that asks for the code must be
/// answered within that time, too.
pub const LIFE: i64 = 600;
/// How long a device waits at least before it asks again, in seconds (RFC 8628, section 3.2).
pub const PAUSE: i64 = 5;
/// So much longer, in seconds, each time that it was too soon (RFC 8628, section 3.5).
const SLOWER: i64 = 5;
/// After its end a code is still known for what it was, for so long, in seconds: the device is told that it is over.
pub const REMEMBERED: i64 = 600;

/// What people type: 20 consonants, so that no word comes of it and nothing looks like a digit (RFC 8628, section 6.1).
const ALPHABET: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
/// 20^8 codes, 34 bits. They are good for [`LIFE`], guessed at a bounded pace, and whoever hits one lets another's device go on as
/// themselves: nothing that is somebody else's is gained.
const LENGTH: usize = 8;

/// A user code.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode([u8; LENGTH]);

impl UserCode {
    /// The code that these bits make. Of 2^64 numbers some codes have one more than others: one part in 10^8.
    #[must_use]
    pub fn of(entropy: [u8; 8]) -> Self {
        let mut number = u64::from_be_bytes(entropy);
        Self([(); LENGTH].map(|()| {
            let digit = usize::try_from(number % 20).unwrap_or(0);
            number /= 20;
            ALPHABET.get(digit).copied().unwrap_or(b'B')
        }))
    }

    /// As it is kept and sent: without the dash.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }
}

/// Why a text is no user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is eight consonants, such as WDJB-MJHT")]
pub struct NoCode;

impl FromStr for UserCode {
    type Err = NoCode;

    /// As people type it: in any case, with or without dashes and spaces.
    fn from_str(text: &str) -> Result<Self, NoCode> {
        let typed = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-');
        let typed: Vec<u8> = typed.map(|byte| byte.to_ascii_uppercase()).take(LENGTH + 1).collect();
        let code: [u8; LENGTH] = typed.try_into().map_err(|_| NoCode)?;
        if code.iter().all(|byte| ALPHABET.contains(byte)) { Ok(Self(code)) } else { Err(NoCode) }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.plain();
        let (first, second) = plain.split_at(LENGTH / 2);
        write!(f, "{first}-{second}")
    }
}

/// It is nobody's to read but the device's and the person's.
impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

/// What a person has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    None,
    /// No.
    No,
    /// Yes.
    Yes,
}

/// How a device waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// What a person has answered.
    pub answer: Answer,
    /// When the device last asked.
    pub asked_at: Option<Timestamp>,
    /// So long it must wait in between, in seconds.
    pub pause: i64,
    /// The last instant at which it waits.
    pub until: Timestamp,
}

/// Why a device is given nothing, in the words of RFC 8628, section 3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// Nobody has answered.
    #[error("nobody has signed in for this device yet: ask again")]
    Pending,
    /// It asks too soon.
    #[error("this is too soon: wait five seconds longer from now on")]
    SlowDown,
    /// The answer is no.
    #[error("whoever signed in said no")]
    Denied,
    /// It has waited for too long.
    #[error("nobody has signed in for this device in time: begin again")]
    Expired,
}

impl NotYet {
    /// The error's code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
        }
    }
}

impl Wait {
    /// The device asks: what it is told, and how it waits from then on.
    pub fn asked(self, now: Timestamp) -> (Result<(), NotYet>, Self) {
        let next = Self { asked_at: Some(now), ..self };
        if now > self.until {
            (Err(NotYet::Expired), next)
        } else if self.asked_at.is_some_and(|asked_at| now < after(asked_at, self.pause)) {
            (Err(NotYet::SlowDown), Self { pause: self.pause.saturating_add(SLOWER).min(LIFE), ..next })
        } else {
            let told = match self.answer {
                Answer::None => Err(NotYet::Pending),
                Answer::No => Err(NotYet::Denied),
                Answer::Yes => Ok(()),
            };
            (told, next)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    fn wait(answer: Answer) -> Wait {
        Wait { answer, asked_at: None, pause: PAUSE, until: at(LIFE) }
    }

    #[test]
    fn a_code_is_read_as_people_type_it_and_nothing_else_is_one() {
        let code: UserCode = "WDJB-MJHT".parse().unwrap();
        for typed in ["wdjbmjht", " wdjb mjht ", "WDJB--MJHT", "W-D-J-B-M-J-H-T"] {
            assert_eq!(typed.parse(), Ok(code.clone()), "{typed}");
        }
        assert_eq!((code.to_string(), code.plain()), ("WDJB-MJHT".into(), "WDJBMJHT".into()));
        assert!(!format!("{code:?}").contains("WDJB"));
        for other in ["", "WDJB-MJH", "WDJB-MJHTT", "ADJB-MJHT", "WDJB-MJH1", "WDJB_MJHT", "ẂDJB-MJHT"] {
            assert_eq!(other.parse::<UserCode>(), Err(NoCode), "{other}");
        }
    }

    #[test]
    fn codes_are_eight_of_twenty_consonants_and_each_bit_counts() {
        assert_eq!(UserCode::of([0; 8]).plain(), "BBBBBBBB");
        assert_eq!(UserCode::of(19_u64.to_be_bytes()).plain(), "ZBBBBBBB");
        assert_eq!(UserCode::of(20_u64.pow(7).to_be_bytes()).plain(), "BBBBBBBC");
        assert_eq!(ALPHABET.iter().filter(|byte| b"AEIOUY0123456789".contains(byte)).count(), 0);
        let drawn: std::collections::BTreeSet<String> =
            (0..1_000_u64).map(|n| UserCode::of((n << 40).to_be_bytes()).plain()).collect();
        assert_eq!(drawn.len(), 1_000);
    }

    #[test]
    fn a_device_is_told_what_a_person_has_answered_until_its_time_is_over() {
        let told = |answer, now| wait(answer).asked(at(now)).0;
        assert_eq!(told(Answer::None, LIFE), Err(NotYet::Pending));
        assert_eq!(told(Answer::No, LIFE), Err(NotYet::Denied));
        assert_eq!(told(Answer::Yes, LIFE), Ok(()));
        for answer in [Answer::None, Answer::No, Answer::Yes] {
            assert_eq!(told(answer, LIFE + 1), Err(NotYet::Expired));
        }
    }

    #[test]
    fn whoever_asks_too_soon_waits_longer_from_then_on_whatever_the_answer() {
        let (told, first) = wait(Answer::Yes).asked(at(10));
        assert_eq!((told, first.asked_at), (Ok(()), Some(at(10))));
        let (told, soon) = first.asked(at(14));
        assert_eq!((told, soon.pause, soon.asked_at), (Err(NotYet::SlowDown), 10, Some(at(14))));
        let (told, sooner) = soon.asked(at(23));
        assert_eq!((told, sooner.pause), (Err(NotYet::SlowDown), 15));
        assert_eq!(sooner.asked(at(38)).0, Ok(()));
        assert_eq!(first.asked(at(15)).0, Ok(()), "the pause is over at its last second");
    }

    #[test]
    fn the_codes_of_errors_are_those_of_rfc_8628() {
        let all = [NotYet::Pending, NotYet::SlowDown, NotYet::Denied, NotYet::Expired];
        let codes = all.map(NotYet::code);
        assert_eq!(codes, ["authorization_pending", "slow_down", "access_denied", "expired_token"]);
    }
}
