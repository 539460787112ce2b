//! A provider has said no about one sign-in of somebody. Is that a no to the person?
//!
//! ```text
//!   another sign-in of theirs, by its own token ─── yes ──────────► this one ends, and nothing else: its session was over
//!                                               ├── no, or the like ► the next one
//!                                               └── not answered ──► nothing is known: whoever goes on is told to come again
//!   none is left ──────────────────────────────────────────────────► they are denied: all ends that the provider's word gave
//! ```
//!
//! `invalid_grant` is one word for much (RFC 6749, section 5.2): the person is gone or disabled, but also that this session was ended or not used for too
//! long, that there are too many others, that a password is new. What is true of the person is true of each of their sign-ins, what is true of a
//! session of that alone. So where there are others, the provider is asked about those, at once: a leaver is out with the first no, and nobody loses
//! their seat to an old machine. Where there is no other, a no is a no. [Why](docs/decisions/2026-11-27-one-no.md).

use jiff::Timestamp;
use tracing::info;

use super::{
    Denied, Failure, People, SignIn,
    recheck::{NO, OVER, Outcome},
};
use crate::{
    domain::login::is_to_be_asked, identity::oidc, ledger::people::Login, service::providers::Provider,
};

/// About so many others a provider is asked at once, those that were used last: whoever is still there uses one of these.
pub(super) const OTHERS: u32 = 8;

/// What a provider says of somebody, their other sign-ins asked about.
enum Word {
    Yes,
    No,
    Unknown,
}

impl<L: People> SignIn<L> {
    /// What becomes of whoever goes on with the login, about which the provider was asked and said no; before that it was asked `before`.
    pub(super) async fn judged(
        &self,
        provider: &Provider,
        oidc: &oidc::RelyingParty,
        login: &Login,
        before: Timestamp,
    ) -> Result<Denied, Denied> {
        let name = provider.name.as_str();
        match self.said_elsewhere(provider, oidc, login).await? {
            Word::Yes => {
                info!(
                    provider = name,
                    "an identity provider has ended one sign-in of somebody, and no other"
                );
                self.ledger.end_login(&login.id).await?;
                Ok(OVER)
            }
            Word::No => {
                info!(provider = name, "an identity provider lets somebody in no more: they are signed out");
                self.ledger.deny(login, self.edge.now()).await?;
                Ok(NO)
            }
            Word::Unknown => {
                self.ledger.unasked(login, before).await?;
                let why = format!(
                    "the identity provider {name} has ended a sign-in, and does not say whether its person may go on"
                );
                Ok(Failure::Unavailable(why.into()).into())
            }
        }
    }

    async fn said_elsewhere(
        &self,
        provider: &Provider,
        oidc: &oidc::RelyingParty,
        login: &Login,
    ) -> Result<Word, Denied> {
        for other in self.ledger.elsewhere(login, self.edge.now(), OTHERS).await? {
            let now = self.edge.now();
            let Some(again) = self.again(oidc, &other.login).filter(|again| !again.is_over(now)) else {
                continue;
            };
            // Somebody asks about it at this moment, and will know. A token that is shown twice may be worth nothing.
            let is_asked = other.login.in_doubt && !is_to_be_asked(other.login.asked_at, now);
            if is_asked || !self.ledger.ask_provider(&other.login, now).await? {
                return Ok(Word::Unknown);
            }
            let claimed = Login { asked_at: now, ..other.login.clone() };
            match self.ask(provider, oidc, (&again, &claimed, &other)).await? {
                Outcome::Yes => return Ok(Word::Yes),
                Outcome::No => {
                    self.ledger.end_login(&claimed.id).await?;
                }
                outcome @ (Outcome::Away | Outcome::Lost) => {
                    // Whoever comes next asks again.
                    let in_doubt = claimed.in_doubt || outcome == Outcome::Lost;
                    let unanswered = Login { in_doubt, ..claimed };
                    self.ledger.unasked(&unanswered, other.login.asked_at).await?;
                    return Ok(Word::Unknown);
                }
                Outcome::UsedUp | Outcome::Over | Outcome::Another | Outcome::Unbelieved => {}
            }
        }
        Ok(Word::No)
    }
}
