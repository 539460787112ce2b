//! An administrator has looked into the copies of an activation, and lets whoever has the last nonce go on.

use super::{Activations, Failure, Happened, Runtime, TRIES, crowded, settled};
use crate::{
    domain::{chain, refusal::Code},
    ledger::activations::{Advance, Step},
    service::callers::{self, Act},
};

impl<L: Activations> Runtime<L> {
    /// Ends the quarantine of the activation `id`, if it is in one, and the warning of its License. No token of its own is enough, for a copy
    /// has that, too.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn resolve(&self, id: &str, token: &str) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let Some((living, known)) = self.by_administrator(id, token, Act::Resolve).await? else {
                return Err(Code::Unauthorized.into());
            };
            let (activation, version, now) = (living.seen.activation, living.seen.version, self.edge.now());
            let chain = chain::as_of(&activation.chain, now);
            let advance =
                chain::resolve(&chain).map(|chain| Advance::new(activation.id.clone(), version, chain));
            let step = Step {
                by: Some(callers::identity(&known.name)),
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
}
