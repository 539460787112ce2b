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
            Self::Namespace(_) => "Namespace",
        }
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::License(key) => write!(f, "{key}"),
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
mod tests {
    use super::*;

    fn task(name: &str) -> Task {
        Task::License(Key::new("design", name))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_task_that_is_pushed_often_waits_once() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            queue.push(task("a"));
        }
        assert_eq!((queue.depth(), queue.pop(at(0)), queue.pop(at(0))), (1, Some(task("a")), None));
    }

    #[test]
    fn a_task_that_is_pushed_while_it_runs_runs_once_more_afterwards() {
        let mut queue = Queue::default();
        queue.push(task("a"));
        let running = queue.pop(at(0)).unwrap();
        queue.push(task("a"));
        queue.push(task("a"));
        assert_eq!(queue.pop(at(0)), None, "never twice at once");
        queue.done(running, Done::At(at(100)), at(0));
        assert_eq!(queue.pop(at(0)), Some(task("a")));
        queue.done(task("a"), Done::Rest, at(0));
        assert_eq!((queue.pop(at(1_000)), queue.next_due()), (None, None));
    }

    #[test]
    fn news_go_before_reviews_which_have_an_end_all_the_same() {
        let mut queue = Queue::default();
        for name in ["r1", "r2", "r3"] {
            queue.review(task(name));
        }
        for name in ["n1", "n2", "n3", "n4", "n5", "r3", "n1"] {
            queue.push(task(name));
        }
        queue.review(task("n5"));
        assert_eq!(queue.depth(), 8, "each waits once");
        let order: Vec<Task> = std::iter::from_fn(|| queue.pop(at(0))).collect();
        assert_eq!(order, ["n1", "n2", "n3", "r1", "n4", "n5", "r3", "r2"].map(task), "r3 has become news");
        assert_eq!(queue.depth(), 0);
        for name in ["n1", "n2"] {
            queue.done(task(name), Done::At(at(10)), at(0));
        }
        queue.done(task("r1"), Done::Rest, at(0));
        queue.push(task("r1"));
        assert_eq!(queue.pop(at(10)), Some(task("r1")), "whose time has come is reviewed");
    }

    #[test]
    fn a_task_comes_back_when_its_time_has_come_and_not_before() {
        let mut queue = Queue::default();
        queue.push(task("a"));
        let running = queue.pop(at(0)).unwrap();
        queue.done(running, Done::At(at(10)), at(0));
        assert_eq!((queue.pop(at(9)), queue.next_due()), (None, Some(at(10))));
        assert_eq!(queue.pop(at(10)), Some(task("a")));
    }

    #[test]
    fn a_next_look_that_is_overdue_does_not_turn_in_circles() {
        let mut queue = Queue::default();
        queue.push(task("a"));
        let running = queue.pop(at(100)).unwrap();
        queue.done(running, Done::At(at(50)), at(100));
        assert_eq!((queue.pop(at(100)), queue.pop(at(101))), (None, Some(task("a"))));
    }

    #[test]
    fn a_push_does_not_wait_for_the_backoff() {
        let mut queue = Queue::default();
        queue.push(task("a"));
        let running = queue.pop(at(0)).unwrap();
        queue.done(running, Done::Failed, at(0));
        assert_eq!(queue.pop(at(0)), None);
        queue.push(task("a"));
        assert_eq!((queue.pop(at(0)), queue.next_due()), (Some(task("a")), None));
    }

    #[test]
    fn nobody_waits_longer_than_an_hour_and_a_clock_that_went_back_is_noticed() {
        let mut queue = Queue::default();
        assert_eq!(queue.wake_at(at(0)), at(3_600), "even if nothing is to come");
        queue.push(task("a"));
        let running = queue.pop(at(0)).unwrap();
        queue.done(running, Done::At(at(10)), at(0));
        assert_eq!(queue.wake_at(at(0)), at(10));
        let year = 31_536_000;
        queue.push(task("a"));
        let running = queue.pop(at(year)).unwrap();
        queue.done(running, Done::At(at(year + 10)), at(year));
        assert_eq!(queue.wake_at(at(20)), at(3_620));
        let told = [0, 10, 5, year, year - 300, 20, 30].map(|now| queue.went_back(at(now)));
        assert_eq!(told, [false, false, false, false, false, true, false]);
    }

    #[test]
    fn failures_of_one_task_wait_longer_and_longer_and_hold_up_no_other() {
        let mut queue = Queue::default();
        let (mut now, mut last) = (at(0), SignedDuration::ZERO);
        for _ in 0..20 {
            queue.push(task("a"));
            let running = queue.pop(now).unwrap();
            queue.done(running, Done::Failed, now);
            let wait = queue.next_due().unwrap().duration_since(now);
            assert!(wait >= last || wait >= LAST_RETRY, "{wait} after {last}");
            assert!(wait <= LAST_RETRY + LAST_RETRY / 4);
            (now, last) = (queue.next_due().unwrap(), wait);
        }
        queue.push(task("b"));
        assert_eq!(queue.pop(at(0)), Some(task("b")));
        queue.push(task("a"));
        let running = queue.pop(now).unwrap();
        queue.done(running, Done::Rest, now);
        queue.push(task("a"));
        let running = queue.pop(now).unwrap();
        queue.done(running, Done::Failed, now);
        assert!(
            queue.next_due().unwrap().duration_since(now) < SignedDuration::from_secs(1),
            "success forgives"
        );
    }
}
