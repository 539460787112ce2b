//! Somebody has looked into the copies of an activation, and lets whoever has the last nonce go on: an administrator, or whoever holds the
//! seat that it is active on and has signed in. (Why those two: docs/decisions/2026-11-27-who-resolves.md.)

use super::{Activations, Failure, Happened, Proof, Runtime, TRIES, crowded, settled};
use crate::{
    domain::{
        chain,
        refusal::{Code, Refusal},
    },
    keys::token::{Credential, Purpose},
    ledger::activations::{Advance, Living, Step},
    service::callers::{self, Act},
};

impl<L: Activations> Runtime<L> {
    /// Ends the quarantine of the activation `id`, if it is in one, and the warning of its License. No token of its own is enough, for a copy
    /// has that, too.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn resolve(&self, id: &str, proof: &Proof<'_>) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let (living, by) = self.judged(id, proof).await?;
            let (activation, version, now) = (living.seen.activation, living.seen.version, self.edge.now());
            let chain = chain::as_of(&activation.chain, now);
            let advance =
                chain::resolve(&chain).map(|chain| Advance::new(activation.id.clone(), version, chain));
            let step = Step {
                by: Some(by),
                advance,
                resolve: Some(activation.id),
                ..Step::new(activation.license, living.key.clone(), now, self.edge.entropy())
            };
            if settled(self.ledger.record(step).await)?.is_some() {
                self.news.tell(&living.key, Happened::Resolved);
                return Ok(());
            }
        }
        Err(crowded())
    }

    /// The activation `id`, for whoever may judge its copies, and who that is.
    async fn judged(&self, id: &str, proof: &Proof<'_>) -> Result<(Living, String), Failure> {
        if Credential::of(proof.token) == Some(Credential::Own(Purpose::Access)) {
            let who = self.signed_in(proof).await?.principal;
            // Whoever does not hold the seat is not told whether there is such an activation.
            let refused = || Refusal::new(Code::Forbidden, "There is no such activation on a seat of yours.");
            let living = self.on_seat_of(&who, id).await?.ok_or_else(refused)?;
            let by = living.seen.activation.holder.clone();
            return Ok((living, by));
        }
        match self.by_administrator(id, proof.token, Act::Resolve).await? {
            Some((living, known)) => Ok((living, callers::identity(&known.name))),
            None => Err(Code::Unauthorized.into()),
        }
    }
}

#[cfg(test)]
mod tests;
