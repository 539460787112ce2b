//! The parent of the child processes: see [`super::child`].

use std::{ffi::OsString, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    sync::Semaphore,
    time::timeout,
};

use super::{
    Refusal,
    child::{ANSWER, Answer, QUESTION, Question},
};

/// So many read at once what browsers bring; whoever comes next waits.
const AT_ONCE: usize = 4;
/// So many read at once what providers say of themselves: nobody who brings an answer is in their way.
const DESCRIBING: usize = 1;
/// How long one may take, waiting for its turn included.
const LONGEST: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// There is no such program, or no process for it.
    #[error("no process can be started to read it")]
    Start(#[source] std::io::Error),
    /// It was ended, or ended by itself, before it had answered.
    #[error("the process that read it came to its end: {0}")]
    Ended(String),
    /// It took too long.
    #[error("reading it took too long")]
    Late,
    /// What it said is no answer.
    #[error("the process that read it gave no answer")]
    Senseless,
    /// It is too large to ask.
    #[error("it is too large")]
    TooLarge,
}

/// What is believed, or why not, or why nobody knows.
pub(super) type Read<T> = Result<Result<T, Refusal>, Unread>;

/// Starts a process for each question, and so many at once at most.
#[derive(Debug, Clone)]
pub struct Reader {
    program: PathBuf,
    arguments: Vec<OsString>,
    slots: Arc<Semaphore>,
    describing: Arc<Semaphore>,
}

/// The subcommand that reads.
pub const SUBCOMMAND: &str = "read-saml";

impl Default for Reader {
    /// This very program, whatever lies under its name by now.
    fn default() -> Self {
        Self::of("/proc/self/exe", [SUBCOMMAND])
    }
}

impl Reader {
    /// One that runs `program`, which does what [`super::child::serve`] does.
    pub fn of<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            describing: Arc::new(Semaphore::new(DESCRIBING)),
        }
    }

    /// The same slots, for another program.
    #[must_use]
    pub fn but(&self, program: impl Into<PathBuf>, arguments: Vec<OsString>) -> Self {
        Self { program: program.into(), arguments, ..self.clone() }
    }

    /// What is answered, of the kind that `wanted` takes.
    pub(super) async fn ask<T>(
        &self,
        question: &Question,
        wanted: impl FnOnce(Answer) -> Option<T>,
    ) -> Read<T> {
        let slots = match question {
            Question::Response { .. } => &self.slots,
            Question::Metadata { .. } | Question::Certificates { .. } => &self.describing,
        };
        let question = serde_json::to_vec(question).map_err(|_| Unread::Senseless)?;
        if question.len() > QUESTION {
            return Err(Unread::TooLarge);
        }
        let said = timeout(LONGEST, self.run_in(slots, &question)).await.map_err(|_| Unread::Late)??;
        match serde_json::from_slice(&said).map_err(|_| Unread::Senseless)? {
            Answer::Refused(refusal) => Ok(Err(refusal)),
            answer => wanted(answer).map(Ok).ok_or(Unread::Senseless),
        }
    }

    /// What a process says to this.
    ///
    /// # Errors
    /// When it says nothing.
    pub async fn run(&self, question: &[u8]) -> Result<Vec<u8>, Unread> {
        self.run_in(&self.slots, question).await
    }

    async fn run_in(&self, slots: &Semaphore, question: &[u8]) -> Result<Vec<u8>, Unread> {
        let _slot = slots.acquire().await.map_err(|_| Unread::Late)?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // However this ends: with it ends the process.
            .kill_on_drop(true)
            .spawn()
            .map_err(Unread::Start)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(mut input), Some(output)) = (input, output) else { return Err(Unread::Senseless) };
        let ask = async {
            // Whoever does not listen will say so by their end.
            drop(input.write_all(question).await);
            drop(input);
        };
        let mut said = Vec::new();
        let mut output = output.take(ANSWER as u64 + 1);
        let (_, listened) = tokio::join!(ask, output.read_to_end(&mut said));
        if said.len() > ANSWER {
            return Err(Unread::TooLarge);
        }
        listened.map_err(|_| Unread::Senseless)?;
        let status = child.wait().await.map_err(|_| Unread::Senseless)?;
        if status.success() { Ok(said) } else { Err(Unread::Ended(status.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use jiff::Timestamp;

    use super::*;
    use crate::identity::saml::gate::Expected;

    #[tokio::test]
    async fn what_a_provider_says_of_itself_is_read_though_answers_without_end_are_brought() {
        let says = serde_json::to_string(&Answer::Refused(Refusal::NotXml)).unwrap();
        let script = format!("cat >/dev/null; printf %s '{says}'");
        let reader = Reader::of("/bin/sh", ["-c".to_owned(), script]);
        let expected = Expected {
            entity_id: String::new(),
            certificates: Vec::new(),
            audience: String::new(),
            consumer: String::new(),
            request: String::new(),
            format: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let brought = Question::Response { xml: Vec::new(), expected };
        let of_provider = Question::Certificates { pems: Vec::new() };
        let busy = reader.slots.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        assert!(reader.ask(&brought, Answer::proven).now_or_never().is_none());
        let read = reader.ask(&of_provider, Answer::certificates).await.unwrap();
        assert_eq!(read.unwrap_err(), Refusal::NotXml);
        drop(busy);
        assert_eq!(reader.ask(&brought, Answer::proven).await.unwrap().unwrap_err(), Refusal::NotXml);
    }
}
