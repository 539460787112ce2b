//! Seeing to it that what the ledger knows of a License is true, before anything is decided upon it.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _, api::ListParams};
use tracing::info;

use crate::{
    cluster::{
        Context,
        context::Access,
        labels,
        license::{Error, gather::Gathered, validate},
        secrets::TYPE,
    },
    domain::{
        license::{Key, Uid},
        reason::Because,
    },
    ledger::{Facts, Ledger},
    service::recover_license::{Found, Remains, recover_license},
};

/// A License made so shortly before an incarnation began may be older than it, by the API server's clock.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How many Secrets are read at once.
const PAGE: u32 = 200;

/// How it stands with the facts of a License.
pub(super) enum Recovered {
    /// They are true.
    True,
    /// They are true now, and others than those that were read.
    Now,
    /// They cannot be made true yet, and until then all is left as it is: nobody signs, or Secrets are out of reach.
    Not(Option<Because>),
}

/// Makes the facts of the License true again, if they are of a former incarnation of the ledger.
pub(super) async fn recover<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
    validated: &validate::Valid,
    facts: &[Facts],
) -> Result<Recovered, Error> {
    let uid = &validated.license.uid;
    if context.is_true(uid) {
        return Ok(Recovered::True);
    }
    let facts = facts.iter().find(|facts| facts.license == *uid);
    let is_old = is_old(context, gathered, facts);
    if is_old {
        let signer = match (&validated.keys, gathered.access) {
            (Some(keys), Access::Open) => keys,
            (None, _) => return Ok(Recovered::Not(validated.signer.as_ref().err().cloned())),
            (Some(_), Access::Refused | Access::Unknown | Access::Ending) => {
                return Ok(Recovered::Not(None));
            }
        };
        let found = secrets(context, &gathered.key).await?;
        let (namespace, product) = (&gathered.key.namespace, validated.license.product.as_str());
        let elsewhere = context.ledger.held_elsewhere(namespace, product, uid).await?;
        let remains = Remains {
            license: &validated.license,
            seats: &validated.seats.seats,
            unreadable: &gathered.unreadable_seats,
            signer,
            found: &found,
            facts,
            elsewhere: &elsewhere,
        };
        let (now, entropy) = (context.edge.now(), context.edge.entropy());
        let (bound, documents) = recover_license(&context.ledger, remains, now, entropy).await?;
        info!(bound, documents, secrets = found.len(), "recovered");
        context.binding_changed.notify_one();
    }
    context.note_true(uid);
    Ok(if is_old { Recovered::Now } else { Recovered::True })
}

/// Whether the ledger may know less of the License than there is.
fn is_old<L>(context: &Context<L>, gathered: &Gathered, facts: Option<&Facts>) -> bool {
    let (incarnation, since) = context.incarnation();
    match facts {
        Some(facts) => facts.incarnation < incarnation,
        None => {
            let created = gathered.readable().and_then(kube::ResourceExt::creation_timestamp);
            incarnation > 1 && created.is_none_or(|created| created.0 < since + SLACK)
        }
    }
}

/// The Secrets that bear the License's label, copies of other Licenses' left out. The index has no content, so they are read.
async fn secrets<L>(context: &Context<L>, key: &Key) -> Result<Vec<Found>, Error> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let (license, of_others) = (labels::LICENSE, labels::LICENSE_NAMESPACE);
    let selector = format!("{},{license}={},!{of_others}", labels::selector(), key.name);
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
