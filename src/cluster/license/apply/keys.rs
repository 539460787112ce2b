//! The Secret with the activation keys of a License.

use crate::{
    cluster::{
        Context,
        license::{Error, troubles::Troubles, validate},
        secrets::{self, Desired, Withheld},
    },
    domain::license::Key,
    ledger::Ledger,
    service::{activation_keys::keep_activation_keys, reconcile_license::Outcome},
};

const WRITING: &str = "writing the activation keys";

/// Sees to it that the Secret holds a key for each name that the License declares. Without a name the Secret goes as others do, by the ledger's claim on it.
pub(in crate::cluster::license) async fn activation_keys<L: Ledger>(
    context: &Context<L>,
    validated: &validate::Valid,
    outcome: &Outcome,
    troubles: &mut Troubles,
) -> Result<(), Error> {
    let (license, subject) = (&validated.license, validated.license.keys_subject());
    if outcome.keys.is_empty() || troubles.withheld.contains_key(&subject) {
        return Ok(());
    }
    let key = Key::new(&license.key.namespace, license.keys_secret());
    let seen = context.index.secret(&key);
    let is_right =
        seen.is_some_and(|seen| Some(seen.digest) == secrets::digest_of_keys(license, &outcome.keys));
    if is_right || context.is_out_of_sight(&key) {
        return Ok(());
    }
    let held = match secrets::entries(&context.client, &key).await {
        Ok(Some(entries)) => entries,
        Ok(None) => {
            troubles.withheld.insert(subject, Withheld::Taken);
            return Ok(());
        }
        Err(error) => {
            troubles.note("reading the activation keys", error);
            return Ok(());
        }
    };
    // Without the key of nonces none can be made; whoever finds it has all looked at again.
    let Some(nonces) = context.nonces.get() else { return Ok(()) };
    let (now, entropy) = (context.edge.now(), context.edge.entropy());
    let entries = keep_activation_keys(&context.ledger, license, &held, nonces, now, entropy).await;
    let desired = Desired::with_keys(license, &entries.map_err(Error::Keys)?);
    match secrets::ensure(context, &desired).await {
        Ok(None) => {}
        Ok(Some(withheld)) => drop(troubles.withheld.insert(subject, withheld)),
        Err(error) => drop(troubles.note(WRITING, error)),
    }
    Ok(())
}
