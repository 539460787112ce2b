//! The state of a chain as a word in a column, for the ledger counts by it.

use sqlx::Row as _;

use super::Row;
use crate::domain::chain::{State, Why};

const WORDS: [(State, &str); 6] = [
    (State::Active, "active"),
    (State::Quarantined, "quarantined"),
    (State::Lapsed, "lapsed"),
    (State::Ended(Why::Deactivated), "deactivated"),
    (State::Ended(Why::Superseded), "superseded"),
    (State::Ended(Why::Withdrawn), "withdrawn"),
];

/// The word for `state`.
pub(super) fn word(state: State) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == state).map_or("", |(_, word)| word)
}

/// The state in the column of this name.
pub(super) fn of(row: &Row) -> Result<State, sqlx::Error> {
    let word: &str = row.try_get("state")?;
    read(word).ok_or_else(|| sqlx::Error::Decode(format!("no state: {word}").into()))
}

/// The state that `word` stands for.
fn read(word: &str) -> Option<State> {
    WORDS.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_was_written() {
        for why in [Why::Deactivated, Why::Superseded, Why::Withdrawn] {
            assert_eq!(read(word(State::Ended(why))), Some(State::Ended(why)));
        }
        for state in [State::Active, State::Quarantined, State::Lapsed] {
            assert_eq!(read(word(state)), Some(state));
        }
        assert_eq!(read("asleep"), None);
    }
}
