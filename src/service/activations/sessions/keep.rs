//! A heartbeat: the session is open for another while.

use super::{SessionAnswer, license};
use crate::{
    domain::{refusal::Code, sessions},
    ledger::sessions::{Use, Used},
    service::activations::{Activations, Failure, Proof, Runtime, TRIES, crowded},
};

impl<L: Activations> Runtime<L> {
    /// Keeps the session `id` open.
    ///
    /// # Errors
    /// When it has ended, its License rests, or Usher cannot answer now.
    pub async fn keep_session(&self, id: &str, proof: &Proof<'_>) -> Result<String, Failure> {
        for _ in 0..TRIES {
            let living = self.of_session(id, proof).await?;
            let (license, chain, now) = (license(&living)?, &living.seen.activation.chain, self.edge.now());
            sessions::may_use(license, chain.state, chain.expires_at, now)?;
            living.carries.grants()?;
            let until = sessions::until(&license.terms.sessions, now);
            match self.use_session(&living, Use::Keep { id: id.to_owned(), until }, None).await? {
                None => {}
                Some(Used::Open { session, .. }) => return SessionAnswer::json(&living, license, session),
                Some(_) => return Err(Code::SessionEnded.into()),
            }
        }
        Err(crowded())
    }
}
