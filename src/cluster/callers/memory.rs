//! Answers, remembered for some seconds, by the hash of the question.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long an answer counts: a right or a pod that is gone is gone no later than this.
pub(super) const LIFE: Duration = Duration::from_secs(5);
/// So many answers are remembered at most.
const MOST: usize = 4_096;

/// The answers.
#[derive(Debug)]
pub(super) struct Memory<V>(Mutex<HashMap<[u8; 32], (Duration, V)>>);

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Memory<V> {
    /// The answer, if it is not too old at `now`.
    pub(super) fn of(&self, question: &[u8; 32], now: Duration) -> Option<V> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(question).filter(|(until, _)| now < *until).map(|(_, answer)| answer.clone())
    }

    /// Remembers an answer that came at `now`. When there are too many, all are forgotten that still counted: they are asked for again.
    pub(super) fn keep(&self, question: [u8; 32], answer: V, now: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, (until, _)| now < *until);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(question, (now.saturating_add(LIFE), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: usize) -> [u8; 32] {
        let mut question = [0; 32];
        question[..8].copy_from_slice(&number.to_be_bytes());
        question
    }

    #[test]
    fn an_answer_counts_for_some_seconds_and_no_longer() {
        let (memory, asked) = (Memory::default(), Duration::from_secs(100));
        memory.keep(question(1), true, asked);
        let at = |seconds| memory.of(&question(1), Duration::from_secs(seconds));
        assert_eq!((at(100), at(104), at(105)), (Some(true), Some(true), None));
        assert_eq!(memory.of(&question(2), asked), None);
    }

    #[test]
    fn no_more_is_remembered_than_so_much_and_the_last_answer_always_is() {
        let memory = Memory::default();
        for number in 0..3 * MOST {
            memory.keep(question(number), (), Duration::from_secs(1));
            assert!(memory.of(&question(number), Duration::from_secs(1)).is_some());
        }
        assert!(memory.0.lock().unwrap().len() <= MOST);
    }
}
