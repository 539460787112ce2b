//! The runtime's part in the cluster: the key of its nonces, and what it tells of Licenses.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tracing::{error, info};

use crate::{
    cluster::{
        Context,
        own_key::{self, Error, Which},
        queue::Task,
    },
    domain::{contract::SUMMARY, license::Key, refusal::Code, witness::Standing},
    keys::nonce::{NonceKey, NonceKeys},
    ledger::{Ledger, Unavailable},
    service::activations::{Happened, News},
};

const NONCES: Which = Which { secret: "usher-nonce-key", because: "nonces by it are out there" };
/// How long until the key is looked for again.
const AGAIN: Duration = Duration::from_secs(5);
/// Of so many objects it is remembered when their use was shown; before that, those of which it does not matter any more are forgotten.
const REMEMBERED: usize = 1_024;

/// When the use of each object is, or was, shown.
#[derive(Debug, Default)]
pub(super) struct Summaries(Mutex<HashMap<Key, Timestamp>>);

impl Summaries {
    /// When to show the use of `key` that has changed at `now`.
    fn next(&self, key: &Key, now: Timestamp) -> Timestamp {
        let pause = SignedDuration::from_secs(SUMMARY);
        let after = |shown: Timestamp| shown.checked_add(pause).unwrap_or(Timestamp::MAX);
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() > REMEMBERED {
            shown.retain(|_, at| after(*at) > now);
        }
        let next = match shown.get(key) {
            // It will be shown anyway.
            Some(at) if *at >= now => return *at,
            Some(at) => after(*at).max(now),
            None => now,
        };
        shown.insert(key.clone(), next);
        next
    }
}

#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error(transparent)]
    Key(#[from] Error),
    #[error("reading whether there are activations failed")]
    Read(#[from] Unavailable),
}

/// Finds the key of nonces, or makes it if there never was an activation. Whoever serves needs it, whoever leads.
pub(super) async fn find_nonce_key<L: Ledger>(context: Arc<Context<L>>) {
    while context.nonces.get().is_none() {
        match nonce_key(&context).await {
            Ok(key) => {
                info!("nonces can be made: activations are served");
                drop(context.nonces.set(NonceKeys::new(key, Vec::new())));
                // Those with activation keys may have waited for it.
                context.push(context.index.license_keys().into_iter().map(Task::License));
            }
            Err(failure) => {
                error!(error = &failure as &dyn std::error::Error, "activations are not served");
                context.edge.wait(AGAIN).await;
            }
        }
    }
}

async fn nonce_key<L: Ledger>(context: &Context<L>) -> Result<NonceKey, Missing> {
    let may_make = !context.ledger.has_activations().await?;
    let fresh = || NonceKey::from_secret(context.edge.entropy()).to_jwk();
    let (client, namespace) = (&context.unfenced, &context.namespace);
    let jwk = own_key::found_or_made(client, namespace, NONCES, may_make, fresh).await?;
    Ok(NonceKey::from_jwk(&jwk).map_err(|error| Error::Unreadable { which: NONCES, source: error })?)
}

impl<L: Send + Sync + 'static> News for Context<L> {
    fn answered(&self, call: &'static str, refused: Option<Code>, took: Duration) {
        self.metrics.called(call, refused.map_or("ok", Code::as_str), took.as_secs_f64());
    }

    fn tell(&self, key: &Key, happened: Happened) {
        let task = Task::License(key.clone());
        match happened {
            Happened::SessionOpened { over } => self.metrics.session(if over { "over" } else { "opened" }),
            Happened::SessionRefused => self.metrics.session("refused"),
            Happened::Taken
            | Happened::Freed
            | Happened::Forked
            | Happened::Resolved
            | Happened::Restored
            | Happened::KeyTurned
            | Happened::SessionClosed => {}
        }
        match happened {
            // Somebody may wait for the place; somebody is to be warned, or warned no more.
            Happened::Freed | Happened::Forked | Happened::Resolved => self.push([task]),
            Happened::Taken | Happened::SessionOpened { .. } | Happened::SessionClosed => {
                self.push_by(task, self.summaries.next(key, self.edge.now()));
            }
            // Whoever keeps the witness looks how far the ledger is.
            Happened::Restored => self.binding_changed.notify_one(),
            // Whoever leads is about to know it.
            Happened::KeyTurned => self.key_turned.notify_one(),
            Happened::SessionRefused => {}
        }
    }

    fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    #[test]
    fn use_is_shown_at_once_and_then_once_a_minute_an_object() {
        let (summaries, cad, pcb) =
            (Summaries::default(), Key::new("design", "cad"), Key::new("design", "pcb"));
        assert_eq!(summaries.next(&cad, at(100)), at(100));
        for now in [101, 102, 159] {
            assert_eq!(summaries.next(&cad, at(now)), at(160));
        }
        assert_eq!(summaries.next(&pcb, at(102)), at(102));
        assert_eq!(summaries.next(&cad, at(161)), at(220));
        assert_eq!(summaries.next(&cad, at(1_000)), at(1_000));
    }
}
