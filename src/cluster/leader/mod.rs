//! The Lease `usher` in Usher's namespace: of several replicas one leads, and it alone reconciles.
//!
//! ```text
//!   campaign (a task): read the Lease ─► Candidate::evaluate (pure) ─► claim or wait ─► tells `lead`
//!   operator:          lead won ─► take up ─► look at everything … lead ended ─► every look is dropped ─► follow
//!   fence:             no lead, no write
//! ```
//!
//! The lead that is told names the instant at which it ends if nothing more is told: nobody need be quick to notice.

mod fence;
pub(super) mod reach;
pub(super) mod take_up;

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::{debug, warn};

use crate::{
    cluster::{Context, api::MANAGER},
    domain::leadership::{Candidate, Record, Seen, Step, Terms},
    service::edge::Edge,
};

pub(super) use fence::guard;

const NAME: &str = "usher";
/// How long one request for the Lease may take.
const REQUEST: Duration = Duration::from_millis(2_500);
/// How long until a request that failed is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// That this replica leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lead {
    /// Rises with each lead of this process.
    pub(super) term: u64,
    /// When it ends, by [`Edge::elapsed`], if nothing more is told.
    pub(super) until: Duration,
}

/// A running campaign for the lead.
pub(super) struct Campaign {
    api: Api<Lease>,
    edge: Arc<dyn Edge>,
    me: String,
    lead: watch::Receiver<Option<Lead>>,
    resigned: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Campaign {
    /// Begins to campaign as `me`, who has `seen` this of the Lease; `newcomer` where no Usher ever was.
    pub(super) fn begin<L>(context: &Context<L>, me: String, newcomer: bool, seen: Seen) -> Self {
        let (api, edge, lead) = (lease(context), context.edge.clone(), context.lead.clone());
        let resigned = Arc::new(Notify::new());
        let (told, candidate) = (lead.subscribe(), Candidate::new(me.clone(), Terms::USUAL, newcomer, seen));
        let task = tokio::spawn(campaign(
            Lessee { api: api.clone(), edge: edge.clone(), me: me.clone() },
            candidate,
            lead,
            resigned.clone(),
        ));
        Self { api, edge, me, lead: told, resigned, task }
    }

    /// Returns when this replica leads.
    pub(super) async fn won(&mut self) -> Lead {
        loop {
            if let Some(lead) = *self.lead.borrow_and_update()
                && self.edge.elapsed() < lead.until
            {
                return lead;
            }
            if self.lead.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns when `lead` has ended.
    pub(super) async fn ended(&self, lead: Lead) {
        ended(self.lead.clone(), &*self.edge, lead).await;
    }

    /// Gives the lead up, to campaign anew.
    pub(super) fn resign(&self) {
        self.resigned.notify_one();
    }

    /// Ends the campaign, and releases the Lease so that nobody has to wait.
    pub(super) async fn release(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        let lessee = Lessee { api: self.api.clone(), edge: self.edge.clone(), me: self.me.clone() };
        match timeout(REQUEST, lessee.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, "the Lease could not be released: others wait until it has ended");
            }
            Err(_) => warn!("the Lease could not be released in time: others wait until it has ended"),
        }
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lease<L>(context: &Context<L>) -> Api<Lease> {
    Api::namespaced(context.unfenced.clone(), &context.namespace)
}

/// Looks at the Lease, and writes down what it sees, until it is dropped: who starts after a leader has died waits no longer for it than others.
pub(super) async fn observe<L>(context: &Context<L>, seen: &mut Seen) -> Infallible {
    let (api, edge) = (lease(context), &context.edge);
    loop {
        if let Ok(Ok(found)) = timeout(REQUEST, api.get_opt(NAME)).await {
            seen.note(found.as_ref().map(record).as_ref(), edge.elapsed());
        }
        edge.wait(Terms::USUAL.look).await;
    }
}

async fn ended(mut told: watch::Receiver<Option<Lead>>, edge: &dyn Edge, lead: Lead) {
    loop {
        let until = match *told.borrow_and_update() {
            Some(now) if now.term == lead.term => now.until,
            _ => return,
        };
        let left = until.saturating_sub(edge.elapsed());
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = edge.wait(left) => {}
            changed = told.changed() => if changed.is_err() { return },
        }
    }
}

async fn campaign(
    lessee: Lessee,
    mut candidate: Candidate,
    told: watch::Sender<Option<Lead>>,
    resigned: Arc<Notify>,
) {
    let edge = lessee.edge.clone();
    let mut term = 0;
    loop {
        let until = round(&lessee, &mut candidate, &told, &mut term).await;
        if candidate.leads_until(edge.elapsed()).is_none() {
            told.send_if_modified(|lead| lead.take().is_some());
        }
        let mut resigning = pin!(resigned.notified());
        tokio::select! {
            () = edge.wait(until.saturating_sub(edge.elapsed())) => {}
            () = &mut resigning => {
                candidate.resign();
                told.send_replace(None);
            }
        }
    }
}

/// Reads the Lease, and claims it if it is time. Returns when to do it again.
async fn round(
    lessee: &Lessee,
    candidate: &mut Candidate,
    told: &watch::Sender<Option<Lead>>,
    term: &mut u64,
) -> Duration {
    let edge = &lessee.edge;
    let soon = |edge: &Arc<dyn Edge>| edge.elapsed().saturating_add(AGAIN);
    let found = match timeout(REQUEST, lessee.api.get_opt(NAME)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            warn!(%error, "the Lease could not be read");
            return soon(edge);
        }
        Err(_) => {
            warn!("the Lease could not be read in time");
            return soon(edge);
        }
    };
    match candidate.evaluate(found.as_ref().map(record).as_ref(), edge.elapsed()) {
        Step::Wait(until) => until,
        Step::Claim => {
            let sent = edge.elapsed();
            let (renewing, created) = (candidate.leads_until(sent).is_some(), found.is_none());
            match timeout(REQUEST, lessee.claim(found, renewing)).await {
                Ok(Ok(())) => {
                    let next = candidate.claimed(created, sent, edge.elapsed());
                    if let Some(until) = candidate.leads_until(edge.elapsed()) {
                        // What the former lead was told to end with has passed: this is another one.
                        *term += u64::from(!told.borrow().is_some_and(|lead| sent < lead.until));
                        told.send_replace(Some(Lead { term: *term, until }));
                    }
                    next
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                    debug!("somebody else was faster at the Lease");
                    soon(edge)
                }
                Ok(Err(error)) => {
                    warn!(%error, "the Lease could not be claimed");
                    soon(edge)
                }
                Err(_) => {
                    warn!("the Lease could not be claimed in time");
                    soon(edge)
                }
            }
        }
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0)),
    }
}

/// Who writes the Lease.
struct Lessee {
    api: Api<Lease>,
    edge: Arc<dyn Edge>,
    me: String,
}

impl Lessee {
    /// Writes my name into the Lease, if it is still as it was found.
    async fn claim(&self, found: Option<Lease>, renewing: bool) -> Result<(), kube::Error> {
        let now = Some(MicroTime(self.edge.now()));
        let is_new = found.is_none();
        let mut lease = found.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let former = lease.spec.take().unwrap_or_default();
        let changes_hands = !renewing || former.holder_identity.as_ref() != Some(&self.me);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(Terms::USUAL.duration.as_secs()).ok(),
            acquire_time: if changes_hands { now.clone() } else { former.acquire_time },
            renew_time: now,
            lease_transitions: Some(
                former.lease_transitions.unwrap_or(0).saturating_add(i32::from(changes_hands && !is_new)),
            ),
            ..LeaseSpec::default()
        });
        self.write(is_new, &lease).await
    }

    async fn release(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.api.get_opt(NAME).await? else { return Ok(()) };
        if record(&lease).holder.as_ref() != Some(&self.me) {
            return Ok(());
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        self.write(false, &lease).await
    }

    async fn write(&self, create: bool, lease: &Lease) -> Result<(), kube::Error> {
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        if create {
            self.api.create(&params, lease).await?;
        } else {
            self.api.replace(NAME, &params, lease).await?;
        }
        Ok(())
    }
}
