//! The edges of the program: what time it is, and randomness. Read in `cmd/`, passed down as arguments.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

/// A clock and a source of randomness.
pub trait Edge: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Returns at `until`, or a little later.
    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// How long this machine has run since some instant: never turned, never back. For measuring, not for telling the
    /// time.
    fn elapsed(&self) -> Duration;
    /// Returns after `pause` of [`Edge::elapsed`], or a little later.
    fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// Fresh bytes from the kernel.
    fn entropy(&self) -> [u8; 32];
}
