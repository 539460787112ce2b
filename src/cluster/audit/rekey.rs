//! Another audit key takes the place of one that is lost, and only because somebody consented.
//!
//! ```text
//!   usher audit rekey ──► consent K1, on the ConfigMap usher-audit, which shows checkpoints by K1
//!     └─ the Secret is gone ──► consent K1/K2 ──► Secret with K2 ──► entry rekey {K1, K2} ──► checkpoint by K2
//!                               (by the leader)                                                └─► shown, the consent is taken off
//! ```
//!
//! 1. A consent names the key that is given up, as the ConfigMap shows it: once that shows another one, it means nothing.
//! 2. The leader writes down which key it is going to make before it makes it. So one that died in between is followed by one who goes
//!    on with that key, and a key that somebody else put there is nobody's.
//! 3. While the Secret holds any other key nothing is made in its place: nobody may delete that but whoever put it there.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tracing::warn;
use usher_license::Thumbprint;

use super::{
    Error, key,
    published::{self, NAME, Shown},
};
use crate::{
    cluster::Context,
    keys::AuditKey,
    ledger::Ledger,
    service::keep_audit::{SealError, Tail},
};

/// On the ConfigMap [`NAME`]: the consent of `usher audit rekey`.
pub const REKEY: &str = "usher.dev/rekey";

/// That a key is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consent {
    /// This one.
    pub(super) from: Thumbprint,
    /// The one that Usher makes instead, once it does.
    pub(super) to: Option<Thumbprint>,
}

impl Consent {
    /// What cannot be read consents to nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('/').map_or((text, None), |(from, to)| (from, Some(to)));
        Some(Self { from: from.parse().ok()?, to: to.map(str::parse).transpose().ok()? })
    }
}

impl Shown {
    /// Whether there is the consent to just this change, with the key that Usher wrote down before it made it. Whoever owns the ledger can write
    /// that a key changed, and by no key of theirs that they give up may ours seal.
    fn consents_to(&self, from: &Thumbprint, to: &Thumbprint) -> bool {
        let consent = Consent { from: from.clone(), to: Some(to.clone()) };
        self.consent.as_ref() == Some(&consent)
    }
}

/// The key whose turn it is, by which `tail` is to be sealed. Nothing, if another one's turn has just begun: look again.
pub(super) async fn whose_turn<L: Ledger>(
    context: &Context<L>,
    tail: &Tail,
    now: Timestamp,
) -> Result<Option<AuditKey>, Error> {
    let found = key::found(context).await?;
    let ours = |recorded: &Thumbprint| found.as_ref().is_some_and(|found| found.thumbprint() == *recorded);
    let is_ours = tail.key().is_some_and(ours);
    if is_ours && tail.turn().is_none() {
        return Ok(found);
    }
    let shown = published::shown(context).await?;
    if let Some((from, to)) = tail.turn().filter(|_| is_ours) {
        let changed = || SealError::KeyChanged { recorded: from.clone(), found: to.clone() };
        return if shown.consents_to(from, to) { Ok(found) } else { Err(changed().into()) };
    }
    // A ledger that has sealed nothing yet may be one that was made anew: then what is shown is by the key that there was.
    let Some(recorded) = tail.key().or(shown.key.as_ref()) else {
        return match found {
            None => Ok(Some(key::kept(context, &key::fresh(context)).await?)),
            found => Ok(found),
        };
    };
    if ours(recorded) {
        return Ok(found);
    }
    let key = replaced(context, &shown, found, recorded).await?;
    let (from, to) = (recorded.to_string(), key.thumbprint().to_string());
    context.ledger.rekey(&from, &to, now).await.map_err(Error::Rekey)?;
    warn!(from, to, "the audit key is another one from now on, as somebody consented");
    Ok(None)
}

/// The key that takes the place of `recorded`, if somebody consented to that.
async fn replaced<L>(
    context: &Context<L>,
    shown: &Shown,
    found: Option<AuditKey>,
    recorded: &Thumbprint,
) -> Result<AuditKey, Error> {
    let consent = shown.consent.as_ref().filter(|consent| shown.key.as_ref() == Some(&consent.from));
    let changed = |found: &AuditKey| {
        Err(SealError::KeyChanged { recorded: recorded.clone(), found: found.thumbprint() }.into())
    };
    let consent = match (consent, found) {
        // Made by a leader that died before it could say so.
        (Some(consent), Some(found)) if consent.to == Some(found.thumbprint()) => return Ok(found),
        (_, Some(found)) => return changed(&found),
        (None, None) => return Err(key::missing().into()),
        (Some(consent), None) => consent,
    };
    let fresh = key::fresh(context);
    write_down(context, shown, &format!("{}/{}", consent.from, fresh.thumbprint())).await?;
    let kept = key::kept(context, &fresh).await?;
    if kept.thumbprint() == fresh.thumbprint() { Ok(kept) } else { changed(&kept) }
}

/// Puts this consent in the place of the one that was read.
async fn write_down<L>(context: &Context<L>, shown: &Shown, consent: &str) -> Result<(), Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.namespace);
    let patch = json!({"metadata": {"resourceVersion": shown.version, "annotations": {REKEY: consent}}});
    let written = maps.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
    let failed = |source| published::Error::Cluster { doing: "writing down the new audit key", source };
    written.map(drop).map_err(|source| failed(source).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyPair;

    #[test]
    fn a_change_that_only_the_ledger_tells_of_is_not_consented_to() {
        let [ours, forged, next] = [1, 2, 3].map(|seed| KeyPair::from_seed(&[seed; 32]).thumbprint());
        let mut shown = Shown::default();
        assert!(!shown.consents_to(&forged, &ours));
        shown.consent = Consent::read(ours.as_str());
        assert!(!shown.consents_to(&ours, &next), "Usher has not begun to make it");
        shown.consent = Consent::read(&format!("{ours}/{next}"));
        assert!(shown.consents_to(&ours, &next));
        assert!(!shown.consents_to(&forged, &next) && !shown.consents_to(&ours, &forged));
    }

    #[test]
    fn a_consent_names_the_key_that_is_given_up_and_what_cannot_be_read_is_none() {
        let [from, to] = [1, 2].map(|seed| KeyPair::from_seed(&[seed; 32]).thumbprint());
        assert_eq!(Consent::read(from.as_str()), Some(Consent { from: from.clone(), to: None }));
        let both = format!("{from}/{to}");
        assert_eq!(Consent::read(&both), Some(Consent { from: from.clone(), to: Some(to) }));
        for text in ["", "yes", &format!("{from}/"), &format!("{from}/{from}/{from}"), &format!("/{from}")] {
            assert_eq!(Consent::read(text), None, "{text}");
        }
    }
}
