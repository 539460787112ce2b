//! Sessions, one call a file.

mod close;
mod heartbeat;
mod open;

pub(super) use close::close;
pub(super) use heartbeat::heartbeat;
pub(super) use open::open;
