//! Somebody is signed in in their browser itself, to see what is theirs.
//!
//! ```text
//!   "continue as Ann in this browser?" ──yes──► enter: a name that nobody had before ──► inside, inside, … ──► leave
//!     (pass)                                    (pass spent, login begun: one step)        │
//!                                                                                          └─ half an hour without use, a working day,
//!                                                                                             or whatever else ends a login
//! ```
//!
//! It is a login like that of a device, so whatever ends logins ends it, too. But no token was ever made for it: where a device shows its family,
//! the browser shows its cookie, and the hash of one is never that of the other.

use super::{Answered, Consent, Failure, People, SignIn, Why, hashed};
use crate::{
    domain::login::{BROWSER_NOTED, browser_ends_at},
    ledger::{
        CommitError,
        people::{Begun, Login, SignedIn},
    },
    service::providers::Absent,
};

/// As what a browser's cookie is kept.
fn kept(session: &str) -> String {
    hashed("browser session", &[session])
}

impl<L: People> SignIn<L> {
    /// Whoever said yes is signed in, by the pass of this hash.
    pub(super) async fn enter(&self, pass: &str, consent: Consent) -> Result<Answered, Failure> {
        let (session, now) = (self.browser(), self.edge.now());
        let family = kept(&session);
        let login = Login {
            id: hashed("login", &[&family]),
            issuer: consent.issuer,
            subject: consent.subject,
            device: String::new(),
            // Nobody has what hashes to these.
            current: hashed("no device token", &[&family]),
            sibling: None,
            previous: None,
            late: None,
            access: hashed("no access token", &[&family]),
            access_until: now,
            family,
            since: now,
            used_at: now,
            ends_at: browser_ends_at(now, now),
            // Within a working day nobody is asked again; sooner than that it is time to sign in again.
            again: None,
            asked_at: now,
            in_doubt: false,
            jkt: None,
            version: 1,
        };
        match self.ledger.begin_login(pass, &login).await? {
            Begun::Now => Ok(Answered::Here(Some(session))),
            Begun::Before(_) | Begun::Unknown => Err(Why::Elsewhere.into()),
        }
    }

    /// Who is signed in in the browser that shows this.
    ///
    /// # Errors
    /// When Usher cannot tell now.
    pub async fn inside(&self, session: &str) -> Result<Option<SignedIn>, Failure> {
        let now = self.edge.now();
        let Some(found) = self.ledger.login(&kept(session), now).await? else { return Ok(None) };
        let (principal, login) = (&found.principal, &found.login);
        let name = principal.provider.as_str();
        let provider = match self.providers.of_proven(name, &principal.issuer) {
            Ok(provider) => provider,
            Err(Absent::Idle) => return Err(Failure::idle(name)),
            Err(Absent::Gone) => return Ok(None),
        };
        if found.proven_at.duration_until(now) > provider.reauthenticate_after {
            return Ok(None);
        }
        if login.used_at.duration_until(now).as_secs() >= BROWSER_NOTED {
            let ends_at = browser_ends_at(login.since, now);
            match self.ledger.go_on(&Login { used_at: now, ends_at, ..login.clone() }).await {
                // Another tab was faster.
                Ok(()) | Err(CommitError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(found))
    }

    /// Nobody is signed in any more in the browser that shows this.
    ///
    /// # Errors
    /// When Usher cannot answer now.
    pub async fn leave(&self, session: &str) -> Result<(), Failure> {
        if let Some(found) = self.ledger.login(&kept(session), self.edge.now()).await? {
            self.ledger.end_login(&found.login.id).await?;
        }
        Ok(())
    }
}
