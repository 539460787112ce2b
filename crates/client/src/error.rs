//! What can go wrong, by what is to be done about it.

use std::fmt;

use serde::Deserialize;

use crate::store::StateError;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server says no. Asking again does not help; what the problem says next does.
    #[error("{0}")]
    Refused(Problem),
    /// The server was not reached, did not answer in time, or said that it cannot serve now. What was granted goes on.
    #[error("the server cannot be reached: {why}")]
    Unreachable {
        /// What happened.
        why: String,
        /// After how many seconds the server asks to be asked again, if it said so.
        retry_after: Option<u64>,
    },
    /// Something answered that is not Usher, or is of a later version.
    #[error("the answer cannot be understood: {0}; is this address Usher's?")]
    Answer(String),
    /// The document that came is not to be trusted.
    #[error("the document that the server sent is refused: {0}")]
    Document(#[from] usher_license::Error),
    /// What must be kept cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was asked for cannot be asked: a server's address that is none, or a refresh before an activation.
    #[error("{0}")]
    Usage(String),
}

/// A refusal as the server tells it (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The stable code, such as `nonce-used`.
    pub code: String,
    /// The kind of problem, in a few words.
    pub title: String,
    /// What happened.
    #[serde(default)]
    pub detail: String,
    /// What to do.
    #[serde(default)]
    pub next: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// Of a session: which limit is reached, and by whom.
    #[serde(flatten)]
    pub exhausted: Option<Box<Exhausted>>,
}

/// As many sessions are open as may be (`sessions-exhausted`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Exhausted {
    /// What SLASCONE answers in this case: 12006.
    pub slascone: u32,
    /// Whose sessions are limited: `user` or `license`.
    pub limit: String,
    /// How many may be open.
    pub most: u32,
    /// How many are.
    pub open: u32,
    /// Those that were opened first.
    pub sessions: Vec<Elsewhere>,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Elsewhere {
    /// What people call the device.
    #[serde(default)]
    pub device: Option<String>,
    /// When it was opened, RFC 3339.
    pub since: String,
}

/// That something else goes on with the activation.
const ELSEWHERE: [&str; 3] = ["nonce-used", "activation-superseded", "pod-active"];
/// That the activation never goes on by this state.
const FINAL: [&str; 3] = ["nonce-used", "activation-superseded", "activation-ended"];

impl Problem {
    /// The code with which this crate itself refuses: nobody is signed in on this machine, or not any more.
    pub const SIGNED_OUT: &'static str = "signed-out";
    /// The same: somebody else is signed in than whoever has activated.
    pub const ANOTHER: &'static str = "another-signed-in";

    /// Whether it is over with whoever was signed in on this machine. Asking again is of use once they are signed in again.
    #[must_use]
    pub fn is_of_login(&self) -> bool {
        [Self::SIGNED_OUT, Self::ANOTHER].contains(&self.code.as_str())
    }

    /// Whether something else goes on with the activation: this state is a copy, or was rolled back. The place is not this one's to give back.
    #[must_use]
    pub fn is_of_a_copy(&self) -> bool {
        ELSEWHERE.contains(&self.code.as_str())
    }

    /// Whether asking again by this state is of no use, whatever happens. Activate again, if this is the only copy.
    #[must_use]
    pub fn is_final(&self) -> bool {
        FINAL.contains(&self.code.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.detail.is_empty() { &self.title } else { &self.detail };
        let next = if self.next.is_empty() { "" } else { " " };
        write!(f, "{what}{next}{} ({})", self.next, self.code)
    }
}
