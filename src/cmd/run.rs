//! `usher run`: the operator. The only place that names concrete parts and wires them.
//!
//! ```text
//!   certificate ──► operations listener: alive, not ready ──► ledger, tried again until it is there ──► operator, programs
//! ```

mod listeners;

use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use jiff::SignedDuration;
use kube::Client;
use tokio::sync::watch;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::{
    cluster::{self, Context, Reviews, Settings, metrics::Metrics, rights::Rights, saml_key},
    cmd::{self, Failure, edge::Machine, place::LedgerArgs, stop},
    domain::{duration::DurationText, hex, witness::OnLoss},
    http::{self, Bounds, Operations},
    identity::saml::{OwnKey, sandbox::not_dumpable},
    keys::Published,
    ledger::{Ledger, Place, postgres::Postgres, sqlite::Sqlite},
    service::{
        activations::{Grounds, Runtime},
        edge::Edge,
        sign_in::{Home, SignIn},
    },
};

use listeners::Listeners;

/// Reconciles Licenses and Seats, and serves the keys of Authorities. The cluster is that of KUBECONFIG, else the
/// one that this program runs in.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to serve keys, over HTTPS.
    #[arg(long, env = "USHER_LISTEN", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Where to serve /healthz, /readyz and /metrics, over HTTPS.
    #[arg(long, env = "USHER_OPS_LISTEN", default_value = "0.0.0.0:8081")]
    ops_listen: SocketAddr,
    #[command(flatten)]
    ledger: LedgerArgs,
    /// The namespace of Usher itself: private keys are kept there.
    #[arg(long, env = "USHER_NAMESPACE", default_value = "usher-system")]
    namespace: String,
    /// Where people and their programs reach this server, such as https://usher.acme.example: identity providers send browsers back to
    /// /signin/callback there. Without it nobody signs in.
    #[arg(long, env = "USHER_PUBLIC_URL", value_name = "URL")]
    public_url: Option<Home>,
    /// A name or address under which clients reach this server, besides localhost and the Service's; may be repeated.
    #[arg(long = "tls-name", env = "USHER_TLS_NAMES", value_delimiter = ',')]
    tls_names: Vec<String>,
    /// A Secret of Usher's own namespace, of type kubernetes.io/tls, such as cert-manager writes: clients are served by its certificate, and by
    /// the next one as soon as it is there. Without it, by one under Usher's own CA.
    #[arg(long, env = "USHER_TLS_SECRET", value_name = "NAME")]
    tls_secret: Option<String>,
    /// Keep documents in Secrets of every namespace, by rights on all Secrets of the cluster. Without it, only in
    /// those whose owners made the RoleBinding usher-documents there.
    #[arg(long, env = "USHER_SECRETS_CLUSTER_WIDE")]
    secrets_cluster_wide: bool,
    /// The name of this replica in the Lease `usher`; in a pod that is the pod's.
    #[arg(long, env = "HOSTNAME", default_value = "usher")]
    name: String,
    /// What to do when the ledger was lost, or is older than the cluster remembers. If not given: rebuild for a SQLite
    /// file, and refuse for a PostgreSQL database, which is more often the wrong one than lost.
    #[arg(long, env = "USHER_ON_LOSS", value_enum)]
    on_loss: Option<Loss>,
    /// How many objects are looked at at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// How long the audit is kept, as a Go duration from 24h to 876000h (a hundred years); two years if not given.
    #[arg(long, env = "USHER_AUDIT_RETENTION", default_value = "17520h", value_parser = retention)]
    audit_retention: SignedDuration,
    /// How to write logs. RUST_LOG chooses what is logged; usher=debug tells more.
    #[arg(long, env = "USHER_LOG", value_enum, default_value_t = Log::Human)]
    log: Log,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Loss {
    /// Recover who holds what from specs and from Secrets whose signatures verify.
    Rebuild,
    /// Say so, and do nothing until `usher ledger rebuild`.
    Refuse,
}

impl From<Loss> for OnLoss {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Rebuild => Self::Rebuild,
            Loss::Refuse => Self::Refuse,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Log {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// From a day, so that nothing is gone before anybody could have looked, to a hundred years.
fn retention(text: &str) -> Result<SignedDuration, String> {
    let seconds = text.parse::<DurationText>().map_err(|error| error.to_string())?.seconds();
    let retention = SignedDuration::from_secs(seconds);
    let (least, most) = (SignedDuration::from_hours(24), SignedDuration::from_hours(876_000));
    if (least..=most).contains(&retention) {
        Ok(retention)
    } else {
        Err("must be from 24h to 876000h, such as 17520h for two years".to_owned())
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    log(args.log);
    // Whoever takes over the process that reads XML runs as the same user.
    not_dumpable()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stopped = stop::told()?;
        match &args.ledger.ledger {
            Place::File(path) => {
                // Another process may have it: that is said before anything else is done.
                let ledger = Sqlite::open(path).await?;
                let owner = ledger.owner().unwrap_or_else(fresh);
                let (facts, people) = (ledger.another(), ledger.another());
                let kept = Kept { ledger, facts, people, owner, shared: false, on_loss: OnLoss::Rebuild };
                operate(args, async { Ok(Some(kept)) }, stopped).await
            }
            Place::Database(url) => operate(args, opened(url, stopped.clone()), stopped).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A ledger, and how this process shares it.
struct Kept<L> {
    ledger: L,
    /// For those who answer programs, whoever leads.
    facts: L,
    /// For people who sign in.
    people: L,
    /// Tells this process from others in the Lease.
    owner: String,
    shared: bool,
    on_loss: OnLoss,
}

/// A name that nobody bore before.
fn fresh() -> String {
    hex(Machine.entropy().get(..8).unwrap_or_default())
}

/// How long until a database that was not there is asked for again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// The database, once it is there; nothing if we are told to stop before.
async fn opened(url: &str, mut stopped: watch::Receiver<bool>) -> Result<Option<Kept<Postgres>>, Failure> {
    let (mut pause, longest) = PAUSE;
    loop {
        match Postgres::open(url).await {
            Ok(ledger) => {
                let (facts, people, owner) = (ledger.another(), ledger.another(), fresh());
                let on_loss = OnLoss::Refuse;
                return Ok(Some(Kept { ledger, facts, people, owner, shared: true, on_loss }));
            }
            Err(error) if error.may_pass() => {
                warn!(error = %cmd::with_causes(&error), again_in = ?pause, "the database is not there yet");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = Machine.wait(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return Ok(None),
        }
        pause = pause.saturating_mul(2).min(longest);
    }
}

/// We say ourselves what becomes of a watch.
const DEFAULT_FILTER: &str = "info,kube_runtime=off,kube_client=error";

fn log(log: Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let terminal = std::io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    match log {
        Log::Human => subscriber.with_target(false).init(),
        Log::Json => subscriber.json().init(),
    }
}

/// What there is once the ledger is open.
struct Parts<L> {
    context: Arc<Context<L>>,
    runtime: Arc<Runtime<L>>,
    sign_in: Option<Arc<SignIn<L>>>,
    published: Arc<Published>,
    settings: Settings,
    listed: watch::Sender<bool>,
}

impl<L: Ledger> Parts<L> {
    fn new(
        args: &Args,
        client: Client,
        edge: Arc<dyn Edge>,
        door: Option<(Home, Arc<OwnKey>)>,
        kept: Kept<L>,
    ) -> Self {
        let (published, reviewer) = (Arc::new(Published::default()), client.clone());
        let context = Arc::new(Context::new(
            client,
            Rights::new(args.secrets_cluster_wide),
            kept.ledger,
            edge.clone(),
            args.namespace.clone(),
            published.clone(),
            Arc::new(Metrics::default()),
        ));
        let (signers, nonces) = (context.signers.clone(), context.nonces.clone());
        let callers = Arc::new(Reviews::new(reviewer, edge.clone()));
        let people = Grounds { providers: context.providers.clone(), intent: context.clone() };
        let names = listeners::names(args).into_iter().chain(args.public_url.iter().map(Home::host));
        let runtime =
            Runtime::new(kept.facts, edge.clone(), signers, nonces.clone(), context.clone(), callers, people);
        let runtime = Arc::new(runtime.named(names.collect()));
        let sign_in = door.map(|(home, key)| {
            let (providers, proofs) = (context.providers.clone(), runtime.proofs().clone());
            let sign_in = SignIn::new(kept.people, edge, providers, nonces, home, proofs, key);
            let metrics = context.metrics.clone();
            Arc::new(sign_in.counting(Arc::new(move |outcome| metrics.rechecked(outcome))))
        });
        let settings = Settings {
            workers: usize::from(args.workers),
            audit_retention: args.audit_retention,
            identity: Some(format!("{}_{}", args.name, kept.owner)),
            on_loss: args.on_loss.map_or(kept.on_loss, OnLoss::from),
            shared: kept.shared,
        };
        Self { context, runtime, sign_in, published, settings, listed: watch::Sender::new(false) }
    }

    async fn is_ready(&self) -> Result<(), &'static str> {
        if !*self.listed.borrow() {
            return Err("the cluster is not listed yet: is the API server there, are the CRDs applied?\n");
        }
        self.runtime.is_ready().await
    }
}

/// What is told of these parts, and while there are none yet: a process that waits for its database lives, and is not ready.
fn operations<L: Ledger>(parts: &Arc<OnceLock<Parts<L>>>, is_certified: Arc<AtomicBool>) -> Operations {
    let (asked, measured) = (parts.clone(), parts.clone());
    Operations {
        answers: Arc::new(move || {
            let (parts, is_certified) = (asked.clone(), is_certified.clone());
            Box::pin(async move {
                if !is_certified.load(Ordering::SeqCst) {
                    return Err("the Secret of --tls-secret has no certificate yet: the log says why\n");
                }
                match parts.get() {
                    Some(parts) => parts.is_ready().await,
                    None => Err("the ledger is not open yet: is the database there? The log says why not\n"),
                }
            })
        }),
        metrics: Arc::new(move || {
            measured.get().map_or_else(|| "# EOF\n".to_owned(), |parts| parts.context.measured())
        }),
    }
}

/// Where people sign in, if they do, and the key by which their identity providers know Usher.
async fn door(client: &Client, args: &Args, edge: &dyn Edge) -> Result<Option<(Home, Arc<OwnKey>)>, Failure> {
    let Some(home) = args.public_url.clone() else { return Ok(None) };
    let key = saml_key::keep(client, &args.namespace, edge.now()).await?;
    Ok(Some((home, Arc::new(key))))
}

async fn operate<L: Ledger>(
    args: &Args,
    ledger: impl Future<Output = Result<Option<Kept<L>>, Failure>>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let edge: Arc<dyn Edge> = Arc::new(Machine);
    let client = Client::try_from(cmd::cluster().await?)?;
    let listeners = Listeners::new(&client, args, &*edge, stopped.clone()).await?;
    let door = door(&client, args, &*edge).await?;
    let parts = Arc::new(OnceLock::new());
    let follower = client.clone();
    info!(keys = %args.listen, operations = %args.ops_listen, ledger = %args.ledger.ledger, "starting");

    let work = async {
        let Some(kept) = ledger.await? else { return Ok(()) };
        let parts = parts.get_or_init(|| Parts::new(args, client.clone(), edge.clone(), door, kept));
        let Parts { context, runtime, sign_in, published, settings, listed } = parts;
        // It is large, and the stack of a thread is not.
        let operator =
            Box::pin(cluster::run(context.clone(), settings.clone(), listed.clone(), stopped.clone()));
        let bounds = Bounds::default();
        let programs = http::main(runtime.clone(), edge.clone(), published.clone(), sign_in.clone(), bounds);
        let operator = async { operator.await.map_err(Failure::from) };
        let served = async { tokio::try_join!(operator, listeners.answer(args.listen, programs)) };
        tokio::select! {
            ended = runtime.telling_of_refusals(served) => ended.map(|_| ()),
            never = listeners.follow_ca(&client, args, &*edge, &context.metrics) => match never {},
        }
    };
    let running = async {
        let operations = http::operations(operations(&parts, listeners.is_certified()));
        tokio::try_join!(work, listeners.operate(args.ops_listen, operations))
    };
    tokio::select! {
        ended = running => ended.map(|_| ())?,
        failed = listeners.renew(&*edge) => failed?,
        never = listeners.follow(&follower, &args.namespace) => match never {},
    }
    info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_is_kept_for_a_day_at_least_and_a_hundred_years_at_most() {
        assert_eq!(retention("17520h"), Ok(cluster::AUDIT_RETENTION));
        assert_eq!(retention("24h"), Ok(SignedDuration::from_hours(24)));
        for text in ["23h59m59s", "876000h1s", "2y", "0s"] {
            assert!(retention(text).is_err(), "{text}");
        }
    }
}
