//! Refusals, as the audit is told of them: they are counted, so that a flood of them is no flood of entries.
//!
//! ```text
//!   refused ──► the first of its caller with its code since the minute began? ──► told at once
//!                 │ no: counted                                                      │
//!                 ▼                                                                  ▼
//!   the minute is over ──► of each caller and code, how many more; then another minute begins with the next refusal
//! ```
//!
//! 1. Callers are told apart while there are few: whoever comes after [`KNOWN`] of those with a good credential, after [`STRANGERS`] of those
//!    without one, or after [`PEOPLE`] of those who sign in, is counted by the code alone. So strangers crowd out no caller, and a minute is some 200
//!    entries at most, whoever comes.
//! 2. What is no request at all, and what was put off because something is away, is not told: nobody was denied anything.
//! 3. A clock that went back ends the minute.
//! 4. The first says what it was about. A License that somebody names who has no credential that is good is no fact; an activation is one if it is there.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{license::Key, refusal::Code};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// So many callers and codes of those whose credential was good are told apart in a minute.
const KNOWN: usize = 48;
/// The same, of those who had none that is good.
const STRANGERS: usize = 16;
/// The same, of those who were not signed in.
const PEOPLE: usize = 16;

/// Who was refused: a salted hash, which tells one caller from another and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller(pub [u8; 32]);

/// What a refusal was about, as far as the call says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The License.
    pub license: Option<Key>,
    /// The activation.
    pub activation: Option<String>,
}

/// The longest namespace or name (RFC 1123, of which Kubernetes' names are).
const NAME: usize = 253;

impl About {
    /// The License that somebody calls so; nothing if no License can be called so.
    #[must_use]
    pub fn license(text: &str) -> Self {
        let plain = |name: &&str| {
            (1..=NAME).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        };
        let parts = text.split_once('/').filter(|(namespace, name)| plain(namespace) && plain(name));
        Self { license: parts.map(|(namespace, name)| Key::new(namespace, name)), activation: None }
    }

    /// The activation of this id.
    #[must_use]
    pub fn activation(id: &str) -> Self {
        Self { license: None, activation: Some(id.to_owned()) }
    }
}

macro_rules! people {
    ($($name:ident $word:literal $sentence:literal,)+) => {
        /// Why somebody was not signed in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum NotSignedIn { $(#[doc = $sentence] $name,)+ }

        impl NotSignedIn {
            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

people! {
    NoProvider "no-provider" "No provider has the domain that was typed.",
    Elsewhere "another-browser" "The sign-in was begun in another browser, is finished, or took too long.",
    UnknownCode "unknown-code" "No device waits under the code that was typed.",
    TooOften "too-many-codes" "Too many codes were typed from one network.",
    NoDevices "no-device-codes" "Nobody signs in by a code here.",
    Forged "forged-form" "A form was not sent by Usher's own page.",
    ProviderGone "provider-gone" "The provider was taken away meanwhile.",
    Denied "provider-denied" "The provider has let nobody in.",
    Disbelieved "provider-disbelieved" "What the provider says is not to be believed, or not about somebody who counts.",
    Client "unknown-client" "Another client asks for tokens.",
    Grant "grant-unknown" "A code or a device token is good for nothing.",
    Proof "proof-refused" "The proof of possession is missing or does not hold.",
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A call.
    Call(Code),
    /// To sign somebody in.
    SignIn(NotSignedIn),
}

/// Whose room an entry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Known,
    Strangers,
    People,
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call(code) => code.as_str(),
            Self::SignIn(why) => why.as_str(),
        }
    }

    const fn room(self) -> Option<Room> {
        match self {
            Self::SignIn(_) => Some(Room::People),
            Self::Call(code) => match has_credential(code) {
                Some(true) => Some(Room::Known),
                Some(false) => Some(Room::Strangers),
                None => None,
            },
        }
    }
}

impl Room {
    const fn most(self) -> usize {
        match self {
            Self::Known => KNOWN,
            Self::Strangers => STRANGERS,
            Self::People => PEOPLE,
        }
    }
}

/// What the audit is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The first of a caller with a code, by the name of the call, and what it was about.
    First(&'static str, What, Caller, About),
    /// How many more there were in that minute; of no caller, of all who were not told apart.
    More(What, Option<Caller>, u64),
}

/// Whether a code means that somebody was denied something, and whether they had a credential that is good.
#[must_use]
pub const fn has_credential(code: Code) -> Option<bool> {
    match code {
        Code::NotFound
        | Code::MethodNotAllowed
        | Code::RequestInvalid
        | Code::MediaTypeUnsupported
        | Code::RequestTooLarge
        | Code::RequestTimeout
        | Code::HeadersTooLarge
        | Code::Unavailable
        | Code::Overloaded
        | Code::ClusterUnreachable
        | Code::LedgerMissing
        | Code::LedgerForeign => None,
        Code::Unauthorized
        | Code::ProofMissing
        | Code::ProofInvalid
        | Code::ProofStale
        | Code::AudienceWrong
        | Code::RateLimited => Some(false),
        _ => Some(true),
    }
}

/// The refusals of a minute.
#[derive(Debug, Default)]
pub struct Tally {
    began: Option<Timestamp>,
    apart: BTreeMap<(What, Caller), u64>,
    together: BTreeMap<What, u64>,
    first: Vec<Told>,
}

impl Tally {
    /// Notes that `call` was refused to `caller` at `now`.
    pub fn note(&mut self, call: &'static str, what: What, caller: Caller, about: About, now: Timestamp) {
        let Some(room) = what.room() else { return };
        self.began.get_or_insert(now);
        if let Some(count) = self.apart.get_mut(&(what, caller)) {
            *count = count.saturating_add(1);
            return;
        }
        let alike = self.apart.keys().filter(|(other, _)| other.room() == Some(room));
        if alike.count() >= room.most() {
            let count = self.together.entry(what).or_default();
            *count = count.saturating_add(1);
            return;
        }
        self.apart.insert((what, caller), 0);
        let license = about.license.filter(|_| room == Room::Known);
        self.first.push(Told::First(call, what, caller, About { license, ..about }));
    }

    /// What is to be told at `now`, once.
    pub fn take(&mut self, now: Timestamp) -> Vec<Told> {
        let over = |began: Timestamp| now < began || now.duration_since(began) >= MINUTE;
        if self.began.is_some_and(over) { self.take_all() } else { std::mem::take(&mut self.first) }
    }

    /// The same, as if the minute were over.
    pub fn take_all(&mut self) -> Vec<Told> {
        let Self { apart, together, first, .. } = std::mem::take(self);
        let apart = apart.into_iter().map(|((code, caller), more)| Told::More(code, Some(caller), more));
        let together = together.into_iter().map(|(code, more)| Told::More(code, None, more));
        let more = apart.chain(together).filter(|told| !matches!(told, Told::More(_, _, 0)));
        first.into_iter().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    const FULL: What = What::Call(Code::SeatsExhausted);
    const UNAUTHORIZED: What = What::Call(Code::Unauthorized);

    fn note(tally: &mut Tally, call: &'static str, what: What, caller: Caller, second: i64) {
        tally.note(call, what, caller, About::default(), at(second));
    }

    fn first(call: &'static str, what: What, caller: Caller) -> Told {
        Told::First(call, what, caller, About::default())
    }

    fn caller(number: u16) -> Caller {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Caller(bytes)
    }

    #[test]
    fn of_a_caller_and_a_code_the_first_in_a_minute_is_told_at_once_and_then_how_many_more() {
        let (mut tally, ann, bob) = (Tally::default(), caller(1), caller(2));
        note(&mut tally, "activate", FULL, ann, 100);
        assert_eq!(tally.take(at(100)), [first("activate", FULL, ann)]);
        for second in [101, 120, 159] {
            note(&mut tally, "activate", FULL, ann, second);
        }
        note(&mut tally, "activate", FULL, bob, 120);
        note(&mut tally, "refresh", What::Call(Code::LicenseSuspended), ann, 130);
        let firsts = tally.take(at(159));
        assert_eq!(
            firsts,
            [first("activate", FULL, bob), first("refresh", What::Call(Code::LicenseSuspended), ann)]
        );
        assert_eq!(tally.take(at(160)), [Told::More(FULL, Some(ann), 3)]);
        assert_eq!(tally.take(at(300)), [], "silence tells nothing");
        note(&mut tally, "activate", FULL, ann, 300);
        assert_eq!(tally.take(at(300)), [first("activate", FULL, ann)], "another minute");
    }

    #[test]
    fn a_flood_is_counted_and_strangers_crowd_out_nobody() {
        let mut tally = Tally::default();
        for number in 0..10_000 {
            note(&mut tally, "refresh", UNAUTHORIZED, caller(number), 100);
        }
        note(&mut tally, "activate", FULL, caller(1), 101);
        for number in 0..10_000 {
            note(&mut tally, "activate", FULL, caller(number), 102);
        }
        let told = tally.take(at(160));
        let firsts = told.iter().filter(|told| matches!(told, Told::First(..))).count();
        assert_eq!(firsts, KNOWN + STRANGERS);
        let strangers = Told::More(UNAUTHORIZED, None, 10_000 - u64::try_from(STRANGERS).unwrap());
        let known = Told::More(FULL, None, 10_000 - u64::try_from(KNOWN).unwrap());
        assert!(told.contains(&strangers) && told.contains(&known), "{told:?}");
        assert_eq!(told.len(), firsts + 3, "and caller 1, once more");
    }

    #[test]
    fn what_denies_nobody_anything_is_not_told() {
        let mut tally = Tally::default();
        for code in [Code::NotFound, Code::RequestInvalid, Code::Unavailable, Code::LedgerMissing] {
            note(&mut tally, "other", What::Call(code), caller(1), 100);
        }
        assert_eq!(tally.take_all(), []);
    }

    #[test]
    fn a_clock_that_went_back_ends_the_minute() {
        let mut tally = Tally::default();
        for _ in 0..2 {
            note(&mut tally, "activate", FULL, caller(1), 10_000);
        }
        let told = [first("activate", FULL, caller(1)), Told::More(FULL, Some(caller(1)), 1)];
        assert_eq!(tally.take(at(100)), told);
    }

    #[test]
    fn whoever_is_not_signed_in_has_room_of_their_own_and_crowds_out_nobody() {
        let mut tally = Tally::default();
        for number in 0..100 {
            note(&mut tally, "signIn", What::SignIn(NotSignedIn::UnknownCode), caller(number), 100);
            note(&mut tally, "refresh", UNAUTHORIZED, caller(number), 100);
        }
        let told = tally.take(at(100));
        let of =
            |what| told.iter().filter(|told| matches!(told, Told::First(_, of, ..) if *of == what)).count();
        assert_eq!(of(What::SignIn(NotSignedIn::UnknownCode)), PEOPLE);
        assert_eq!(of(UNAUTHORIZED), STRANGERS);
    }

    #[test]
    fn what_it_was_about_is_told_but_no_license_that_a_stranger_names() {
        let about = |text: &str| About { activation: Some("a".into()), ..About::license(text) };
        let mut tally = Tally::default();
        tally.note("activate", FULL, caller(1), about("design/cad"), at(100));
        tally.note("activate", UNAUTHORIZED, caller(2), about("design/cad"), at(100));
        let strangers = About::activation("a");
        assert_eq!(
            tally.take(at(100)),
            [
                Told::First("activate", FULL, caller(1), about("design/cad")),
                Told::First("activate", UNAUTHORIZED, caller(2), strangers),
            ]
        );
        let long = format!("design/{}", "c".repeat(NAME + 1));
        for none in
            ["", "cad", "/cad", "design/", "design/ann@acme.example", "design/cad/x", "Design/cad", &long]
        {
            assert_eq!(About::license(none), About::default(), "{none}");
        }
    }
}
