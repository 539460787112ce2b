//! Seeing to it that what the ledger knows of a License is true, before anything is decided upon it.
//!
//! 1. A License that was lost is made true again by parts: a look brings back one, and is made again.
//! 2. Where one person may hold only so many seats of a product, nothing is decided before all Licenses of the product were looked
//!    at: else a waiting one might be given what another one's documents prove to be taken.
//! 3. Of a License that is gone, documents that nobody claims are removed, by their signatures: only what an Authority
//!    of ours has signed about a License of that very name.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _, api::ListParams};
use tracing::info;

use crate::{
    cluster::{
        Context, labels,
        license::{Error, gather::Gathered, troubles::Troubles, validate},
        rights::Access,
        secrets::{self, TYPE},
    },
    domain::{
        license::{Key, License, Uid},
        reason::Because,
    },
    keys::Signer,
    ledger::{Facts, Ledger},
    service::{
        activation_keys::proven,
        issue::is_about,
        reconcile_license::AT_MOST,
        recover_license::{Found, Remains, recover_license},
    },
};

/// A License made so shortly before an incarnation began may be older than it, by the API server's clock.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How many Secrets are read at once.
const PAGE: u32 = 200;

/// How it stands with the facts of a License.
pub(super) enum Recovered {
    /// They are true.
    True,
    /// A part of them is true now, or all: they are others than those that were read.
    Now,
    /// They cannot be made true yet, and until then all is left as it is: nobody signs, Secrets are out of reach, or others come
    /// first.
    Not(Option<Because>),
}

/// Makes the facts of the License true again, if they are of a former incarnation of the ledger.
pub(super) async fn recover<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    facts: &[Facts],
) -> Result<Recovered, Error> {
    let (key, license) = (&gathered.key, &validated.license);
    if context.is_true(&license.uid) {
        return Ok(Recovered::True);
    }
    let facts = facts.iter().find(|facts| facts.license == license.uid);
    if is_old(context, gathered, facts) {
        let signer = match (&validated.keys, gathered.access) {
            (Some(keys), Access::Open) => keys,
            (None, _) => {
                context.note_looked(key);
                context.rebuild.note(key);
                return Ok(Recovered::Not(validated.signer.as_ref().err().cloned()));
            }
            (Some(_), Access::Unknown) => return Ok(Recovered::Not(None)),
            (Some(_), Access::Refused | Access::Ending) => {
                context.rebuild.note(key);
                return Ok(Recovered::Not(None));
            }
        };
        // What activation keys are ours is known by it; whoever finds it has all looked at again.
        if context.nonces.get().is_none() && !license.activation_keys.is_empty() {
            return Ok(Recovered::Not(None));
        }
        bring_back(context, gathered, validated, signer, facts).await?;
        return Ok(Recovered::Now);
    }
    context.note_looked(key);
    let others = || context.index.licenses_beside(key, license.product.as_str());
    if context.was_lost() && license.most_per_user().is_some() && context.waits_for(key, others()) {
        return Ok(Recovered::Not(None));
    }
    context.note_true(&license.uid);
    Ok(Recovered::True)
}

/// Brings back a part of what the Secrets say.
async fn bring_back<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    signer: &Signer,
    facts: Option<&Facts>,
) -> Result<(), Error> {
    let (key, license) = (&gathered.key, &validated.license);
    let found = labelled(context, key).await?;
    let keys = keys(context, license, facts).await?;
    let elsewhere =
        context.ledger.held_elsewhere(&key.namespace, license.product.as_str(), &license.uid).await?;
    let remains = Remains {
        license,
        seats: &validated.seats.seats,
        unreadable: &validated.seats.held,
        signer,
        found: &found,
        keys: &keys,
        facts,
        elsewhere: &elsewhere,
        lost_at: context.incarnation().1,
        is_younger: is_younger(context, gathered, SignedDuration::ZERO),
    };
    let (now, entropy) = (context.edge.now(), context.edge.entropy());
    let recovered = recover_license(&context.ledger, remains, AT_MOST, now, entropy).await?;
    let (bound, documents, more) = (recovered.bound, recovered.documents, recovered.more);
    info!(bound, documents, more, secrets = found.len(), "recovered");
    context.binding_changed.notify_one();
    Ok(())
}

/// The activation keys of the License that are ours, in its Secret and not in the ledger.
async fn keys<L>(
    context: &Context<L>,
    license: &License,
    facts: Option<&Facts>,
) -> Result<Vec<(String, String)>, Error> {
    let nonces = context.nonces.get().filter(|_| !license.activation_keys.is_empty());
    let Some(nonces) = nonces else { return Ok(Vec::new()) };
    let secret = Key::new(&license.key.namespace, license.keys_secret());
    let found = secrets::entries(&context.client, &secret).await;
    let found = found.map_err(|source| Error::Cluster { doing: "reading the activation keys", source })?;
    Ok(proven(license, &found.unwrap_or_default(), nonces, facts.map(|facts| &facts.keys)))
}

/// Removes what is left of a License that is gone, and that this ledger knows nothing of. Returns whether it is known what is.
pub(super) async fn sweep<L>(
    context: &Context<L>,
    key: &Key,
    troubles: &mut Troubles,
) -> Result<bool, Error> {
    if !context.was_lost() || context.is_swept(key) {
        return Ok(true);
    }
    let Some(signers) = context.signers() else { return Ok(false) };
    let mut all = true;
    for found in labelled(context, key).await? {
        if signers.iter().any(|signer| is_about(key, signer, &found.jws)) {
            let secret = Key::new(&key.namespace, &found.name);
            if let Err(error) = secrets::remove(&context.client, &secret, &found.subject).await {
                troubles.note("removing a Secret", error);
                all = false;
            }
        }
    }
    if all {
        context.note_swept(key);
    }
    Ok(true)
}

/// Whether the ledger may know less of the License than there is.
fn is_old<L>(context: &Context<L>, gathered: &Gathered, facts: Option<&Facts>) -> bool {
    let (incarnation, _) = context.incarnation();
    match facts {
        Some(facts) => facts.incarnation < incarnation,
        None => incarnation > 1 && !is_younger(context, gathered, SLACK),
    }
}

/// Whether the License was made so long after the incarnation began, by the API server's clock.
fn is_younger<L>(context: &Context<L>, gathered: &Gathered, slack: SignedDuration) -> bool {
    let created = gathered.readable().and_then(kube::ResourceExt::creation_timestamp);
    created.is_some_and(|created| created.0 >= context.incarnation().1 + slack)
}

/// The Secrets that bear the License's label. The index has no content, so they are read.
async fn labelled<L>(context: &Context<L>, key: &Key) -> Result<Vec<Found>, Error> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let selector = format!("{},{}={}", labels::selector(), labels::LICENSE, key.name);
    let mut params = ListParams::default().labels(&selector).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await;
        let page =
            page.map_err(|source| Error::Cluster { doing: "reading the Secrets of a License", source })?;
        found.extend(page.items.into_iter().filter_map(read));
        match page.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => params = params.continue_token(&more),
            None => return Ok(found),
        }
    }
}

fn read(mut secret: Secret) -> Option<Found> {
    if secret.type_.as_deref() != Some(TYPE) {
        return None;
    }
    let mut data = secret.data.take().unwrap_or_default();
    let mut text = |entry: &str| data.remove(entry).and_then(|bytes| String::from_utf8(bytes.0).ok());
    Some(Found {
        jws: text("license.jws").unwrap_or_default(),
        keys_jws: text("keys.jws").unwrap_or_default(),
        subject: Uid(secret.labels().get(labels::SUBJECT).cloned()?),
        name: secret.name_any(),
    })
}
