//! What is to be looked at, and when.
//!
//! ```text
//!            push                     pop (at most `workers` at once)
//!   ───────► news ────────────────────────────────► running ──► done: rests, or later (next look, or backoff)
//!   ───────► reviews ─────────────────────────────►  │   ▲
//!            review  ▲                               │   │ pushed while running: once more, right after
//!                    │ its time has come             │   └─ again
//!                  later ◄───────────────────────────┘
//! ```
//!
//! 1. A task is never run twice at once.
//! 2. However often it is pushed, it waits once; pushed while it runs, it runs once more.
//!    Pushed for later, it runs by then, or with whatever is sooner.
//! 3. A failure is tried again after 200 ms, doubling to 5 minutes, per task; a push does not wait for that.
//! 4. Times come from the clock, and the clock may be wrong: whoever waits for one wakes at least once an hour, and a clock
//!    that went back is told, for then nothing that waits for its time waits for the right one.
//! 5. What changed goes before what is only reviewed, because something around it changed, its time has come, or we have begun to lead: a person
//!    who is given a seat does not wait for ten thousand Licenses of which nothing is new. Of four looks one is a review while there are any, so
//!    these have an end, too.
//!
//! The core is pure: time is an argument.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use jiff::{SignedDuration, Timestamp};

use crate::domain::license::Key;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// The License of this name, whether there is one or not, and all Seats that name it.
    License(Key),
    /// The Authority of this name.
    Authority(String),
    /// The IdentityProvider of this name.
    IdentityProvider(String),
    /// The Seat of this name, which cannot be read.
    Seat(Key),
    /// The UserAssignment of this name, which cannot be read.
    UserAssignment(Key),
    /// The namespace of this name: whether we may work with Secrets there.
    Namespace(String),
}

impl Task {
    /// The kind, for logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::License(_) => "License",
            Self::Authority(_) => "Authority",
            Self::IdentityProvider(_) => "IdentityProvider",
            Self::Seat(_) => "Seat",
            Self::UserAssignment(_) => "UserAssignment",
            Self::Namespace(_) => "Namespace",
        }
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::License(key) | Self::Seat(key) | Self::UserAssignment(key) => write!(f, "{key}"),
            Self::Authority(name) | Self::IdentityProvider(name) | Self::Namespace(name) => f.write_str(name),
        }
    }
}

const FIRST_RETRY: SignedDuration = SignedDuration::from_millis(200);
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(5);
const SOONEST_NEXT_LOOK: SignedDuration = SignedDuration::from_secs(1);

/// The longest that anybody waits before the clock is read again.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// A clock that goes back by less is only being corrected.
const WENT_BACK: SignedDuration = SignedDuration::from_mins(5);

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing to do until something changes.
    Rest,
    /// Look again then, or in a second if that has passed.
    At(Timestamp),
    /// Look again at once.
    Again,
    /// It failed.
    Failed,
}

impl Done {
    /// The same, and looked at again at `time` at the latest.
    pub fn by(self, time: Timestamp) -> Self {
        match self {
            Self::Rest => Self::At(time),
            Self::At(sooner) => Self::At(sooner.min(time)),
            Self::Again | Self::Failed => self,
        }
    }
}

/// After so many looks at news a review has its turn.
const IN_A_ROW: u32 = 3;

/// Why something is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    News,
    Review,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    news: VecDeque<Task>,
    /// Some of them may have become news since, and are skipped.
    reviews: VecDeque<Task>,
    /// What waits in either.
    waiting: HashMap<Task, Cause>,
    /// How many looks at news there were since the last review.
    in_a_row: u32,
    running: HashSet<Task>,
    again: HashSet<Task>,
    later: BTreeSet<(Timestamp, Task)>,
    due: HashMap<Task, Timestamp>,
    failures: HashMap<Task, u32>,
    /// What the clock showed last.
    last: Option<Timestamp>,
}

impl Queue {
    /// Something changed: look at `task` soon.
    pub fn push(&mut self, task: Task) {
        self.ask(task, Cause::News);
    }

    /// Look at `task` when there is time: nothing is known to be new.
    pub fn review(&mut self, task: Task) {
        self.ask(task, Cause::Review);
    }

    fn ask(&mut self, task: Task, cause: Cause) {
        self.unschedule(&task);
        if self.running.contains(&task) {
            self.again.insert(task);
            return;
        }
        let before = self.waiting.get(&task).copied();
        match (before, cause) {
            (Some(Cause::News), _) | (Some(Cause::Review), Cause::Review) => return,
            (None | Some(Cause::Review), Cause::News) => self.news.push_back(task.clone()),
            (None, Cause::Review) => self.reviews.push_back(task.clone()),
        }
        self.waiting.insert(task, cause);
    }

    /// Look at `task` by then, unless it is looked at sooner.
    pub fn push_by(&mut self, task: Task, by: Timestamp) {
        let sooner = self.waiting.contains_key(&task) || self.again.contains(&task);
        if !sooner && self.due.get(&task).is_none_or(|due| *due > by) {
            self.unschedule(&task);
            self.schedule(task, by);
        }
    }

    /// The next task to run at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Task> {
        while let Some((_, task)) = self.later.first().filter(|(at, _)| *at <= now).cloned() {
            self.review(task);
        }
        let review = if self.in_a_row >= IN_A_ROW { self.next_review() } else { None };
        let task = review.or_else(|| self.next_news()).or_else(|| self.next_review())?;
        self.waiting.remove(&task);
        self.running.insert(task.clone());
        Some(task)
    }

    fn next_news(&mut self) -> Option<Task> {
        let task = self.news.pop_front()?;
        self.in_a_row = self.in_a_row.saturating_add(1);
        Some(task)
    }

    fn next_review(&mut self) -> Option<Task> {
        self.in_a_row = 0;
        loop {
            let task = self.reviews.pop_front()?;
            if self.waiting.get(&task) == Some(&Cause::Review) {
                return Some(task);
            }
        }
    }

    /// `task` has run.
    pub fn done(&mut self, task: Task, done: Done, now: Timestamp) {
        self.running.remove(&task);
        if done == Done::Failed {
            *self.failures.entry(task.clone()).or_default() += 1;
        } else {
            self.failures.remove(&task);
        }
        if self.again.remove(&task) || done == Done::Again {
            return self.push(task);
        }
        match done {
            Done::Rest | Done::Again => {}
            // A time that has come already and comes again would turn in circles.
            Done::At(at) => {
                self.schedule(task, at.max(now.checked_add(SOONEST_NEXT_LOOK).unwrap_or(Timestamp::MAX)));
            }
            Done::Failed => {
                let at = now.checked_add(self.backoff(&task)).unwrap_or(Timestamp::MAX);
                self.schedule(task, at);
            }
        }
    }

    /// Whether the clock, which shows `now`, went back since it was last asked about: then everything is to be looked at.
    pub fn went_back(&mut self, now: Timestamp) -> bool {
        let last = self.last.replace(now);
        last.is_some_and(|last| last.duration_since(now) > WENT_BACK)
    }

    /// Until when to wait at `now` if nothing is pushed.
    #[must_use]
    pub fn wake_at(&self, now: Timestamp) -> Timestamp {
        let longest = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        self.next_due().map_or(longest, |due| due.min(longest))
    }

    /// When `pop` will next have something that it does not have now.
    fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(at, _)| *at)
    }

    /// How many wait to be run now.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// Whoever asked for a look while it ran waits no longer than they said.
    fn schedule(&mut self, task: Task, at: Timestamp) {
        let at = self.due.get(&task).map_or(at, |due| at.min(*due));
        self.unschedule(&task);
        self.due.insert(task.clone(), at);
        self.later.insert((at, task));
    }

    fn unschedule(&mut self, task: &Task) {
        if let Some(at) = self.due.remove(task) {
            self.later.remove(&(at, task.clone()));
        }
    }

    /// Doubling, with up to a quarter more that differs by task, so that many failures do not come back at once.
    fn backoff(&self, task: &Task) -> SignedDuration {
        let failures = self.failures.get(task).copied().unwrap_or(1).clamp(1, 16);
        let wait = FIRST_RETRY.saturating_mul(1 << (failures - 1)).min(LAST_RETRY);
        let mut hasher = DefaultHasher::new();
        (task, failures).hash(&mut hasher);
        let millis = i64::try_from(wait.as_millis() / 4).unwrap_or(0).max(1);
        let spread = i64::try_from(hasher.finish() % 1_000).unwrap_or(0) * millis / 1_000;
        wait.saturating_add(SignedDuration::from_millis(spread))
    }
}

#[cfg(test)]
mod tests;
