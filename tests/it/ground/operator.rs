//! The operator in this process.

use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use ::http::{Request, StatusCode};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use jiff::{SignedDuration, Timestamp};
use kube::{Client, Config, client::Body};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use usher::{
    cluster::{self, Context, Reviews, Settings, metrics::Metrics, rights::Rights},
    http::{self, Bounds},
    identity::saml::{OwnKey, Reader, SUBCOMMAND},
    keys::{
        Published,
        nonce::NonceKeys,
        tls::{make_ca, make_certificate},
    },
    ledger::{Ledger, postgres::Postgres, sqlite::Sqlite},
    service::{
        activations::{Grounds, Runtime},
        edge::Edge,
        providers::Registry,
        sign_in::SignIn,
    },
};

/// The machine's own clock and randomness.
pub struct Machine;

impl Edge for Machine {
    #[expect(clippy::disallowed_methods, reason = "the real clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(until.duration_since(self.now()).try_into().unwrap_or_default()))
    }
    #[expect(clippy::disallowed_methods, reason = "the real clock")]
    fn elapsed(&self) -> Duration {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGUN.elapsed()
    }
    fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(pause))
    }
    #[expect(clippy::disallowed_methods, reason = "real randomness")]
    fn entropy(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).unwrap();
        bytes
    }
}

/// A clock that a test turns. It runs from the real time on, so that tokens are good.
pub struct Turned {
    ahead: AtomicI64,
    turned: Notify,
}

impl Turned {
    /// A clock that shows the real time, until it is turned.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { ahead: AtomicI64::new(0), turned: Notify::new() })
    }

    /// Turns the clock.
    pub fn forward(&self, by: SignedDuration) {
        self.ahead.fetch_add(by.as_secs(), Ordering::SeqCst);
        self.turned.notify_waiters();
    }

    /// Turns the clock back: somebody had set it wrong.
    pub fn back(&self, by: SignedDuration) {
        self.forward(-by);
    }
}

impl Edge for Turned {
    fn now(&self) -> Timestamp {
        Machine.now() + SignedDuration::from_secs(self.ahead.load(Ordering::SeqCst))
    }
    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                let mut turned = std::pin::pin!(self.turned.notified());
                turned.as_mut().enable();
                let Ok(wait) = until.duration_since(self.now()).try_into() else { return };
                if tokio::time::timeout(wait, turned).await.is_err() {
                    return;
                }
            }
        })
    }
    fn elapsed(&self) -> Duration {
        Machine.elapsed()
    }
    fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Machine.wait(pause)
    }
    fn entropy(&self) -> [u8; 32] {
        Machine.entropy()
    }
}

/// The key of Usher's requests by SAML, one for all tests of this process: to make one takes its time.
pub fn saml_key() -> Arc<OwnKey> {
    static KEY: LazyLock<Arc<OwnKey>> = LazyLock::new(|| Arc::new(OwnKey::fresh(Machine.now()).unwrap()));
    KEY.clone()
}

/// Where programs are served, and under which CA.
#[derive(Debug, Clone)]
pub struct Listening {
    pub url: String,
    pub ca: String,
}

/// An engine of the ledger, of which there can be several handles.
pub trait Engine: Ledger {
    fn handle(&self) -> Self;
}

impl Engine for Sqlite {
    fn handle(&self) -> Self {
        self.another()
    }
}

impl Engine for Postgres {
    fn handle(&self) -> Self {
        self.another()
    }
}

/// A running operator.
pub struct Operator<L = Sqlite> {
    /// What it measures.
    pub metrics: Arc<Metrics>,
    /// What it serves.
    pub published: Arc<Published>,
    /// Where people may sign in.
    pub providers: Arc<Registry>,
    /// What it answers programs with.
    runtime: Arc<Runtime<L>>,
    /// What marks tokens and seals what providers give, once it is known.
    nonces: Arc<OnceLock<NonceKeys>>,
    /// The facts of people, as whoever answers them has them.
    pub people: L,
    edge: Arc<dyn Edge>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Operator {
    /// Starts the operator and waits until it is at work.
    pub async fn start(client: Client, ledger: &Path, edge: Arc<dyn Edge>) -> Self {
        Self::start_with(client, Rights::new(true), ledger, edge).await
    }

    /// The same, with Usher's own rights on `ground`, and on Secrets only where it is let in.
    pub async fn start_narrow(ground: &super::Ground, ledger: &Path) -> Self {
        let client = Client::try_from(ground.usher_config().await).unwrap();
        Self::start_with(client, Rights::new(false), ledger, Arc::new(Machine)).await
    }

    /// The same, with rights on Secrets as given.
    pub async fn start_with(client: Client, rights: Rights, ledger: &Path, edge: Arc<dyn Edge>) -> Self {
        Self::start_as(client, rights, ledger, edge, Settings::default()).await
    }

    /// The same, with settings.
    pub async fn start_as(
        client: Client,
        rights: Rights,
        ledger: &Path,
        edge: Arc<dyn Edge>,
        settings: Settings,
    ) -> Self {
        // A former operator of this process may still be letting go of the file.
        let ledger = super::until("the ledger is free", async || Sqlite::open(ledger).await.ok()).await;
        let settings = Settings { identity: ledger.owner(), ..settings };
        let operator = Self::run(client, rights, ledger, edge, settings).await;
        operator.leads().await;
        operator
    }

    /// Starts the operator and waits until it is ready to lead.
    pub async fn follow(client: Client, ledger: Sqlite, edge: Arc<dyn Edge>, settings: Settings) -> Self {
        Self::run(client, Rights::new(true), ledger, edge, settings).await
    }
}

impl Operator<Postgres> {
    /// The same, on the database at `url`.
    pub async fn start_at(client: Client, url: &str, edge: Arc<dyn Edge>) -> Self {
        let ledger = Postgres::open(url).await.unwrap();
        let settings = Settings { shared: true, ..Settings::default() };
        let operator = Self::run(client, Rights::new(true), ledger, edge, settings).await;
        operator.leads().await;
        operator
    }
}

impl<L: Engine> Operator<L> {
    async fn run(client: Client, rights: Rights, ledger: L, edge: Arc<dyn Edge>, settings: Settings) -> Self {
        let (metrics, published) = (Arc::new(Metrics::default()), Arc::new(Published::default()));
        let (facts, people, reviewer) = (ledger.handle(), ledger.handle(), client.clone());
        let mut context = Context::new(
            client,
            rights,
            ledger,
            edge.clone(),
            "usher-system".into(),
            published.clone(),
            metrics.clone(),
        );
        // This process is no `usher`.
        context.saml = Reader::of(env!("CARGO_BIN_EXE_usher"), [SUBCOMMAND]);
        let context = Arc::new(context);
        let (signers, nonces) = (context.signers.clone(), context.nonces.clone());
        let providers = context.providers.clone();
        let callers = Arc::new(Reviews::new(reviewer, edge.clone()));
        let grounds = Grounds { providers: context.providers.clone(), intent: context.clone() };
        let runtime =
            Runtime::new(facts, edge.clone(), signers, nonces.clone(), context.clone(), callers, grounds);
        let runtime = Arc::new(runtime.named(["localhost", "127.0.0.1"].map(String::from).to_vec()));
        let (stop, stopped) = watch::channel(false);
        let (ready, mut is_ready) = watch::channel(false);
        let answering = runtime.clone();
        let running = tokio::spawn(async move {
            let operator = cluster::run(context, settings, ready, stopped);
            answering.telling_of_refusals(operator).await.unwrap();
        });
        let ready = tokio::time::timeout(super::PATIENCE, is_ready.wait_for(|ready| *ready)).await;
        ready.expect("the operator is ready in time").expect("the operator lives");
        Self { metrics, published, runtime, nonces, people, providers, edge, stop, running }
    }

    /// Serves programs over TLS, until the operator is told to stop, and waits until they can be answered.
    pub async fn listen(&self) -> Listening {
        self.listen_at("localhost").await
    }

    /// The same, as another site than everything else on this machine.
    pub async fn listen_at(&self, host: &str) -> Listening {
        let listening = self.serve_at(host, Bounds::default()).await;
        super::until("activations are served", async || self.runtime.is_ready().await.ok()).await;
        listening
    }

    /// The same, whether they can be answered or not.
    pub async fn serve(&self) -> Listening {
        self.serve_at("localhost", Bounds::default()).await
    }

    /// The same, where calls may cost no more than this.
    pub async fn serve_within(&self, bounds: Bounds) -> Listening {
        self.serve_at("localhost", bounds).await
    }

    async fn serve_at(&self, host: &str, bounds: Bounds) -> Listening {
        let ca = make_ca(self.edge.now()).unwrap();
        let certificate = make_certificate(&ca, &[host.to_owned()], self.edge.now()).unwrap();
        let tls = RustlsConfig::from_config(http::serve::tls(&certificate).unwrap());
        // Browsers are sent back to this very port, so it is chosen before anything is served there.
        let any = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let home = format!("https://{host}:{}", any.port()).parse().unwrap();
        let sign_in = SignIn::new(
            self.people.handle(),
            self.edge.clone(),
            self.providers.clone(),
            self.nonces.clone(),
            home,
            self.runtime.proofs().clone(),
            saml_key(),
        );
        let metrics = self.metrics.clone();
        let router = http::main(
            self.runtime.clone(),
            self.edge.clone(),
            self.published.clone(),
            Some(Arc::new(sign_in.counting(Arc::new(move |outcome| metrics.rechecked(outcome))))),
            bounds,
        );
        let handle = Handle::new();
        tokio::spawn(http::serve::serve(any, router, tls, handle.clone(), self.stop.subscribe()));
        let address = handle.listening().await.expect("it listens");
        Listening { url: format!("https://{host}:{}", address.port()), ca: ca.certificate }
    }

    /// Waits until it leads.
    pub async fn leads(&self) {
        super::until("the operator leads", async || self.is_leader().then_some(())).await;
    }

    /// Whether it leads.
    pub fn is_leader(&self) -> bool {
        self.metrics.text().contains("\nusher_is_leader 1\n")
    }

    /// Stops it as SIGTERM would.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.unwrap();
    }

    /// Ends it wherever it is.
    pub async fn crash(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// Lets it run until the process ends.
    pub async fn run_on(self) {
        self.running.await.unwrap();
    }

    /// How many looks at a kind of object have ended.
    pub fn looks(&self, kind: &str) -> u64 {
        let prefix = format!("usher_reconciles_total{{kind=\"{kind}\"");
        let text = self.metrics.text();
        let counts = text.lines().filter(|line| line.starts_with(&prefix));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// Usher's requests that were answered with 403, told by whoever carries them.
#[derive(Debug, Clone, Default)]
pub struct Forbidden(Arc<Mutex<Vec<String>>>);

impl Forbidden {
    /// A client that tells.
    pub fn client(&self, config: Config) -> Client {
        let (inner, told) = (Client::try_from(config).unwrap(), self.0.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (inner, told) = (inner.clone(), told.clone());
            async move {
                let what = format!("{} {} 403", request.method(), request.uri());
                let response = inner.send(request).await?;
                if response.status() == StatusCode::FORBIDDEN {
                    told.lock().unwrap().push(what);
                }
                Ok::<_, kube::Error>(response)
            }
        });
        Client::new(service, "default")
    }

    /// What was told so far.
    pub fn so_far(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
