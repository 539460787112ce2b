//! Operators that many tests share, and where they serve programs.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use usher::http::{Bounds, Pace};

use super::{Ground, Listening, Machine, Operator, Witness, lent, operator::Engine, postgres::database};

/// The control plane and operator that scenarios share.
pub fn shared() -> &'static Ground {
    &shared_with_programs().0
}

/// Where the shared operator serves programs.
pub fn served() -> &'static Listening {
    &shared_with_programs().1[0]
}

/// How many are under way at once there.
pub const FEW: usize = 8;

// Never dropped: the supervisor sees its input end when this process does.
static SHARED: OnceLock<(Ground, [Listening; 2])> = OnceLock::new();

/// Whether it is this one.
pub(super) fn is_shared(ground: &Ground) -> bool {
    SHARED.get().is_some_and(|(shared, _)| std::ptr::eq(shared, ground))
}

fn shared_with_programs() -> &'static (Ground, [Listening; 2]) {
    SHARED.get_or_init(|| {
        let ground = lent().map_or_else(Ground::own, Ground::borrowed);
        let (told, started) = std::sync::mpsc::channel();
        let kubeconfig = ground.kubeconfig_of_usher();
        let forbidden = match &ground.witness {
            Witness::Borrowed { forbidden } => Some(forbidden.clone()),
            Witness::Own { .. } => None,
        };
        // A thread with a runtime of its own: it outlives the test that happens to come first.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).unwrap();
                let config =
                    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
                let client = match forbidden {
                    Some(forbidden) => forbidden.client(config),
                    None => Client::try_from(config).unwrap(),
                };
                let directory = tempfile::tempdir().unwrap();
                let ledger = directory.path().join("ledger.db");
                let operator = Operator::start(client, &ledger, std::sync::Arc::new(Machine)).await;
                told.send(both(&operator).await).unwrap();
                operator.run_on().await;
            });
        });
        let listening = started.recv().expect("the shared operator starts");
        (ground, listening)
    })
}

/// Where it serves: as ever; and where few are under way at once, nobody waits long for a body, and everybody may ask as often as they like.
async fn both<L: Engine>(operator: &Operator<L>) -> [Listening; 2] {
    let often = Pace { at_once: 1_000_000, a_second: 1_000_000 };
    let hurried = Bounds { under_way: FEW, body: Duration::from_secs(3), caller: often, stranger: often };
    [operator.listen().await, operator.serve_within(hurried).await]
}

/// A control plane with an operator, and where that serves programs.
pub struct Served {
    pub ground: &'static Ground,
    pub listening: &'static Listening,
    pub hurried: &'static Listening,
}

impl Served {
    /// The shared one.
    pub fn shared() -> Self {
        let (ground, [listening, hurried]) = shared_with_programs();
        Self { ground, listening, hurried }
    }

    /// One whose ledger is a database of PostgreSQL, for all tests that hold it against what SQLite is held against.
    pub fn on_postgres() -> Self {
        // Never dropped, as the shared one.
        static SHARED: LazyLock<(Ground, [Listening; 2])> = LazyLock::new(|| {
            let ground = Ground::own();
            let kubeconfig = ground.kubeconfig_of_usher();
            let (told, started) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                tokio::runtime::Runtime::new().unwrap().block_on(async {
                    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).unwrap();
                    let options = KubeConfigOptions::default();
                    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
                    let (client, url) = (Client::try_from(config).unwrap(), database().await);
                    let operator = Operator::start_at(client, &url, std::sync::Arc::new(Machine)).await;
                    told.send(both(&operator).await).unwrap();
                    operator.run_on().await;
                });
            });
            (ground, started.recv().expect("the operator starts on PostgreSQL"))
        });
        let (ground, [listening, hurried]) = &*SHARED;
        Self { ground, listening, hurried }
    }
}
