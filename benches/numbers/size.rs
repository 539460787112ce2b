//! Usher at size: what it takes, what it does while nothing happens, and how soon it is back.

use std::time::Duration;

use kube::Client;

use crate::{
    Failure,
    clock::Since,
    engine::Engine,
    ground::Ground,
    grown::{grow, nonce_keys},
    people,
    plan::{Plan, Row},
    report::{Line, tell},
    stats::Sorted,
    usher::Usher,
    watching::{Arrivals, Ready, tally},
};

const LICENSES: usize = 10_000;
const SEATS_EACH: usize = 2;
const ACTIVATIONS_EACH: usize = 10;
/// How long idleness is looked at, once nothing was written for a while.
const IDLE: Duration = Duration::from_secs(60);
const CALM: Duration = Duration::from_secs(5);
const RESTARTS: usize = 5;
const FAILOVERS: usize = 5;
const MOST_MEMORY: f64 = 200.0;
const MOST_WRITES: f64 = 10.0;
/// In seconds.
const MOST_FAILOVER: f64 = 20.0;

/// Measures the rows `memory`, `idle`, `restart` and `failover`.
pub async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let licenses = plan.scaled(LICENSES);
    let ground = Ground::start()?;
    let admin = ground.admin().await?;
    people::settle(&admin).await?;
    let made = people::many(&admin, licenses, SEATS_EACH, ACTIVATIONS_EACH).await?;
    let uids: Vec<String> =
        made.into_iter().filter(|(name, _)| name.starts_with("license/")).map(|(_, uid)| uid).collect();
    // For those who come after a restart.
    people::license(&admin, "team", RESTARTS + FAILOVERS).await?;
    let activations = if plan.has(Row::Memory) { licenses * ACTIVATIONS_EACH } else { 0 };
    let size = format!("{licenses} Licenses, {} Seats, {activations} activations", licenses * SEATS_EACH);
    tell(&size);

    let mut ready = Ready::watch(&admin);
    let (kubeconfig, ledger) = (ground.kubeconfig_of_usher()?, Engine::Sqlite.ledger(&ground)?);
    let mut usher = Usher::start(&kubeconfig, &ledger.at)?;
    ready.are(licenses * (1 + SEATS_EACH) + 1).await?;
    drop(ready);
    let first = usher.most_memory()?;
    tell(&format!("all are ready: VmHWM {first:.0} MiB, {:.1?} of CPU", usher.cpu()?));
    if plan.has(Row::Memory) {
        drop(usher);
        let keys = nonce_keys(&admin).await?;
        grow(&ledger, &keys, &uids, 0..ACTIVATIONS_EACH).await?;
        usher = Usher::start(&kubeconfig, &ledger.at)?;
    }
    let mut lines = Vec::new();
    if plan.has(Row::Idle) {
        lines.push(idle(&ground, &size).await?);
    }
    if plan.has(Row::Restart) || plan.has(Row::Memory) {
        let mut times = Vec::new();
        let mut later: f64 = 0.0;
        for number in 0..RESTARTS {
            times.push(next(&mut usher, "usher", &ground, &admin, &format!("late-{number}")).await?);
            later = later.max(usher.most_memory()?);
        }
        if plan.has(Row::Restart) {
            lines.push(restarts(&size, &times));
        }
        if plan.has(Row::Memory) {
            lines.insert(0, memory(&size, first, later));
        }
    }
    if plan.has(Row::Failover) {
        let mut times = Vec::new();
        for number in 0..FAILOVERS {
            let (name, seat) = (format!("usher-{number}"), format!("later-{number}"));
            times.push(next(&mut usher, &name, &ground, &admin, &seat).await?);
        }
        lines.push(failovers(&size, &times));
    }
    Ok(lines)
}

fn memory(size: &str, first: f64, later: f64) -> Line {
    let most = first.max(later);
    Line {
        what: format!("memory (VmHWM, start-up included): {size}"),
        goal: Some((format!("≤ {MOST_MEMORY:.0} MiB"), most <= MOST_MEMORY)),
        figure: format!("{most:.0} MiB"),
        detail: format!("{first:.0} MiB binding them all, {later:.0} MiB starting beside them"),
    }
}

/// What is written in a minute in which nothing happens.
async fn idle(ground: &Ground, size: &str) -> Result<Line, Failure> {
    let mut pause = tokio::time::interval(CALM);
    pause.tick().await;
    loop {
        let before = ground.audited()?;
        pause.tick().await;
        // The Lease is renewed whatever happens.
        let busy = |request: &crate::ground::Request| request.writes() && request.resource != "leases";
        if !ground.requests_since(before)?.iter().any(busy) {
            break;
        }
    }
    let mut minute = tokio::time::interval(IDLE);
    minute.tick().await;
    let before = ground.audited()?;
    minute.tick().await;
    let requests = ground.requests_since(before)?;
    let writes: Vec<_> = requests.into_iter().filter(crate::ground::Request::writes).collect();
    let rate = f64::from(u32::try_from(writes.len())?) / IDLE.as_secs_f64();
    let what = tally(writes)
        .into_iter()
        .map(|(request, count)| format!("{} {} {count}", request.verb, request.resource));
    let what = what.collect::<Vec<_>>().join(", ");
    Ok(Line {
        what: format!("etcd writes while nothing happens, over a minute: {size}"),
        goal: Some((format!("≤ {MOST_WRITES:.0}/s"), rate <= MOST_WRITES)),
        figure: format!("{rate:.1}/s"),
        detail: if what.is_empty() { "none at all".into() } else { what },
    })
}

/// Kills Usher, starts the next one by the name of `name`, and asks for a seat; until its Secret is there.
async fn next(
    usher: &mut Usher,
    name: &str,
    ground: &Ground,
    admin: &Client,
    seat: &str,
) -> Result<Duration, Failure> {
    let mut arrivals = Arrivals::watch(admin).await?;
    let (kubeconfig, ledger) = (ground.path("usher.kubeconfig"), ground.path("ledger.db"));
    let begun = Since::now();
    usher.kill();
    *usher = Usher::start_as(name, &kubeconfig, &ledger)?;
    people::seat(admin, "team", seat).await?;
    arrivals.next().await?;
    Ok(begun.elapsed())
}

fn failovers(size: &str, times: &[Duration]) -> Line {
    let times = Sorted::millis(times);
    let (least, most) = times.spread();
    let most = most / 1_000.0;
    Line {
        what: format!("the leader killed → another replica's first Secret: {size}"),
        goal: Some((format!("≤ {MOST_FAILOVER:.0} s"), most <= MOST_FAILOVER)),
        figure: format!("{:.1} s", times.median() / 1_000.0),
        detail: format!("{FAILOVERS} times, {:.1} to {most:.1} s", least / 1_000.0),
    }
}

fn restarts(size: &str, times: &[Duration]) -> Line {
    let times = Sorted::millis(times);
    let (least, most) = times.spread();
    Line {
        what: format!("killed → the next one's first Secret: {size}"),
        goal: None,
        figure: format!("{:.1} s", times.median() / 1_000.0),
        detail: format!("{RESTARTS} times, {:.1} to {:.1} s", least / 1_000.0, most / 1_000.0),
    }
}
