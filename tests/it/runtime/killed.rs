//! `kill -9` of processes under load, on each engine: what was answered is true.

use std::{path::Path, time::Duration};

use super::load::{Stage, random};
use crate::ground::{postgres::database, process::Usher};

const KILLS: usize = 200;
/// The longest that a process is let live.
const LIFE: Duration = Duration::from_millis(500);

/// Kills processes at random moments, one or the other, and starts them again. Returns the last ones.
async fn kill(stage: &Stage, mut ushers: Vec<Usher>) -> Vec<Usher> {
    for _ in 0..KILLS {
        // A process that is killed before all were answered was not under load.
        stage.all_are_answered().await;
        let life = LIFE * u32::try_from(random(1_000)).unwrap() / 1_000;
        // When it dies is the fault that is tried here; nothing is waited for.
        let _ = tokio::time::timeout(life, std::future::pending::<()>()).await;
        let which = random(ushers.len());
        ushers[which].kill();
        ushers[which] = stage.starts[which].usher();
    }
    ushers
}

/// Programs ask processes of these names, on one ledger, which are killed again and again.
async fn what_was_answered_is_true(ledger: &Path, names: &[&str]) {
    let (stage, ushers) = Stage::new(ledger, names).await;
    stage.live(kill(&stage, ushers), KILLS + 1).await;
}

#[tokio::test]
async fn killed_two_hundred_times_under_load_what_was_answered_is_true_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    what_was_answered_is_true(&directory.path().join("ledger.db"), &["usher"]).await;
}

#[tokio::test]
async fn killed_two_hundred_times_under_load_what_two_processes_answered_is_true_on_postgres() {
    what_was_answered_is_true(Path::new(&database().await), &["first", "second"]).await;
}
