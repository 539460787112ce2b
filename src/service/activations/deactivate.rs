//! An activation is ended by whoever may: its token is enough, or an administrator's, and no nonce is needed, so that no place is ever stuck.

use super::{Activations, Failure, Happened, Proof, Runtime, TRIES, crowded, settled};
use crate::{
    domain::chain::{self, Why},
    ledger::activations::{Advance, Step},
    service::callers::{self, Act},
};

impl<L: Activations> Runtime<L> {
    /// Ends the activation `id`. One that has ended stays so.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn deactivate(&self, id: &str, proof: &Proof<'_>) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let (living, administrator) = self.acted_on(id, proof, Act::End).await?;
            let Some(chain) = chain::end(&living.seen.activation.chain, Why::Deactivated) else {
                return Ok(());
            };
            let (activation, version) = (living.seen.activation, living.seen.version);
            let step = Step {
                by: administrator.map(|known| callers::identity(&known.name)),
                advance: Some(Advance::new(activation.id, version, chain)),
                ..Step::new(activation.license, living.key.clone(), self.edge.now(), self.edge.entropy())
            };
            if settled(self.ledger.record(step).await)?.is_some() {
                self.news.tell(&living.key, Happened::Freed);
                return Ok(());
            }
        }
        Err(crowded())
    }
}
