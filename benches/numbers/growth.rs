//! Whether refreshes get slower as the ledger grows.

use std::{path::Path, time::Duration};

use kube::Client;

use crate::{
    Failure,
    engine::{Engine, Ledger},
    ground::Ground,
    grown::{grow, nonce_keys},
    installation::{Asked, Own, asks},
    load::{Server, free_port},
    people,
    plan::Plan,
    report::{Line, tell},
    stats::Sorted,
    usher::Usher,
    watching::Ready,
};

const LICENSES: usize = 100;
/// How many activations there are, on the small side and on the large one.
const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const CONNECTIONS: usize = 16;
const GOAL: f64 = 0.85;
/// How often it is asked whether Usher is at work, and how many times.
const AGAIN: Duration = Duration::from_millis(100);
const TRIES: usize = 1_200;

/// Measures the rows `growth`.
pub async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for engine in Engine::ALL {
        lines.push(of(engine, plan).await?);
    }
    Ok(lines)
}

/// The small side first, for the ledger only grows.
async fn of(engine: Engine, plan: &Plan) -> Result<Line, Failure> {
    let ground = Ground::start()?;
    let client = ground.admin().await?;
    people::settle(&client).await?;
    let kubeconfig = ground.kubeconfig_of_usher()?;
    let mut licenses = Vec::new();
    for number in 0..LICENSES {
        licenses.push(people::license(&client, &people::license_name(number), MANY).await?);
    }
    let mut ready = Ready::watch(&client);
    let ledger = engine.ledger(&ground)?;
    let usher = Usher::start(&kubeconfig, &ledger.at)?;
    ready.are(LICENSES).await?;
    drop(usher);

    let side = Side { ledger: &ledger, kubeconfig: &kubeconfig, client: &client, runs: plan.runs };
    let few = FEW / LICENSES;
    let many = plan.scaled(MANY).max(2 * FEW) / LICENSES;
    let keys = nonce_keys(&client).await?;
    let first = grow(&ledger, &keys, &licenses, 0..few).await?;
    let (small, mut all) = side.rates(first).await?;
    all.extend(grow(&ledger, &keys, &licenses, few..many).await?);
    let count = all.len();
    all.sort_unstable_by(|one, other| one.token.cmp(&other.token));
    let (large, _) = side.rates(all).await?;
    Ok(line(engine, count, &small, &large, plan.runs))
}

/// What both sides stand on.
struct Side<'a> {
    ledger: &'a Ledger,
    kubeconfig: &'a Path,
    client: &'a Client,
    runs: usize,
}

impl Side<'_> {
    /// Refreshes a second, of a server that has just started.
    async fn rates(&self, mut installations: Vec<Own>) -> Result<(Sorted, Vec<Own>), Failure> {
        tell(&format!("refreshes of {} activations", installations.len()));
        let port = free_port()?;
        let _usher = Usher::listening(self.kubeconfig, &self.ledger.at, port)?;
        let server = Server::of_usher(self.client, port).await?;
        at_work(&server, installations.first_mut().ok_or("no activations")?).await?;
        let mut rates = Vec::new();
        for _ in 0..self.runs {
            let (run, back) = asks(Asked::Refresh, &server, CONNECTIONS, installations).await?;
            installations = back;
            rates.push(run.a_second);
        }
        Ok((Sorted::of(rates), installations))
    }
}

/// Waits until a refresh is answered.
async fn at_work(server: &Server, own: &mut Own) -> Result<(), Failure> {
    let mut again = tokio::time::interval(AGAIN);
    for _ in 0..TRIES {
        again.tick().await;
        let Ok(mut connection) = server.connect().await else { continue };
        if own.refresh(&mut connection).await.is_ok() {
            return Ok(());
        }
    }
    Err("Usher did not get to work in time".into())
}

fn line(engine: Engine, count: usize, small: &Sorted, large: &Sorted, runs: usize) -> Line {
    let ratio = large.median() / small.median();
    let ((least, most), (least_small, most_small)) = (large.spread(), small.spread());
    Line {
        what: format!(
            "random refreshes at {CONNECTIONS} connections, of {count} activations against {FEW}, on {}",
            engine.name()
        ),
        goal: Some((format!("≥ {GOAL} ×"), ratio >= GOAL)),
        figure: format!("{ratio:.2} ×"),
        detail: format!(
            "{:.0}/s ({least:.0} to {most:.0}) and {:.0}/s ({least_small:.0} to {most_small:.0}), {runs} runs each, one side after the other",
            large.median(),
            small.median()
        ),
    }
}
