//! The key that seals the audit. It signs checkpoints and nothing else.

use usher_license::{CheckpointClaims, Jwk, Thumbprint, Typ};

use super::KeyPair;

/// The audit key.
#[derive(Debug)]
pub struct AuditKey(KeyPair);

impl AuditKey {
    /// `pair`, for checkpoints only from now on.
    #[must_use]
    pub const fn new(pair: KeyPair) -> Self {
        Self(pair)
    }

    /// Its name.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint()
    }

    /// The public half, which each checkpoint carries.
    #[must_use]
    pub fn public(&self) -> Jwk {
        self.0.public()
    }

    /// Signs a checkpoint.
    ///
    /// # Errors
    /// Never in practice: the form is fixed.
    pub fn checkpoint(&self, claims: &CheckpointClaims) -> Result<String, serde_json::Error> {
        self.0.sign(Typ::Checkpoint, claims)
    }
}
