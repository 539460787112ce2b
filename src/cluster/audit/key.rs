//! The audit key, in the Secret `usher-audit-key` of Usher's own namespace.

use zeroize::Zeroizing;

pub(super) use crate::cluster::own_key::Error;
use crate::{
    cluster::{
        Context,
        own_key::{self, Which},
    },
    keys::{AuditKey, KeyPair},
};

/// The name of the Secret.
pub const SECRET: &str = "usher-audit-key";

const AUDIT: Which = Which {
    secret: SECRET,
    because: "checkpoints by it are out there; if there is no backup, run: usher audit rekey",
};

/// The key that there is.
pub(super) async fn found<L>(context: &Context<L>) -> Result<Option<AuditKey>, Error> {
    let jwk = own_key::found(&context.client, &context.namespace, AUDIT).await?;
    jwk.as_deref().map(|jwk| read(jwk)).transpose()
}

/// A new key; it is not kept yet.
pub(super) fn fresh<L>(context: &Context<L>) -> KeyPair {
    KeyPair::from_seed(&Zeroizing::new(context.edge.entropy()))
}

/// Keeps `pair`, unless there is a key. Returns the one that is there.
pub(super) async fn kept<L>(context: &Context<L>, pair: &KeyPair) -> Result<AuditKey, Error> {
    let jwk =
        own_key::found_or_made(&context.client, &context.namespace, AUDIT, true, || pair.to_jwk()).await?;
    read(&jwk)
}

/// There is none, and it is some key's turn.
pub(super) const fn missing() -> Error {
    Error::Missing(AUDIT)
}

fn read(jwk: &[u8]) -> Result<AuditKey, Error> {
    let pair = KeyPair::from_jwk(jwk);
    pair.map(AuditKey::new).map_err(|source| Error::Unreadable { which: AUDIT, source })
}
