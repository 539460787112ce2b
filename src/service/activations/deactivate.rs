//! An activation is ended by whoever may: its token is enough, or that of its holder or of an administrator, and no nonce is needed, so that no place is ever
//! stuck. (Its holder ends it in a browser, too: `mine`.)

use super::{Activations, Failure, Happened, Proof, Runtime, TRIES, crowded, settled};
use crate::{
    domain::{
        chain::{self, Why},
        refusal::{Code, Refusal},
    },
    keys::token::{Credential, Purpose},
    ledger::{
        activations::{Advance, Living, Step},
        people::SignedIn,
    },
    service::callers::{self, Act},
};

impl<L: Activations> Runtime<L> {
    /// Ends the activation `id`. One that has ended stays so.
    ///
    /// # Errors
    /// When it is refused, or Usher cannot answer now.
    pub async fn deactivate(&self, id: &str, proof: &Proof<'_>) -> Result<(), Failure> {
        if let Some(Credential::Own(Purpose::Access)) = Credential::of(proof.token) {
            let SignedIn { principal, .. } = self.signed_in(proof).await?;
            // Whoever it is none of is not told whether there is such an activation.
            let none = "There is no such activation on a seat of yours.";
            let is_theirs = self.end_mine(&principal, id).await?;
            return if is_theirs { Ok(()) } else { Err(Refusal::new(Code::Unauthorized, none).into()) };
        }
        for _ in 0..TRIES {
            let (living, administrator) = self.acted_on(id, proof, Act::End).await?;
            let by = administrator.map(|known| callers::identity(&known.name));
            if self.ends(living, by).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }

    /// Ends it, because this one wants it if not its own program does. `false` if somebody else was faster.
    pub(super) async fn ends(&self, living: Living, by: Option<String>) -> Result<bool, Failure> {
        let Some(chain) = chain::end(&living.seen.activation.chain, Why::Deactivated) else {
            return Ok(true);
        };
        let (activation, version) = (living.seen.activation, living.seen.version);
        let step = Step {
            by,
            advance: Some(Advance::new(activation.id, version, chain)),
            ..Step::new(activation.license, living.key.clone(), self.edge.now(), self.edge.entropy())
        };
        let ended = settled(self.ledger.record(step).await)?.is_some();
        if ended {
            self.news.tell(&living.key, Happened::Freed);
        }
        Ok(ended)
    }
}
