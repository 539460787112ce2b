//! People who sign in: who they are, where they are signed in, and what is theirs.
//!
//! What they show is kept as hashes. What is good once is taken in a transaction: of two who show it, one has it, whatever the
//! replicas. All of it is bounded, and what is over is swept in small steps by whoever adds something.

use std::{collections::BTreeSet, future::Future};

use jiff::Timestamp;

use super::{CommitError, Unavailable};
use crate::domain::{
    contract::Contract,
    device::NotYet,
    license::{Key, Uid},
    login::Tokens,
    membership::Member,
    principal::Principal,
    standing::{Candidate, Person},
    text::{Label, ProviderGroup, ProviderIssuer, Subject},
};

/// With so many passes there is none more for whoever may be anybody: sign-ins of ten minutes of everybody at once.
pub const PASSES: u32 = 20_000;
/// How many devices wait for somebody at most. Their user codes are so few of 2.6 × 10^10 that one guess a second finds none in ten minutes
/// but in one case of 4,000, and that only while as many devices wait as may.
pub const WAITING: u32 = 10_000;
/// On how many devices one person is signed in at most, and in how many browsers: one more, and the one of its kind that was not used for longest is
/// signed out.
pub const LOGINS: u32 = 50;
/// So many that are over are removed with each that begins.
pub const SWEPT: u32 = 32;
/// Of so many members of one group it is known who they are: those who came first.
pub const MEMBERS: u32 = 10_000;
/// So many may ask for one License.
pub const ASKED: u32 = 10_000;
/// For so many seconds somebody is remembered who does not sign in.
pub const REMEMBERED: i64 = 400 * 24 * 3_600;

/// What is good once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The hash of what its bearer shows.
    pub hash: String,
    /// What it stands for.
    pub content: String,
    /// The last instant at which it is good.
    pub until: Timestamp,
}

/// A device that waits until somebody has signed in for it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The hash of its device code.
    pub hash: String,
    /// Of the code that people type.
    pub user_code: String,
    /// What it says of itself, and what is seen of it.
    pub device: String,
    /// The last instant at which it waits.
    pub until: Timestamp,
}

/// A device on which somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: String,
    /// How the person's provider is known.
    pub issuer: ProviderIssuer,
    /// How it knows the person.
    pub subject: Subject,
    /// What the client calls the device; empty if it does not say.
    pub device: String,
    /// The hash of what all of its device tokens share.
    pub family: String,
    /// The hash of the last device token.
    pub current: String,
    /// Of the successor of `previous` that was given before it, if nobody has used either.
    pub sibling: Option<String>,
    /// Of the one before.
    pub previous: Option<String>,
    /// Of the one before that, and the last instant at which it may be a repetition.
    pub late: Option<(String, Timestamp)>,
    /// Of the access token.
    pub access: String,
    /// The last instant at which that is good.
    pub access_until: Timestamp,
    /// When it began.
    pub since: Timestamp,
    /// When its device token was last used.
    pub used_at: Timestamp,
    /// The first instant at which it is over.
    pub ends_at: Timestamp,
    /// By what the provider is asked again about the person: sealed; nothing if it gave nothing.
    pub again: Option<String>,
    /// When it was last asked, if it can be.
    pub asked_at: Timestamp,
    /// Whether its answer was lost, or is under way.
    pub in_doubt: bool,
    /// The thumbprint of the key to which its tokens are bound (RFC 9449, RFC 7638); nothing if they alone are enough.
    pub jkt: Option<String>,
    /// Its version: it rises with each change.
    pub version: i64,
}

impl Login {
    /// Its device tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens {
            current: &self.current,
            sibling: self.sibling.as_deref(),
            previous: self.previous.as_deref(),
            late: self.late.as_ref().map(|(token, until)| (token.as_str(), *until)),
        }
    }
}

/// What became of a code that was to begin a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The login has begun.
    Now,
    /// Another login had begun by it.
    Before(String),
    /// There is no such code, or it is too old.
    Unknown,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub principal: Principal,
    /// When their provider last said so; long ago if it has said since that they are not let in any more.
    pub proven_at: Timestamp,
    /// Where.
    pub login: Login,
}

/// What somebody meets under a License.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The License.
    pub license: Uid,
    /// What it says; nothing while it was not reconciled.
    pub contract: Option<Contract>,
    /// Its turn.
    pub turn: i64,
    /// Which life of the ledger this is.
    pub incarnation: u32,
    /// Seats that may be theirs.
    pub candidates: Vec<Candidate>,
    /// Their address is pinned to another, under this License or any.
    pub elsewhere: bool,
}

/// A seat that is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Who holds it: [`crate::domain::license::Holder::identity`].
    pub holder: String,
    /// How the person's provider is known.
    pub issuer: ProviderIssuer,
    /// How it knows the person.
    pub subject: Subject,
}

/// A group of people at a provider, or of that name at any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupAt {
    /// The provider; any if there is none.
    pub provider: Option<Label>,
    /// The group's name there.
    pub name: ProviderGroup,
}

/// Who may take a seat of a License by signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// They, as their providers last proved them.
    pub people: Vec<Member>,
    /// Since when it is known who was proven; always, if there is none: the ledger never was lost.
    pub known_since: Option<Timestamp>,
}

/// Somebody was proven, or has asked for a License.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// How the person's provider is known.
    pub issuer: ProviderIssuer,
    /// How it knows the person.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
    /// What is about them.
    pub news: News,
}

/// What is about somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// They are in these groups at this provider, or were before that last changed.
    Proven(Label, BTreeSet<ProviderGroup>),
    /// They have asked for this License.
    Asked(Key),
    /// They come with the address by which another holds a seat of this License.
    Contests(Key),
}

/// The port to people.
pub trait People: Send + Sync + 'static {
    /// Keeps a pass. `false` if there are `at_most` already.
    fn keep_pass(
        &self,
        pass: &Pass,
        at_most: Option<u32>,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// What the pass of this hash stands for, if it is good and nobody has taken it.
    fn pass(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<String>, Unavailable>> + Send;

    /// The same, and it is gone with that.
    fn take_pass(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<String>, CommitError>> + Send;

    /// Uses the assertion of this hash, which could be shown until then. `false` if it was used.
    fn use_assertion(
        &self,
        hash: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// A device waits. `false` if too many do, or one does with this very code.
    fn await_person(
        &self,
        waiting: &Waiting,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// The device whose user code has this hash, if it waits and nobody has answered.
    fn waiting(
        &self,
        user_code: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Waiting>, Unavailable>> + Send;

    /// Somebody has answered the device whose code has this hash: yes, with the pass that is to be kept for it, or no. `false` if it does
    /// not wait any more, or somebody was faster.
    fn answer_device(
        &self,
        hash: &str,
        yes: Option<&Pass>,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// The device whose code has this hash asks what was answered. Nothing if there is none.
    fn ask_answer(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Result<(), NotYet>>, CommitError>> + Send;

    /// Keeps who somebody is, as proven just now.
    fn meet(&self, who: &Principal, now: Timestamp) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Spends the code of this hash for a login that begins.
    fn begin_login(
        &self,
        code: &str,
        login: &Login,
    ) -> impl Future<Output = Result<Begun, CommitError>> + Send;

    /// The login that the code of this hash began.
    fn begun_login(&self, code: &str) -> impl Future<Output = Result<Option<String>, Unavailable>> + Send;

    /// Who is signed in where all device tokens share what has this hash, if that is not over.
    fn login(
        &self,
        family: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<SignedIn>, Unavailable>> + Send;

    /// The login goes on with these tokens, if it still has the version that `login` has; that rises.
    fn go_on(&self, login: &Login) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// The provider is about to be asked about whoever is signed in there: `false` if another asks, or it is over. The answer is in doubt
    /// until it is [told](Self::told), whatever becomes of whoever asked.
    fn ask_provider(
        &self,
        login: &Login,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// The provider, asked at [`Login::asked_at`], has answered: from now on `login` says by what it is asked the next time, and whether
    /// anything is in doubt, and this is who the person is, as proven just now. Nothing of that if the login is over.
    fn told(
        &self,
        login: &Login,
        who: Option<&Principal>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// What the provider has said, asked at [`Login::asked_at`], was not understood yet: it is as if it had last been asked `before`, and it is asked the
    /// next time.
    fn unasked(
        &self,
        login: &Login,
        before: Timestamp,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Where else the person of `login` is signed in, if their provider can be asked about it: those that were used last, at most so many.
    fn elsewhere(
        &self,
        login: &Login,
        now: Timestamp,
        at_most: u32,
    ) -> impl Future<Output = Result<Vec<SignedIn>, Unavailable>> + Send;

    /// The provider, asked at [`Login::asked_at`], does not let the person in any more: the login is over, and nothing that it has said of
    /// them before counts, unless they were proven since. Nothing of that if the login is over already.
    fn deny(&self, login: &Login, now: Timestamp) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Whether the provider of this issuer can be asked again about each who is signed in there; nothing if nobody is.
    fn can_be_asked(
        &self,
        issuer: &ProviderIssuer,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<bool>, Unavailable>> + Send;

    /// The login of this id is over, with all its tokens. `false` if it was.
    fn end_login(&self, id: &str) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// Whose access token has this hash, if it is good.
    fn signed_in(
        &self,
        access: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<SignedIn>, Unavailable>> + Send;

    /// Whoever is in one of the groups `of`, and whoever has asked for the License: in the order in which they came, nobody twice.
    fn members(
        &self,
        license: &Uid,
        of: &[GroupAt],
    ) -> impl Future<Output = Result<Members, Unavailable>> + Send;

    /// Somebody asks for a License. `false` if too many have, or they are not known.
    fn ask_for(
        &self,
        license: &Uid,
        person: &Person,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, CommitError>> + Send;

    /// Who was proven, whose seats they contest with that, and who asked for a License, at `since` or later.
    fn arrivals(
        &self,
        since: Timestamp,
    ) -> impl Future<Output = Result<BTreeSet<Arrival>, Unavailable>> + Send;

    /// What `person` meets under the License of this name.
    fn met(
        &self,
        license: &Key,
        person: &Person,
    ) -> impl Future<Output = Result<Option<Met>, Unavailable>> + Send;
}
