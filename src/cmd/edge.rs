//! The real clock and the kernel's randomness: the only place that reads them.

use std::{
    future::Future,
    pin::Pin,
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::service::edge::Edge;

/// The machine we run on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine;

impl Edge for Machine {
    #[expect(clippy::disallowed_methods, reason = "this is the edge")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn wait_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = until.duration_since(self.now());
        Box::pin(tokio::time::sleep(wait.try_into().unwrap_or_default()))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge")]
    fn elapsed(&self) -> Duration {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGUN.elapsed()
    }

    fn wait(&self, pause: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(pause))
    }

    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "this is the edge; a kernel without randomness cannot be worked on"
    )]
    fn entropy(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        bytes
    }
}
