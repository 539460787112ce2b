//! Running the looks: at most so many at once, each by itself, until told to stop.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::{Arc, PoisonError},
};

use futures::future::OptionFuture;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tokio::{
    sync::watch as signal,
    task::{Id, JoinError, JoinSet},
};
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::{
    cluster::{
        Context, audit, authority, license, namespace,
        queue::{Done, Task},
        watch,
    },
    ledger::{Ledger, Unavailable},
};

/// How the operator runs.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many objects are looked at at once.
    pub workers: usize,
    /// How long the audit is kept once it is sealed.
    pub audit_retention: SignedDuration,
}

/// How long the audit is kept if nobody says: two years.
pub const AUDIT_RETENTION: SignedDuration = SignedDuration::from_hours(17_520);

impl Default for Settings {
    fn default() -> Self {
        Self { workers: 8, audit_retention: AUDIT_RETENTION }
    }
}

/// Why the operator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error("the ledger cannot be read")]
    Ledger(#[from] Unavailable),
    /// A watch.
    #[error("a watch has died: {0}")]
    Watch(String),
}

impl Error {
    fn watch(ended: Result<(), JoinError>) -> Self {
        Self::Watch(ended.err().map_or_else(|| "it ended".into(), |error| error.to_string()))
    }
}

/// Looks at everything until `stop` says so, then finishes what it began. `ready` is told once every kind was listed.
///
/// # Errors
/// When the ledger cannot be read at the start, or a watch has died: what it would have shown is unknown from then on.
pub async fn run<L: Ledger>(
    context: Arc<Context<L>>,
    settings: Settings,
    ready: signal::Sender<bool>,
    mut stop: signal::Receiver<bool>,
) -> Result<(), Error> {
    let mut watches = watch::all(&context);
    while !context.is_complete() {
        tokio::select! {
            () = context.pushed.notified() => {}
            Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
    // What changed while nobody looked: Licenses that are gone are in the ledger only, or named by Seats only.
    let known = context.ledger.licenses().await?.into_iter();
    let keys = known.chain(context.index.licenses_wanted()).chain(context.index.license_keys());
    context.push(keys.map(Task::License).collect::<BTreeSet<_>>());
    ready.send_replace(true);
    info!("every kind is listed: at work");

    let mut audit = pin!(audit::keep(&context, settings.audit_retention));
    let mut running = JoinSet::new();
    let mut names: HashMap<Id, Task> = HashMap::new();
    loop {
        look_at_all_if_the_clock_went_back(&context);
        let stopping = *stop.borrow();
        while !stopping && running.len() < settings.workers {
            let Some(task) = next(&context) else { break };
            let span = info_span!("look", kind = task.kind(), object = %task);
            let handle = running.spawn(look(context.clone(), task.clone()).instrument(span));
            names.insert(handle.id(), task);
        }
        if stopping && running.is_empty() {
            break;
        }
        let idle = running.len() < settings.workers && !stopping;
        let due = idle.then(|| wake_at(&context));
        let timer: OptionFuture<_> = due.map(|at| context.edge.wait_until(at)).into();
        tokio::select! {
            Some(ended) = running.join_next_with_id() => finish(&context, &mut names, ended),
            () = context.pushed.notified(), if idle => {}
            Some(()) = timer => {}
            never = &mut audit => match never {},
            Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
            _ = stop.changed(), if !stopping => {}
        }
    }
    drop(watches);
    Ok(())
}

fn next<L>(context: &Context<L>) -> Option<Task> {
    let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
    let task = queue.pop(context.edge.now());
    context.metrics.queued(queue.depth());
    task
}

fn wake_at<L>(context: &Context<L>) -> Timestamp {
    context.queue.lock().unwrap_or_else(PoisonError::into_inner).wake_at(context.edge.now())
}

/// What was made and planned while the clock ran ahead is for a time that is far.
fn look_at_all_if_the_clock_went_back<L>(context: &Context<L>) {
    let now = context.edge.now();
    if context.queue.lock().unwrap_or_else(PoisonError::into_inner).went_back(now) {
        warn!("the clock went back: everything is looked at again");
        let authorities = context.index.authorities();
        let authorities = authorities.iter().map(|authority| Task::Authority(authority.name_any()));
        let licenses = context.index.license_keys().into_iter().map(Task::License);
        context.push(authorities.chain(licenses));
    }
}

fn finish<L>(context: &Context<L>, names: &mut HashMap<Id, Task>, ended: Result<(Id, Done), JoinError>) {
    let (id, done) = match ended {
        Ok(ended) => ended,
        Err(panic) => {
            error!(error = %panic, "a look died; it is tried again");
            (panic.id(), Done::Failed)
        }
    };
    if let Some(task) = names.remove(&id) {
        let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.done(task, done, context.edge.now());
    }
}

async fn look<L: Ledger>(context: Arc<Context<L>>, task: Task) -> Done {
    let begun = context.edge.now();
    let done = match &task {
        Task::License(key) => license::reconcile(&context, key).await,
        Task::Authority(name) => authority::reconcile(&context, name).await,
        Task::Namespace(name) => namespace::reconcile(&context, name).await,
    };
    let outcome = match done {
        Done::Rest => "rest",
        Done::At(_) => "later",
        Done::Again => "again",
        Done::Failed => "failed",
    };
    let seconds = context.edge.now().duration_since(begun).as_secs_f64();
    context.metrics.looked(task.kind(), outcome, seconds);
    done
}
