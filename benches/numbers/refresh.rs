//! Durable refreshes and heartbeats a second, beside what bounds them; and first activations.

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use usher::cluster::api::License;

use crate::{
    Failure,
    bare::{Bare, Served},
    clock::Since,
    engine::{Engine, Ledger},
    ground::Ground,
    installation::{Asked, LONG, Own, Run, asks, run},
    load::{Server, free_port},
    people::{self, NAMESPACE},
    plan::Plan,
    report::{Line, tell},
    stats::Sorted,
    usher::Usher,
};

/// How many connections there are at once.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// How many installations there are: so many that none asks more often than one may.
const INSTALLATIONS: usize = 1_024;
/// How many activation keys a License has at most; each lets so many a second in.
const KEYS: usize = 16;
/// At how many of them sessions are kept.
const HEARTBEATS: usize = 16;
const ACTIVATIONS: f64 = 21.0;

/// What must be reached of the lower of the two limits.
fn goal(engine: Engine) -> f64 {
    match engine {
        Engine::Sqlite => 0.5,
        Engine::Postgres => 0.25,
    }
}

/// Measures the rows `refresh`.
pub async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let (mut sides, mut lines) = (Vec::new(), Vec::new());
    for engine in Engine::ALL {
        let (side, first) = Side::start(engine, plan).await?;
        sides.push(side);
        lines.push(first);
    }
    let directory = tempfile::tempdir()?;
    let bares = [Bare::Signs, Bare::Commits].map(|which| Served::start(which, directory.path()));
    let [signs, commits] = bares;
    let (signs, commits) = (signs?, commits?);
    let asked = CONNECTIONS.map(|connections| (Asked::Refresh, connections));
    for (what, connections) in asked.into_iter().chain([(Asked::Heartbeat, HEARTBEATS)]) {
        tell(&format!("{what:?} at {connections} connections"));
        let (mut signed, mut committed) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            for side in &mut sides {
                side.asks(what, connections).await?;
            }
            signed.push(bare(&signs.server, connections).await?);
            committed.push(bare(&commits.server, connections).await?);
        }
        for side in &mut sides {
            lines.push(side.line(what, connections, &signed, &committed));
        }
    }
    Ok(lines)
}

/// Usher on one engine, with a control plane of its own.
struct Side {
    usher: Usher,
    server: Server,
    installations: Vec<Own>,
    /// What was measured since the last line.
    runs: Vec<Run>,
    busy: Duration,
    ledger: Ledger,
    // Last: it goes when all else has.
    _ground: Ground,
}

impl Side {
    /// With all installations activated, and how fast that was.
    async fn start(engine: Engine, plan: &Plan) -> Result<(Self, Line), Failure> {
        let ground = Ground::start()?;
        let client = ground.admin().await?;
        people::settle(&client).await?;
        let (port, ledger) = (free_port()?, engine.ledger(&ground)?);
        let usher = Usher::listening(&ground.kubeconfig_of_usher()?, &ledger.at, port)?;
        let keys = license(&client).await?;
        let server = Server::of_usher(&client, port).await?;
        tell(&format!("activations on {}", engine.name()));
        let begun = Since::now();
        let installations = activate(&server, &keys, plan.scaled(INSTALLATIONS).max(64)).await?;
        let count = f64::from(u32::try_from(installations.len())?);
        let first = count / begun.elapsed().as_secs_f64();
        let line = Line {
            what: format!(
                "first activations/s of one License at {KEYS} connections, durable, on {}",
                engine.name()
            ),
            goal: Some((format!("≥ {ACTIVATIONS}"), first >= ACTIVATIONS)),
            figure: format!("{first:.0}"),
            detail: format!("{count:.0} of them in {:.1} s", begun.elapsed().as_secs_f64()),
        };
        let (runs, busy) = (Vec::new(), Duration::ZERO);
        Ok((Self { usher, server, installations, runs, busy, ledger, _ground: ground }, line))
    }

    async fn asks(&mut self, what: Asked, connections: usize) -> Result<(), Failure> {
        let before = self.usher.cpu()?;
        let installations = std::mem::take(&mut self.installations);
        let (run, back) = asks(what, &self.server, connections, installations).await?;
        self.busy += self.usher.cpu()?.saturating_sub(before);
        self.installations = back;
        self.runs.push(run);
        Ok(())
    }

    /// What was measured beside these.
    fn line(&mut self, what: Asked, connections: usize, signed: &[Run], committed: &[Run]) -> Line {
        let (ours, busy) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.busy));
        let rate = |runs: &[Run]| Sorted::of(runs.iter().map(|run| run.a_second));
        let (own, signs, commits) = (rate(&ours), rate(signed), rate(committed));
        let ratio = own.median() / signs.median().min(commits.median());
        let took: Vec<Duration> = ours.iter().flat_map(|run| run.took.iter().copied()).collect();
        let took = Sorted::millis(&took);
        let (least, most) = own.spread();
        let cores =
            busy.as_secs_f64() / LONG.as_secs_f64() / f64::from(u32::try_from(ours.len()).unwrap_or(1));
        let goal = goal(self.ledger.engine);
        Line {
            what: format!(
                "durable {} at {connections} connections, of the lower limit, on {}",
                if what == Asked::Refresh { "refreshes" } else { "heartbeats of sessions" },
                self.ledger.engine.name()
            ),
            goal: (what == Asked::Refresh && connections > 1).then(|| (format!("≥ {goal} ×"), ratio >= goal)),
            figure: format!("{ratio:.2} ×"),
            detail: format!(
                "{:.0}/s; only signing {:.0}/s, only committing {:.0}/s; {least:.0} to {most:.0}/s; \
                 p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms of {}; Usher had {cores:.2} cores",
                own.median(),
                signs.median(),
                commits.median(),
                took.quantile(0.5),
                took.quantile(0.99),
                took.quantile(0.999),
                ours.iter().map(|run| run.took.len()).sum::<usize>(),
            ),
        }
    }
}

/// A License for devices, and its activation keys once they are there.
async fn license(client: &kube::Client) -> Result<Vec<String>, Failure> {
    let names: Vec<Value> = (0..KEYS).map(|n| json!({"name": format!("key-{n}")})).collect();
    let license: License = serde_json::from_value(json!({
        "metadata": {"name": "cad"},
        "spec": {
            "product": "cad", "customer": "acme", "authorityRef": {"name": "default"}, "seats": 1_000_000,
            "features": [{"name": "render"}, {"name": "simulate", "pool": 5}], "activationKeys": names,
        },
    }))?;
    Api::<License>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &license).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let there = |secret: Option<&Secret>| secret.is_some();
    let found = kube::runtime::wait::await_condition(secrets, "cad-activation-keys", there);
    let found = tokio::time::timeout(Duration::from_secs(60), found).await??.ok_or("no activation keys")?;
    let texts = found.data.into_iter().flatten().map(|(_, key)| String::from_utf8(key.0));
    Ok(texts.collect::<Result<_, _>>()?)
}

/// Activates so many, on as many connections as there are keys.
async fn activate(server: &Server, keys: &[String], count: usize) -> Result<Vec<Own>, Failure> {
    let each = count / keys.len();
    let some = keys.iter().enumerate().map(async |(number, key)| -> Result<Vec<Own>, Failure> {
        let (mut connection, mut made) = (server.connect().await?, Vec::new());
        for device in 0..each {
            let body = json!({"license": format!("{NAMESPACE}/cad"), "device": {"id": format!("d{number}.{device}")}});
            let headers = format!("authorization: Bearer {key}\r\n");
            let told = connection.post("/v1/activations", &headers, &body.to_string()).await?;
            let answer: Value = serde_json::from_str(&told.body)?;
            let text = |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
            let nonce = told.nonce.ok_or_else(|| format!("an activation was refused: {answer}"))?;
            made.push(Own {
                id: text("id"),
                token: text("activation_token"),
                nonce,
                asked: 0,
                session: String::new(),
            });
        }
        Ok(made)
    });
    Ok(try_join_all(some).await?.into_iter().flatten().collect())
}

async fn bare(server: &Server, connections: usize) -> Result<Run, Failure> {
    let headers: Arc<str> =
        format!("authorization: Bearer {}\r\nn-nonce: {}\r\n", "x".repeat(53), "x".repeat(43)).into();
    let mut tasks = Vec::new();
    for number in 0..connections {
        let (mut connection, headers) = (server.connect().await?, headers.clone());
        tasks.push(tokio::spawn(async move {
            let (begun, mut took) = (Since::now(), Vec::new());
            while begun.elapsed() < LONG {
                let one = Since::now();
                let told = connection.post("/", &headers, &format!("{number} {}", took.len())).await?;
                if told.status != 200 || told.body.is_empty() {
                    return Err(format!("a bare server failed: {told:?}").into());
                }
                took.push(one.elapsed());
            }
            Ok::<_, Failure>(took)
        }));
    }
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    Ok(run(took))
}
