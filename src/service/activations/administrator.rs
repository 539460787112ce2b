//! Whoever is neither the activation nor its holder, and may all the same, by a role in Kubernetes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activations, Device, Failure, Proof, Runtime, present::word};
use crate::{
    domain::{
        chain,
        refusal::{Code, Refusal},
        text::Issuer,
    },
    keys::token::Credential,
    ledger::activations::Living,
    service::callers::{Act, Deed, Known},
};

/// How an activation stands, for an administrator; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SeenActivation")]
pub struct SeenAnswer {
    /// The activation.
    pub id: String,
    /// `active`, `quarantined`, `lapsed` or `ended`.
    pub state: String,
    /// Its License: namespace/name.
    pub license: String,
    /// What its client said of the device.
    pub device: Device,
    /// When it began.
    pub since: String,
    /// When it was last heard of, to a quarter of an hour.
    pub heard_at: String,
    /// The last instant at which its last document is good.
    pub expires_at: String,
}

impl<L: Activations> Runtime<L> {
    /// How the activation `id` stands, if `token` is one of Kubernetes'; nothing if it is none.
    ///
    /// # Errors
    /// When whoever shows it may not see that, or Usher cannot answer now.
    pub async fn seen_by_administrator(&self, id: &str, token: &str) -> Result<Option<SeenAnswer>, Failure> {
        let Some((living, _)) = self.by_administrator(id, token, Act::See).await? else { return Ok(None) };
        let (activation, heard_at) = (living.seen.activation, living.seen.heard_at);
        let chain = chain::as_of(&activation.chain, self.edge.now());
        Ok(Some(SeenAnswer {
            id: activation.id,
            state: word(&chain).to_owned(),
            license: living.key.to_string(),
            device: serde_json::from_str(&activation.device)?,
            since: activation.since.to_string(),
            heard_at: heard_at.to_string(),
            expires_at: chain.expires_at.to_string(),
        }))
    }

    /// The activation `id` for whoever may `act` on it: the activation itself by its own token; or an administrator, who is told of in the audit.
    pub(super) async fn acted_on(
        &self,
        id: &str,
        proof: &Proof<'_>,
        act: Act,
    ) -> Result<(Living, Option<Known>), Failure> {
        match self.by_administrator(id, proof.token, act).await? {
            Some((living, known)) => Ok((living, Some(known))),
            None => Ok((self.own(id, proof, false).await?, None)),
        }
    }

    /// The activation `id`, and who shows `token`, if that is one of Kubernetes' and they may `act`. Nothing if it is another kind of token.
    pub(super) async fn by_administrator(
        &self,
        id: &str,
        token: &str,
        act: Act,
    ) -> Result<Option<(Living, Known)>, Failure> {
        let Some(Credential::Kubernetes { unproven_audiences }) = Credential::of(token) else {
            return Ok(None);
        };
        self.may_answer()?;
        // What they may is asked below; the audience only shows that the token was meant for this Usher.
        let known = self.known(token, &unproven_audiences, &self.signers.issuers()).await?;
        // Whoever may not is not told whether there is such an activation.
        let refused = || {
            let what = act.verb();
            let detail = format!(
                "There is no such activation, or you may not `{what}` `licenses/activations` in the namespace of its License."
            );
            Refusal::new(Code::Forbidden, detail)
        };
        let living = self.activation(id).await?.ok_or_else(refused)?;
        if !self.callers.may(&known, Deed::With(act, &living.key)).await? {
            return Err(refused().into());
        }
        Ok(Some((living, known)))
    }

    /// Who shows `token`. It must be made for some of `ours`, and for nobody else: what is good elsewhere, at the API server above all,
    /// is not to be shown around, and is not even asked about.
    pub(super) async fn known(
        &self,
        token: &str,
        unproven_audiences: &[String],
        ours: &[Issuer],
    ) -> Result<Known, Failure> {
        let is_ours = |audience: &String| ours.iter().any(|issuer| issuer.as_str() == audience);
        if unproven_audiences.is_empty() || !unproven_audiences.iter().all(is_ours) {
            return Err(Code::AudienceWrong.into());
        }
        self.callers.known(token, ours).await?.ok_or_else(|| Code::Unauthorized.into())
    }
}
