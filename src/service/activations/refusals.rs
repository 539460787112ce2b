//! Refusals are told to the audit, beside the calls and not in their way: nothing was changed by them, so nobody waits until they are on disk.
//!
//! What is not written yet when the process dies is not in the audit: a second's first ones, and the counts of a minute.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::{Either, select};
use tracing::warn;

use super::{Activations, Failure, Runtime};
use crate::domain::{
    self,
    refusal::Code,
    refused::{About, Caller, NotSignedIn, Tally, Told, What, has_credential},
};

/// How long to wait between two writes: whatever comes meanwhile is one link of the audit.
const PAUSE: Duration = Duration::from_secs(1);
/// How long until what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// What was refused and is not told yet.
pub(super) struct Refusals {
    tally: Mutex<Tally>,
    /// Callers are told apart by this, which is kept nowhere: nobody tells afterwards who it was.
    salt: [u8; 32],
}

impl Refusals {
    pub(super) fn new(salt: [u8; 32]) -> Self {
        Self { tally: Mutex::default(), salt }
    }

    fn tally<T>(&self, with: impl FnOnce(&mut Tally) -> T) -> T {
        with(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whoever has a credential that is good is known by it, and anybody else by where they come from.
    fn caller(&self, code: Code, shown: Option<&[u8]>, peer: &str) -> Caller {
        let shown = shown.filter(|_| has_credential(code) == Some(true));
        let (kind, who) = shown.map_or(("address", peer.as_bytes()), |shown| ("credential", shown));
        Caller(domain::digest([&self.salt, kind.as_bytes(), who]))
    }
}

impl<L: Activations> Runtime<L> {
    /// Notes that `call`, which was about this, was refused to whoever has `shown` this, at the address `peer`.
    pub fn note_refused(
        &self,
        call: &'static str,
        code: Code,
        about: About,
        shown: Option<&[u8]>,
        peer: &str,
    ) {
        let (caller, now) = (self.refusals.caller(code, shown, peer), self.edge.now());
        self.refusals.tally(|tally| tally.note(call, What::Call(code), caller, about, now));
    }

    /// Notes that somebody at the address `peer` was not signed in.
    pub fn note_not_signed_in(&self, why: NotSignedIn, peer: &str) {
        let (caller, now) = (self.refusals.caller(Code::Unauthorized, None, peer), self.edge.now());
        let about = About::default();
        self.refusals.tally(|tally| tally.note("signIn", What::SignIn(why), caller, about, now));
    }

    /// Tells the audit of refusals while `work` goes on, and then of those that are left.
    pub async fn telling_of_refusals<T>(&self, work: impl Future<Output = T>) -> T {
        let done = match select(pin!(work), pin!(self.tell_of_refusals())).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        };
        let mut left = self.refusals.tally(Tally::take_all);
        self.tell(&mut left).await;
        self.tell_of_asking().await;
        done
    }

    async fn tell_of_refusals(&self) -> Infallible {
        let mut told = Vec::new();
        loop {
            self.edge.wait(if told.is_empty() { PAUSE } else { AGAIN }).await;
            self.tell_of_asking().await;
            // What could not be written is tried again, and meanwhile others are counted.
            if told.is_empty() {
                told = self.refusals.tally(|tally| tally.take(self.edge.now()));
            }
            if self.tell(&mut told).await {
                told.clear();
            }
        }
    }

    async fn tell(&self, told: &mut [Told]) -> bool {
        if told.is_empty() {
            return true;
        }
        let done = self.try_to_tell(told).await;
        if let Err(error) = &done {
            warn!(error = error as &dyn std::error::Error, "the audit is told of refusals later");
        }
        done.is_ok()
    }

    async fn try_to_tell(&self, told: &mut [Told]) -> Result<(), Failure> {
        for told in &mut *told {
            let Told::First(.., about) = told else { continue };
            if let (Some(id), None) = (&about.activation, &about.license) {
                // One that is not there is nothing that anybody is told of.
                *about = match self.activation(id).await? {
                    Some(living) => About { license: Some(living.key), activation: about.activation.take() },
                    None => About::default(),
                };
            }
        }
        self.ledger
            .tell_of_refusals(told, self.edge.now())
            .await
            .map_err(|error| Failure::Unavailable(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_have_the_salt_does_not_find_a_caller_by_what_was_shown() {
        let caller = |salt, code| Refusals::new([salt; 32]).caller(code, Some(b"Bearer x"), "192.0.2.1");
        assert_eq!(caller(1, Code::SeatsExhausted), caller(1, Code::SeatsExhausted));
        assert_ne!(caller(1, Code::SeatsExhausted), caller(2, Code::SeatsExhausted));
        assert_ne!(caller(1, Code::SeatsExhausted), caller(1, Code::Unauthorized), "it proves nothing");
    }
}
