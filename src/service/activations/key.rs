//! The keys to which tokens are bound (RFC 9449).

use std::sync::Arc;

use super::{Activations, Proof, Runtime};
use crate::{
    domain::refusal::{Code, Refusal},
    service::possession::Proofs,
};

impl<L: Activations> Runtime<L> {
    /// The same, of a server of these names, without ports: proofs of possession are made for one of them, or for an issuer's host.
    #[must_use]
    pub fn named(mut self, names: Vec<String>) -> Self {
        let (edge, signers, nonces) = (self.edge.clone(), self.signers.clone(), self.nonces.clone());
        self.proofs = Arc::new(Proofs::new(edge, signers, nonces, names));
        self
    }

    /// Who judges proofs of possession.
    #[must_use]
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// Whether whoever shows `proof` has the key to which its token is bound, if it is bound to one.
    pub(super) fn has_key(&self, bound: Option<&String>, proof: &Proof<'_>) -> Result<(), Refusal> {
        let Some(bound) = bound else { return Ok(()) };
        let possession = proof.possession.ok_or(Code::ProofMissing)?;
        if self.proofs.judge(possession, Some(proof.token))? == *bound {
            return Ok(());
        }
        let detail = "The proof of possession is by another key than the token is bound to.";
        Err(Refusal::new(Code::ProofInvalid, detail))
    }
}
