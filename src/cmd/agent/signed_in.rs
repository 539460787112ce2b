//! Of an agent that goes by whoever is signed in on this machine: are they still?
//!
//! A file says whether anybody is, and that is looked at every few seconds. When the access token ends the server is asked, which asks their provider; when it
//! could not be asked, the document is asked for as soon as it can be again.

use usher_client::{
    Error, backoff,
    login::{Login, nobody},
};

use super::{keep::Keeper, trouble::Trouble};
use crate::cmd::Failure;

/// How often it is looked whether somebody is signed in, in seconds.
const LOOK: u64 = 5;

/// Whose login is watched.
pub(super) struct Watch {
    login: Login,
    /// When to look next.
    at: u64,
    /// So often in a row it did not become known whether they are still signed in.
    failures: u32,
}

impl Watch {
    pub(super) fn of(login: Login) -> Self {
        Self { login, at: 0, failures: 0 }
    }

    /// When to look next.
    pub(super) fn turn(&self) -> u64 {
        self.at
    }

    fn later(&mut self, now: u64, retry_after: Option<u64>, drawn: u64) {
        self.failures = self.failures.saturating_add(1);
        self.at = now.saturating_add(backoff(self.failures, retry_after, drawn).max(LOOK));
    }
}

impl Keeper {
    /// Looks, if it is time to.
    pub(super) async fn look_at_login(&mut self) -> Result<(), Failure> {
        let (now, drawn) = (self.now(), self.drawn());
        let is_out = self.trouble.as_ref().is_some_and(Trouble::is_of_login);
        let Some(watch) = self.watch.as_mut().filter(|watch| now >= watch.at) else { return Ok(()) };
        watch.at = now.saturating_add(LOOK);
        match watch.login.until() {
            Ok(None) if is_out => {}
            Ok(None) => {
                let _ = self.failed(nobody());
            }
            Ok(Some(_)) if is_out => {
                // Somebody has signed in again: are they the one?
                watch.later(now, None, drawn);
                self.refresh().await?;
            }
            Ok(Some(until)) if watch.failures > 0 || Login::is_due(until, now) => {
                self.ask_about_login().await?;
            }
            Ok(Some(_)) => {}
            Err(error) => {
                let _ = self.failed(error.into());
            }
        }
        Ok(())
    }

    async fn ask_about_login(&mut self) -> Result<(), Failure> {
        let (now, drawn) = (self.now(), self.drawn());
        match self.installation.revalidate().await {
            Ok(()) => {
                let was_away =
                    self.watch.as_mut().is_some_and(|watch| std::mem::take(&mut watch.failures) > 0);
                if was_away {
                    self.refresh().await?;
                }
            }
            Err(Error::Refused(problem)) if problem.is_of_login() => {
                let _ = self.failed(Error::Refused(problem));
            }
            Err(error) => {
                let retry_after = match &error {
                    Error::Unreachable { retry_after, .. } => *retry_after,
                    _ => None,
                };
                self.health.asked(now, Err(error.to_string()));
                if let Some(watch) = &mut self.watch {
                    watch.later(now, retry_after, drawn);
                }
            }
        }
        Ok(())
    }
}
