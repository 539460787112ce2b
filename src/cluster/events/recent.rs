//! What was said lately, so that the same is counted and not said anew.
//!
//! 1. What was said first goes first: after six minutes, or when there is more than the bound.
//! 2. What went is said anew: an event too many, never one too few.
//!
//! Pure: time is an argument. Each saying costs the same, however much was said.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// How long the same is counted as one event. Kubernetes keeps events for an hour.
const LATELY: SignedDuration = SignedDuration::from_mins(6);
/// The most events that are remembered, about 200 bytes each.
const MOST: usize = 4_096;

/// What makes two events the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Words {
    /// The UID of the object that it is about.
    pub(super) about: String,
    /// Normal or Warning.
    pub(super) type_: &'static str,
    /// In one word.
    pub(super) reason: String,
}

/// An event that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Its name.
    pub(super) name: String,
    /// How often it has been said, this time included.
    pub(super) times: i32,
}

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    said: HashMap<Words, Said>,
    order: VecDeque<(Timestamp, Words)>,
}

impl Recent {
    /// The event that says the same, counted once more, if it was said lately.
    pub(super) fn said(&mut self, words: &Words, now: Timestamp) -> Option<Said> {
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            self.forget_first();
        }
        let said = self.said.get_mut(words)?;
        said.times = said.times.saturating_add(1);
        Some(said.clone())
    }

    /// Remembers an event that was made.
    pub(super) fn note(&mut self, words: Words, name: String, now: Timestamp) {
        if self.said.insert(words.clone(), Said { name, times: 1 }).is_none() {
            self.order.push_back((now, words));
        }
        if self.order.len() > MOST {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, words)) = self.order.pop_front() {
            self.said.remove(&words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(reason: &str) -> Words {
        Words { about: "uid-1".into(), type_: "Normal", reason: reason.into() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_same_is_counted_and_another_reason_is_another_event() {
        let mut recent = Recent::default();
        assert_eq!(recent.said(&words("Bound"), at(0)), None);
        recent.note(words("Bound"), "a.1".into(), at(0));
        assert_eq!(recent.said(&words("Bound"), at(1)), Some(Said { name: "a.1".into(), times: 2 }));
        assert_eq!(recent.said(&words("Bound"), at(2)).map(|said| said.times), Some(3));
        assert_eq!(recent.said(&words("Suspended"), at(2)), None);
    }

    #[test]
    fn after_six_minutes_the_same_is_said_anew() {
        let mut recent = Recent::default();
        recent.note(words("Bound"), "a.1".into(), at(0));
        assert!(recent.said(&words("Bound"), at(360)).is_some());
        assert_eq!(recent.said(&words("Bound"), at(361)), None);
        recent.note(words("Bound"), "a.2".into(), at(361));
        assert_eq!(recent.said(&words("Bound"), at(362)).map(|said| said.name), Some("a.2".into()));
    }

    #[test]
    fn however_much_is_said_only_so_much_is_remembered() {
        let mut recent = Recent::default();
        for number in 0..=MOST {
            recent.note(words(&number.to_string()), number.to_string(), at(0));
        }
        assert_eq!((recent.said.len(), recent.order.len()), (MOST, MOST));
        assert_eq!(recent.said(&words("0"), at(1)), None, "the first has gone");
        assert!(recent.said(&words("1"), at(1)).is_some());
    }
}
