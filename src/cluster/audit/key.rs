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

const AUDIT: Which = Which { secret: "usher-audit-key", because: "checkpoints by it are out there" };

/// The key that there is; a new one, if nothing was `sealed` yet.
pub(super) async fn found_or_made<L>(context: &Context<L>, sealed: bool) -> Result<AuditKey, Error> {
    let fresh = || KeyPair::from_seed(&Zeroizing::new(context.edge.entropy())).to_jwk();
    let jwk = own_key::found_or_made(&context.client, &context.namespace, AUDIT, !sealed, fresh).await?;
    KeyPair::from_jwk(&jwk)
        .map(AuditKey::new)
        .map_err(|error| Error::Unreadable { which: AUDIT, source: error })
}
