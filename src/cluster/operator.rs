//! Running the looks: at most so many at once, each by itself, until told to stop.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    pin::pin,
    sync::{Arc, PoisonError},
    time::Duration,
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
        Context,
        api::{Seat, UserAssignment},
        arrivals, audit, authority, identity_provider,
        leader::{
            Campaign, observe, reach,
            take_up::{self, take_up},
        },
        license, namespace, others,
        queue::{Done, Task},
        rebuild, runtime, standing, unreadable, watch,
        witness::{self, Keeper},
    },
    domain::{
        leadership::Seen,
        license::Key,
        witness::{Loss, OnLoss},
    },
    ledger::{Ledger, Unavailable},
};

/// How long until a lead that could not be taken up is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How the operator runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many objects are looked at at once.
    pub workers: usize,
    /// How long the audit is kept once it is sealed.
    pub audit_retention: SignedDuration,
    /// The name of this replica in the Lease. Whoever bore it before must be dead: who has none gets a new one.
    pub identity: Option<String>,
    /// What to do when the ledger was lost.
    pub on_loss: OnLoss,
    /// Other replicas answer programs out of the same ledger.
    pub shared: bool,
}

/// How long the audit is kept if nobody says: two years.
pub const AUDIT_RETENTION: SignedDuration = SignedDuration::from_hours(17_520);

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 8,
            audit_retention: AUDIT_RETENTION,
            identity: None,
            on_loss: OnLoss::default(),
            shared: false,
        }
    }
}

/// Why the operator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger was not the one that it should be, or cannot be read.
    #[error("the lead cannot be taken up")]
    TakeUp(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A watch.
    #[error("a watch has died: {0}")]
    Watch(String),
}

impl Error {
    fn watch(ended: Result<(), JoinError>) -> Self {
        Self::Watch(ended.err().map_or_else(|| "it ended".into(), |error| error.to_string()))
    }
}

/// How leading ended.
enum End {
    /// We were told to stop, and finished what was begun.
    Stopped,
    /// Nothing could be renewed, or another one has the Lease.
    Lost,
    /// The ledger says that another one leads.
    Deposed,
    /// A nonce has proved that the ledger was restored: it is to be taken up anew.
    Restored,
    /// The ledger does not answer, or takes no writes.
    CutOff,
}

/// Leads when it is our turn, and looks at everything while we lead; until `stop` says so, then finishes what it began.
/// `ready` is told once every kind was listed: whoever does not lead is ready to.
///
/// # Errors
/// When the ledger is not to be worked with, or a watch has died: what it would have shown is unknown from then on.
pub async fn run<L: Ledger>(
    context: Arc<Context<L>>,
    settings: Settings,
    ready: signal::Sender<bool>,
    mut stop: signal::Receiver<bool>,
) -> Result<(), Error> {
    let mut watches = watch::all(&context);
    watches.spawn(identity_provider::keep(context.clone()));
    // They end when this is dropped.
    let mut aside = JoinSet::new();
    aside.spawn(runtime::keep_nonce_key(context.clone()));
    aside.spawn({
        let context = context.clone();
        async move { match standing::follow(context).await {} }
    });
    let mut seen = Seen::default();
    {
        let mut observing = pin!(observe(&context, &mut seen));
        while !context.is_complete() {
            tokio::select! {
                () = context.pushed.notified() => {}
                never = &mut observing => match never {},
                Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }
    ready.send_replace(true);
    info!("every kind is listed");
    let mut campaign = tokio::select! {
        campaign = campaign(&context, &settings, seen) => campaign,
        Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    loop {
        let lead = tokio::select! {
            lead = campaign.won() => lead,
            never = authority::follow(&context) => match never {},
            Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let ended = tokio::select! {
            ended = lead_on(&context, &settings, &mut stop) => ended?,
            () = campaign.ended(lead) => End::Lost,
            () = reach::cut_off(&*context.edge, || is_there(&context)) => End::CutOff,
            Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
        };
        context.metrics.leads(false);
        // Whatever was under way was dropped with its future.
        match ended {
            End::Stopped => break,
            End::Lost => warn!("the lead is lost: nothing is decided or written until it is ours again"),
            End::Deposed => {
                warn!(
                    "the ledger was taken up by another one: nothing is decided or written until it is ours again"
                );
                campaign.resign();
                campaign.ended(lead).await;
            }
            End::CutOff => {
                warn!(
                    "the ledger does not answer, or takes no writes: another replica may lead until it does"
                );
                campaign.release().await;
                campaign = tokio::select! {
                    campaign = self::campaign(&context, &settings, Seen::default()) => campaign,
                    Some(ended) = watches.join_next() => return Err(Error::watch(ended)),
                    _ = stop.wait_for(|stop| *stop) => return Ok(()),
                };
            }
            End::Restored => {
                // Nothing that was decided upon the ledger as it was is committed from here on.
                say_restored(&context).await;
                campaign.resign();
                campaign.ended(lead).await;
            }
        }
    }
    campaign.release().await;
    Ok(())
}

/// A nonce has proved that the ledger was restored: it is taken up anew, and made true again.
async fn say_restored<L: Ledger>(context: &Arc<Context<L>>) {
    let because = standing::is_rebuilt(Loss::Proven);
    warn!("{}", because.message);
    if let Err(error) = authority::say_missing(context, &because).await {
        warn!(%error, "saying that the ledger was restored failed");
    }
}

/// Whether the ledger answers, and takes writes: whoever leads commits.
async fn is_there<L: Ledger>(context: &Context<L>) -> bool {
    context.ledger.takes_writes().await.is_ok()
}

/// Begins to campaign once the ledger is there: whoever cannot reach it keeps nobody else from leading.
async fn campaign<L: Ledger>(context: &Arc<Context<L>>, settings: &Settings, seen: Seen) -> Campaign {
    reach::answers(&*context.edge, || is_there(context)).await;
    let fresh = || crate::domain::hex(context.edge.entropy().get(..8).unwrap_or_default());
    let me = settings.identity.clone().unwrap_or_else(|| format!("usher_{}", fresh()));
    // Where no ledger was ever witnessed, no Lease was ever held.
    let newcomer = matches!(witness::read(context).await, Ok(None));
    Campaign::begin(context, me, newcomer, seen)
}

/// From taking up the ledger to the end of the lead, if it ends by itself.
async fn lead_on<L: Ledger>(
    context: &Arc<Context<L>>,
    settings: &Settings,
    stop: &mut signal::Receiver<bool>,
) -> Result<End, Error> {
    let (mut keeper, after) = loop {
        let taken = tokio::select! {
            taken = begin(context, settings.on_loss) => taken,
            _ = stop.wait_for(|stop| *stop) => return Ok(End::Stopped),
        };
        match taken {
            Ok(begun) => break begun,
            Err(error) if error.may_pass() => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "the lead cannot be taken up; it is tried again");
            }
            Err(error) => return Err(Error::TakeUp(error.into())),
        }
        context.edge.wait(AGAIN).await;
    };
    context.metrics.leads(true);
    info!("at work");
    let ended = {
        let mut follow = pin!(keeper.follow());
        let mut audit = pin!(audit::keep(context, settings.audit_retention));
        let mut arrivals = pin!(arrivals::follow(context));
        let mut rebuilt = pin!(rebuild::finish(context));
        let mut others = pin!(OptionFuture::from(settings.shared.then(|| others::follow(context, after))));
        tokio::select! {
            never = &mut audit => match never {},
            Some(never) = &mut others => match never {},
            never = &mut arrivals => match never {},
            never = &mut rebuilt => match never {},
            ended = work(context, settings.workers, stop) => ended,
            error = &mut follow => match error {
                witness::Error::Risen => End::Restored,
                error => return Err(Error::TakeUp(error.into())),
            },
        }
    };
    finish_witness(&mut keeper, &ended).await;
    Ok(ended)
}

/// Takes up the ledger, and asks for a look at all there is. Returns, too, after which link of the audit others are to be followed.
async fn begin<L: Ledger>(
    context: &Arc<Context<L>>,
    on_loss: OnLoss,
) -> Result<(Keeper<L>, i64), take_up::Error> {
    let keeper = take_up(context, on_loss).await?;
    let after = others::begin(context).await?;
    everything(context).await?;
    Ok((keeper, after))
}

/// What was committed last is witnessed before somebody else leads.
async fn finish_witness<L: Ledger>(keeper: &mut Keeper<L>, ended: &End) {
    if matches!(ended, End::Stopped)
        && let Err(error) = keeper.catch_up().await
    {
        warn!(%error, "the witness could not be written for the last time");
    }
}

/// Asks for a look at all there is. What changed while nobody looked: Licenses that are gone are in the ledger only, or
/// named by Seats only.
async fn everything<L: Ledger>(context: &Context<L>) -> Result<(), Unavailable> {
    let known = context.ledger.licenses().await?;
    let wanted = context.index.licenses_wanted().into_iter().chain(context.index.license_keys());
    let keys: HashSet<Key> = known.into_iter().chain(wanted).collect();
    let rebuilding = context.ledger.head().await?.rebuilding;
    context.rebuild.begin(rebuilding.then(|| keys.clone()));
    let authorities = context.index.authorities().into_iter().map(|authority| authority.name_any());
    // The answers that were under way when a lead ended were dropped.
    let namespaces = context.rights.wanted().into_iter().map(Task::Namespace);
    // What the ledger does not know any more may be all that is left of a License.
    let left = if context.was_lost() { context.index.looks_for_secrets() } else { BTreeSet::new() };
    let providers = context.index.identity_providers().into_iter().map(|provider| provider.name_any());
    // First what the Licenses wait for.
    context.push(authorities.map(Task::Authority).chain(namespaces));
    context.push(providers.map(Task::IdentityProvider));
    context.push(keys.into_iter().map(Task::License).chain(left).collect::<BTreeSet<_>>());
    context.push(context.index.unreadable_members());
    Ok(())
}

/// Runs looks until told to stop, and then until the last one has ended; or until the ledger says that another one leads.
async fn work<L: Ledger>(
    context: &Arc<Context<L>>,
    workers: usize,
    stop: &mut signal::Receiver<bool>,
) -> End {
    let mut running = JoinSet::new();
    let mut names: HashMap<Id, Task> = HashMap::new();
    loop {
        look_at_all_if_the_clock_went_back(context);
        let stopping = *stop.borrow();
        while !stopping && running.len() < workers {
            let Some(task) = next(context) else { break };
            let span = info_span!("look", kind = task.kind(), object = %task);
            let handle = running.spawn(look(context.clone(), task.clone()).instrument(span));
            names.insert(handle.id(), task);
        }
        if stopping && running.is_empty() {
            return End::Stopped;
        }
        let idle = running.len() < workers && !stopping;
        let due = idle.then(|| wake_at(context));
        let timer: OptionFuture<_> = due.map(|at| context.edge.wait_until(at)).into();
        tokio::select! {
            Some(ended) = running.join_next_with_id() => finish(context, &mut names, ended),
            () = context.pushed.notified(), if idle => {}
            Some(()) = timer => {}
            _ = stop.changed(), if !stopping => {}
        }
        if context.ledger.deposed() {
            return End::Deposed;
        }
    }
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
        Task::IdentityProvider(name) => identity_provider::reconcile(&context, name).await,
        Task::Seat(key) => unreadable::reconcile::<Seat, _>(&context, key).await,
        Task::UserAssignment(key) => unreadable::reconcile::<UserAssignment, _>(&context, key).await,
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
