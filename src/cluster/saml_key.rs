//! The key that signs Usher's requests by SAML, for all replicas, in the Secret `usher-saml-key` of Usher's own namespace.

use jiff::Timestamp;
use kube::Client;
use tracing::info;

use crate::{
    cluster::pair::{self, Which},
    identity::saml::{NoKey, OwnKey},
    keys::tls::Pem,
};

const SAML: Which = Which {
    secret: "usher-saml-key",
    anew: "give your identity providers its new certificate, from /signin/saml/metadata",
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not kept.
    #[error(transparent)]
    Kept(#[from] pair::Error),
    /// None can be made.
    #[error("no key for SAML can be made")]
    Made(#[source] NoKey),
    /// The Secret holds something else.
    #[error("the Secret {} was changed: restore it from a backup, or delete it, restart Usher and {}", SAML.secret, SAML.anew)]
    Changed(#[source] NoKey),
}

/// The key that is kept in `namespace`; if there is none yet, a new one.
///
/// # Errors
/// When the API server does not answer, or the Secret was changed.
pub async fn keep(client: &Client, namespace: &str, now: Timestamp) -> Result<OwnKey, Error> {
    let fresh = || -> Result<Pem, Error> {
        let (certificate, key) = OwnKey::fresh(now).and_then(|key| key.to_pem()).map_err(Error::Made)?;
        info!(
            "a key for SAML is made: identity providers that ask for signed requests need its certificate, from /signin/saml/metadata"
        );
        Ok(Pem { certificate, key })
    };
    let Pem { certificate, key } = pair::found_or_made(client, namespace, SAML, fresh).await?;
    OwnKey::from_pem(&certificate, &key).map_err(Error::Changed)
}
