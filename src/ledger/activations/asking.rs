//! Devices that ask to be activated, and are not named: for whoever approves them.

use jiff::Timestamp;

use crate::domain::{
    license::Uid,
    text::{DeviceId, DeviceName},
};

/// So many devices of one License are remembered: those that asked last.
pub const ASKING: u32 = 20;
/// Whoever asked less than so many seconds ago is not written again.
pub const PAUSE: i64 = 15 * 60;
/// So long they are, in seconds: a week.
pub const REMEMBERED: i64 = 7 * 24 * 3_600;

/// A device that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// For this License.
    pub license: Uid,
    /// The device.
    pub device: DeviceId,
    /// What its client calls it.
    pub name: Option<DeviceName>,
    /// When, to a quarter of an hour.
    pub at: Timestamp,
}
