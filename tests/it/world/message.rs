//! What clients and the server say to each other.

use jiff::Timestamp;
use usher::domain::{
    chain::{Call, Digest, Operation},
    refusal::Code,
};

/// Names an activation.
pub type Id = u64;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// An activation; with the last document of an activation that the server did not know.
    Activate { device: u32, lost: Option<(Id, String, Timestamp)> },
    /// How the activation stands.
    State { id: Id, nonce: String },
    /// A new document.
    Refresh { id: Id, nonce: String },
    /// The end.
    Deactivate { id: Id },
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The idempotency key.
    pub key: u64,
    /// The credential: for an activation the device's, else the activation's token.
    pub caller: u64,
    pub ask: Ask,
}

impl Request {
    /// What the rules know of it. Numbers do for hashes here.
    pub fn call(&self) -> Call {
        let (operation, subject) = match &self.ask {
            Ask::Activate { device, lost } => {
                let lost = lost.as_ref().map_or(0, |(id, ..)| *id);
                (Operation::Activate, [u64::from(*device), lost])
            }
            Ask::State { id, .. } => (Operation::State, [1, *id]),
            Ask::Refresh { id, .. } => (Operation::Refresh, [2, *id]),
            Ask::Deactivate { id } => (Operation::State, [3, *id]),
        };
        let [key, caller] = [digest([1, self.key]), digest([2, self.caller])];
        Call { operation, key, request: digest(subject), caller }
    }
}

fn digest([a, b]: [u64; 2]) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&a.to_be_bytes());
    bytes[8..16].copy_from_slice(&b.to_be_bytes());
    Digest(bytes)
}

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It is done.
    Given {
        id: Id,
        token: u64,
        nonce: String,
        /// Until when the new document is good; none was given to whoever asked for the state.
        document: Option<Timestamp>,
    },
    /// The activation is over.
    Over,
    /// The token is not known.
    Unauthorized,
    /// It is refused.
    Refused(Code),
}

/// An answer, on the connection of the request that it is to.
#[derive(Debug, Clone)]
pub struct Answer {
    pub to: Request,
    pub said: Said,
}
