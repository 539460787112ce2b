//! Sessions, as the ledger keeps them.
//!
//! They are steps like those of activations, and share their transactions. What is open is counted, the rule is asked, and the session is taken
//! in the one transaction, so no caller decides upon what somebody else has taken meanwhile.

use jiff::Timestamp;

use crate::domain::sessions::Reached;

/// How long a session that was closed is remembered, in seconds: as long as a late copy of the request that opened it may be under way.
pub const REMEMBERED: i64 = 300;

/// What is done to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// It is opened, unless a limit is reached.
    Open {
        /// Its id, which is made from the key of the request: the same request is the same session.
        id: String,
        /// The activation that uses it.
        activation: String,
        /// The hash of the request.
        request: String,
    },
    /// It was heard of, and is open at least until then.
    Keep {
        /// Its id.
        id: String,
        /// Until when.
        until: Timestamp,
    },
    /// It is closed.
    Close {
        /// Its id.
        id: String,
    },
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// When it was opened.
    pub since: Timestamp,
    /// The last instant at which it is open, unless something is heard of it.
    pub until: Timestamp,
    /// It was opened beyond a limit.
    pub over: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// It is open.
    Open {
        /// The session.
        session: Session,
        /// It was opened just now.
        new: bool,
    },
    /// It was open, and is closed.
    Closed,
    /// It has ended before.
    Ended,
    /// Another request has opened it.
    OtherRequest,
    /// A limit is reached.
    Refused {
        /// The limit.
        reached: Reached,
        /// Those that were opened first: their activations' devices, as JSON, and since when they are open.
        oldest: Vec<(String, Timestamp)>,
    },
}

/// The sessions of a License that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenSessions {
    /// How many.
    pub open: u32,
    /// How many of them were opened beyond a limit.
    pub over: u32,
    /// When the first of them ends, if nothing is heard of it.
    pub next_end: Option<Timestamp>,
}
