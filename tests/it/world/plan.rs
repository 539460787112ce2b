//! What one world is like. Each seed has faults of its own: a fault that is always there hides what others do.

use usher::domain::{
    chain::limits::{Limits, Often},
    terms::{ClonePolicy, Provisioning},
};

use super::random::Random;

/// An hour, in seconds.
pub const HOUR: i64 = 3_600;
/// How long a document is good.
pub const LIFETIME: i64 = 24 * HOUR;
/// In which time transfers and recoveries are counted.
pub const WINDOW: i64 = 48 * HOUR;

/// One world.
#[derive(Debug)]
pub struct Plan {
    pub policy: ClonePolicy,
    pub limits: Limits,
    pub recoveries: Often,
    /// Devices at the beginning.
    pub devices: u32,
    /// Of a thousand messages, so many are lost, doubled; of requests, so many meet a crash before, after the commit.
    pub lost: usize,
    pub doubled: usize,
    pub crashes: usize,
    /// Copies of disks are booted beside the original; in its stead; disks are wiped.
    pub clones: bool,
    pub rollbacks: bool,
    pub wipes: bool,
    /// The ledger is restored from an older backup; the cluster with it.
    pub restores: bool,
    pub cluster_too: bool,
    /// The server's clock jumps.
    pub jumps: bool,
}

impl Plan {
    pub fn new(random: &mut Random) -> Self {
        let seats = 1 + random.below(4) as u32;
        let devices_per_seat = 1 + random.below(3) as u32;
        let provisioning = random.one(&[Provisioning::Named, Provisioning::Floating]);
        Self {
            policy: random.one(&[ClonePolicy::Refuse, ClonePolicy::Quarantine, ClonePolicy::Replace]),
            limits: Limits {
                provisioning,
                seats,
                devices_per_seat: Some(devices_per_seat),
                transfers: random.one(&[None, None, Some((2, WINDOW))]),
            },
            recoveries: (random.below(4) as u32, WINDOW),
            devices: 2 + random.below(4) as u32,
            lost: random.one(&[0, 50, 300]),
            doubled: random.one(&[0, 50, 300]),
            crashes: random.one(&[0, 0, 20, 100]),
            clones: random.in_thousand(600),
            rollbacks: random.in_thousand(300),
            wipes: random.in_thousand(200),
            restores: random.in_thousand(400),
            cluster_too: random.in_thousand(500),
            jumps: random.in_thousand(200),
        }
    }

    /// Of which seat a device is. A Floating License has no seats of anybody: its places are all of one kind.
    pub fn seat(&self, device: u32) -> u32 {
        match self.limits.provisioning {
            Provisioning::Named => device % self.limits.seats,
            Provisioning::Floating => 0,
        }
    }

    /// Places of one kind.
    pub fn places(&self) -> u32 {
        match self.limits.provisioning {
            Provisioning::Named => self.limits.devices_per_seat.unwrap(),
            Provisioning::Floating => self.limits.seats,
        }
    }

    /// All places.
    pub fn all_places(&self) -> u32 {
        match self.limits.provisioning {
            Provisioning::Named => self.limits.seats * self.places(),
            Provisioning::Floating => self.places(),
        }
    }
}
