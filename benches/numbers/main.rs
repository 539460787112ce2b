//! What `make bench` runs: Usher's numbers, each beside what bounds it, both measured in this one run.
//!
//! | row | measures | beside |
//! |---|---|---|
//! | `reconcile` | many Licenses with one Seat each, to Ready | a client that sends the same recorded requests |
//! | `latency` | a user assigned → the Secret seen by a watch | a Secret created → seen by the same watch |
//! | `memory` | the most memory that Usher ever had (VmHWM), start-up included | – |
//! | `idle` | what Usher writes to etcd while nothing happens | – |
//! | `restart` | Usher killed → the first Secret of the next one | – |
//! | `failover` | the leader killed → the first Secret of another replica, which has to wait for the Lease | – |
//! | `refresh` | durable refreshes a second at 1, 16 and 64 connections, and heartbeats of sessions; first activations; on each engine | a server that only signs, and one that only commits in groups |
//! | `growth` | refreshes of random ones of a million activations, on each engine | of ten thousand |
//! | `verify` | verifying a document | the bare signature check |
//!
//! Where there are two sides, their runs alternate, so that what else the machine does meets both. Everything is real: the
//! release build of `usher` as a process under its own ServiceAccount, and a control plane whose etcd syncs to disk. No test
//! asserts a time.
//!
//! `ROWS` chooses rows, `SCALE` makes everything smaller (0.01 to 1), `RUNS` says how often the two sides of `reconcile` alternate.

mod bare;
mod clock;
mod engine;
mod ground;
mod grown;
mod growth;
mod installation;
mod latency;
mod load;
mod machine;
mod people;
mod plan;
mod reconcile;
mod record;
mod refresh;
mod replay;
mod report;
mod size;
mod stats;
mod usher;
mod verify;
mod watching;

use std::process::ExitCode;

use plan::{Plan, Row};
use report::Line;

/// Why there is no number.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benches too, and must not.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("numbers: only `make bench` measures");
        return ExitCode::SUCCESS;
    }
    if let Some(served) = bare::asked_for() {
        return served;
    }
    let measured = Plan::from_environment().and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(measure(&plan))
    });
    match measured {
        Ok(page) => {
            println!("{page}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(plan: &Plan) -> Result<String, Failure> {
    let machine = machine::look()?;
    let mut lines: Vec<Line> = Vec::new();
    if plan.has(Row::Verify) {
        lines.push(verify::measure()?);
    }
    if plan.has(Row::Reconcile) {
        lines.push(reconcile::measure(plan).await?);
    }
    if plan.has(Row::Latency) {
        lines.push(latency::measure(plan).await?);
    }
    if [Row::Memory, Row::Idle, Row::Restart, Row::Failover].into_iter().any(|row| plan.has(row)) {
        lines.extend(size::measure(plan).await?);
    }
    if plan.has(Row::Refresh) {
        lines.extend(refresh::measure(plan).await?);
    }
    if plan.has(Row::Growth) {
        lines.extend(growth::measure(plan).await?);
    }
    Ok(report::page(plan, &machine, &lines))
}
