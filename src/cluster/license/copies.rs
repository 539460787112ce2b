//! Copies of the License's Secret in other namespaces, whose owners let Usher in.
//!
//! ```text
//!   no copies ──► claimed (ledger) ──► finalizer ──► written … removed ──► settled (ledger) ──► finalizer lifted
//! ```
//!
//! 1. A copy has labels and no owner reference, which cannot reach into another namespace. So the License has a finalizer, but
//!    only while it has copies: a namespace without them goes without Usher.
//! 2. A namespace that is going or gone has no copies. One that does not let us in any more keeps its own: the claim stays in the
//!    ledger, the copy is removed if it ever lets us in again, and the License does not wait for that. Nobody can hold up
//!    the deletion of somebody else's License.
//! 3. What is wrong with one copy is said, and holds up nothing else.
//! 4. Of several who want one name the first to claim it has it; after the ledger was lost, the one whose copy lies there.
//! 5. No copy lies in Usher's own namespace, where the names of its keys are.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams},
    core::DeserializeGuard,
};
use serde_json::json;

use crate::{
    cluster::{
        Context, api,
        license::{Error, ends, gather::Gathered, status, troubles::Troubles, validate},
        rights::Access,
        secrets::{self, Desired},
    },
    domain::license::{Key, License, Uid},
    ledger::{Document, Facts, Ledger},
    service::{
        copy_license::{Claimed, Held, claim_copies, settle_copies},
        reconcile_license::Outcome,
    },
};

/// On Licenses that have copies, and on no others.
pub(crate) const FINALIZER: &str = "usher.dev/copies";

/// How the copies of a License were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// They are as they should be, or what hinders them is among the troubles.
    Done,
    /// The License has its finalizer now: look again, and the copies come.
    Finalized,
    /// Of one namespace it is not known yet whether we may, or what is whose: something will bring us back.
    Unknown,
}

/// The Secrets that are to be copies.
fn wanted(gathered: &Gathered) -> BTreeSet<Key> {
    gathered.readable().map(|license| wanted_by(&gathered.key, license)).unwrap_or_default()
}

fn wanted_by(key: &Key, license: &api::License) -> BTreeSet<Key> {
    let Some(name) = validate::secret_name(license) else { return BTreeSet::new() };
    let namespaces = license.spec.secret.iter().flat_map(|secret| &secret.namespaces);
    namespaces
        .filter(|namespace| namespace.as_str() != key.namespace)
        .map(|namespace| Key::new(namespace.as_str(), name.as_str()))
        .collect()
}

/// Whether the Secret that lies there is the copy of another License that wants it still.
fn is_anothers<L>(context: &Context<L>, key: &Key, copy: &Key) -> bool {
    let Some(other) = context.index.license_of_secret(copy).filter(|other| other != key) else {
        return false;
    };
    let license = context.index.license(&other);
    let license = license.as_ref().and_then(|license| license.0.as_ref().ok());
    license.is_some_and(|license| wanted_by(&other, license).contains(copy))
}

/// The namespaces with whose Secrets a look may have to do.
pub(super) fn namespaces(gathered: &Gathered, facts: &[Facts]) -> BTreeSet<String> {
    let known = gathered.license.is_some() || !facts.is_empty();
    let own = known.then(|| gathered.key.namespace.clone());
    let held = facts.iter().flat_map(|facts| &facts.copies).map(|claim| claim.secret.namespace.clone());
    own.into_iter().chain(held).chain(wanted(gathered).into_iter().map(|copy| copy.namespace)).collect()
}

fn has_finalizer(gathered: &Gathered) -> bool {
    let license = gathered.license.as_ref();
    license.is_some_and(|license| license.meta().finalizers.iter().flatten().any(|name| name == FINALIZER))
}

/// Removes the copies of Licenses of this name that are gone, or about to go, and lets them go. `current` is the one that
/// stays. Returns whether the facts are others now.
pub(super) async fn withdraw<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    facts: &[Facts],
    current: Option<&Uid>,
    troubles: &mut Troubles,
    now: Timestamp,
) -> Result<bool, Error> {
    let (mut changed, mut unknown, none) = (false, false, BTreeSet::new());
    let former = facts.iter().filter(|facts| Some(&facts.license) != current && !facts.copies.is_empty());
    for facts in former {
        let held = Held { license: &facts.license, version: facts.version, copies: &facts.copies };
        let claimed = claim_copies(&context.ledger, &gathered.key, held, &none, &none, now).await?;
        let (gone, left) = remove(context, &facts.license, &claimed.removing, troubles).await?;
        unknown |= left.iter().any(|copy| context.access(&copy.namespace) == Access::Unknown);
        changed |= claimed.version != facts.version || !gone.is_empty();
        settled(context, gathered, &facts.license, claimed.version, gone, now).await?;
    }
    let done = !changed && !unknown && !troubles.have_failed();
    if current.is_none() && done && has_finalizer(gathered) {
        let Some(uid) = gathered.license.as_ref().and_then(|license| license.meta().uid.clone()) else {
            return Ok(changed);
        };
        // A ledger that was lost knows of no copies, but the License does.
        remove(context, &Uid(uid), &wanted(gathered), troubles).await?;
        finalize(context, gathered, false).await?;
    }
    Ok(changed)
}

/// Makes the copies of the License what they should be.
pub(super) async fn show<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    license: &License,
    outcome: &Outcome,
    troubles: &mut Troubles,
    now: Timestamp,
) -> Result<Copied, Error> {
    let wanted = wanted(gathered);
    if wanted.is_empty() && outcome.copies.is_empty() && !has_finalizer(gathered) {
        return Ok(Copied::Done);
    }
    let document = outcome.documents.get(&license.uid);
    let may = |copy: &&Key| copy.namespace != context.namespace && access(context, copy) == Access::Open;
    let open: BTreeSet<Key> = wanted.iter().filter(|_| document.is_some()).filter(may).cloned().collect();
    // After a loss, what lies there says whose it was, whoever looks first.
    let is_anothers = |copy: &Key| context.was_lost() && is_anothers(context, &gathered.key, copy);
    let (anothers, open): (BTreeSet<Key>, BTreeSet<Key>) = open.into_iter().partition(is_anothers);
    let out_of_reach = |copy: &&Key| [Access::Refused, Access::Unknown].contains(&access(context, copy));
    let keep: BTreeSet<Key> =
        wanted.iter().filter(|copy| document.is_none() || out_of_reach(copy)).cloned().collect();

    // After a loss, whoever is at home there claims first.
    let at_home = || open.iter().flat_map(|copy| context.index.licenses_in(&copy.namespace)).collect();
    if context.was_lost() && context.waits_for(&gathered.key, at_home()) {
        return Ok(Copied::Unknown);
    }
    let held = Held { license: &license.uid, version: outcome.version, copies: &outcome.copies };
    let mut claimed = claim_copies(&context.ledger, &gathered.key, held, &open, &keep, now).await?;
    claimed.taken.extend(anothers);
    let kept = outcome.copies.iter().any(|claim| !claim.removing && keep.contains(&claim.secret));
    let has_copies = kept || !claimed.ours.is_empty() || !claimed.removing.is_empty();
    if has_copies && !has_finalizer(gathered) {
        finalize(context, gathered, true).await?;
        return Ok(Copied::Finalized);
    }
    let (gone, left) = remove(context, &license.uid, &claimed.removing, troubles).await?;
    settled(context, gathered, &license.uid, claimed.version, gone, now).await?;
    context.awaited.wait_also(&gathered.key, &claimed.taken);
    hinder(context, &wanted, outcome, &claimed, troubles);
    if let Some(document) = document {
        for copy in &claimed.ours {
            write(context, gathered, copy, &license.uid, document, troubles).await?;
        }
    }
    if !kept && claimed.ours.is_empty() && left.is_empty() && has_finalizer(gathered) {
        finalize(context, gathered, false).await?;
    }
    let unknown = wanted.iter().any(|copy| access(context, copy) == Access::Unknown);
    Ok(if unknown { Copied::Unknown } else { Copied::Done })
}

fn access<L>(context: &Context<L>, copy: &Key) -> Access {
    context.access(&copy.namespace)
}

/// Says what keeps wanted copies from being there.
fn hinder<L>(
    context: &Context<L>,
    wanted: &BTreeSet<Key>,
    outcome: &Outcome,
    claimed: &Claimed,
    troubles: &mut Troubles,
) {
    for copy in wanted {
        let namespace = copy.namespace.as_str();
        if namespace == context.namespace {
            troubles.hinder_copy(status::copy::not_here(namespace), true);
        } else if claimed.taken.contains(copy) {
            troubles.hinder_copy(status::copy::withheld(copy, &secrets::Withheld::Taken), false);
        } else if access(context, copy) == Access::Refused {
            let held = outcome.copies.iter().any(|claim| claim.secret == *copy);
            troubles.hinder_copy(status::copy::refused(namespace, &context.namespace, held), true);
        } else if access(context, copy) == Access::Ending {
            troubles.hinder_copy(status::copy::no_namespace(namespace), true);
        }
    }
}

async fn write<L>(
    context: &Context<L>,
    gathered: &Gathered,
    copy: &Key,
    uid: &Uid,
    document: &Document,
    troubles: &mut Troubles,
) -> Result<(), Error> {
    // What is missing goes with its namespace, or was removed by hand, or is new.
    if context.index.secret(copy).is_none() && ends(context, copy).await? {
        troubles.hinder_copy(status::copy::no_namespace(&copy.namespace), true);
        return Ok(());
    }
    let desired = Desired::copy(copy.clone(), &gathered.key, uid, document);
    match secrets::ensure(context, &desired).await {
        Ok(None) => {}
        Ok(Some(withheld)) => troubles.hinder_copy(status::copy::withheld(copy, &withheld), false),
        Err(error) => drop(troubles.note("writing a copy", error)),
    }
    Ok(())
}

/// Removes what is to be removed where we may. Returns what is gone and what is left.
async fn remove<L>(
    context: &Context<L>,
    uid: &Uid,
    removing: &BTreeSet<Key>,
    troubles: &mut Troubles,
) -> Result<(Vec<Key>, BTreeSet<Key>), Error> {
    let (mut gone, mut left) = (Vec::new(), BTreeSet::new());
    for copy in removing {
        if is_gone(context, uid, copy, troubles).await? {
            gone.push(copy.clone());
        } else {
            left.insert(copy.clone());
        }
    }
    Ok((gone, left))
}

async fn is_gone<L>(
    context: &Context<L>,
    uid: &Uid,
    copy: &Key,
    troubles: &mut Troubles,
) -> Result<bool, Error> {
    match access(context, copy) {
        Access::Ending => return Ok(true),
        Access::Refused | Access::Unknown => return Ok(false),
        Access::Open if ends(context, copy).await? => return Ok(true),
        Access::Open => {}
    }
    Ok(secrets::remove(&context.client, copy, uid).await.unwrap_or_else(|error| {
        troubles.note("removing a copy", error);
        false
    }))
}

/// The ledger knows that these are gone, and whoever waits for their names.
async fn settled<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    license: &Uid,
    version: i64,
    gone: Vec<Key>,
    now: Timestamp,
) -> Result<(), Error> {
    settle_copies(&context.ledger, &gathered.key, license, version, &gone, now).await?;
    context.released(&gone);
    Ok(())
}

/// Puts our finalizer on the very License that was looked at, or takes it off: metadata, never the spec.
async fn finalize<L>(context: &Context<L>, gathered: &Gathered, on: bool) -> Result<(), Error> {
    let Some(license) = &gathered.license else { return Ok(()) };
    let meta = license.meta();
    let api: Api<DeserializeGuard<api::License>> =
        Api::namespaced(context.client.clone(), &gathered.key.namespace);
    let patch = Patch::Merge(finalizers(meta, on));
    match api.patch(&license.name_any(), &PatchParams::default(), &patch).await {
        Ok(written) => written.0.into_iter().for_each(|license| context.index.note_license(license)),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(source) => return Err(Error::Cluster { doing: "writing the finalizer of a License", source }),
    }
    Ok(())
}

/// Of two who change the list at once, one is refused: the patch names the version that it was made of.
fn finalizers(meta: &ObjectMeta, on: bool) -> serde_json::Value {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.retain(|name| name != FINALIZER);
    if on {
        finalizers.push(FINALIZER.to_owned());
    }
    json!({"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_finalizer_is_put_on_and_taken_off() {
        let mut meta = ObjectMeta { finalizers: Some(vec!["other".into()]), ..ObjectMeta::default() };
        (meta.uid, meta.resource_version) = (Some("u".into()), Some("7".into()));
        let on = finalizers(&meta, true);
        assert_eq!(
            on,
            json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": ["other", FINALIZER]}})
        );
        meta.finalizers = Some(vec![FINALIZER.into(), "other".into()]);
        assert_eq!(finalizers(&meta, false)["metadata"]["finalizers"], json!(["other"]));
    }
}
