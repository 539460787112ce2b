//! Copies of the License's Secret in other namespaces, whose owners let Usher in.
//!
//! ```text
//!   no copies ──► finalizer ──► claimed (ledger) ──► written … removed ──► settled (ledger) ──► finalizer lifted
//! ```
//!
//! 1. A copy has labels and no owner reference, which cannot reach into another namespace. So the License has a finalizer, but
//!    only while it has copies: a namespace without them goes without Usher.
//! 2. A namespace that is going or gone has no copies. One that does not let us in any more keeps its own: the claim stays in the
//!    ledger and is removed if it ever lets us in again, and the License does not wait for that. Nobody can hold up the
//!    deletion of somebody else's License.
//! 3. What is wrong with one copy is said, and holds up nothing else.

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
        context::Access,
        license::{Error, gather::Gathered, validate},
        rights::not_granted,
        secrets::{self, Desired, Written},
    },
    domain::{
        license::{Key, Uid},
        reason::{Because, Reason},
    },
    ledger::{Document, Facts, Ledger},
    service::copy_license::{Claimed, claim_copies, settle_copies},
};

/// On Licenses that have copies, and on no others.
pub(crate) const FINALIZER: &str = "usher.dev/copies";

/// How it stands with the copies of a License.
#[derive(Debug)]
pub(super) enum Copied {
    /// As they should be.
    Done,
    /// Of one namespace it is not known yet whether we may: something will bring us back.
    Pending,
    /// One of them is not as it should be.
    Hindered(Because),
}

/// The Secrets that are to be copies.
pub(super) fn wanted(gathered: &Gathered) -> BTreeSet<Key> {
    let Some(license) = gathered.readable() else { return BTreeSet::new() };
    let Some(name) = validate::secret_name(license) else { return BTreeSet::new() };
    let namespaces = license.spec.secret.iter().flat_map(|secret| &secret.namespaces);
    namespaces
        .filter(|namespace| namespace.as_str() != gathered.key.namespace)
        .map(|namespace| Key::new(namespace.as_str(), name.as_str()))
        .collect()
}

/// Whether the object says that it may have copies.
pub(super) fn has_finalizer(gathered: &Gathered) -> bool {
    let license = gathered.license.as_ref();
    license.is_some_and(|license| license.meta().finalizers.iter().flatten().any(|name| name == FINALIZER))
}

/// Makes the copies of a License that there is what they should be. `document` is what they hold.
pub(super) async fn show<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    uid: &Uid,
    document: Option<&Document>,
    now: Timestamp,
) -> Result<Copied, Error> {
    let wanted = wanted(gathered);
    if wanted.is_empty() && !has_finalizer(gathered) {
        return Ok(Copied::Done);
    }
    let in_access = |access: Access| -> BTreeSet<Key> {
        wanted.iter().filter(|copy| context.access(&copy.namespace) == access).cloned().collect()
    };
    let (refused, ending, unknown) =
        (in_access(Access::Refused), in_access(Access::Ending), in_access(Access::Unknown));
    let open = if document.is_some() { in_access(Access::Open) } else { BTreeSet::new() };
    let (current, former): (Vec<Facts>, Vec<Facts>) =
        context.ledger.facts(&gathered.key).await?.into_iter().partition(|facts| facts.license == *uid);
    release(context, gathered, &former, now).await?;
    let Some(facts) = current.first() else { return Ok(Copied::Done) };
    if !open.is_empty() && !has_finalizer(gathered) {
        finalize(context, gathered, true).await?;
    }
    let keep = &(&refused | &unknown) | &wanted.iter().filter(|_| document.is_none()).cloned().collect();
    let claimed = claim_copies(&context.ledger, &gathered.key, facts, &open, &keep, now).await?;
    let left = remove(context, gathered, uid, &claimed, now).await?;
    let mut taken = claimed.taken.clone();
    for copy in &claimed.ours {
        let Some(document) = document else { continue };
        let desired = Desired::copy(copy.clone(), &gathered.key, uid, document);
        if secrets::ensure(&context.client, &context.index, &desired)
            .await
            .map_err(failed("writing a copy"))?
            == Written::Foreign
        {
            taken.insert(copy.clone());
        }
    }
    let held = claimed.ours.len() + claimed.taken.len() + left.len();
    let kept = facts.copies.iter().any(|claim| !claim.removing && keep.contains(&claim.secret));
    if held == 0 && !kept && has_finalizer(gathered) {
        finalize(context, gathered, false).await?;
    }
    Ok(match hindrance(&refused, &ending, &taken, gathered) {
        Some(because) => Copied::Hindered(because),
        None if !unknown.is_empty() => Copied::Pending,
        None => Copied::Done,
    })
}

/// Removes the copies of Licenses of this name that are gone, or are about to go, and lets them go.
pub(super) async fn withdraw<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    facts: &[Facts],
    now: Timestamp,
) -> Result<(), Error> {
    let mut left = wanted(gathered);
    left.extend(release(context, gathered, facts, now).await?);
    let unknown = left.iter().any(|copy| context.access(&copy.namespace) == Access::Unknown);
    if unknown || !has_finalizer(gathered) {
        return Ok(());
    }
    // A ledger that was lost knows of no copies, but the License does.
    let Some(uid) = gathered.license.as_ref().and_then(|license| license.meta().uid.clone()).map(Uid) else {
        return Ok(());
    };
    for copy in wanted(gathered).iter().filter(|copy| context.access(&copy.namespace) == Access::Open) {
        secrets::remove(&context.client, copy, &uid).await.map_err(failed("removing a copy"))?;
    }
    finalize(context, gathered, false).await
}

/// Releases and removes all copies of Licenses that are gone. Returns what is left.
async fn release<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    gone: &[Facts],
    now: Timestamp,
) -> Result<BTreeSet<Key>, Error> {
    let (mut left, none) = (BTreeSet::new(), BTreeSet::new());
    for facts in gone.iter().filter(|facts| !facts.copies.is_empty()) {
        let claimed = claim_copies(&context.ledger, &gathered.key, facts, &none, &none, now).await?;
        left.extend(remove(context, gathered, &facts.license, &claimed, now).await?);
    }
    Ok(left)
}

/// Removes what is to be removed where we may, and settles what is gone. Returns what is left.
async fn remove<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    uid: &Uid,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<BTreeSet<Key>, Error> {
    let (mut gone, mut left) = (Vec::new(), BTreeSet::new());
    for copy in &claimed.removing {
        match context.access(&copy.namespace) {
            Access::Open => {
                secrets::remove(&context.client, copy, uid).await.map_err(failed("removing a copy"))?;
                gone.push(copy.clone());
            }
            Access::Ending => gone.push(copy.clone()),
            Access::Refused | Access::Unknown => drop(left.insert(copy.clone())),
        }
    }
    settle_copies(&context.ledger, &gathered.key, uid, claimed.version, gone, now).await?;
    Ok(left)
}

fn hindrance(
    refused: &BTreeSet<Key>,
    ending: &BTreeSet<Key>,
    taken: &BTreeSet<Key>,
    gathered: &Gathered,
) -> Option<Because> {
    if let Some(copy) = refused.first() {
        return Some(not_granted(&copy.namespace, &gathered.usher));
    }
    if let Some(copy) = ending.first() {
        let namespace = &copy.namespace;
        return Some(Because::new(
            Reason::NamespaceNotGranted,
            format!(
                "there is no namespace {namespace} for a copy: create it, or take it out of spec.secret.namespaces"
            ),
        ));
    }
    let copy = taken.first()?;
    Some(Because::new(
        Reason::SecretNameTaken,
        format!(
            "Secret {copy} is not ours, or belongs to another License, and is left alone: delete that Secret, set \
             spec.secret.name to another name, or take the namespace out of spec.secret.namespaces"
        ),
    ))
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
        Err(source) => return Err(failed("writing the finalizer of a License")(source)),
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

fn failed(doing: &'static str) -> impl Fn(kube::Error) -> Error {
    move |source| Error::Cluster { doing, source }
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
