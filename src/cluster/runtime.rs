//! The runtime's part in the cluster: the key of its nonces, and what it tells of Licenses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tracing::{error, info};

use crate::{
    cluster::{
        Context,
        own_key::{self, Error, Which},
        queue::Task,
        standing,
    },
    domain::{contract::SUMMARY, license::Key, refusal::Code, terms::ClonePolicy, witness::Standing},
    keys::nonce::{NonceKey, NonceKeys},
    ledger::{Ledger, Unavailable},
    service::activations::{Happened, News},
};

const NONCES: Which = Which { secret: "usher-nonce-key", because: "nonces by it are out there" };
/// How long until the key is looked for again.
const AGAIN: Duration = Duration::from_secs(5);
/// Of so many objects it is remembered when their use was shown; before that, those of which it does not matter any more are forgotten.
const REMEMBERED: usize = 1_024;

/// Of so many objects use is shown within one second: whatever goes on, the cluster's own database is not written more often for it.
const A_SECOND: u32 = 5;

/// When the use of each object is, or was, shown.
#[derive(Debug, Default)]
pub(super) struct Summaries(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    objects: HashMap<Key, Shown>,
    /// How many are to be shown within each second that is to come.
    seconds: BTreeMap<i64, u32>,
    /// From how many objects on those that do not matter are looked for: twice as many as mattered the last time.
    many: usize,
}

/// When one of them was shown last, and will be shown next.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    last: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Summaries {
    /// When to show, at `now` or later, the use of `key` that changes at `at`.
    pub(super) fn next(&self, key: &Key, at: Timestamp, now: Timestamp) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next(key, at, now)
    }
}

impl Plan {
    fn next(&mut self, key: &Key, at: Timestamp, now: Timestamp) -> Timestamp {
        self.forget(now);
        let Shown { mut last, mut next } = self.objects.get(key).copied().unwrap_or_default();
        if let Some(past) = next.take_if(|next| *next < now) {
            last = Some(past);
        }
        let earliest = last.map_or(at, |last| after(last).max(at)).max(now);
        let chosen = match next {
            // It will be shown anyway.
            Some(next) if next <= earliest => next,
            other => {
                self.free(other);
                self.take(earliest)
            }
        };
        self.objects.insert(key.clone(), Shown { last, next: Some(chosen) });
        chosen
    }

    /// The first instant from `earliest` on within whose second there is a place, which is taken.
    fn take(&mut self, earliest: Timestamp) -> Timestamp {
        let first = earliest.as_second();
        let free = (first..).find(|second| self.seconds.get(second).is_none_or(|taken| *taken < A_SECOND));
        let second = free.unwrap_or(first);
        *self.seconds.entry(second).or_default() += 1;
        Timestamp::from_second(second).map_or(earliest, |at| at.max(earliest))
    }

    fn free(&mut self, planned: Option<Timestamp>) {
        if let Some(taken) = planned.and_then(|at| self.seconds.get_mut(&at.as_second())) {
            *taken = taken.saturating_sub(1);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.seconds = self.seconds.split_off(&now.as_second());
        if self.objects.len() > self.many.max(REMEMBERED) {
            let matters = |shown: &Shown| {
                shown.next.is_some_and(|next| after(next) > now)
                    || shown.last.is_some_and(|last| after(last) > now)
            };
            self.objects.retain(|_, shown| matters(shown));
            self.many = self.objects.len().saturating_mul(2);
        }
    }
}

/// When use that was shown at `shown` may be shown again.
fn after(shown: Timestamp) -> Timestamp {
    shown.checked_add(SignedDuration::from_secs(SUMMARY)).unwrap_or(Timestamp::MAX)
}

#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error(transparent)]
    Key(#[from] Error),
    #[error("reading whether there are activations failed")]
    Read(#[from] Unavailable),
}

/// Finds the key of nonces, or makes it if there never was an activation, and says it if that is lost later. Whoever serves needs it,
/// whoever leads.
pub(super) async fn keep_nonce_key<L: Ledger>(context: Arc<Context<L>>) {
    // Of a ledger that is lost or another cluster's nothing follows for the key.
    standing::serves(&context).await;
    find_nonce_key(&context).await;
    let Some(nonces) = context.nonces.get() else { return };
    let secrets: Api<Secret> = Api::namespaced(context.unfenced.clone(), &context.namespace);
    let said = (&*context.edge, &*context.metrics);
    let next = "restore it from a backup; at the next start no activation is served without it";
    let ours = nonces.thumbprint();
    let holds = |data: &_| NonceKey::from_jwk(own_key::jwk(data)).is_ok_and(|key| key.thumbprint() == ours);
    match own_key::follow(&secrets, NONCES.secret, next, said, holds).await {}
}

async fn find_nonce_key<L: Ledger>(context: &Context<L>) {
    while context.nonces.get().is_none() {
        match nonce_key(context).await {
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
    let may_make = !context.ledger.needs_nonces().await?;
    let fresh = || NonceKey::from_secret(context.edge.entropy()).to_jwk();
    let (client, namespace) = (&context.unfenced, &context.namespace);
    let jwk = own_key::found_or_made(client, namespace, NONCES, may_make, fresh).await?;
    let key = NonceKey::from_jwk(&jwk).map_err(|error| Error::Unreadable { which: NONCES, source: error })?;
    let is_ours = context.ledger.nonces_are_by(&key.thumbprint()).await?;
    if is_ours { Ok(key) } else { Err(Error::Other(NONCES).into()) }
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
            | Happened::Asked
            | Happened::SessionClosed => {}
        }
        match happened {
            // Somebody may wait for the place; somebody is to be warned, or warned no more.
            Happened::Freed | Happened::Forked | Happened::Resolved => self.push([task]),
            Happened::Taken | Happened::Asked | Happened::SessionOpened { .. } | Happened::SessionClosed => {
                let now = self.edge.now();
                self.push_by(task, self.summaries.next(key, now, now));
            }
            // Whoever keeps the witness looks how far the ledger is.
            Happened::Restored => self.binding_changed.notify_one(),
            // Whoever leads is about to know it.
            Happened::KeyTurned => self.key_turned.notify_one(),
            Happened::SessionRefused => {}
        }
    }

    fn forked(&self, policy: ClonePolicy) {
        self.metrics.forked(policy);
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
        let next = |key, now| summaries.next(key, at(now), at(now));
        assert_eq!(next(&cad, 100), at(100));
        for now in [101, 102, 159] {
            assert_eq!(next(&cad, now), at(160));
        }
        assert_eq!(next(&pcb, 102), at(102));
        assert_eq!(next(&cad, 161), at(220));
        assert_eq!(next(&cad, 1_000), at(1_000));
    }

    #[test]
    fn use_that_ends_later_is_shown_then_and_what_comes_meanwhile_is_not_kept_waiting_for_that() {
        let (summaries, cad) = (Summaries::default(), Key::new("design", "cad"));
        assert_eq!(summaries.next(&cad, at(400), at(100)), at(400));
        assert_eq!(summaries.next(&cad, at(150), at(150)), at(150));
        assert_eq!(summaries.next(&cad, at(400), at(151)), at(400));
        assert_eq!(summaries.next(&cad, at(160), at(160)), at(210));
    }

    #[test]
    fn of_all_objects_together_five_are_shown_a_second() {
        let summaries = Summaries::default();
        let key = |n: i64| Key::new("design", format!("cad-{n}"));
        for n in 0..2_000 {
            assert_eq!(summaries.next(&key(n), at(100), at(100)), at(100 + n / 5), "{n}");
        }
        assert_eq!(summaries.next(&key(3), at(101), at(101)), at(500), "once more, behind all of them");
        // A place that is not needed any more is another's.
        assert_eq!(summaries.next(&key(20_000), at(9_000), at(102)), at(9_000));
        assert_eq!(summaries.next(&key(20_000), at(4_000), at(102)), at(4_000));
        for n in 30_000..30_005 {
            assert_eq!(summaries.next(&key(n), at(9_000), at(102)), at(9_000));
        }
        assert_eq!(summaries.next(&key(30_006), at(9_000), at(102)), at(9_001));
        assert_eq!(
            summaries.next(&key(0), at(50_000), at(50_000)),
            at(50_000),
            "what has passed takes no place"
        );
    }
}
