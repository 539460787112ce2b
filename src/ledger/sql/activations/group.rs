//! Group commit: steps that arrive together share one transaction, one link of the audit and one sync of the disk.
//!
//! One task writes. While the disk syncs, steps queue; then all of them are taken at once. A step that cannot be done leaves
//! nothing behind and does not touch its neighbours; each is answered when all of them are on disk. If the database itself fails at a step,
//! what they share is lost with it: then each is done once more, alone. (A savepoint for each would cost the many two more statements.)

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{
    BEGIN, Connection, Pool,
    asking::note,
    authorities, begin_steps, chain, failed,
    record::{go_on, goes_on, record},
    while_doing,
};
use crate::{
    domain::license::Uid,
    ledger::{
        CommitError, Unavailable,
        activations::{Recorded, Step, asking::Asking},
        audit::Entry,
    },
};

/// How many steps wait at most: who comes then waits for a place.
const QUEUE: usize = 1_024;
/// How many share a transaction at most, so that a commit of somebody else waits some 20 ms, not more.
const TOGETHER: usize = 256;

type Outcome = Result<Recorded, CommitError>;

struct Waiting {
    step: Step,
    reply: oneshot::Sender<Outcome>,
}

/// The way to the task that writes. It ends when this is dropped.
#[derive(Debug)]
pub struct Group {
    pool: Pool,
    queue: mpsc::Sender<Waiting>,
    /// Whose programs are answered, once that is known.
    cluster: Arc<OnceLock<Uid>>,
    /// The last steps could not be written.
    broken: Arc<AtomicBool>,
}

/// What is written to find out whether there is room again: more than any step needs, in bytes.
const FILLING: usize = 64 * 1024;

impl Group {
    /// Starts the task.
    pub fn start(pool: Pool) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let (cluster, broken) = (Arc::default(), Arc::default());
        tokio::spawn(write(pool.clone(), receiver, Arc::clone(&cluster), Arc::clone(&broken)));
        Self { pool, queue, cluster, broken }
    }

    /// From now on it is the programs of `cluster` that are answered.
    pub fn serve(&self, cluster: &Uid) {
        drop(self.cluster.set(cluster.clone()));
    }

    /// Whose programs are answered, if that is known.
    pub fn cluster(&self) -> Option<&Uid> {
        self.cluster.get()
    }

    pub(super) async fn record(&self, step: Step) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let gone = || unavailable(std::io::ErrorKind::Other, "the task that writes has ended");
        self.queue.send(Waiting { step, reply }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Whether steps can be written, as far as is known.
    pub(super) async fn takes_steps(&self) -> Result<(), Unavailable> {
        if self.broken.load(Ordering::SeqCst) {
            self.fill().await.map_err(while_doing("finding out whether steps can be written again"))?;
            self.broken.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Takes room and gives it back, on disk.
    async fn fill(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with(BEGIN).await?;
        let row = sqlx::query("INSERT INTO passes (hash, content, expires_at) VALUES ('filling', $1, 0)");
        row.bind("x".repeat(FILLING)).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM passes WHERE hash = 'filling'").execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Tells the audit of what changes nothing.
    pub(super) async fn tell(&self, entries: &[Entry], at: Timestamp) -> Result<(), CommitError> {
        let mut transaction = begin_steps(&self.pool, self.cluster.get()).await?;
        chain(&mut transaction, at, entries).await?;
        transaction.commit().await.map_err(failed)
    }

    /// Remembers who asked.
    pub(super) async fn note_asking(&self, asking: &[Asking]) -> Result<(), CommitError> {
        let mut transaction = begin_steps(&self.pool, self.cluster.get()).await?;
        note(&mut transaction, asking).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

fn unavailable(kind: std::io::ErrorKind, why: &str) -> CommitError {
    let source = sqlx::Error::Io(std::io::Error::new(kind, why.to_owned()));
    CommitError::Unavailable(Unavailable { doing: "recording a step", source })
}

async fn write(
    pool: Pool,
    mut queue: mpsc::Receiver<Waiting>,
    cluster: Arc<OnceLock<Uid>>,
    broken: Arc<AtomicBool>,
) {
    let mut together = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut together, TOGETHER).await > 0 {
        let (steps, replies): (Vec<Step>, Vec<_>) =
            together.drain(..).map(|waiting: Waiting| (waiting.step, waiting.reply)).unzip();
        let outcomes = outcomes(&pool, cluster.get(), &steps).await;
        let is_broken = outcomes.iter().all(|outcome| matches!(outcome, Err(CommitError::Unavailable(_))));
        broken.store(is_broken, Ordering::SeqCst);
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever has gone meanwhile finds the recorded answer when they ask again.
            let _ = reply.send(outcome);
        }
    }
}

/// Why steps were not committed.
enum Broken {
    /// The database failed at one of them.
    Step(CommitError),
    /// It failed, or refused, whatever they were.
    All(CommitError),
}

impl From<CommitError> for Broken {
    fn from(error: CommitError) -> Self {
        Self::All(error)
    }
}

/// Where there is no room for one there is none for the others; and what one has waited for in vain nobody waits for after it.
fn broken(error: Unavailable) -> Broken {
    let of_all = error.is_full() || error.is_blocked();
    if of_all { Broken::All(error.into()) } else { Broken::Step(error.into()) }
}

/// What becomes of each.
async fn outcomes(pool: &Pool, cluster: Option<&Uid>, steps: &[Step]) -> Vec<Outcome> {
    match commit(pool, cluster, steps).await {
        Ok(outcomes) => return outcomes,
        Err(Broken::Step(_)) if steps.len() > 1 => {}
        Err(Broken::Step(error) | Broken::All(error)) => {
            return steps.iter().map(|_| Err(again(&error))).collect();
        }
    }
    let mut outcomes = Vec::with_capacity(steps.len());
    for (done, step) in steps.iter().enumerate() {
        match commit(pool, cluster, std::slice::from_ref(step)).await {
            Ok(outcome) => outcomes.extend(outcome),
            Err(Broken::Step(error)) => outcomes.push(Err(error)),
            // Nobody waits for it once for each.
            Err(Broken::All(error)) => {
                outcomes.extend(steps.iter().skip(done).map(|_| Err(again(&error))));
                break;
            }
        }
    }
    outcomes
}

/// The same, for one more.
fn again(error: &CommitError) -> CommitError {
    match error {
        CommitError::Barred(bar) => CommitError::Barred(bar.clone()),
        CommitError::Unavailable(error) if error.is_full() => {
            unavailable(std::io::ErrorKind::StorageFull, &format!("the ledger has no room left: {error}"))
        }
        error => {
            let why = std::error::Error::source(error).map_or(error.to_string(), ToString::to_string);
            unavailable(std::io::ErrorKind::Other, &why)
        }
    }
}

async fn commit(pool: &Pool, cluster: Option<&Uid>, steps: &[Step]) -> Result<Vec<Outcome>, Broken> {
    let mut transaction = begin_steps(pool, cluster).await?;
    let silent = silent_keys(&mut transaction, steps).await?;
    let (mut outcomes, mut entries) = (Vec::with_capacity(steps.len()), Vec::new());
    let is_silent =
        |step: &Step| step.given.as_ref().is_some_and(|given| silent.contains(&given.key_id.as_str()));
    let mut left = steps;
    while let Some((step, others)) = left.split_first() {
        if is_silent(step) {
            outcomes.push(Err(CommitError::KeySilent));
            left = others;
            continue;
        }
        let many =
            left.iter().map_while(|step| goes_on(step).filter(|_| !is_silent(step)).map(|one| (step, one)));
        let many: Vec<_> = many.collect();
        if many.is_empty() {
            match record(&mut transaction, step, &mut entries).await {
                Err(CommitError::Unavailable(error)) => return Err(broken(error)),
                outcome => outcomes.push(outcome),
            }
            left = others;
        } else {
            match go_on(&mut transaction, &many, &mut entries).await {
                Err(CommitError::Unavailable(error)) => return Err(broken(error)),
                Err(error) => return Err(Broken::All(error)),
                Ok(done) => outcomes.extend(done),
            }
            left = left.get(many.len()..).unwrap_or_default();
        }
    }
    if let Some(at) = steps.iter().map(|step| step.at).max() {
        chain(&mut transaction, at, &entries).await?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(outcomes)
}

/// Notes until when documents under each key are good. Returns the keys that do not sign any more.
async fn silent_keys<'a>(
    connection: &mut Connection,
    steps: &'a [Step],
) -> Result<Vec<&'a str>, CommitError> {
    let mut last: HashMap<&str, Timestamp> = HashMap::new();
    for given in steps.iter().filter_map(|step| step.given.as_ref()) {
        let until = last.entry(&given.key_id).or_insert(given.until);
        *until = given.until.max(*until);
    }
    let mut silent = Vec::new();
    for (key, until) in last {
        let until = whole_hour(until);
        if is_noted(connection, key, until).await.map_err(failed)? {
            continue;
        }
        match authorities::signed(connection, key, until).await {
            Ok(()) => {}
            Err(CommitError::Conflict) => silent.push(key),
            Err(other) => return Err(other),
        }
    }
    Ok(silent)
}

const HOUR: i64 = 3_600;

/// The end of the hour. A key is published so much longer than it need be; for that its row is not written with every
/// refresh, and whoever turns keys meets the same row that they read.
fn whole_hour(until: Timestamp) -> Timestamp {
    let seconds = until.as_second();
    let end = seconds.saturating_add((HOUR - seconds.rem_euclid(HOUR)) % HOUR);
    Timestamp::from_second(end).unwrap_or(until)
}

/// Whether the key signs, and it is known that documents under it are good until then.
async fn is_noted(connection: &mut Connection, key: &str, until: Timestamp) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query("SELECT 1 FROM keys WHERE kid = $1 AND state = 'signing' AND last_exp >= $2");
    Ok(noted.bind(key).bind(until.as_second()).fetch_optional(connection).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::tests::at;

    #[test]
    fn what_a_key_signs_is_noted_to_the_end_of_the_hour() {
        assert_eq!(whole_hour(at(3_600)), at(3_600));
        for seconds in [3_601, 7_199, 7_200] {
            assert_eq!(whole_hour(at(seconds)), at(7_200));
        }
        assert_eq!(whole_hour(Timestamp::MAX).as_second(), Timestamp::MAX.as_second());
    }
}
