//! What other replicas have answered programs: the leader shows it, as it shows what it has answered itself.
//!
//! Who took or gave back a place, and which copies were seen, is in the audit, which is followed. Sessions are not, and are shown
//! once a minute anyway.

use std::{convert::Infallible, time::Duration};

use tracing::warn;

use crate::{
    cluster::Context,
    domain::{license::Key, refusal::Code},
    ledger::{
        Ledger, Unavailable,
        audit::{Entry, Link},
    },
    service::activations::{Happened, News as _},
};

/// How often the audit is asked.
const PACE: Duration = Duration::from_secs(2);
/// After how many times sessions are asked for.
const SESSIONS: u32 = 30;
/// How many links are read at once.
const PAGE: u32 = 500;

/// Where to begin: to be asked before everything is looked at, so that nothing is missed between the two.
pub(super) async fn begin<L: Ledger>(context: &Context<L>) -> Result<i64, Unavailable> {
    Ok(context.ledger.last_link().await?.map_or(0, |link| link.sequence))
}

/// Tells what others did after the link `after`, until it is dropped.
pub(super) async fn follow<L: Ledger>(context: &Context<L>, mut after: i64) -> Infallible {
    loop {
        for _ in 0..SESSIONS {
            if let Err(error) = tell_of_activations(context, &mut after).await {
                warn!(error = &error as &dyn std::error::Error, "what other replicas did is shown later");
            }
            context.edge.wait(PACE).await;
        }
        match context.ledger.in_use(context.edge.now()).await {
            Ok(keys) => keys.iter().for_each(|key| context.tell(key, Happened::SessionClosed)),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "sessions of other replicas are shown later");
            }
        }
    }
}

/// Tells of what was recorded after the link `after`.
async fn tell_of_activations<L: Ledger>(context: &Context<L>, after: &mut i64) -> Result<(), Unavailable> {
    for link in context.ledger.audit(*after, PAGE).await? {
        for (key, happened) in told_by(&link) {
            context.tell(&key, happened);
        }
        *after = link.sequence;
    }
    Ok(())
}

/// What a link tells of activations.
fn told_by(link: &Link) -> Vec<(Key, Happened)> {
    // What cannot be read was written by another version: the next look at the License will do.
    let entries: Vec<Entry> = serde_json::from_str(&link.entries).unwrap_or_default();
    let told = entries.into_iter().filter_map(|entry| match entry {
        Entry::Activate { license, .. } => Some((license, Happened::Taken)),
        Entry::Deactivate { license, .. } => Some((license, Happened::Freed)),
        Entry::Resolve { license, .. } => Some((license, Happened::Resolved)),
        Entry::Fork { license, .. } => Some((license, Happened::Forked)),
        Entry::Refuse { code, license: Some(license), .. } if code == Code::DeviceNotListed.as_str() => {
            Some((license, Happened::Asked))
        }
        _ => None,
    });
    told.filter_map(|(license, happened)| {
        let (namespace, name) = license.split_once('/')?;
        Some((Key::new(namespace, name), happened))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_activations_is_told_and_nothing_else() {
        let entries = [
            Entry::Limit { license: "design/cad".into(), seats: 2 },
            Entry::Activate {
                license: "design/cad".into(),
                activation: "a".into(),
                holder: "h".into(),
                serial: "s".into(),
            },
            Entry::Fork { license: "lab/pcb".into(), activation: "b".into(), position: "1.2".into() },
        ];
        let link = Link::after(None, 5, serde_json::to_string(&entries).unwrap());
        let told = told_by(&link);
        assert_eq!(
            told,
            [(Key::new("design", "cad"), Happened::Taken), (Key::new("lab", "pcb"), Happened::Forked)]
        );
        assert_eq!(told_by(&Link::after(None, 5, "of another version".into())), []);
    }
}
