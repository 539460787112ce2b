//! Many Licenses with one Seat each, declared while Usher was away, to Ready; against a client that sends the same requests.
//!
//! Both sides get a control plane of their own with the same objects, are started, and are watched by the same instrument:
//! the clock stops when the last License and the last Seat say Ready.

use std::time::Duration;

use crate::{
    Failure,
    clock::Since,
    ground::Ground,
    machine,
    people::{self, Uids},
    plan::Plan,
    record::Recorder,
    replay::{Recording, WORKERS},
    report::{Line, tell},
    stats::Sorted,
    usher::Usher,
    watching::{Ready, tally},
};

const LICENSES: usize = 5_000;
const GOAL: f64 = 1.3;

/// What one run came to.
struct Run {
    took: Duration,
    /// Processor time of the side itself.
    own: Duration,
    /// Processor time of the control plane meanwhile.
    cluster: Duration,
}

/// Measures the row `reconcile`.
pub async fn measure(plan: &Plan) -> Result<Line, Failure> {
    let licenses = plan.scaled(LICENSES);
    let (recording, uids) = record(licenses).await?;
    tell(&format!("recorded {} requests for {licenses} Licenses", recording.requests()));
    let (mut usher, mut replay) = (Vec::new(), Vec::new());
    for number in 1..=plan.runs {
        let run = with_usher(licenses).await?;
        told(&format!("run {number}, usher"), &run);
        usher.push(run);
        let run = with_replay(licenses, &recording, &uids).await?;
        told(&format!("run {number}, the same requests"), &run);
        replay.push(run);
    }
    Ok(line(licenses, &recording, &usher, &replay))
}

fn told(what: &str, run: &Run) {
    let Run { took, own, cluster } = run;
    tell(&format!("{what}: {took:.1?}; {own:.1?} of CPU, and {cluster:.1?} of the control plane"));
}

fn line(licenses: usize, recording: &Recording, usher: &[Run], replay: &[Run]) -> Line {
    let seconds = |runs: &[Run]| Sorted::of(runs.iter().map(|run| run.took.as_secs_f64())).median();
    // With the control plane's: what else the machine does changes the time more than this.
    let cpu =
        |runs: &[Run]| Sorted::of(runs.iter().map(|run| (run.own + run.cluster).as_secs_f64())).median();
    let ratio = seconds(usher) / seconds(replay);
    let pairs =
        usher.iter().zip(replay).map(|(usher, replay)| usher.took.as_secs_f64() / replay.took.as_secs_f64());
    let (least, most) = Sorted::of(pairs).spread();
    Line {
        what: format!(
            "{licenses} Licenses with one Seat each to Ready, against a client that sends the same {} requests",
            recording.requests()
        ),
        goal: Some((format!("≤ {GOAL} ×"), ratio <= GOAL)),
        figure: format!("{ratio:.2} ×"),
        detail: format!(
            "{:.1} s and {:.1} s, {} runs each, pairs {least:.2} to {most:.2}; CPU, the control plane's included: \
             {:.1} s and {:.1} s",
            seconds(usher),
            seconds(replay),
            usher.len(),
            cpu(usher),
            cpu(replay)
        ),
    }
}

/// A control plane with the objects in it.
async fn prepared(licenses: usize) -> Result<(Ground, Uids), Failure> {
    let ground = Ground::start()?;
    let admin = ground.admin().await?;
    let mut uids = people::settle(&admin).await?;
    uids.extend(people::many(&admin, licenses, 1, 0).await?);
    Ok((ground, uids))
}

async fn record(licenses: usize) -> Result<(Recording, Uids), Failure> {
    let (ground, uids) = prepared(licenses).await?;
    let kubeconfig = ground.path("recorder.kubeconfig");
    let recorder = Recorder::start(ground.usher().await?, &kubeconfig).await?;
    let mut ready = Ready::watch(&ground.admin().await?);
    let usher = Usher::start(&kubeconfig, ground.path("ledger.db"))?;
    ready.are(2 * licenses).await?;
    finish(&ground).await?;
    drop(usher);
    Ok((Recording::of(recorder.end()), uids))
}

/// The last events come after the last status.
async fn finish(ground: &Ground) -> Result<(), Failure> {
    let mut before = ground.audited()?;
    let mut pause = tokio::time::interval(Duration::from_secs(1));
    pause.tick().await;
    loop {
        pause.tick().await;
        let now = ground.audited()?;
        if ground.requests_since(before)?.is_empty() {
            return Ok(());
        }
        before = now;
    }
}

async fn with_usher(licenses: usize) -> Result<Run, Failure> {
    let (ground, _) = prepared(licenses).await?;
    let kubeconfig = ground.kubeconfig_of_usher()?;
    let mut ready = Ready::watch(&ground.admin().await?);
    let (cluster, audited) = (ground.cpu()?, ground.audited()?);
    let begun = Since::now();
    let usher = Usher::start(&kubeconfig, ground.path("ledger.db"))?;
    ready.are(2 * licenses).await?;
    let run =
        Run { took: begun.elapsed(), own: usher.cpu()?, cluster: ground.cpu()?.saturating_sub(cluster) };
    finish(&ground).await?;
    counted("usher", &ground, audited)?;
    Ok(run)
}

async fn with_replay(licenses: usize, recording: &Recording, then: &Uids) -> Result<Run, Failure> {
    let (ground, uids) = prepared(licenses).await?;
    let client = ground.usher().await?;
    let recording = recording.clone().with_uids(then, &uids);
    let mut ready = Ready::watch(&ground.admin().await?);
    let (own, cluster, audited) = (machine::cpu(std::process::id())?, ground.cpu()?, ground.audited()?);
    let begun = Since::now();
    let watches = recording.run(&client).await?;
    ready.are(2 * licenses).await?;
    let run = Run {
        took: begun.elapsed(),
        own: machine::cpu(std::process::id())?.saturating_sub(own),
        cluster: ground.cpu()?.saturating_sub(cluster),
    };
    drop(watches);
    counted("the same requests", &ground, audited)?;
    Ok(run)
}

/// Shows that both sides did the same.
fn counted(who: &str, ground: &Ground, audited: u64) -> Result<(), Failure> {
    let requests = tally(ground.requests_since(audited)?);
    let text =
        requests.iter().map(|(request, count)| format!("{} {} {count}", request.verb, request.resource));
    tell(&format!("{who}, {WORKERS} at once: {}", text.collect::<Vec<_>>().join(", ")));
    Ok(())
}
