//! A heartbeat: an installation is there, and is told all that its License says now. No nonce is used, nothing is signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Activations, Answer, Failure, Proof, Runtime, parameters::Told, present::stands, sessions::license,
    settled,
};
use crate::{
    domain::{heard, sessions::may_use},
    ledger::activations::{Living, Step},
};

/// How an activation stands, and what its License says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Heartbeat")]
pub struct HeartbeatAnswer {
    /// How it stands.
    #[serde(flatten)]
    pub activation: Answer,
    /// What its License says.
    #[serde(flatten)]
    pub told: Told,
}

impl<L: Activations> Runtime<L> {
    /// All that the License of the activation `id` says now. Of its users, those after the one who was told last.
    ///
    /// # Errors
    /// When the activation is over or its License or seat rests, or Usher cannot answer now.
    pub async fn heartbeat(
        &self,
        id: &str,
        users_after: Option<u64>,
        proof: &Proof<'_>,
    ) -> Result<HeartbeatAnswer, Failure> {
        let living = self.own(id, proof, true).await?;
        let (license, chain) = (license(&living)?, &living.seen.activation.chain);
        may_use(license, chain.state, chain.expires_at, self.edge.now())?;
        living.carries.grants()?;
        let told = self.told(license, (&living.seen.activation, &living.carries), users_after).await?;
        self.hear(&living).await?;
        Ok(HeartbeatAnswer { activation: stands(&living.seen.activation)?, told })
    }

    /// Has it recorded that the installation was heard of, if that is news.
    async fn hear(&self, living: &Living) -> Result<(), Failure> {
        let (activation, now) = (&living.seen.activation, self.edge.now());
        if heard::is_news(living.seen.heard_at, now) {
            let heard = Some(activation.id.clone());
            let step =
                Step { heard, ..Step::new(activation.license.clone(), living.key.clone(), now, [0; 32]) };
            settled(self.ledger.record(step).await)?;
        }
        Ok(())
    }
}
