//! The provider is asked again about whoever goes on, if it has given something to ask with.
//!
//! ```text
//!   a device token is used ──► asked within the last minute? ─ yes ─► nothing
//!                                                             └ no ──► claimed (one transaction) ─► asked (none) ─► told (one)
//!   yes ───────────────► the login goes on; with an ID token the person is proven as at a sign-in, groups and address included
//!   no ────────────────► the login ends; and if the provider says no other word of the person, whatever its word gave: see `judged`
//!   of another ────────► the login ends
//!   over by its word ──► the login ends: there is nothing to ask with any more
//!   anything else ─────► nothing: the last proof counts for as long as it counts (`reauthenticateAfter`)
//! ```
//!
//! 1. Of all replicas one asks about a login: whoever claims it. Others go on meanwhile; nobody waits for them.
//! 2. What the provider gave last is kept before anything else is answered, so a reply of ours that is lost loses nothing of the provider's.
//! 3. A provider may take each refresh token once. Where its answer was lost, a no may only mean that, and ends nothing: the token is
//!    forgotten, and it is as if there were none.
//! 4. What cannot be opened (the key is another, or not there) is as if there were none.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{Denied, People, SignIn, hashed};
use crate::{
    domain::{
        login::is_to_be_asked,
        text::{ProviderIssuer, Subject},
    },
    identity::{
        Principal, RelyingParty,
        oidc::{self, Again, Answer},
    },
    keys::nonce::NonceKeys,
    ledger::people::{Login, SignedIn},
    service::{edge::Edge, providers::Provider},
};

/// The largest that is kept, in bytes: those of large providers have some 2 kB.
const LARGEST: usize = 8 * 1024;

/// Seals and opens, once the key is there.
pub(super) struct Sealer<'a>(pub(super) &'a OnceLock<NonceKeys>, pub(super) &'a dyn Edge);

impl Sealer<'_> {
    /// Sealed for the login or whatever else `of` names; nothing while the key is not there.
    pub(super) fn seal(&self, of: &str, again: &Again) -> Option<String> {
        let text = Zeroizing::new(serde_json::to_string(again).ok()?);
        if text.len() > LARGEST {
            return None;
        }
        self.0.get()?.seal(of, &text, &self.1.entropy())
    }

    pub(super) fn open(&self, of: &str, sealed: &str) -> Option<Again> {
        serde_json::from_str(&self.0.get()?.open(of, sealed)?).ok()
    }
}

/// For what it is sealed while its owner has not begun a login yet.
pub(super) fn under_way(issuer: &ProviderIssuer, subject: &Subject) -> String {
    hashed("under way", &[issuer.as_str(), subject.as_str()])
}

/// What came of a question, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They may go on.
    Yes,
    /// A token is good for nothing any more.
    No,
    /// The same, and it may only have been used up.
    UsedUp,
    /// It was over by the provider's own word, and nothing was asked.
    Over,
    /// The provider spoke of somebody else.
    Another,
    /// What it said is neither yes nor no.
    Unbelieved,
    /// It was not reached.
    Away,
    /// Its answer was lost.
    Lost,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Yes,
        Self::No,
        Self::UsedUp,
        Self::Over,
        Self::Another,
        Self::Unbelieved,
        Self::Away,
        Self::Lost,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::UsedUp => "used-up",
            Self::Over => "over",
            Self::Another => "another",
            Self::Unbelieved => "unbelieved",
            Self::Away => "away",
            Self::Lost => "lost",
        }
    }
}

/// Whoever counts what came of questions.
pub type Counts = Arc<dyn Fn(Outcome) + Send + Sync>;

pub(super) const NO: Denied =
    Denied::Grant("the identity provider does not let you in any more: sign in again");
pub(super) const OVER: Denied = Denied::Grant("your session at the identity provider is over: sign in again");

impl<L: People> SignIn<L> {
    pub(super) fn sealer(&self) -> Sealer<'_> {
        Sealer(&self.nonces, &*self.edge)
    }

    /// Asks `provider` about whoever is signed in there, if it is time to. Returns whether it was asked: then what is known of the login is old.
    pub(super) async fn recheck(
        &self,
        provider: &Provider,
        signed_in: &SignedIn,
        now: Timestamp,
    ) -> Result<bool, Denied> {
        let login = &signed_in.login;
        let RelyingParty::Oidc(oidc) = &provider.relying_party else { return Ok(false) };
        if !is_to_be_asked(login.asked_at, now) {
            return Ok(false);
        }
        let Some(again) = self.again(oidc, login) else { return Ok(false) };
        if again.is_over(now) {
            (self.counts)(Outcome::Over);
            self.ledger.end_login(&login.id).await?;
            return Err(OVER);
        }
        if !self.ledger.ask_provider(login, now).await? {
            return Ok(false);
        }
        let claimed = Login { asked_at: now, ..login.clone() };
        match self.ask(provider, oidc, (&again, &claimed, signed_in)).await? {
            Outcome::No => Err(self.judged(provider, oidc, &claimed, login.asked_at).await?),
            Outcome::Another => Err(NO),
            _ => Ok(true),
        }
    }

    /// By what `oidc` can be asked about the login.
    pub(super) fn again(&self, oidc: &oidc::RelyingParty, login: &Login) -> Option<Again> {
        let again = self.sealer().open(&login.id, login.again.as_ref()?)?;
        oidc.can_ask(&again).then_some(again)
    }

    /// Asks about the login, which was claimed for that and else is as it was before, and keeps what the provider says of it. What a no ends is for the caller.
    pub(super) async fn ask(
        &self,
        provider: &Provider,
        oidc: &oidc::RelyingParty,
        (again, login, signed_in): (&Again, &Login, &SignedIn),
    ) -> Result<Outcome, Denied> {
        let answer = oidc.ask_again(again, &login.subject, login.asked_at).await;
        let outcome = outcome(&answer, login.in_doubt);
        (self.counts)(outcome);
        self.told(provider, login, signed_in, answer).await?;
        Ok(outcome)
    }

    async fn told(
        &self,
        provider: &Provider,
        login: &Login,
        signed_in: &SignedIn,
        answer: Answer,
    ) -> Result<(), Denied> {
        // A provider may have taken its time, and who comes is looked for where others came lately.
        let (name, now) = (provider.name.as_str(), self.edge.now());
        let next = |again: &Again| Login {
            again: self.sealer().seal(&login.id, again),
            in_doubt: false,
            ..login.clone()
        };
        let (login, who) = match answer {
            Answer::Yes(who, again) => {
                (next(&again), who.filter(|who| is_news(provider, signed_in, who, now)))
            }
            Answer::Unbelieved(why, again) => {
                warn!(
                    provider = name,
                    why, "what an identity provider says of somebody is not to be believed"
                );
                (again.as_ref().map_or_else(|| login.clone(), next), None)
            }
            Answer::No if login.in_doubt => {
                debug!(provider = name, "an identity provider cannot be asked about somebody any more");
                (Login { again: None, in_doubt: false, ..login.clone() }, None)
            }
            Answer::No => return Ok(()),
            Answer::Another => {
                warn!(provider = name, "an identity provider speaks of another: somebody is signed out");
                self.ledger.end_login(&login.id).await?;
                return Ok(());
            }
            Answer::Away(why) => {
                debug!(provider = name, why, "an identity provider was not asked about somebody");
                (login.clone(), None)
            }
            // It is in doubt since it was asked.
            Answer::Lost(why) => {
                debug!(provider = name, why, "the answer of an identity provider was lost");
                return Ok(());
            }
        };
        Ok(self.ledger.told(&login, who.as_ref(), now).await?)
    }
}

const fn outcome(answer: &Answer, in_doubt: bool) -> Outcome {
    match answer {
        Answer::Yes(..) => Outcome::Yes,
        Answer::No if in_doubt => Outcome::UsedUp,
        Answer::No => Outcome::No,
        Answer::Another => Outcome::Another,
        Answer::Unbelieved(..) => Outcome::Unbelieved,
        Answer::Away(_) => Outcome::Away,
        Answer::Lost(_) => Outcome::Lost,
    }
}

/// Whether that is to be kept. What says the same as before is kept once in a while: each time all Licenses would be looked at that the
/// person's groups concern, and a quarter less of `reauthenticateAfter` is no harm to whoever comes again.
fn is_news(provider: &Provider, known: &SignedIn, who: &Principal, now: Timestamp) -> bool {
    let age = known.proven_at.duration_until(now);
    known.principal != *who || age.saturating_mul(4) >= provider.reauthenticate_after
}
