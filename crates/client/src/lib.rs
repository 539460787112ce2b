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
//! reached for a lease, or over. [`next_attempt`] and [`backoff`] say when to ask the server again. This crate reads no clock but to date its
//! proofs and to replace access tokens in time, and no right is decided by that here.
//!
//! # Whose it is
//! Before its first activation an installation draws a key, which stays in its folder (`key.jwk`), and each call carries a proof that it has it
//! (RFC 9449). The server binds the activation to that key, so that a token which is read on its way, or a state that is copied without its key, is good for
//! nothing. Whoever copies the whole folder has the key as well: that copy is caught by the chain. [`Installation::bearer`] turns it off.
//!
//! # People
//! [`Credential::Login`] is whoever is signed in on this machine by `usher login`. They activate on the seat that is theirs; the activation is bound to the key of
//! the login, so a state that is copied without that is worth nothing. Before each new document it is asked whether they are still signed in, and that asks
//! their provider: [`Error::Refused`] with `signed-out` means that they are to sign in again. What was granted goes on until its end, as with any refusal.
//! Call [`Installation::revalidate`] when the access token ends ([`login::Login::until`]), and when the network is back, so that a leaver is out within minutes:
//! ```no_run
//! # async fn work() -> Result<(), usher_client::Error> {
//! use usher_client::{Credential, Installation, Options, Server, login::Login};
//!
//! let server = Server::new("https://usher.acme.example", Options::default())?;
//! let login = Login::at("/home/ann/.local/state/usher");
//! let mut own = Installation::open("/home/ann/.local/state/cad".as_ref(), server, Credential::Login(login))?;
//! // … activate as below, then every ten minutes:
//! own.revalidate().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Sessions
//! ```no_run
//! # async fn work() -> Result<(), usher_client::Error> {
//! use usher_client::{Credential, Device, Error, Installation, Options, Request, Server, fingerprint};
//!
//! let server = Server::new("https://usher.acme.example", Options::default())?;
//! let key = std::fs::read_to_string("key").unwrap_or_default();
//! let mut own = Installation::open("/var/lib/cad/usher".as_ref(), server, Credential::Key(key.trim().to_owned()))?;
//! if own.is_to_activate() {
//!     let id = fingerprint::of_this_machine().map_err(|error| Error::Usage(error.to_string()))?;
//!     own.activate(&Request { license: "design/cad".into(), device: Device { id, ..Device::of_this_machine() } }).await?;
//! }
//! match own.open_session().await {
//!     Ok(session) => {
//!         // About every third of `session.ttl`:
//!         own.keep_session(&session.id).await?;
//!         own.close_session(&session.id).await?;
//!     }
//!     Err(Error::Refused(problem)) => match problem.exhausted {
//!         Some(full) => println!("{} of {} sessions are open, the first on {:?}", full.open, full.most, full.sessions.first()),
//!         None => println!("{problem}"),
//!     },
//!     Err(error) => println!("{error}; the document says how long to go on"),
//! }
//! # Ok(())
//! # }
//! ```

mod clock;
mod credential;
mod document;
mod error;
pub mod fingerprint;
mod heartbeat;
mod installation;
pub mod login;
mod possession;
mod request;
mod server;
mod session;
mod shown;
mod stands;
mod state;
mod store;

pub use credential::Credential;
pub use document::{Standing, Trusted, backoff, next_attempt, standing};
pub use error::{Elsewhere, Error, Exhausted, Problem};
pub use heartbeat::{Feature, Heartbeat, Parameters, Quota, User};
pub use installation::Installation;
pub use request::{Device, Request};
pub use server::{Options, Server};
pub use session::Session;
pub use stands::{Lease, Stands};
pub use state::{Activation, Kept, Operation, Pending};
pub use store::{StateError, write_atomically};
