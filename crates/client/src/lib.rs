//! The client of Usher's runtime API: it keeps one installation of a program activated.
//!
//! An installation has an **activation**: a place under a License, a chain of nonces that each serve once, and a signed
//! document that says what may be used until when. The server answers a nonce that was used already as a fork: two
//! installations share one state, so one of them is a copy. An honest client must therefore never lose the nonce that it was
//! given last, and never send a nonce twice for two different requests. That is what this crate is for:
//!
//! ```text
//!            write pending (key, nonce), sync              write answer (next nonce, document), sync
//!   at rest ────────────────────────────────► in doubt ────────────────────────────────────────────► at rest
//!                                              │    ▲
//!                                              └────┘ refused, the reply was lost, or this process died: the same request
//!                                                     again, with the same key and nonce, has the recorded answer
//! ```
//! [`Installation`] holds the lock on the folder of the state as long as it lives, so neither a second process nor a second
//! thread can send between the two writes.
//!
//! # What went wrong
//! [`Error`] tells *the license says no* ([`Error::Refused`]: show its sentence and its next step) from *the server
//! cannot be reached* ([`Error::Unreachable`]: what was granted goes on; ask again later), and both from a disk
//! that does not keep what it is given ([`Error::State`]).
//!
//! # How long it may run
//! [`standing()`] is a pure function of a verified document and the time: good, good with a warning since the server has not been
//! reached for a lease, or over. [`next_attempt`] and [`backoff`] say when to ask the server again. This crate reads no clock.

mod credential;
mod document;
mod error;
pub mod fingerprint;
mod heartbeat;
mod installation;
pub mod login;
mod request;
mod server;
mod stands;
mod state;
mod store;

pub use credential::Credential;
pub use document::{Standing, Trusted, backoff, next_attempt, standing};
pub use error::{Error, Problem};
pub use heartbeat::{Feature, Heartbeat, Parameters, Quota, User};
pub use installation::Installation;
pub use request::{Device, Request};
pub use server::{Options, Server};
pub use stands::{Lease, Stands};
pub use state::{Activation, Kept, Operation, Pending};
pub use store::{StateError, write_atomically};
