//! The one clock of the measurements.

use std::time::{Duration, Instant};

use crate::Failure;

/// An instant to count from.
#[derive(Debug, Clone, Copy)]
pub struct Since(Instant);

impl Since {
    /// From now on.
    #[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The Unix time, in seconds: certificates and documents are good from now on.
#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
pub fn unix() -> Result<u64, Failure> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}
