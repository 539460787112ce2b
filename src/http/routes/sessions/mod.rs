//! Sessions, one call a file.

mod close;
mod heartbeat;
mod open;

use crate::domain::refusal::Code;

pub(super) use close::{CLOSE, close};
pub(super) use heartbeat::{HEARTBEAT, heartbeat};
pub(super) use open::{OPEN, open};

const EXAMPLE: &str = r#"{"id": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10-8d0b7a3e6c2b9f105f0c1d52a8e94c1f", "activation": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10",
    "license": "design/cad", "ttl": 300, "since": "2026-11-26T10:00:00Z", "until": "2026-11-26T10:05:00Z", "over": false,
    "activation_until": "2026-11-30T10:00:00Z"}"#;

/// Why an activation has no use of its License now.
const NO_USE: &[Code] = &[
    Code::ActivationEnded,
    Code::ActivationLapsed,
    Code::ActivationSuperseded,
    Code::SeatSuspended,
    Code::LicenseSuspended,
    Code::LicenseExpired,
    Code::LicenseNotReady,
    Code::SessionEnded,
];
