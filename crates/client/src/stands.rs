//! How an activation stands, as the server says it.

use reqwest::Method;
use serde::Deserialize;

use crate::{
    error::Error,
    installation::{Installation, parsed},
    server::Call,
    state::{Activation, Operation},
};

/// How an activation stands. Members that this version does not know are left aside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stands {
    /// The activation.
    pub id: String,
    /// `active` or `quarantined`.
    pub state: String,
    /// Its License, as `NAMESPACE/NAME`.
    pub license: String,
    /// The product.
    pub product: String,
    /// How long its document is good.
    pub lease: Lease,
}

/// How long a document is good; instants are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// When to ask for the next one.
    pub renew_at: String,
    /// From when on a program that has not asked warns.
    pub until: String,
    /// The last instant at which it is good.
    pub expires_at: String,
}

impl Installation {
    /// Proves that this is the one copy that goes on, and asks how it stands: a copy that comes later is refused. There is no new document,
    /// unless this was a copy and was given an activation of its own (`clones.policy: Replace`).
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::Usage`] if nothing is activated, or whether something is is in doubt.
    pub async fn state(&mut self) -> Result<Stands, Error> {
        parsed(&self.present(Operation::State).await?)
    }

    /// Asks how it stands, and whether this one has the last nonce. The nonce is not used, and nobody is accused. While a request is in
    /// doubt, a refusal (`nonce-used`) may mean that its reply was lost.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::Usage`] if nothing is activated, or whether something is is in doubt.
    pub async fn check(&self) -> Result<Stands, Error> {
        let Activation { id, token, nonce, .. } = self.activated()?;
        let beside = self.credential.beside()?;
        let call = Call {
            bearer: &token,
            nonce: Some(&nonce),
            workload: beside.as_deref(),
            possession: self.key.as_ref(),
            ..Call::default()
        };
        parsed(&self.server.call(Method::GET, &format!("/v1/activations/{id}"), call).await?)
    }
}
